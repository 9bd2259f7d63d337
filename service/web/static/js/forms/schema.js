// The shape of a form field, derived from the JSON schema of a run.

const MAX_DEPTH = 12;

/**
 * The schema with ``is``: parts (one of several kinds), list, object, choice, boolean, numbers, labels, number, text,
 * json, wordOrNumbers, or wordOrPart.
 */
export function fieldShape(schema, definitions, depth = 0) {
  const plain = resolve(schema, definitions);
  const base = {
    ...plain,
    description: schema.description ?? plain.description,
    default: schema.default ?? plain.default,
  };
  const isSpec = schema.$ref?.endsWith("/RunSpec") || plain.ref?.endsWith("/RunSpec");
  if (depth > MAX_DEPTH || isSpec) return { ...base, is: "json" };
  if (plain.discriminator) return { ...base, is: "parts", kinds: kindSchemas(plain, definitions) };
  if (plain.type === "array") {
    const items = fieldShape(plain.items, definitions, depth + 1);
    return { ...base, is: ["number", "text"].includes(items.is) ? "numbers" : "list", items };
  }
  if (plain.properties) return { ...base, is: "object" };
  if (plain.type === "object") return { ...base, is: "labels" };
  if (plain.enum) return { ...base, is: "choice", options: plain.enum };
  if (plain.type === "boolean") return { ...base, is: "boolean" };
  const words = plain.anyOf?.find((option) => option.enum);
  const kinds = words ? objectKinds(plain.anyOf, definitions) : {};
  if (Object.keys(kinds).length) return { ...base, is: "wordOrPart", options: words.enum, kinds };
  if (plain.anyOf?.some((option) => option.type === "array")) return { ...base, is: "wordOrNumbers" };
  return { ...base, is: ["number", "integer"].includes(plain.type) || plain.anyOf ? "number" : "text" };
}

/** Without references, and without the null of a nullable field. */
function resolve(schema, definitions) {
  if (schema.$ref) return { ...resolve(definitions[schema.$ref.split("/").pop()], definitions), ref: schema.$ref };
  const options = (schema.anyOf ?? []).filter((option) => option.type !== "null");
  return options.length === 1 ? resolve(options[0], definitions) : schema;
}

function kindSchemas(schema, definitions) {
  const mapping = Object.entries(schema.discriminator.mapping);
  return Object.fromEntries(mapping.map(([kind, ref]) => [kind, definitions[ref.split("/").pop()]]));
}

/** The options that are parts, by kind. */
function objectKinds(options, definitions) {
  const parts = options.map((option) => resolve(option, definitions)).filter((part) => part.properties?.kind?.const);
  return Object.fromEntries(parts.map((part) => [part.properties.kind.const, part]));
}

/** A new part of this kind with its required fields. */
export function newPart(kind, schema) {
  const required = (schema.required ?? [])
    .filter((name) => name !== "kind")
    .map((name) => [name, schema.properties[name].examples?.[0] ?? schema.properties[name].default])
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, structuredClone(value)]); // the fields edit it in place
  return { kind, ...Object.fromEntries(required) };
}
