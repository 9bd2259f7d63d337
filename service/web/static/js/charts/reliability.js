// A reliability diagram: the accuracy of each bin of confidence, with its interval, against the diagonal of a
// calibrated model. Below, how many rows each bin has.
import { html, svg } from "../kit/elements.js";
import { formatNumber } from "../kit/format.js";

const SIZE = 260;
const LEFT = 40;
const TOP = 10;
const COUNTS_TOP = TOP + SIZE + 10;
const ALPHA = 0.05;
const COUNTS_HEIGHT = 44;
const BOTTOM = COUNTS_TOP + COUNTS_HEIGHT;
const TICKS = [0, 0.25, 0.5, 0.75, 1];
const COLUMNS = ["Confidence", "Rows", "Mean", "Accuracy", "95 % interval"];
const across = (share) => LEFT + share * SIZE;
const up = (share) => TOP + (1 - share) * SIZE;

/** Fill a section with the diagram, a sentence and a table of ``calibration``. */
export function drawReliability(section, calibration) {
  section.querySelector(".reliability").replaceChildren(diagram(calibration));
  section.querySelector("[data-summary]").textContent = summary(calibration);
  section.querySelector(".scroll").replaceChildren(table(calibration.bins));
}

function diagram({ bins }) {
  const filled = bins.filter((bin) => bin.count);
  const most = Math.max(...bins.map((bin) => bin.count), 1);
  const label = "Reliability diagram: accuracy over confidence; the data table has the same values";
  return svg(
    "svg",
    { viewBox: `0 0 ${LEFT + SIZE + 14} ${BOTTOM + 34}`, role: "img", "aria-label": label },
    ...TICKS.flatMap(grid),
    svg("line", { class: "calibrated", x1: across(0), y1: up(0), x2: across(1), y2: up(1) }),
    ...filled.map(point),
    ...filled.map((bin) => countBar(bin, most)),
    svg("text", { x: LEFT - 6, y: COUNTS_TOP + 10, "text-anchor": "end" }, String(most)),
    svg("text", { x: across(0.5), y: BOTTOM + 30, "text-anchor": "middle" }, "confidence"),
    svg("text", { x: LEFT + 6, y: TOP + 12 }, "accuracy"),
    svg("text", { x: LEFT + 6, y: COUNTS_TOP + 10 }, "rows"),
  );
}

function grid(share) {
  return [
    svg("line", { class: "grid", x1: across(0), x2: across(1), y1: up(share), y2: up(share) }),
    svg("text", { x: LEFT - 6, y: up(share) + 4, "text-anchor": "end" }, String(share)),
    svg("text", { x: across(share), y: BOTTOM + 14, "text-anchor": "middle" }, String(share)),
  ];
}

/** The distance to the diagonal, the interval of the accuracy, and a dot. */
function point({ low, high, count, confidence, accuracy, ci }) {
  const x = across(confidence);
  const tip = `${range(low, high)}: ${count} rows, mean ${confidence.toFixed(3)}, accuracy ${accuracy.toFixed(3)}`;
  return svg(
    "g",
    {},
    svg("title", {}, `${tip} (${range(...ci)})`),
    svg("line", { class: "gap", x1: x, x2: x, y1: up(confidence), y2: up(accuracy) }),
    svg("line", { class: "interval", x1: x, x2: x, y1: up(ci[0]), y2: up(ci[1]) }),
    svg("circle", { cx: x, cy: up(accuracy), r: 4 }),
  );
}

function countBar({ low, high, count }, most) {
  const height = Math.max((count / most) * COUNTS_HEIGHT, 1);
  const width = Math.max(across(high) - across(low) - 1, 1);
  return svg("rect", { x: across(low), width, y: BOTTOM - height, height });
}

function range(low, high) {
  return `${low.toFixed(3)} to ${high.toFixed(3)}`;
}

function summary({ accuracy, confidence, ece, ece_if_calibrated: chance, p_calibrated: p, brier }) {
  const tendency = confidence > accuracy ? "overconfident" : "underconfident";
  const size = `${tendency} by ${formatNumber(Math.abs(confidence - accuracy))}`;
  const gap = p <= ALPHA ? size : "no miscalibration beyond chance";
  const expected = `a calibrated model would have ${formatNumber(chance)} on average (p = ${p.toFixed(3)})`;
  return `Accuracy ${formatNumber(accuracy)}, mean confidence ${formatNumber(confidence)}: ${gap}. ECE ${formatNumber(ece)}; ${expected}. Brier score ${formatNumber(brier)}.`;
}

function table(bins) {
  const row = ({ low, high, count, confidence, accuracy, ci }) =>
    html(
      "tr",
      {},
      html("th", { scope: "row" }, range(low, high)),
      ...[String(count), formatNumber(confidence), formatNumber(accuracy), ci ? range(...ci) : "–"].map((text) =>
        html("td", { class: "num" }, text),
      ),
    );
  const heading = (text, i) => html("th", { scope: "col", class: i ? "num" : null }, text);
  return html(
    "table",
    {},
    html("thead", {}, html("tr", {}, ...COLUMNS.map(heading))),
    html("tbody", {}, ...bins.map(row)),
  );
}
