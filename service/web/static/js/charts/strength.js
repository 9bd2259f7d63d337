// The metric against one varied field: a dot for each seed, a line through the means, and a band of one standard deviation.
import { html, svg } from "../kit/elements.js";
import { formatNumber } from "../kit/format.js";
import { bottomAxis, fieldAxis, leftAxis, valueAxis } from "./axes.js";
import { categories } from "./fields.js";
import { lineStyle, swatch } from "./palette.js";

const HEIGHT = 340;
const LEFT = 62;
const RIGHT = 14;
const TOP = 14;
const BOTTOM = 44;
/** Positive metrics that span this ratio have a logarithmic axis: one diverging arm would flatten the others. */
const LOG_RATIO = 30;
/** Pixels between the dots of lines: beside each other, or on their lines where these are joined. */
const DOT_STEP = 26;
const BAR_SHIFT = 8;
const MAX_BANDS = 4;

/** The lines of the chart: for each value of ``split`` (null for one line) the points by value of ``field``. */
export function strengthLines({ arms }, fields, field, split) {
  const names = split ? categories(split) : [""];
  return names.map((name, i) => {
    const own = arms.filter(({ id }) => !split || fields.text(split, id) === name);
    const places = new Map();
    for (const arm of own) {
      const x = fields.value(field, arm.id);
      const point = places.get(x) ?? { x, text: fields.text(field, arm.id), values: [] };
      point.values.push(...arm.values.map(({ value }) => value));
      places.set(x, point);
    }
    const points = [...places.values()].filter(({ values }) => values.length).sort((a, b) => a.x - b.x);
    const label = split && split.path !== "arm" ? `${split.name} ${name}` : name;
    return { name: label, ...lineStyle(i), points: points.map((point) => ({ ...point, ...moments(point.values) })) };
  });
}

function moments(values) {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, std: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : null };
}

export function strengthFigure(lines, field, metric, width) {
  const points = lines.flatMap((line) => line.points);
  const x = fieldAxis(field, LEFT, width - RIGHT);
  const y = valueAxis(
    points.flatMap(({ values }) => values),
    HEIGHT - BOTTOM,
    TOP,
    { ratio: LOG_RATIO, spacing: 45 },
  );
  const scales = [x.log && `logarithmic ${field.name}`, y.log && `logarithmic ${metric}`].filter(Boolean);
  const label = `${metric} by ${field.name}${scales.length ? `, ${scales.join(", ")}` : ""}; the data table has the same values`;
  const room = (width - LEFT - RIGHT) / categories(field).length / (lines.length + 1);
  const step = field.numbers ? 0 : Math.min(DOT_STEP, room);
  const caption = `${field.path}${x.log ? " (log scale)" : ""}`;
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": label },
    ...leftAxis(y.ticks, LEFT, width - RIGHT),
    ...bottomAxis(x.ticks, TOP, HEIGHT - BOTTOM),
    svg("text", { x: (LEFT + width - RIGHT) / 2, y: HEIGHT - 8, "text-anchor": "middle" }, caption),
    ...(field.numbers && lines.length <= MAX_BANDS ? lines.map((line) => band(line, x, y)) : []),
    ...lines.flatMap((line, i) => drawn(line, x, y, step * (i - (lines.length - 1) / 2), Boolean(field.numbers))),
  );
}

function band({ color, points }, x, y) {
  const lowest = y.log ? Math.min(...points.flatMap(({ values }) => values)) : Number.NEGATIVE_INFINITY;
  const at = (point, level) => `${x.place(point.x).toFixed(1)} ${y.place(Math.max(lowest, level)).toFixed(1)}`;
  const upper = points.map((point) => at(point, point.mean + (point.std ?? 0)));
  const lower = points.map((point) => at(point, point.mean - (point.std ?? 0))).reverse();
  return svg("path", { class: `band line-${color}`, d: `M${[...upper, ...lower].join("L")}Z` });
}

/** A line's dots and means. A line joins the means of numbers, whose order is their own; categories have bars instead. */
function drawn(line, x, y, shift, joined) {
  const color = `line-${line.color}`;
  const across = (point) => x.place(point.x) + shift;
  const path = line.points.map((point) => `${across(point).toFixed(1)} ${y.place(point.mean).toFixed(1)}`).join("L");
  return [
    ...line.points.flatMap((point) =>
      point.values.map((level) =>
        svg("circle", { class: `seed ${color}`, cx: across(point), cy: y.place(level), r: 3 }),
      ),
    ),
    joined
      ? svg("path", { class: `line ${color}`, d: `M${path}`, "stroke-dasharray": line.dash.join(" ") })
      : svg("g", {}, ...line.points.map((point) => bar(point, across(point) + BAR_SHIFT, y, color))),
    ...line.points.map((point) => {
      const name = [line.name, point.text].filter(Boolean).join(", ");
      const title = svg("title", {}, `${name}: ${formatNumber(point.mean)}`);
      const cx = across(point) + (joined ? 0 : BAR_SHIFT);
      return svg("circle", { class: `mean ${color}`, cx, cy: y.place(point.mean), r: 4 }, title);
    }),
  ];
}

/** A standard deviation to either side of a category's mean, beside its dots. */
function bar({ values, mean, std }, at, y, color) {
  const low = y.log ? Math.max(Math.min(...values), mean - std) : mean - std;
  return svg("line", { class: `line ${color}`, x1: at, x2: at, y1: y.place(low), y2: y.place(mean + (std ?? 0)) });
}

/** What marks, lines and bands are. */
export function strengthNote({ numbers }, lines) {
  const spread = "± one standard deviation, over all runs with the value";
  if (!numbers) return `Dots are seeds; beside them, their mean ${spread}.`;
  return `Dots are seeds, the lines join means${lines.length > MAX_BANDS ? "" : `, and bands are ${spread}`}.`;
}

export function strengthLegend(lines) {
  if (lines.length < 2) return [];
  return lines.map((line) =>
    html("span", { class: "key" }, swatch({ ...line, points: false }), html("span", {}, line.name)),
  );
}

/** Rows of the data table: field, line, seeds, mean and standard deviation. */
export function strengthRows(lines) {
  return lines.flatMap(({ name, points }) =>
    points.map(({ text, values, mean, std }) => [
      [text, name].filter(Boolean).join(", "),
      String(values.length),
      formatNumber(mean),
      formatNumber(std),
    ]),
  );
}
