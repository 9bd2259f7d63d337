// Lines with their own places on the x axis as columns over one: what uPlot draws, and what a table shows.

export function aligned(lines) {
  const longest = lines.reduce((most, line) => (line.x.length > most.length ? line.x : most), []);
  const nested = lines.every((line) => line.x.every((x, i) => x === longest[i]));
  const xs = nested ? longest : [...new Set(lines.flatMap((line) => line.x))].sort((a, b) => a - b);
  if (nested) return { xs, column: (line, values) => padded(values, xs.length) };
  const places = new Map(xs.map((x, i) => [x, i]));
  return {
    xs,
    column(line, values) {
      const column = new Array(xs.length).fill(null);
      line.x.forEach((x, i) => {
        column[places.get(x)] = values[i];
      });
      return column;
    },
  };
}

function padded(values, length) {
  return values.length === length ? values : [...values, ...new Array(length - values.length).fill(null)];
}
