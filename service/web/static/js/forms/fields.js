// Fields of a form, made from a schema. Each knows its JSON pointer, where the server's complaints are shown.
import { make } from "../kit/elements.js";
import { began, shape } from "./schema.js";

const step = (name) => String(name).replaceAll("~", "~0").replaceAll("/", "~1");
export const titled = (name) => name.replaceAll("_", " ");

/** A form over ``value``: {definitions, notes, changed(structure)}. What is as usual stays out of the value. */
export class Fields {
  constructor(definitions, notes, changed) {
    Object.assign(this, { definitions, notes, changed });
  }

  /** The fields of an object, those with structure behind a fold. */
  object(schema, value, pointer) {
    const names = Object.keys(schema.properties).filter((name) => name !== "kind");
    const shapes = new Map(
      names.map((name) => [name, shape(schema.properties[name], this.definitions, pointer.split("/").length)]),
    );
    const simple = names.filter((name) => !["object", "list", "parts", "json"].includes(shapes.get(name).is));
    const deep = names.filter((name) => !simple.includes(name));
    const first = this.grid(simple.map((name) => this.field(name, shapes.get(name), value, pointer)));
    if (!deep.length) return [first];
    return [
      first,
      this.fold(
        "More",
        deep.some((name) => value[name] !== undefined && value[name] !== null),
        deep.map((name) => this.nested(name, shapes.get(name), value, pointer)),
      ),
    ];
  }

  grid(fields) {
    return make("div", { class: "grid-fields" }, ...fields);
  }

  fold(text, open, children) {
    return make("details", { class: "more", open }, make("summary", {}, text), ...children);
  }

  nested(name, kind, value, pointer) {
    if (kind.is === "list") return this.list(name, kind, value, pointer);
    if (kind.is === "parts") return this.part(name, kind, value, pointer, "h3");
    if (kind.is === "json") return this.grid([this.field(name, kind, value, pointer)]);
    const inner = typeof value[name] === "object" && value[name] !== null ? value[name] : {};
    const keep = () => {
      if (Object.keys(inner).length) value[name] = inner;
      else delete value[name];
    };
    const within = new Fields(this.definitions, this.notes, (structure) => {
      keep();
      this.changed(structure);
    });
    return make(
      "div",
      { class: "item", "data-pointer": `${pointer}/${step(name)}` },
      make("b", {}, titled(name)),
      make("span", { class: "part-note" }, ` ${kind.description ?? ""}`),
      this.problem(`${pointer}/${step(name)}`),
      ...within.object(kind, inner, `${pointer}/${step(name)}`),
    );
  }

  /** A part: its kind is chosen, and decides which fields there are. */
  part(name, { kinds, description }, value, pointer, heading = "h2") {
    const here = `${pointer}/${step(name)}`;
    const part = value[name];
    const select = make(
      "select",
      {
        id: `field${here}/kind`,
        "aria-label": `Kind of ${titled(name)}`,
        "aria-describedby": `error${here}/kind`,
        onchange: () => {
          value[name] = began(select.value, kinds[select.value]);
          if (!select.value) delete value[name];
          this.changed(true);
        },
      },
      ...(part ? [] : [make("option", { value: "" }, "–")]),
      ...Object.keys(kinds).map((kind) =>
        make("option", { value: kind }, this.notes.get(`${name}/${kind}`)?.missing ? `${kind} (not here)` : kind),
      ),
    );
    select.value = part?.kind ?? "";
    return make(
      "section",
      { class: heading === "h2" ? "card" : "item", "data-pointer": here },
      make("div", { class: "part-head" }, make(heading, {}, titled(name)), select),
      this.problem(`${here}/kind`),
      this.problem(here),
      ...(kindOf(part, kinds)
        ? this.known(name, kindOf(part, kinds), part, here)
        : [make("p", { class: "part-note" }, description)]),
    );
  }

  known(family, schema, part, here) {
    const note = this.notes.get(`${family}/${part.kind}`);
    const equation = note?.equation ? [make("p", { class: "part-note equation" }, note.equation)] : [];
    const missing = note?.missing ? [make("p", { class: "part-note warn" }, note.missing)] : [];
    return [
      make("p", { class: "part-note", title: note?.reference ?? "" }, schema.description?.split("\n")[0] ?? ""),
      ...equation,
      ...missing,
      ...this.object(schema, part, here),
    ];
  }

  /** A list of parts, or of objects, to add to and take from. */
  list(name, kind, value, pointer, heading = "h3") {
    const here = `${pointer}/${step(name)}`;
    const all = Array.isArray(value[name]) ? value[name] : []; // what is none is refused by the server, in words
    const { items } = kind;
    const add = (item) => {
      value[name] = [...all, item];
      this.changed(true, `${here}/${all.length}`);
    };
    const remove = (i) => {
      value[name] = all.filter((_, at) => at !== i);
      if (!value[name].length) delete value[name];
      this.changed(true, here);
    };
    const adder =
      items.is === "parts"
        ? make(
            "select",
            {
              class: "adder",
              "aria-label": `Add to ${titled(name)}`,
              onchange: (event) => add(began(event.target.value, items.kinds[event.target.value])),
            },
            make("option", { value: "" }, "Add…"),
            ...Object.keys(items.kinds).map((one) => make("option", {}, one)),
          )
        : make("button", { type: "button", class: "small adder", onclick: () => add({}) }, "Add");
    return make(
      "section",
      { class: heading === "h2" ? "card" : "item", "data-pointer": here },
      make(
        "div",
        { class: "part-head" },
        make(heading, {}, titled(name)),
        make("span", { class: "faint small" }, kind.description ?? ""),
      ),
      this.problem(here),
      ...all.map((item, i) => this.item(name, items, item, `${here}/${i}`, () => remove(i))),
      adder,
    );
  }

  item(family, items, item, here, remove) {
    const schema = items.is === "parts" ? kindOf(item, items.kinds) : items;
    return make(
      "div",
      { class: "item", "data-pointer": here },
      make(
        "div",
        { class: "part-head" },
        make("b", {}, item?.kind ?? ""),
        make(
          "button",
          { type: "button", class: "quiet small end", onclick: remove, "aria-label": `Remove ${item?.kind ?? "this"}` },
          "Remove",
        ),
      ),
      this.problem(`${here}/kind`),
      this.problem(here),
      ...(schema ? this.known(family, schema, item, here) : []),
    );
  }

  /** One value. */
  field(name, kind, value, pointer) {
    const here = `${pointer}/${step(name)}`;
    const id = `field${here}`;
    const input = control(kind, value[name], (next) => {
      if (next === undefined) delete value[name];
      else value[name] = next;
      this.changed(false);
    });
    input.id = id;
    input.setAttribute("aria-describedby", `hint${here} error${here}`);
    return make(
      "div",
      { class: `field${kind.is === "json" ? " wide-field" : ""}`, "data-pointer": here },
      make("label", { for: id }, titled(name)),
      input,
      make("span", { class: "hint", id: `hint${here}` }, kind.description ?? ""),
      this.problem(here),
    );
  }

  problem(pointer) {
    return make("p", { class: "field-error", id: `error${pointer}`, "data-error": pointer });
  }
}

/** The schema of a part's kind; none where it is no part, or of no kind that is known. */
function kindOf(part, kinds) {
  return Object.hasOwn(kinds, part?.kind) ? kinds[part.kind] : null;
}

function control(kind, value, set) {
  if (kind.is === "choice") {
    const usual = kind.default === undefined ? "" : String(kind.default);
    const select = make(
      "select",
      {
        onchange: () =>
          set(
            select.value === usual
              ? undefined
              : typeof kind.options[0] === "number"
                ? Number(select.value)
                : select.value,
          ),
      },
      ...kind.options.map((option) => make("option", {}, String(option))),
    );
    select.value = String(value ?? usual);
    return select;
  }
  if (kind.is === "boolean") {
    const box = make("input", {
      type: "checkbox",
      onchange: () => set(box.checked === (kind.default ?? false) ? undefined : box.checked),
    });
    box.checked = value ?? kind.default ?? false;
    return box;
  }
  const input = make("input", {
    type: "text",
    autocomplete: "off",
    spellcheck: "false",
    placeholder: told(kind.default, kind),
    inputmode: kind.is === "number" ? "decimal" : null,
    oninput: () => set(read(input.value.trim(), kind)),
  });
  input.value = told(value, kind);
  return input;
}

function told(value, kind) {
  if (value === null || value === undefined) return "";
  if (kind.is === "numbers" && Array.isArray(value)) return value.join(", ");
  if (kind.is === "labels")
    return Object.entries(value)
      .map(([key, text]) => `${key}=${text}`)
      .join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** What was typed as a value; what cannot be read is sent as it is, so that the server says what would work. */
function read(text, kind) {
  if (text === "") return undefined;
  if (kind.is === "number") return Number.isFinite(Number(text)) ? Number(text) : text;
  if (kind.is === "numbers")
    return text
      .split(",")
      .map((one) => one.trim())
      .filter(Boolean)
      .map((one) => (kind.items.is === "number" && Number.isFinite(Number(one)) ? Number(one) : one));
  if (kind.is === "labels")
    return Object.fromEntries(
      text
        .split(",")
        .map((pair) => pair.split("=").map((one) => one.trim()))
        .map(([key, ...rest]) => [key, rest.join("=")]),
    );
  if (kind.is === "json") {
    try {
      return JSON.parse(text);
    } catch {
      return text;
    }
  }
  return text;
}
