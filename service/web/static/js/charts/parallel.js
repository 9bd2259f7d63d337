// Parallel coordinates: a vertical axis for each varied field and one for the metric; a line for each arm, in the color
// of its metric.
import { svg } from "../kit/elements.js";
import { formatNumber } from "../kit/format.js";
import { fieldAxis, shortened, valueAxis } from "./axes.js";
import { shades } from "./palette.js";

const HEIGHT = 380;
const TOP = 42;
const BOTTOM = 16;
const LEFT = 14;
const RIGHT = 74;
const CHARACTER_PIXELS = 6.6;
const LOG_RATIO = 30;

/** What the figure and its legend need: arms that are measured, the worst first, so that the best are on top. */
export function parallelLines({ arms, best, direction }) {
  const lower = direction === "lower_is_better";
  const measured = arms.filter(({ mean }) => mean !== null);
  const scale = shades(
    measured.map(({ mean }) => mean),
    lower,
  );
  return { arms: measured.sort((a, b) => (lower ? b.mean - a.mean : a.mean - b.mean)), best, scale };
}

export function parallelFigure(lines, fields, metric, width) {
  const axes = [
    ...fields.list.map((field) => ({
      name: field.name,
      path: field.path,
      axis: fieldAxis(field, HEIGHT - BOTTOM, TOP, { vertical: true }),
      value: ({ id }) => fields.value(field, id),
    })),
    {
      name: metric,
      path: metric,
      axis: valueAxis(
        lines.arms.map(({ mean }) => mean),
        HEIGHT - BOTTOM,
        TOP,
        { ratio: LOG_RATIO, spacing: 40 },
      ),
      value: ({ mean }) => mean,
    },
  ];
  const step = (width - LEFT - RIGHT) / (axes.length - 1);
  const x = (i) => LEFT + step * i;
  const most = Math.max(3, Math.floor((step - 12) / CHARACTER_PIXELS));
  const points = (arm) => axes.map(({ axis, value }, i) => `${x(i).toFixed(1)} ${axis.place(value(arm)).toFixed(1)}`);
  const label = `Parallel coordinates of ${fields.list.map(({ name }) => name).join(", ")} and ${metric}; the table of the comparison has the same values`;
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": label },
    ...lines.arms.map((arm) =>
      svg(
        "path",
        {
          class: `parallel ${arm.id === lines.best ? "best" : lines.scale.shadeOf(arm.mean)}`,
          d: `M${points(arm).join("L")}`,
        },
        svg("title", {}, `${fields.label(arm.id)}: ${formatNumber(arm.mean)}${arm.id === lines.best ? ", best" : ""}`),
      ),
    ),
    ...axes.flatMap((one, i) => drawnAxis(one, x(i), i, axes.length, most)),
    ...bestLabel(lines, axes.at(-1), x(axes.length - 1)),
  );
}

function drawnAxis({ name, path, axis }, x, i, count, most) {
  const anchor = i === 0 ? "start" : i === count - 1 ? "end" : "middle";
  const at = i === 0 ? 0 : i === count - 1 ? x + RIGHT : x;
  const text = `${name}${axis.log ? " (log)" : ""}`;
  return [
    svg("line", { class: "axis", x1: x, x2: x, y1: TOP - 8, y2: HEIGHT - BOTTOM + 8 }),
    svg(
      "text",
      { class: "name", x: at, y: 16, "text-anchor": anchor },
      svg("title", {}, path),
      shortened(text, most + 2),
    ),
    ...axis.ticks.flatMap((tick) => [
      svg("line", { class: "axis", x1: x, x2: x + 4, y1: tick.at, y2: tick.at }),
      svg(
        "text",
        { class: "haloed", x: x + 7, y: tick.at + 4 },
        svg("title", {}, tick.text),
        shortened(tick.text, most),
      ),
    ]),
  ];
}

function bestLabel({ arms, best }, { axis }, x) {
  const arm = arms.find(({ id }) => id === best);
  if (!arm) return [];
  return [
    svg("text", { class: "mark haloed", x: x + RIGHT, y: axis.place(arm.mean) - 6, "text-anchor": "end" }, "best"),
  ];
}
