// The columns that uPlot draws.
import { align } from "./alignment.js";
import { smooth } from "./smoothing.js";

/** Bands of more lines than this hide each other. */
const MAX_BANDS = 12;

/** Whether a line's low and high are error bars at its points instead of a band. */
export function hasErrorBars({ low, points, fitted }) {
  return Boolean(low && (points || fitted));
}

/**
 * The data of ``lines`` for uPlot. Each line gives the edges of its band, its raw values if it is smoothed, and its
 * (smoothed) values. ``parts`` describes the columns after x; ``bands`` lists the pairs of edges.
 */
export function chartColumns(lines, { smoothing, positive }) {
  const { xs, column } = align(lines);
  const drawable = (values) => (positive ? values.map((value) => (value > 0 ? value : null)) : values);
  const data = [xs];
  const parts = [];
  const bands = [];
  const add = (line, kind, values) => {
    data.push(drawable(values));
    parts.push({ line, kind, index: data.length - 1 });
  };
  const banded = lines.filter((line) => line.low).length <= MAX_BANDS;
  for (const line of lines) {
    if (line.low && (banded || hasErrorBars(line))) {
      add(line, "edge", column(line, line.high));
      add(line, "edge", column(line, line.low));
      if (!hasErrorBars(line)) bands.push({ series: [data.length - 2, data.length - 1], line });
    }
    const values = column(line, line.y);
    if (smoothing) add(line, "raw", values);
    add(line, "line", smoothing ? smooth(values, smoothing) : values);
  }
  return { data, parts, bands };
}
