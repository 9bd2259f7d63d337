// The confusion matrix as a table, wrong cells emphasized by their share of the row; and the scores of each class.
import { html } from "../kit/elements.js";
import { formatNumber } from "../kit/format.js";

const COLUMNS = ["Class", "Rows", "Predicted", "Precision", "Recall", "F1"];

/** Shares of a row above which a cell is emphasized more. */
const STEPS = [0, 0.02, 0.05, 0.15];

/** Fill a section with the table of ``confusion``. */
export function drawConfusion(section, { classes, counts }) {
  const names = classes.map(({ name }) => name);
  const head = html("tr", {}, html("td"), ...names.map((name) => html("th", { scope: "col" }, name)));
  const rows = counts.map((row, i) => html("tr", {}, html("th", { scope: "row" }, names[i]), ...cells(row, i)));
  section
    .querySelector(".scroll")
    .replaceChildren(html("table", { class: "confusion" }, html("thead", {}, head), html("tbody", {}, ...rows)));
  section.querySelector("[data-classes]").replaceChildren(classTable(classes));
}

/** A row of each class; a share of no rows is undefined. */
function classTable(classes) {
  const heading = (text, i) => html("th", { scope: "col", class: i ? "num" : null }, text);
  const row = ({ name, rows, predicted, precision, recall }) => {
    const f1 = rows + predicted ? (2 * (recall ?? 0) * rows) / (rows + predicted) : null; // 2·hits / (rows + predicted)
    const cells = [String(rows), String(predicted), formatNumber(precision), formatNumber(recall), formatNumber(f1)];
    return html(
      "tr",
      {},
      html("th", { scope: "row" }, name),
      ...cells.map((text) => html("td", { class: "num" }, text)),
    );
  };
  return html(
    "table",
    {},
    html("thead", {}, html("tr", {}, ...COLUMNS.map(heading))),
    html("tbody", {}, ...classes.map(row)),
  );
}

function cells(row, own) {
  const all = row.reduce((sum, count) => sum + count, 0) || 1;
  return row.map((count, i) => {
    const level = STEPS.filter((share) => count / all > share).length;
    return html("td", { class: `${i === own ? "right" : "wrong"} h${level}` }, String(count));
  });
}
