// Every seed of a study: the values of each group, and the differences of each pair, as dots with mean and interval.
import { svg } from "../kit/elements.js";
import { formatInterval, formatNumber, formatSigned } from "../kit/format.js";
import { bottomAxis, captionText, labelWidth, rowLabel, valueAxis } from "./axes.js";

const ROW = 28;
const TOP = 8;
const HEADING = 18;
const LABEL_ROW = 16;
const MARGIN = 8;
const BOTTOM = 40;
const RIGHT = 14;
const VERDICT_WIDTH = 92;
const LABEL_SHARE = 0.4;
const DOTS_HEIGHT = 16;
/** The golden ratio: multiples of it spread the dots of any number of seeds evenly. */
const SPREAD = 0.618;
const VERDICT_MARKS = { better: "▲", worse: "▼", equivalent: "=", undecided: "?", not_yet: "…" };
/** More rows are a matter of the table. */
export const MAX_ROWS = 60;

/** Rows of the strip plot: groups with values, the best ones if they are many. */
export function stripRows({ arms, direction }, fields) {
  const measured = arms.filter(({ values }) => values.length);
  const sign = direction === "lower_is_better" ? 1 : -1;
  const best = [...measured].sort((a, b) => sign * (a.mean - b.mean)).slice(0, MAX_ROWS);
  const chosen = measured.filter((arm) => best.includes(arm));
  const label = ({ id, diverged }) => fields.shortLabel(id) + (diverged ? `, ${diverged} diverged` : "");
  return chosen.map((arm) => ({ label: label(arm), points: arm.values, mean: arm.mean, ci: arm.ci, kind: "" }));
}

/** Rows of the plot of differences: pairs that share seeds. */
export function differenceRows({ pairs, baseline }, fields) {
  const name = ({ arm, baseline: other }) =>
    baseline === null ? `${fields.shortLabel(arm)} − ${fields.shortLabel(other)}` : fields.shortLabel(arm);
  return pairs
    .filter((pair) => pair.differences.length)
    .slice(0, MAX_ROWS)
    .map((pair) => ({
      label: name(pair),
      points: pair.differences.map(({ seed, difference }) => ({ seed, value: difference })),
      mean: pair.mean_difference,
      ci: pair.ci,
      kind: pair.verdict,
    }));
}

/**
 * ``heading`` is that of the labels; ``zero`` is whether a line marks zero and each row has a verdict at its right.
 * Labels are left of their rows, or above them where they are too long for that.
 */
export function seedsFigure(rows, { caption, heading, zero = false }, width) {
  const labels = labelWidth([heading, ...rows.map((row) => row.label)]);
  const above = labels > LABEL_SHARE * width;
  const left = above ? MARGIN : labels + MARGIN;
  const right = width - (zero ? VERDICT_WIDTH : RIGHT);
  const top = TOP + (heading ? HEADING : 0);
  const step = ROW + (above ? LABEL_ROW : 0);
  const bottom = top + step * rows.length;
  const values = rows.flatMap(({ points, ci }) => [...points.map(({ value }) => value), ...(ci ?? [])]);
  const axis = valueAxis(zero ? [0, ...values] : values, left, right, { spacing: 70 });
  const label = `${caption}, a dot for each seed; the data table has the same values`;
  const height = bottom + BOTTOM;
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label },
    heading ? rowLabel(heading, 10, above ? width : labels) : null,
    ...bottomAxis(axis.ticks, top, bottom),
    zero ? svg("line", { class: "zero", x1: axis.place(0), x2: axis.place(0), y1: top, y2: bottom }) : null,
    captionText(caption, width, bottom + 34),
    ...rows.flatMap((row, i) => {
      const y = top + step * (i + 1) - ROW / 2;
      const name = above ? rowLabel(row.label, y - ROW / 2 - LABEL_ROW / 2 + 4, width) : rowLabel(row.label, y, labels);
      return [drawnRow(row, axis.place, y, zero ? right + MARGIN : null), name];
    }),
  );
}

function drawnRow({ points, mean, ci, kind }, x, y, verdictAt) {
  return svg(
    "g",
    { class: `forest ${kind}` },
    ...points.map(({ value }, i) =>
      svg("circle", { class: "seed", cx: x(value), cy: y + (((i * SPREAD) % 1) - 0.5) * DOTS_HEIGHT, r: 2.8 }),
    ),
    ci ? svg("line", { class: "interval", x1: x(ci[0]), x2: x(ci[1]), y1: y, y2: y }) : null,
    svg("path", { class: "mean", d: `M${x(mean)} ${y - 7}l4.500 7l-4.500 7l-4.500-7z` }),
    verdictAt === null
      ? null
      : svg("text", { class: "verdict", x: verdictAt, y: y + 4 }, `${VERDICT_MARKS[kind]} ${kind.replace("_", " ")}`),
  );
}

/** The data table: a column for each seed after the mean, the interval and, of differences, the verdict. */
export function seedsTable(rows, zero) {
  const seeds = [...new Set(rows.flatMap(({ points }) => points.map(({ seed }) => seed)))].sort((a, b) => a - b);
  const format = zero ? formatSigned : formatNumber;
  const cells = ({ points, mean, ci, kind }) => {
    const bySeed = new Map(points.map(({ seed, value }) => [seed, value]));
    return [
      format(mean),
      formatInterval(ci),
      ...(zero ? [kind.replace("_", " ")] : []),
      ...seeds.map((seed) => format(bySeed.get(seed))),
    ];
  };
  return {
    headings: [
      zero ? "Pair" : "Arm",
      "Mean",
      "95 % interval",
      ...(zero ? ["Verdict"] : []),
      ...seeds.map((seed) => `Seed ${seed}`),
    ],
    rows: () => rows.map((row) => [row.label, ...cells(row)]),
  };
}
