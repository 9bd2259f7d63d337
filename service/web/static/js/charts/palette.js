// Colours that the colour-blind tell apart (Okabe and Ito), each with a line style besides: neither is needed alone.
import { draw } from "../kit/elements.js";

const DASHES = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 2]];
const COLOURS = 8;

export function ink(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** The style of the nth line. */
export function style(n) {
  return { colour: n % COLOURS, dash: DASHES[(n + Math.floor(n / COLOURS)) % DASHES.length] };
}

const PARTS = { train: 0, val: 1, test: 2 };

/** The style of a series of one run: the colour says of which rows, the dashes how it was measured. */
export function styleOfSeries(name) {
  const [part, ...rest] = name.split(".");
  if (!(part in PARTS)) return { colour: 3 + (name.length % 5), dash: DASHES[2] };
  const measured = rest.join(".");
  if (part !== "train") return { colour: PARTS[part], dash: part === "val" ? [] : DASHES[1] };
  return { colour: 0, dash: measured.endsWith("_eval") ? [] : measured === "objective" ? DASHES[2] : DASHES[3] };
}

export function colourOf(line) {
  return ink(`line-${line.colour}`);
}

/** A short piece of the line, for legends. */
export function swatch(line) {
  return draw(
    "svg",
    { viewBox: "0 0 28 8", width: 28, height: 8, "aria-hidden": "true", class: `swatch line-${line.colour}` },
    draw("line", { x1: 0, x2: 28, y1: 4, y2: 4, "stroke-dasharray": line.dash.join(" ") }),
  );
}
