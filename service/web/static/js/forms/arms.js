// The arms of a new study: each a name and the changes to the base, as JSON.
import { html } from "../kit/elements.js";
import { markedName, parseOrdered, plainName, stringifyOrdered } from "../kit/ordered_json.js";

const INDENT = 1;

/**
 * The changes of an arm that has a part of the catalog, with the schema's defaults or examples for required fields.
 * Another optimizer is merged into the base's, so null removes the fields that it lacks.
 */
export function changesFor(family, part, base) {
  const schema = part.json_schema;
  const fields = Object.fromEntries(
    (schema.required ?? [])
      .filter((name) => name !== "kind")
      .map((name) => [name, schema.properties[name].default ?? schema.properties[name].examples?.[0] ?? null]),
  );
  const body = { kind: part.kind, ...fields };
  if (family === "regularizers") return { regularizers_add: [body] };
  const unknown = Object.keys(base.optimizer ?? {}).filter((name) => !(name in schema.properties));
  return { optimizer: { ...body, ...Object.fromEntries(unknown.map((name) => [name, null])) } };
}

/** A name that no arm has: ``preferred``, or that with a number. */
export function freeName(preferred, arms) {
  const plain = plainName(preferred);
  let name = markedName(plain);
  for (let i = 2; name in arms; i++) name = `${plain} ${i}`;
  return name;
}

/**
 * Cards of all arms that ``getArms`` returns; ``onChange`` gets the new arms, and whether cards were added, removed or
 * renamed, after which they are built again. ``pointer`` is the place of the arms in the body of the study.
 */
export function armCards(getArms, onChange, pointer) {
  const replaced = (index, ...entries) => Object.fromEntries(Object.entries(getArms()).toSpliced(index, 1, ...entries));
  return Object.entries(getArms()).map(([name, changes], index, all) => {
    const now = () => getArms()[name];
    const error = html("p", { class: "field-error", role: "alert", "data-error": `${pointer}/${plainName(name)}` });
    const title = html("input", {
      type: "text",
      value: plainName(name),
      "aria-label": "Name of the arm",
      autocomplete: "off",
      onchange: ({ target }) => {
        const renamed = markedName(target.value.trim());
        if (renamed === name) return;
        if (!renamed || renamed in getArms()) {
          error.textContent = renamed ? "Another arm has this name." : "An arm needs a name.";
          target.value = plainName(name);
          return;
        }
        onChange(replaced(index, [renamed, now()]), true);
      },
    });
    const text = html(
      "textarea",
      {
        rows: Math.max(2, stringifyOrdered(changes, INDENT).split("\n").length),
        spellcheck: "false",
        "aria-label": `Changes of ${plainName(name)}`,
        oninput: ({ target }) => {
          try {
            const parsed = parseOrdered(target.value || "{}");
            error.textContent = "";
            onChange(replaced(index, [name, parsed]), false);
          } catch (problem) {
            error.textContent = problem.message;
          }
        },
      },
      stringifyOrdered(changes, INDENT),
    );
    const copy = () => {
      const named = freeName(name, getArms());
      onChange(replaced(index, [name, now()], [named, structuredClone(now())]), true);
    };
    const buttons = [
      html("button", { type: "button", class: "quiet", onclick: copy }, "Copy"),
      html(
        "button",
        { type: "button", class: "quiet", disabled: all.length < 2, onclick: () => onChange(replaced(index), true) },
        "Remove",
      ),
    ];
    return html("div", { class: "item arm" }, html("div", { class: "part-head" }, title, ...buttons), text, error);
  });
}
