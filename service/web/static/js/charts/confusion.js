// The confusion matrix as a table; wrong cells are emphasized by their share of the row.
import { html } from "../kit/elements.js";

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
}

function cells(row, own) {
  const all = row.reduce((sum, count) => sum + count, 0) || 1;
  return row.map((count, i) => {
    const level = STEPS.filter((share) => count / all > share).length;
    return html("td", { class: `${i === own ? "right" : "wrong"} h${level}` }, String(count));
  });
}
