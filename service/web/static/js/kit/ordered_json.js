// JSON whose names keep their order. JavaScript sorts names that are numbers, such as "10" and "2", before all others, so
// in memory they begin with an invisible mark.

const MARK = "\u2063";
const DIGITS = /^\d+$/;
/** Every string of a JSON text, and the colon behind it if it is a name. */
const STRINGS = /"((?:[^"\\]|\\.)*)"(\s*:)?/g;

/** The name in memory. */
export function markedName(name) {
  return DIGITS.test(name) ? MARK + name : name;
}

/** The name as people write it. */
export function plainName(name) {
  return name.replace(MARK, "");
}

/** Parse a JSON text; names of digits are marked. */
export function parseOrdered(text) {
  return JSON.parse(text.replace(STRINGS, (all, name, colon) => (colon ? `"${markedName(name)}"${colon}` : all)));
}

/** Write a value as JSON, with names as people write them. */
export function stringifyOrdered(value, indent = 0) {
  const text = JSON.stringify(value, null, indent);
  return text.replace(STRINGS, (all, name, colon) => (colon ? `"${plainName(name)}"${colon}` : all));
}
