// Line colors that are distinguishable with color blindness (Okabe and Ito), each combined with a dash pattern.
import { svg } from "../kit/elements.js";

const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 2]];
const COLOR_COUNT = 8;
const SPLIT_COLORS = { train: 0, val: 1, test: 2 };

/** The value of a CSS color variable in the current theme. */
export function themeColor(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** The style of the nth line. */
export function lineStyle(n) {
  return { color: n % COLOR_COUNT, dash: DASHES[(n + Math.floor(n / COLOR_COUNT)) % DASHES.length] };
}

/** The style of a run's series: the color shows the split, the dashes how it was measured. */
export function seriesStyle(name) {
  const [split, ...rest] = name.split(".");
  if (!(split in SPLIT_COLORS)) return { color: 3 + (name.length % 5), dash: DASHES[2] };
  if (name.endsWith("_averaged")) return { color: SPLIT_COLORS[split], dash: DASHES[3] };
  if (split !== "train") return { color: SPLIT_COLORS[split], dash: split === "val" ? [] : DASHES[1] };
  const metric = rest.join(".");
  return { color: 0, dash: metric.endsWith("_eval") ? [] : metric === "objective" ? DASHES[2] : DASHES[3] };
}

/** The style of the nth level that guessing reaches. */
export function guessingStyle(n) {
  return { color: COLOR_COUNT - 1 - n, dash: DASHES[1 + n] };
}

export function lineColor(line) {
  return themeColor(`line-${line.color}`);
}

/** Classes of colors from the best value, shade-0, to the worst. */
const SHADES = 9;
/** Values so many times further from the best than the median is have the last shade, so that one does not hide others. */
const MAX_DISTANCE = 3;

/** The class of each value's color, and the value from which all have the last one. */
export function shades(values, lowerIsBetter) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => (lowerIsBetter ? a - b : b - a));
  const [best, median, worst] = [sorted[0], sorted[Math.floor(sorted.length / 2)], sorted.at(-1)];
  const span = Math.min(Math.abs(worst - best), MAX_DISTANCE * Math.abs(median - best) || Infinity) || 1;
  const shade = (value) => Math.min(SHADES - 1, Math.floor((Math.abs(value - best) / span) * SHADES));
  return {
    best,
    last: lowerIsBetter ? best + span : best - span,
    shadeOf: (value) => (Number.isFinite(value) ? `shade-${shade(value)}` : "shade-none"),
  };
}

/** The shades with the values that they stand for. */
export function shadeLegend({ best, last }, format) {
  const box = { viewBox: `0 0 ${SHADES * 16} 12`, width: SHADES * 16, height: 12, "aria-hidden": "true" };
  const squares = Array.from({ length: SHADES }, (_, i) =>
    svg("rect", { class: `shade-${i}`, x: i * 16, y: 0, width: 16, height: 12 }),
  );
  return [`${format(best)} (best) `, svg("svg", { ...box, class: "shades" }, ...squares), ` ${format(last)} or worse`];
}

/** A short piece of the line, or a point, for legends. */
export function swatch(line) {
  const box = { viewBox: "0 0 28 8", width: 28, height: 8 };
  return svg(
    "svg",
    { ...box, "aria-hidden": "true", class: `swatch line-${line.color}` },
    line.points
      ? svg("line", { class: "point", x1: 14, x2: 14, y1: 4, y2: 4 })
      : svg("line", { x1: 0, x2: 28, y1: 4, y2: 4, "stroke-dasharray": line.dash.join(" ") }),
  );
}
