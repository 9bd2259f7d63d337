// The parameters of a model: a histogram and figures of each, and all of them as a table.
import { html } from "../kit/elements.js";
import { formatNumber } from "../kit/format.js";
import { histogramBars } from "./histograms.js";

const COLUMNS = ["Parameter", "Shape", "Norm", "Mean", "SD", "Exact zeros"];

/** Fill a section with the histograms and the table of ``parameters``. */
export function drawWeights(section, { parameters }) {
  section.querySelector(".histograms").replaceChildren(...parameters.map(figure));
  section.querySelector(".scroll").replaceChildren(table(parameters));
}

function figure({ name, shape, norm, std, zeros, nonfinite, histogram }) {
  const figures = [`norm ${formatNumber(norm)}`, `sd ${formatNumber(std)}`, `${share(zeros)}\u00a0% exact zeros`];
  if (nonfinite) figures.push(`${nonfinite} not finite`);
  return html(
    "figure",
    { class: "histogram" },
    html("figcaption", {}, html("b", {}, name), " ", html("span", { class: "faint" }, shape.join("×"))),
    html("div", { class: "bars" }, histogram ? histogramBars(histogram, name) : "Not finite."),
    html("p", { class: "faint small" }, figures.join(" · ")),
  );
}

function table(parameters) {
  const heading = (text, i) => html("th", { scope: "col", class: i ? "num" : null }, text);
  const row = ({ name, shape, norm, mean, std, zeros }) =>
    html(
      "tr",
      {},
      html("th", { scope: "row" }, name),
      ...[shape.join("×"), ...[norm, mean, std].map(formatNumber), `${share(zeros)} %`].map((text) =>
        html("td", { class: "num" }, text),
      ),
    );
  return html(
    "table",
    {},
    html("thead", {}, html("tr", {}, ...COLUMNS.map(heading))),
    html("tbody", {}, ...parameters.map(row)),
  );
}

function share(zeros) {
  return String(+(100 * zeros).toPrecision(3));
}
