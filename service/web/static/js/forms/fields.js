// Form fields, generated from a schema. Each has a JSON pointer, under which the server's validation errors appear.
import { html } from "../kit/elements.js";
import { fieldShape, newPart } from "./schema.js";
import { parseInput, valueText } from "./values.js";

const NESTED_SHAPES = ["object", "list", "parts", "json"];

const escapePointer = (name) => String(name).replaceAll("~", "~0").replaceAll("/", "~1");
export const fieldLabel = (name) => name.replaceAll("_", " ");

/** Builds the fields that edit a value in place. Fields with default values stay out of the value. */
export class FieldBuilder {
  /** ``notes`` has the catalog's entry of "family/kind"; ``onChange(structural, pointer?)`` follows each edit. */
  constructor(definitions, notes, onChange) {
    Object.assign(this, { definitions, notes, onChange });
  }

  /** The fields of an object; nested ones are folded. */
  object(schema, value, pointer) {
    const depth = pointer.split("/").length;
    const shapes = Object.entries(schema.properties)
      .filter(([name]) => name !== "kind")
      .map(([name, property]) => ({ name, shape: fieldShape(property, this.definitions, depth) }));
    const simple = shapes.filter(({ shape }) => !NESTED_SHAPES.includes(shape.is));
    const nested = shapes.filter(({ shape }) => NESTED_SHAPES.includes(shape.is));
    const isRequired = ({ name }) => schema.required?.includes(name);
    const optional = nested.filter((one) => !isRequired(one));
    const build = ({ name, shape }) => this.nested(name, shape, value, pointer);
    const fields = [
      this.grid(simple.flatMap(({ name, shape }) => this.simpleFields(name, shape, value, pointer))),
      ...nested.filter(isRequired).map(build),
    ];
    if (!optional.length) return fields;
    const open = optional.some(({ name }) => value[name] !== undefined && value[name] !== null);
    return [...fields, html("details", { class: "more", open }, html("summary", {}, "More"), ...optional.map(build))];
  }

  /** The field of a value; if a part is chosen instead of a word, its fields follow. */
  simpleFields(name, shape, value, parent) {
    const field = this.field(name, shape, value, parent);
    const schema = shape.is === "wordOrPart" ? kindSchema(value[name], shape.kinds) : null;
    if (!schema) return [field];
    const pointer = `${parent}/${escapePointer(name)}`;
    const inner = Object.entries(schema.properties).filter(([key]) => key !== "kind");
    return [
      field,
      ...inner.flatMap(([key, property]) =>
        this.simpleFields(key, fieldShape(property, this.definitions), value[name], pointer),
      ),
    ];
  }

  grid(fields) {
    return html("div", { class: "grid-fields" }, ...fields);
  }

  nested(name, shape, value, parent) {
    if (shape.is === "list") return this.list(name, shape, value, parent);
    if (shape.is === "parts") return this.part(name, shape, value, parent, "h3");
    if (shape.is === "json") return this.grid([this.field(name, shape, value, parent)]);
    const pointer = `${parent}/${escapePointer(name)}`;
    const inner = typeof value[name] === "object" && value[name] !== null ? value[name] : {};
    const builder = new FieldBuilder(this.definitions, this.notes, (structural) => {
      if (Object.keys(inner).length) value[name] = inner;
      else delete value[name];
      this.onChange(structural);
    });
    return html(
      "div",
      { class: "item", "data-pointer": pointer },
      html("b", {}, fieldLabel(name)),
      html("span", { class: "part-note" }, ` ${shape.description ?? ""}`),
      this.error(pointer),
      ...builder.object(shape, inner, pointer),
    );
  }

  /** A part: a select for its kind, and the fields of that kind. */
  part(name, { kinds, description }, value, parent, heading = "h2") {
    const pointer = `${parent}/${escapePointer(name)}`;
    const part = value[name];
    const schema = kindSchema(part, kinds);
    const select = html(
      "select",
      {
        id: `field${pointer}/kind`,
        "aria-label": `Kind of ${fieldLabel(name)}`,
        "aria-describedby": `error${pointer}/kind`,
        onchange: () => {
          if (select.value) value[name] = newPart(select.value, kinds[select.value]);
          else delete value[name];
          this.onChange(true);
        },
      },
      ...(part ? [] : [html("option", { value: "" }, "–")]),
      ...Object.keys(kinds).map((kind) => html("option", { value: kind }, this.kindLabel(name, kind))),
    );
    select.value = part?.kind ?? "";
    return html(
      "section",
      { class: heading === "h2" ? "card" : "item", "data-pointer": pointer },
      html("div", { class: "part-head" }, html(heading, {}, fieldLabel(name)), ...this.help(name, heading), select),
      this.error(`${pointer}/kind`),
      this.error(pointer),
      ...(schema ? this.partFields(name, schema, part, pointer) : [html("p", { class: "part-note" }, description)]),
    );
  }

  /** A link to the documentation of a field of the run itself, whose heading is ``h2``; empty for fields of parts. */
  help(name, heading) {
    if (heading !== "h2") return [];
    const href = `/documentation/reference/spec#run-${name}`;
    return [html("a", { class: "help", href, "aria-label": `About ${fieldLabel(name)}` }, "?")];
  }

  kindLabel(family, kind) {
    return this.notes.get(`${family}/${kind}`)?.missing ? `${kind} (not available)` : kind;
  }

  partFields(family, schema, part, pointer) {
    const note = this.notes.get(`${family}/${part.kind}`);
    const summary = schema.description?.split("\n")[0] ?? "";
    return [
      html("p", { class: "part-note", title: note?.reference ?? "" }, summary),
      ...(note?.equation ? [html("p", { class: "part-note equation" }, note.equation)] : []),
      ...(note?.missing ? [html("p", { class: "part-note warn" }, note.missing)] : []),
      ...this.object(schema, part, pointer),
    ];
  }

  /** A list of parts, objects or lists, with buttons to add, move and remove items. */
  list(name, shape, value, parent, heading = "h3") {
    const pointer = `${parent}/${escapePointer(name)}`;
    const items = Array.isArray(value[name]) ? value[name] : []; // the server explains a value that is not a list
    const add = (item) => {
      value[name] = [...items, item];
      this.onChange(true, `${pointer}/${items.length}`);
    };
    const remove = (index) => {
      value[name] = items.filter((_, i) => i !== index);
      if (!value[name].length && shape.default !== undefined) delete value[name];
      this.onChange(true, pointer);
    };
    const move = (index) => {
      value[name] = items.toSpliced(index - 1, 2, items[index], items[index - 1]);
      const moved = `${pointer}/${index - 1}`;
      this.onChange(true, index > 1 ? `move${moved}` : moved);
    };
    return html(
      "section",
      { class: heading === "h2" ? "card" : "item", "data-pointer": pointer },
      html(
        "div",
        { class: "part-head" },
        html(heading, {}, fieldLabel(name)),
        ...this.help(name, heading),
        html("span", { class: "faint small" }, shape.description ?? ""),
      ),
      this.error(pointer),
      ...items.map((item, i) =>
        this.item(name, shape.items, { items, i, pointer: `${pointer}/${i}` }, [
          i ? itemButton("Move up", `Move ${item?.kind ?? "item"} up`, () => move(i), `move${pointer}/${i}`) : null,
          itemButton("Remove", `Remove ${item?.kind ?? "item"}`, () => remove(i)),
        ]),
      ),
      this.adder(name, shape.items, add),
    );
  }

  adder(name, { is, kinds }, add) {
    if (is !== "parts") {
      const empty = () => (is === "list" ? [] : {});
      return html("button", { type: "button", class: "small adder", onclick: () => add(empty()) }, "Add");
    }
    return html(
      "select",
      {
        class: "adder",
        "aria-label": `Add to ${fieldLabel(name)}`,
        onchange: ({ target }) => add(newPart(target.value, kinds[target.value])),
      },
      html("option", { value: "" }, "Add…"),
      ...Object.keys(kinds).map((kind) => html("option", {}, kind)),
    );
  }

  item(family, shape, { items, i, pointer }, buttons) {
    const item = items[i];
    const schema = shape.is === "parts" ? kindSchema(item, shape.kinds) : shape;
    const head = html(
      "div",
      { class: "part-head" },
      html("b", {}, item?.kind ?? ""),
      html("span", { class: "end" }, ...buttons),
    );
    if (shape.is === "list") {
      const parent = pointer.slice(0, pointer.lastIndexOf("/"));
      return html("div", {}, head, this.list(i, shape, items, parent));
    }
    return html(
      "div",
      { class: "item", "data-pointer": pointer },
      head,
      this.error(`${pointer}/kind`),
      this.error(pointer),
      ...(schema ? this.partFields(family, schema, item, pointer) : []),
    );
  }

  /** A labeled input for one value. */
  field(name, shape, value, parent) {
    const pointer = `${parent}/${escapePointer(name)}`;
    const id = `field${pointer}`;
    const input = control(shape, value[name], (next) => {
      if (next === undefined) delete value[name];
      else value[name] = next;
      this.onChange(shape.is === "wordOrPart");
    });
    input.id = id;
    input.setAttribute("aria-describedby", `hint${pointer} error${pointer}`);
    return html(
      "div",
      { class: `field${shape.is === "json" ? " wide-field" : ""}`, "data-pointer": pointer },
      html("label", { for: id }, fieldLabel(name)),
      input,
      html("span", { class: "hint", id: `hint${pointer}` }, shape.description ?? ""),
      this.error(pointer),
    );
  }

  error(pointer) {
    return html("p", { class: "field-error", id: `error${pointer}`, "data-error": pointer });
  }
}

function itemButton(text, label, onclick, id = null) {
  return html("button", { type: "button", class: "quiet small", onclick, "aria-label": label, id }, text);
}

/** The schema of a part's kind; null for an unknown kind or a value that is not a part. */
function kindSchema(part, kinds) {
  return Object.hasOwn(kinds, part?.kind) ? kinds[part.kind] : null;
}

function control(shape, value, set) {
  if (["choice", "wordOrPart"].includes(shape.is)) return choiceControl(shape, value, set);
  if (shape.is === "boolean") return booleanControl(shape, value, set);
  const input = html("input", {
    type: "text",
    autocomplete: "off",
    spellcheck: "false",
    placeholder: valueText(shape.default, shape),
    inputmode: shape.is === "number" ? "decimal" : null,
    oninput: () => set(parseInput(input.value.trim(), shape)),
  });
  input.value = valueText(value, shape);
  return input;
}

/** A select of words or numbers, and of the kinds of parts. */
function choiceControl({ options, kinds = {}, default: fallback = "" }, value, set) {
  const parse = (text) => {
    if (Object.hasOwn(kinds, text)) return newPart(text, kinds[text]);
    return typeof options[0] === "number" ? Number(text) : text;
  };
  const select = html(
    "select",
    { onchange: () => set(select.value === String(fallback) ? undefined : parse(select.value)) },
    ...[...options, ...Object.keys(kinds)].map((option) => html("option", {}, String(option))),
  );
  const isKind = Object.hasOwn(kinds, value?.kind);
  select.value = isKind ? value.kind : (options.find((option) => String(option) === String(value ?? fallback)) ?? "");
  return select;
}

function booleanControl(shape, value, set) {
  const fallback = shape.default ?? false;
  const box = html("input", {
    type: "checkbox",
    onchange: () => set(box.checked === fallback ? undefined : box.checked),
  });
  box.checked = value ?? fallback;
  return box;
}
