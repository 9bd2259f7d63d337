// What a field of the run's JSON schema is, in the few kinds that a form knows.

const DEEPEST = 5;

/** One of: parts (of several kinds), list, object, choice, boolean, numbers, labels, number, text, json. */
export function shape(schema, definitions, depth = 0) {
  const plain = resolved(schema, definitions);
  const told = {
    ...plain,
    description: schema.description ?? plain.description,
    default: schema.default ?? plain.default,
  };
  if (depth > DEEPEST || schema.$ref?.endsWith("/RunSpec") || plain.ref?.endsWith("/RunSpec"))
    return { ...told, is: "json" };
  if (plain.discriminator) return { ...told, is: "parts", kinds: kindsOf(plain, definitions) };
  if (plain.type === "array") {
    const items = shape(plain.items, definitions, depth + 1);
    return { ...told, is: ["number", "text"].includes(items.is) ? "numbers" : "list", items };
  }
  if (plain.properties) return { ...told, is: "object" };
  if (plain.type === "object") return { ...told, is: "labels" };
  if (plain.enum) return { ...told, is: "choice", options: plain.enum };
  if (plain.type === "boolean") return { ...told, is: "boolean" };
  return { ...told, is: ["number", "integer"].includes(plain.type) || plain.anyOf ? "number" : "text" };
}

/** Without references, and without the null of a field that may be null. */
function resolved(schema, definitions) {
  if (schema.$ref) return { ...resolved(definitions[schema.$ref.split("/").pop()], definitions), ref: schema.$ref };
  const options = (schema.anyOf ?? []).filter((option) => option.type !== "null");
  return options.length === 1 ? resolved(options[0], definitions) : schema;
}

function kindsOf(schema, definitions) {
  return Object.fromEntries(
    Object.entries(schema.discriminator.mapping).map(([kind, ref]) => [kind, definitions[ref.split("/").pop()]]),
  );
}

/** A part of this kind with what it cannot be without. */
export function began(kind, schema) {
  const needed = (schema.required ?? [])
    .filter((name) => name !== "kind")
    .map((name) => [name, schema.properties[name].examples?.[0] ?? schema.properties[name].default])
    .filter(([, value]) => value !== undefined);
  return { kind, ...Object.fromEntries(needed) };
}
