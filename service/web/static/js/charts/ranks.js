// A critical-difference diagram, turned so that long names fit: a row for each arm, sorted by mean rank, and a bar beside
// each group of arms that do not differ significantly.
import { svg } from "../kit/elements.js";
import { lineStyle } from "./palette.js";

const ROW = 30;
const TOP = 34;
const BOTTOM = 40;
const GROUP_STEP = 9;
const LABEL_SHARE = 0.42;
const CHARACTER_PIXELS = 7.2;
const MAX_TICKS = 11;

/** ``arms`` are those of a comparison over datasets, in its order, which gives their colors. */
export function ranksFigure({ arms, ranks }, width) {
  const sorted = arms.map((arm, i) => ({ ...arm, style: lineStyle(i) })).sort((a, b) => a.mean_rank - b.mean_rank);
  const groups = ranks.groups ?? [];
  const labels = Math.min(LABEL_SHARE * width, 12 + CHARACTER_PIXELS * Math.max(...arms.map(({ arm }) => arm.length)));
  const right = width - 14 - GROUP_STEP * groups.length;
  const x = (rank) => labels + 10 + ((rank - 1) / Math.max(1, arms.length - 1)) * (right - labels - 10);
  const y = (row) => TOP + ROW * (row + 0.5);
  const height = TOP + ROW * arms.length + BOTTOM;
  const text = sorted.map(({ arm, mean_rank: rank }) => `${arm} ${rank.toFixed(2)}`).join(", ");
  const joined = groups.map((group) => group.join(", ")).join("; ");
  return svg(
    "svg",
    {
      class: "ranks",
      viewBox: `0 0 ${width} ${height}`,
      width,
      height,
      role: "img",
      "aria-label": `Mean ranks: ${text}. Without a significant difference: ${joined || "none"}.`,
    },
    ...criticalDifference(ranks.critical_difference, x, arms.length),
    ...ticks(arms.length, x, TOP + ROW * arms.length),
    ...sorted.flatMap((arm, row) => armRow(arm, x, y(row), labels)),
    ...groups.map((group, i) => groupBar(group, sorted, y, right + 12 + GROUP_STEP * i)),
  );
}

/** A bracket as long as Nemenyi's critical difference, or an arrow if the axis is shorter. */
function criticalDifference(difference, x, arms) {
  const fits = difference <= arms - 1;
  const end = fits ? x(1 + difference) : x(arms);
  return [
    svg("path", { class: "difference", d: `M${x(1)} 14v10m0-5H${end}${fits ? "m0-5v10" : "m-6-4l6 4l-6 4"}` }),
    svg("text", { x: x(1), y: 10 }, `Nemenyi's critical difference ${difference.toFixed(2)}`),
  ];
}

function ticks(arms, x, bottom) {
  const step = Math.ceil((arms - 1) / (MAX_TICKS - 1)) || 1;
  const values = Array.from({ length: Math.floor((arms - 1) / step) + 1 }, (_, i) => 1 + step * i);
  return [
    ...values.map((rank) => svg("line", { class: "grid", x1: x(rank), x2: x(rank), y1: TOP, y2: bottom })),
    ...values.map((rank) => svg("text", { x: x(rank), y: bottom + 16, "text-anchor": "middle" }, String(rank))),
    svg("text", { x: (x(1) + x(arms)) / 2, y: bottom + 33, "text-anchor": "middle" }, "mean rank, 1 is the best"),
  ];
}

function armRow({ arm, mean_rank: rank, style }, x, y, labels) {
  const most = Math.floor((labels - 8) / CHARACTER_PIXELS);
  const label = arm.length > most ? `${arm.slice(0, most - 1)}…` : arm;
  return [
    svg("text", { class: "name", x: 0, y: y + 4 }, svg("title", {}, arm), label),
    svg("line", { class: "leader", x1: labels, x2: x(rank), y1: y, y2: y }),
    svg("circle", { class: `dot line-${style.color}`, cx: x(rank), cy: y, r: 5.5 }, svg("title", {}, rank.toFixed(2))),
  ];
}

function groupBar(group, sorted, y, x) {
  const rows = group.map((name) => sorted.findIndex(({ arm }) => arm === name));
  return svg("line", { class: "group", x1: x, x2: x, y1: y(Math.min(...rows)) - 7, y2: y(Math.max(...rows)) + 7 });
}
