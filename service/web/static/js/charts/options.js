// uPlot options of a chart: axes, lines, bands, marks, and the hooks that report back to the chart.
import uPlot from "../../vendor/uplot.js";
import { formatNumber } from "../kit/format.js";
import { hasErrorBars } from "./columns.js";
import { rangeWithoutOutliers } from "./outliers.js";
import { lineColor, themeColor } from "./palette.js";

const SIZE_MARGIN = 1.15;
const MIN_TICK_PIXELS = 44;
const CAP_PIXELS = 4;
const FONT = "12px system-ui, sans-serif";
/** Share of its range by which an axis of values extends beyond them, as uPlot does by default. */
const PADDING = 0.1;
const LINEAR = 1;
const LOGARITHMIC = 3;
/** Above this number of lines, dimming the others is too slow; one line is highlighted instead. */
const MAX_DIMMED_LINES = 24;
/** Steps between ticks of whole numbers, such as epochs. */
const WHOLE_STEPS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power));

export function plotOptions(chart) {
  const { parts, bands } = chart.columns;
  const width = chart.plot.clientWidth || 640;
  const many = parts.filter((part) => part.kind === "line").length > MAX_DIMMED_LINES;
  const scale = (axis) => (chart.logAxes.includes(axis) ? LOGARITHMIC : LINEAR);
  return {
    width,
    height: chart.heightFor(width),
    padding: [14, 14, 0, 0],
    legend: { show: false },
    focus: { alpha: many ? 1 : 0.25 },
    cursor: cursorOptions(chart, parts, many),
    scales: {
      x: { time: false, distr: scale("x"), ...sizeRange(chart) },
      y: { distr: scale("y"), ...valueRange(chart, scale("y") === LOGARITHMIC) },
    },
    axes: axisOptions(chart),
    series: [{}, ...parts.map((part) => seriesOptions(part, many))],
    bands: bands.map(({ series, line }) => ({ series, fill: withAlpha(lineColor(line), 0.16) })),
    hooks: {
      setSeries: [(_plot, index) => many && chart.highlight(index)],
      setCursor: [(plot) => chart.tooltip.update(plot)],
      setScale: [(plot, key) => key === "x" && plot.status && chart.onZoom(plot.scales.x.min, plot.scales.x.max)],
      drawAxes: [(plot) => shadeRanges(plot, chart.marks)],
      draw: [(plot) => drawMarks(plot, chart.marks), (plot) => drawErrorBars(plot, parts)],
    },
  };
}

function cursorOptions({ settings }, parts, many) {
  const isLine = (index) => parts[index - 1]?.kind === "line";
  return {
    focus: {
      prox: 28,
      dist: (_plot, index, _dataIndex, y, pointerY) => (isLine(index) ? y - pointerY : Infinity),
    },
    points: { show: !many, size: 7 },
    drag: { x: true, y: false, setScale: true },
    ...(settings.sync ? { sync: { key: settings.sync, setSeries: false } } : {}),
  };
}

/** uPlot extends logarithmic axes to powers of ten; an axis of sizes ends near the sizes. */
function sizeRange({ settings }) {
  return settings.sizes ? { range: (_plot, min, max) => [min / SIZE_MARGIN, max * SIZE_MARGIN] } : {};
}

/** Without outliers, the y axis covers what is left of every line; uPlot cuts the others off at its ends. */
function valueRange(chart, log) {
  if (!chart.ignoresOutliers) return {};
  return {
    range: (plot) => {
      const ranges = chart.columns.parts
        .filter(({ kind }) => kind !== "raw")
        .map(({ index }) => rangeWithoutOutliers(shownValues(plot, index), { log }))
        .filter(Boolean);
      if (!ranges.length) return [null, null];
      const low = Math.min(...ranges.map((range) => range[0]));
      const high = Math.max(...ranges.map((range) => range[1]));
      return log ? uPlot.rangeLog(low, high, 10, false) : uPlot.rangeNum(low, high, PADDING, true);
    },
  };
}

function shownValues(plot, index) {
  const [first, last] = plot.series[index].idxs ?? [];
  return plot.data[index].slice(first ?? 0, (last ?? plot.data[index].length) + 1);
}

/** Only ``ticks`` that do not touch each other. */
function fixedTicks(ticks) {
  const fit = (plot) => {
    let last = -Infinity;
    return ticks.filter((tick) => {
      const x = plot.valToPos(tick, "x");
      if (x - last < MIN_TICK_PIXELS) return false;
      last = x;
      return true;
    });
  };
  return {
    splits: fit,
    filter: (_plot, splits) => splits,
    values: (_plot, splits) => splits.map((tick) => tick.toLocaleString("en")),
  };
}

function axisOptions({ xLabel, ticks }) {
  const grid = { stroke: themeColor("grid"), width: 1 };
  const common = { stroke: themeColor("muted"), font: FONT, grid, ticks: { ...grid, size: 4 } };
  const spaced = xLabel === "seconds" ? {} : { incrs: WHOLE_STEPS };
  const whole = ticks ? fixedTicks(ticks) : spaced;
  return [
    { ...common, size: 28, label: xLabel, labelFont: FONT, labelSize: 18, space: 60, ...whole },
    { ...common, size: 58, values: (_plot, ticks) => ticks.map(tickLabel) },
  ];
}

function tickLabel(tick) {
  if (tick === null) return "";
  const size = Math.abs(tick);
  if (size === 0) return "0";
  return size < 1e-3 || size >= 1e5 ? tick.toExponential(0) : String(+tick.toPrecision(4));
}

function seriesOptions({ line, kind }, many) {
  const color = lineColor(line);
  const common = {
    label: line.name,
    scale: "y",
    spanGaps: Boolean(line.spans), // over epochs that did not measure the series
    points: { show: line.x.length < 2, size: 6, fill: color }, // a single epoch has no line
    value: (_plot, value) => formatNumber(value),
  };
  if (kind === "edge") return { ...common, stroke: "transparent", width: 0, points: { show: false } };
  if (kind === "raw") return { ...common, stroke: withAlpha(color, 0.28), width: 1, points: { show: false } };
  if (line.points) {
    const points = { show: true, size: 7, fill: color, stroke: color };
    return { ...common, stroke: color, paths: () => null, points };
  }
  if (line.fitted) return { ...common, stroke: color, width: 2, dash: line.dash, spanGaps: true };
  if (many) return { ...common, stroke: withAlpha(color, 0.75), width: 1.2, dash: [] };
  return { ...common, stroke: color, width: 2, dash: line.dash };
}

function withAlpha(color, alpha) {
  const digits = color.replace("#", "");
  const [r, g, b] = [0, 2, 4].map((i) => parseInt(digits.slice(i, i + 2), 16));
  return `rgba(${r}, ${g}, ${b}, ${alpha})`;
}

/** Tint the epochs from a mark to its end. */
function shadeRanges(plot, marks) {
  for (const mark of marks.filter(({ until }) => until)) {
    const left = Math.max(plot.valToPos(mark.x, "x", true), plot.bbox.left);
    const right = Math.min(plot.valToPos(mark.until, "x", true), plot.bbox.left + plot.bbox.width);
    if (right <= left) continue;
    plot.ctx.save();
    plot.ctx.fillStyle = themeColor("shade");
    plot.ctx.fillRect(left, plot.bbox.top, right - left, plot.bbox.height);
    plot.ctx.restore();
  }
}

/** A dashed line at each mark's epoch, with its text. */
function drawMarks(plot, marks) {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  marks.forEach((mark, i) => {
    const x = Math.round(plot.valToPos(mark.x, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) return;
    ctx.save();
    ctx.strokeStyle = themeColor("muted");
    ctx.fillStyle = themeColor("muted");
    ctx.lineWidth = ratio;
    ctx.setLineDash([4 * ratio, 4 * ratio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.font = `${11 * ratio}px system-ui, sans-serif`;
    const flip = x > bbox.left + bbox.width * 0.8;
    ctx.textAlign = flip ? "right" : "left";
    ctx.fillText(mark.text, x + (flip ? -6 : 6) * ratio, bbox.top + (12 + 15 * i) * ratio);
    ctx.restore();
  });
}

/** A line with caps from low to high, and an empty circle where the point is on a fitted line. */
function drawErrorBars(plot, parts) {
  const { ctx, bbox, data } = plot;
  const cap = CAP_PIXELS * devicePixelRatio;
  for (const { line, kind, index } of parts) {
    if (kind !== "line" || !hasErrorBars(line) || !plot.series[index].show) continue;
    const circles = [];
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.beginPath();
    ctx.setLineDash([]);
    ctx.strokeStyle = lineColor(line);
    ctx.lineWidth = 1.5 * devicePixelRatio;
    data[0].forEach((size, i) => {
      const [high, low] = [data[index - 2][i], data[index - 1][i]];
      if (high === null || high === undefined || low === null || low === undefined) return;
      const [x, top, bottom] = [
        plot.valToPos(size, "x", true),
        plot.valToPos(high, "y", true),
        plot.valToPos(low, "y", true),
      ];
      for (const [fromX, fromY, toX, toY] of [
        [x, top, x, bottom],
        [x - cap, top, x + cap, top],
        [x - cap, bottom, x + cap, bottom],
      ]) {
        ctx.moveTo(fromX, fromY);
        ctx.lineTo(toX, toY);
      }
      if (line.fitted) circles.push([x, plot.valToPos(data[index][i], "y", true)]);
    });
    ctx.stroke();
    ctx.fillStyle = themeColor("surface");
    for (const [x, y] of circles) {
      ctx.beginPath();
      ctx.arc(x, y, cap, 0, 2 * Math.PI);
      ctx.fill();
      ctx.stroke();
    }
    ctx.restore();
  }
}
