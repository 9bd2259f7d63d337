// The importance of columns: a table with a bar for each number, and a whisker of one standard deviation.
import { html, svg } from "../kit/elements.js";
import { formatSigned } from "../kit/format.js";

const WIDTH = 300;
const HEIGHT = 12;
const MAX_DISPLAYED = 20;

/** Fill a section with the table and a sentence on ``importance``. */
export function drawImportance(section, importance) {
  const displayed = importance.columns.slice(0, MAX_DISPLAYED);
  section.querySelector(".scroll").replaceChildren(table(displayed));
  section.querySelector("[data-summary]").textContent = summary(importance, displayed.length);
}

function table(columns) {
  const ends = columns.flatMap(({ importance, std }) => [importance - (std ?? 0), importance + (std ?? 0)]);
  const low = Math.min(...ends, 0);
  const span = Math.max(...ends, 0) - low || 1;
  const across = (value) => ((value - low) / span) * WIDTH;
  const heading = (text) => html("th", { scope: "col" }, text);
  return html(
    "table",
    { class: "importance" },
    html("thead", {}, html("tr", {}, ...["Column", "Importance: mean ± std"].map(heading))),
    html("tbody", {}, ...columns.map((one) => row(one, across))),
  );
}

function row({ column, importance, std }, across) {
  const spread = std === null ? "" : ` ± ${formatSigned(std).slice(1)}`;
  return html(
    "tr",
    {},
    html("th", { scope: "row" }, column),
    html("td", {}, `${formatSigned(importance)}${spread}`, bar(importance, std ?? 0, across)),
  );
}

function bar(importance, std, across) {
  const [from, to] = [0, importance].map(across).sort((a, b) => a - b);
  const middle = HEIGHT / 2;
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" },
    svg("rect", { x: from, width: Math.max(to - from, 1), y: 1, height: HEIGHT - 2 }),
    svg("line", { x1: across(importance - std), x2: across(importance + std), y1: middle, y2: middle }),
  );
}

function summary({ metric, rows, split, repeats, columns }, displayed) {
  const more =
    columns.length > displayed ? ` The ${columns.length - displayed} least important columns are not displayed.` : "";
  return `How much worse ${metric} gets on ${rows} ${split} rows if a column's values are permuted (${repeats} times).${more}`;
}
