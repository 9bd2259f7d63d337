// Shares of variance of a crossed study: for each arm and each difference, what comes from the split and the seed.
import { html, svg } from "../kit/elements.js";
import { formatNumber } from "../kit/format.js";
import { lineStyle, swatch } from "./palette.js";

const SOURCES = { split: "split", seed: "seed", residual: "neither" };
const WIDTH = 300;
const HEIGHT = 14;
const HEADINGS = ["Variance of", "Standard deviation", "Shares", ...Object.values(SOURCES)];

/** Fill the section if the study has shares of variance, and hide it otherwise. */
export function showShares(section, { arms, pairs }, fields) {
  const named = [
    ...arms.map(({ id, variance }) => [fields.label(id), variance]),
    ...pairs.map(({ arm, baseline, variance }) => [`${fields.label(arm)} − ${fields.label(baseline)}`, variance]),
  ].filter(([, variance]) => variance);
  section.hidden = !named.length;
  section.querySelector(".legend").replaceChildren(...legend());
  section
    .querySelector(".scroll")
    .replaceChildren(
      html(
        "table",
        { class: "shares" },
        html(
          "thead",
          {},
          html("tr", {}, ...HEADINGS.map((text, i) => html("th", { scope: "col", class: kind(i) }, text))),
        ),
        html("tbody", {}, ...named.map(([name, variance]) => row(name, variance))),
      ),
    );
}

/** Narrow screens omit the standard deviation. */
function kind(i) {
  return ["", "num wide", ""][i] ?? "num";
}

function legend() {
  return Object.values(SOURCES).map((name, i) =>
    html("span", { class: "key" }, swatch({ ...lineStyle(i), dash: [] }), html("span", {}, name)),
  );
}

function row(name, variance) {
  const shares = Object.keys(SOURCES).map((source) => variance[source]);
  return html(
    "tr",
    {},
    html("th", { scope: "row" }, name),
    html("td", { class: kind(1) }, formatNumber(Math.sqrt(variance.total))),
    html("td", { class: kind(2) }, bar(shares)),
    ...shares.map((share) => html("td", { class: "num" }, `${Math.round(100 * share)} %`)),
  );
}

function bar(shares) {
  const start = (i) => shares.slice(0, i).reduce((sum, share) => sum + share, 0) * WIDTH;
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, "aria-hidden": "true" },
    ...shares.map((share, i) =>
      svg("rect", {
        class: `line-${lineStyle(i).color}`,
        x: start(i),
        width: Math.max(share * WIDTH - 1, 0),
        y: 0,
        height: HEIGHT,
      }),
    ),
  );
}
