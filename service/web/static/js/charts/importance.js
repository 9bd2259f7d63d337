// The importance of columns to a run, or over a study's runs: a table with a bar for each number, and a whisker of one
// standard deviation.
import { html, svg } from "../kit/elements.js";
import { formatSigned } from "../kit/format.js";

const WIDTH = 300;
const HEIGHT = 12;
const MAX_DISPLAYED = 20;

/** Fill a section with the table and a sentence on ``importance``. */
export function drawImportance(section, importance) {
  const displayed = importance.columns.slice(0, MAX_DISPLAYED);
  section.querySelector(".scroll").replaceChildren(runTable(displayed));
  section.querySelector("[data-summary]").textContent = summary(importance, displayed.length);
}

/** Fill a section with the importance over a study's runs: a column for each arm, in the order of the first arm. */
export function drawStudyImportance(section, importance) {
  const arms = importance.arms.map(({ columns }) => new Map(columns.map((one) => [one.column, one])));
  const names = [...new Set(arms.flatMap((columns) => [...columns.keys()]))];
  const displayed = names.slice(0, MAX_DISPLAYED);
  const across = scale(arms.flatMap((columns) => [...columns.values()]).filter(({ mean }) => mean !== null));
  const rows = displayed.map((name) => [name, arms.map((columns) => columns.get(name))]);
  const headings = ["Column", ...importance.arms.map(({ arm }) => arm)];
  section.querySelector(".scroll").replaceChildren(
    table(
      headings,
      rows.map(([name, cells]) => row(name, cells, across)),
    ),
  );
  section.querySelector("[data-summary]").textContent = studySummary(importance, names.length - displayed.length);
}

function runTable(columns) {
  const means = columns.map(({ importance, ...one }) => ({ mean: importance, ...one }));
  const across = scale(means);
  return table(
    ["Column", "Importance: mean ± std"],
    means.map((one) => row(one.column, [one], across)),
  );
}

function table(headings, rows) {
  const cells = headings.map((text) => html("th", { scope: "col" }, text));
  return html(
    "table",
    { class: "importance" },
    html("thead", {}, html("tr", {}, ...cells)),
    html("tbody", {}, ...rows),
  );
}

/** The position of a value in a bar's picture that has room for all whiskers. */
function scale(columns) {
  const ends = columns.flatMap(({ mean, std }) => [mean - (std ?? 0), mean + (std ?? 0)]);
  const low = Math.min(...ends, 0);
  const span = Math.max(...ends, 0) - low || 1;
  return (value) => ((value - low) / span) * WIDTH;
}

function row(name, cells, across) {
  return html("tr", {}, html("th", { scope: "row" }, name), ...cells.map((one) => cell(one, across)));
}

function cell(one, across) {
  if (typeof one?.mean !== "number") return html("td", {}, "–");
  const { mean, std, ci, n, positive } = one;
  const spread = std === null ? "" : ` ± ${formatSigned(std).slice(1)}`;
  const share = n === undefined ? "" : `worse in ${Math.round(positive * n)} of ${n}`;
  const interval = ci ? `; interval of the mean ${formatSigned(ci[0])} to ${formatSigned(ci[1])}` : "";
  const title = share ? share + interval : null;
  return html("td", { title }, `${formatSigned(mean)}${spread}`, bar(mean, std ?? 0, across));
}

function bar(mean, std, across) {
  const [from, to] = [0, mean].map(across).sort((a, b) => a - b);
  const middle = HEIGHT / 2;
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" },
    svg("rect", { x: from, width: Math.max(to - from, 1), y: 1, height: HEIGHT - 2 }),
    svg("line", { x1: across(mean - std), x2: across(mean + std), y1: middle, y2: middle }),
  );
}

function summary({ metric, rows, split, repeats, columns }, displayed) {
  const more =
    columns.length > displayed ? ` The ${columns.length - displayed} least important columns are not displayed.` : "";
  return `How much worse ${metric} gets on ${rows} ${split} rows if a column's values are permuted (${repeats} times).${more}`;
}

function studySummary({ metric, split, repeats, runs, pending, left_out: leftOut }, hidden) {
  const sentences = [
    `How much worse ${metric} gets on ${split} rows if a column's values are permuted (${repeats} times): mean ± standard deviation over the replicates of each arm, ${runs} runs in all.`,
    leftOut ? `${leftOut} replicates are left out.` : "",
    hidden > 0 ? `The ${hidden} least important columns are not displayed.` : "",
    pending ? `Measuring ${pending} more runs…` : "",
  ];
  return sentences.filter(Boolean).join(" ");
}
