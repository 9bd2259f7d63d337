// What a chart shows as a table, and as CSV: the same columns, unsmoothed, complete.

import { make } from "../kit/elements.js";
import { aligned } from "./alignment.js";

const MOST_CELLS = 20_000;

function columns(chart) {
  const lines = chart.visible;
  const { xs, column } = aligned(lines);
  const named = lines.flatMap((line) => [
    { name: line.name, values: column(line, line.y) },
    ...(line.low
      ? [
          { name: `${line.name} low`, values: column(line, line.low) },
          { name: `${line.name} high`, values: column(line, line.high) },
        ]
      : []),
    ...(line.n ? [{ name: `${line.name} n`, values: column(line, line.n) }] : []),
  ]);
  return { xs, named };
}

export function csv(chart) {
  const { xs, named } = columns(chart);
  return written([
    [chart.xLabel, ...named.map(({ name }) => name)],
    ...xs.map((x, i) => [x, ...named.map(({ values }) => values[i])]),
  ]);
}

/** Rows as CSV. A text that begins like a formula is one to a spreadsheet, unless an apostrophe comes before it. */
export function written(rows) {
  const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const cell = (value) =>
    typeof value === "string" ? quoted(/^[=+\-@\t\r]/.test(value) ? `'${value}` : value) : (value ?? "");
  return `${rows.map((row) => row.map(cell).join(",")).join("\n")}\n`;
}

export function fillTable(place, chart) {
  const { xs, named } = columns(chart);
  const every = Math.max(1, Math.ceil((xs.length * (named.length + 1)) / MOST_CELLS));
  const rows = xs.map((x, i) => i).filter((i) => i % every === 0 || i === xs.length - 1);
  const digits = (value) => (value === null || value === undefined ? "–" : String(+value.toPrecision(6)));
  place.replaceChildren(
    make(
      "table",
      {},
      make(
        "thead",
        {},
        make(
          "tr",
          {},
          make("th", { scope: "col", class: "num" }, chart.xLabel),
          ...named.map(({ name }) => make("th", { scope: "col", class: "num" }, name)),
        ),
      ),
      make(
        "tbody",
        {},
        ...rows.map((i) =>
          make(
            "tr",
            {},
            make("th", { scope: "row", class: "num" }, digits(xs[i])),
            ...named.map(({ values }) => make("td", { class: "num" }, digits(values[i]))),
          ),
        ),
      ),
    ),
    every > 1 ? make("p", { class: "faint small" }, `Every ${every}th row; the CSV file has all.`) : "",
  );
}
