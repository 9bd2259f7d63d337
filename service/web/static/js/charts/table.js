// A chart's data as a table and as CSV: all columns, not smoothed.
import { toCsv } from "../kit/csv.js";
import { html } from "../kit/elements.js";
import { align } from "./alignment.js";

const MAX_CELLS = 20_000;

function columnsOf(chart) {
  const lines = chart.visible;
  const { xs, column } = align(lines);
  const columns = lines.flatMap((line) => {
    const series = [
      ["", line.y],
      ...(line.low
        ? [
            [" low", line.low],
            [" high", line.high],
          ]
        : []),
    ];
    if (line.n) series.push([" n", line.n]);
    return series.map(([suffix, values]) => ({ name: line.name + suffix, values: column(line, values) }));
  });
  return { xs, columns };
}

export function chartCsv(chart) {
  const { xs, columns } = columnsOf(chart);
  const head = [chart.xLabel, ...columns.map(({ name }) => name)];
  return toCsv([head, ...xs.map((x, i) => [x, ...columns.map(({ values }) => values[i])])]);
}

/** Fill ``container`` with the chart's table; long ones are thinned. */
export function fillTable(container, chart) {
  const { xs, columns } = columnsOf(chart);
  const every = Math.max(1, Math.ceil((xs.length * (columns.length + 1)) / MAX_CELLS));
  const rows = [...xs.keys()].filter((i) => i % every === 0 || i === xs.length - 1);
  const digits = (value) => (value === null || value === undefined ? "–" : String(+value.toPrecision(6)));
  const head = [chart.xLabel, ...columns.map(({ name }) => name)];
  const row = (i) =>
    html(
      "tr",
      {},
      html("th", { scope: "row", class: "num" }, digits(xs[i])),
      ...columns.map(({ values }) => html("td", { class: "num" }, digits(values[i]))),
    );
  container.replaceChildren(
    html(
      "table",
      {},
      html("thead", {}, html("tr", {}, ...head.map((name) => html("th", { scope: "col", class: "num" }, name)))),
      html("tbody", {}, ...rows.map(row)),
    ),
    every > 1 ? html("p", { class: "faint small" }, `Every ${every}th row; the CSV file has all rows.`) : "",
  );
}
