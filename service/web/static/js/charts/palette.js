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
