// Field values as the text of an input, and back.

export function valueText(value, shape) {
  if (value === null || value === undefined) return "";
  if (["numbers", "wordOrNumbers"].includes(shape.is) && Array.isArray(value)) return value.join(", ");
  if (shape.is === "labels") {
    return Object.entries(value)
      .map(([key, text]) => `${key}=${text}`)
      .join(", ");
  }
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** The value of an input's text. Invalid text is kept as it is, so that the server explains what is valid. */
export function parseInput(text, shape) {
  if (text === "") return undefined;
  if (shape.is === "number") return numberOrText(text);
  if (shape.is === "wordOrNumbers") return /\d/.test(text) ? splitList(text).filter(Boolean).map(numberOrText) : text;
  if (shape.is === "numbers") {
    const items = splitList(text).filter(Boolean);
    return shape.items.is === "number" ? items.map(numberOrText) : items;
  }
  if (shape.is === "labels") {
    const pairs = splitList(text).map((pair) => pair.split("=").map((side) => side.trim()));
    return Object.fromEntries(pairs.map(([key, ...rest]) => [key, rest.join("=")]));
  }
  if (shape.is === "json") {
    try {
      return JSON.parse(text);
    } catch {
      return text;
    }
  }
  return text;
}

function numberOrText(text) {
  return Number.isFinite(Number(text)) ? Number(text) : text;
}

function splitList(text) {
  return text.split(",").map((item) => item.trim());
}
