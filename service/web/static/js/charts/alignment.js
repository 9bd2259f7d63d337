// Lines with x values of their own, as columns over one shared x axis.

/** {xs, column}: the shared axis, and a function that gives a line's values along it, null where it has none. */
export function align(lines) {
  const longest = lines.reduce((xs, line) => (line.x.length > xs.length ? line.x : xs), []);
  const nested = lines.every((line) => line.x.every((x, i) => x === longest[i]));
  const xs = nested ? longest : [...new Set(lines.flatMap((line) => line.x))].sort((a, b) => a - b);
  if (nested) return { xs, column: (_line, values) => padded(values, xs.length) };
  const positions = new Map(xs.map((x, i) => [x, i]));
  return {
    xs,
    column(line, values) {
      const column = new Array(xs.length).fill(null);
      line.x.forEach((x, i) => {
        column[positions.get(x)] = values[i];
      });
      return column;
    },
  };
}

function padded(values, length) {
  return values.length === length ? values : [...values, ...new Array(length - values.length).fill(null)];
}
