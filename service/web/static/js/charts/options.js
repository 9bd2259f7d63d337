// How uPlot draws a chart: axes, lines, bands, marks, and what it tells back.

import { number } from "../kit/format.js";
import { ink } from "./palette.js";

const FONT = "12px system-ui, sans-serif";
const LOGARITHMIC = 3;
const MANY = 24;
/** Steps between ticks of what is counted: there is no epoch 2.5. */
const WHOLE = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].flatMap((power) => [1, 2, 5].map((digit) => digit * 10 ** power));

export function options(chart) {
  const width = chart.plot.clientWidth || 640;
  const log = chart.logarithmic;
  const many = chart.drawn.parts.filter((part) => part.kind === "line").length > MANY;
  const axis = {
    stroke: ink("muted"),
    font: FONT,
    grid: { stroke: ink("grid"), width: 1 },
    ticks: { stroke: ink("grid"), width: 1, size: 4 },
  };
  return {
    width,
    height: chart.room(width),
    padding: [14, 14, 0, 0],
    legend: { show: false },
    focus: { alpha: many ? 1 : 0.25 },
    cursor: {
      focus: {
        prox: 28,
        dist: (u, place, at, here, pointer) =>
          chart.drawn.parts[place - 1]?.kind === "line" ? here - pointer : Infinity,
      },
      points: { show: !many, size: 7 },
      drag: { x: true, y: false, setScale: true },
      ...(chart.settings.sync ? { sync: { key: chart.settings.sync, setSeries: false } } : {}),
    },
    scales: {
      x: { time: false, distr: log.includes("x") ? LOGARITHMIC : 1 },
      y: { distr: log.includes("y") ? LOGARITHMIC : 1 },
    },
    axes: [
      {
        ...axis,
        size: 28,
        label: chart.xLabel,
        labelFont: FONT,
        labelSize: 18,
        space: 60,
        ...(chart.xLabel === "seconds" ? {} : { incrs: WHOLE }),
      },
      { ...axis, size: 58, values: (u, ticks) => ticks.map((tick) => (tick === null ? "" : short(tick))) },
    ],
    series: [{}, ...chart.drawn.parts.map((part) => seriesOf(part, chart, many))],
    bands: chart.drawn.bands.map(({ series, line }) => ({ series, fill: alpha(chart.colour(line), 0.16) })),
    hooks: {
      setSeries: [
        (u, place) => {
          if (many) chart.highlight(place);
        },
      ],
      setCursor: [(u) => chart.told(u)],
      setScale: [
        (u, key) => {
          if (key === "x" && u.status) chart.zoomed(u.scales.x.min, u.scales.x.max);
        },
      ],
      drawAxes: [(u) => shade(u, chart.marks)],
      draw: [(u) => mark(u, chart.marks)],
    },
  };
}

function short(tick) {
  const size = Math.abs(tick);
  if (size === 0) return "0";
  return size < 1e-3 || size >= 1e5 ? tick.toExponential(0) : String(+tick.toPrecision(4));
}

function seriesOf({ line, kind }, chart, many) {
  const colour = chart.colour(line);
  const plain = {
    label: line.name,
    scale: "y",
    spanGaps: false,
    points: { show: lonely(line), size: 6, fill: colour },
    value: (u, v) => number(v),
  };
  if (kind === "edge") return { ...plain, stroke: "transparent", width: 0, points: { show: false } };
  if (kind === "raw") return { ...plain, stroke: alpha(colour, 0.28), width: 1, points: { show: false } };
  return { ...plain, stroke: many ? alpha(colour, 0.75) : colour, width: many ? 1.2 : 2, dash: many ? [] : line.dash };
}

/** A single epoch has no line to it; a point shows it. */
function lonely(line) {
  return line.x.length < 2;
}

export function alpha(colour, share) {
  const whole = colour.replace("#", "");
  const [r, g, b] = [0, 2, 4].map((i) => parseInt(whole.slice(i, i + 2), 16));
  return `rgba(${r}, ${g}, ${b}, ${share})`;
}

/** The epochs from a mark on, tinted. */
function shade(u, marks) {
  for (const one of marks.filter((m) => m.until)) {
    const left = Math.max(u.valToPos(one.x, "x", true), u.bbox.left);
    const right = Math.min(u.valToPos(one.until, "x", true), u.bbox.left + u.bbox.width);
    if (right <= left) continue;
    u.ctx.save();
    u.ctx.fillStyle = ink("shade");
    u.ctx.fillRect(left, u.bbox.top, right - left, u.bbox.height);
    u.ctx.restore();
  }
}

/** A line at an epoch, and what it is. */
function mark(u, marks) {
  const ratio = devicePixelRatio;
  marks.forEach((one, i) => {
    const x = Math.round(u.valToPos(one.x, "x", true));
    if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) return;
    u.ctx.save();
    u.ctx.strokeStyle = u.ctx.fillStyle = ink("muted");
    u.ctx.lineWidth = ratio;
    u.ctx.setLineDash([4 * ratio, 4 * ratio]);
    u.ctx.beginPath();
    u.ctx.moveTo(x, u.bbox.top);
    u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
    u.ctx.stroke();
    u.ctx.font = `${11 * ratio}px system-ui, sans-serif`;
    const flip = x > u.bbox.left + u.bbox.width * 0.8;
    u.ctx.textAlign = flip ? "right" : "left";
    u.ctx.fillText(one.text, x + (flip ? -6 : 6) * ratio, u.bbox.top + (12 + 15 * i) * ratio);
    u.ctx.restore();
  });
}
