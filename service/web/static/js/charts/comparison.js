// The table of a study's comparison: arms, paired differences and verdicts, as the API returns them.
import { breakable, html, svg } from "../kit/elements.js";
import { formatNumber, formatSigned } from "../kit/format.js";

const VERDICTS = { better: "is better than", worse: "is worse than", equivalent: "is equivalent to" };
const CORRECTIONS = { max_t: "maxT", holm: "Holm" };
/** What a verdict holds for, by the sources of variation that replicates differ in. */
const REPLICATES = {
  seed: "Seeds alone vary: verdicts hold on this split of the data.",
  "seed,split": "Each replicate has another seed and another split of the data.",
  split: "Each replicate is another split of the data.",
  "seed,data": "Each seed has data of its own.",
};
const MAX_SUMMARIZED_PAIRS = 4;
const FOREST_WIDTH = 190;
const FOREST_HEIGHT = 24;

export function showComparison(comparison) {
  const headings = [
    [groupLabel(comparison.by), ""],
    ["n", "num wide"],
    [`${comparison.metric}, ${comparison.at}`, "num"],
    ["95 % interval", "num wide"],
    ["Against", baselineClass(comparison)],
    ["Difference", "num"],
    ["Differences by seed, with interval", "wide"],
    [`p (${CORRECTIONS[comparison.correction]})`, "num wide"],
    ["Verdict", ""],
  ];
  const scale = differenceRange(comparison.pairs);
  const table = html(
    "table",
    { class: "verdicts" },
    html(
      "thead",
      {},
      html("tr", {}, ...headings.map(([text, kind]) => html("th", { scope: "col", class: kind }, ...breakable(text)))),
    ),
    html("tbody", {}, ...comparison.arms.flatMap((arm) => armRows(arm, comparison, scale))),
  );
  document.getElementById("verdicts").replaceChildren(table);
  document.getElementById("verdict-line").replaceChildren(...summary(comparison));
  document.getElementById("fine-print").textContent = finePrint(comparison);
}

function groupLabel(by) {
  return by.length === 1 && by[0] === "arm" ? "Arm" : by.join(", ");
}

/** Narrow screens show the baseline only where it differs from row to row. */
function baselineClass({ baseline }) {
  return baseline === null ? "" : "wide";
}

function armRows(arm, comparison, scale) {
  const pairs = comparison.pairs.filter((pair) => pair.arm === arm.id);
  const against = baselineClass(comparison);
  const baselines = new Set(comparison.baseline === null ? [] : comparison.pairs.map((pair) => pair.baseline));
  const armCells = [
    html("th", { scope: "row" }, ...breakable(arm.id), ...armTags(arm, baselines)),
    html("td", { class: "num wide" }, String(arm.n)),
    html("td", { class: "num" }, formatNumber(arm.mean), deviation(arm.std)),
    html("td", { class: "num faint wide" }, interval(arm.ci)),
  ];
  if (!pairs.length) return [html("tr", {}, ...armCells, ...emptyCells(against, "", "wide", "wide", ""))];
  const repeated = [
    html("th", { scope: "row", class: "faint" }, ...breakable(arm.id)),
    ...emptyCells("wide", "", "wide"),
  ];
  return pairs.map((pair, i) =>
    html(
      "tr",
      {},
      ...(i === 0 ? armCells : repeated.map((cell) => cell.cloneNode(true))),
      ...pairCells(pair, against, scale),
    ),
  );
}

function armTags(arm, baselines) {
  const problems = ["diverged", "unfinished", "missing"].filter((name) => arm[name]);
  const texts = [...(baselines.has(arm.id) ? ["baseline"] : []), ...problems.map((name) => `${arm[name]} ${name}`)];
  return texts.map((text) => html("span", { class: "tag" }, text));
}

function pairCells(pair, against, scale) {
  const title = `95 % interval, unadjusted: ${interval(pair.ci)}`;
  return [
    html("td", { class: `against ${against}` }, ...breakable(pair.baseline)),
    html("td", { class: "num" }, formatSigned(pair.mean_difference), deviation(pair.std)),
    html("td", { class: "wide", title }, forestPlot(pair, scale)),
    html("td", { class: "num wide", title: `Holm: ${pValue(pair.p_holm)}` }, pValue(pair.p_adjusted)),
    html("td", {}, html("span", { class: `state ${pair.verdict}` }, pair.verdict.replace("_", " "))),
  ];
}

function pValue(p) {
  return p === null ? "–" : p.toFixed(3);
}

function emptyCells(...classes) {
  return classes.map((name) => html("td", { class: name }));
}

function deviation(std) {
  return std === null ? null : html("span", { class: "wide" }, ` ± ${formatNumber(std)}`);
}

function interval(ci) {
  return ci ? `${formatNumber(ci[0])} … ${formatNumber(ci[1])}` : "–";
}

/** [lowest, highest] of all pairs' differences and intervals, zero included: the x axis of the forest plots. */
function differenceRange(pairs) {
  const values = pairs.flatMap((pair) => [...pair.differences.map(({ difference }) => difference), ...(pair.ci ?? [])]);
  return [Math.min(0, ...values), Math.max(0, ...values)];
}

/** A dot for each seed, a diamond at the mean, a line for the interval; the dashed line marks zero. */
function forestPlot(pair, [low, high]) {
  if (pair.mean_difference === null || high === low) return "–";
  const x = (value) => 8 + ((value - low) / (high - low)) * (FOREST_WIDTH - 16);
  const seeds = pair.differences.map(({ seed, difference }) => `seed ${seed} ${formatSigned(difference)}`);
  const size = { viewBox: `0 0 ${FOREST_WIDTH} ${FOREST_HEIGHT}`, width: FOREST_WIDTH, height: FOREST_HEIGHT };
  const label = `Mean ${formatSigned(pair.mean_difference)}; ${seeds.join(", ")}`;
  return svg(
    "svg",
    { class: `forest ${pair.verdict}`, ...size, role: "img", "aria-label": label },
    svg("line", { class: "none", x1: x(0), x2: x(0), y1: 1, y2: 23 }),
    ...pair.differences.map(({ difference }) => svg("circle", { class: "seed", cx: x(difference), cy: 12, r: 3 })),
    pair.ci ? svg("line", { class: "interval", x1: x(pair.ci[0]), x2: x(pair.ci[1]), y1: 12, y2: 12 }) : null,
    svg("path", { class: "mean", d: `M${x(pair.mean_difference)} 5l4.500 7l-4.500 7l-4.500-7z` }),
  );
}

/** One sentence that states the decided pairs. */
function summary({ pairs, complete, generalizes_over, not_yet: pending }) {
  if (!pairs.length) return [complete ? "Only one group: nothing to compare." : "Nothing to compare yet."];
  const seeds = Math.min(...pairs.map((pair) => pair.n).filter(Boolean));
  if (seeds === Infinity) {
    return [
      complete
        ? "Nothing to compare: no two groups share a seed."
        : "Nothing to compare yet: no seed has finished in two groups.",
    ];
  }
  const decided = pairs.filter((pair) => pair.verdict in VERDICTS);
  if (pending && !decided.length) return [`No verdict yet. ${pending.message}`];
  const undecided = pairs.length - decided.length;
  const onSplit = generalizes_over.join() === "seed" ? " on this split" : "";
  if (!decided.length) return [`No significant difference with ${seeds} paired replicate${plural(seeds)}${onSplit}.`];
  const statements = decided
    .slice(0, MAX_SUMMARIZED_PAIRS)
    .flatMap((pair, i) => [i ? "; " : "", html("b", {}, pair.arm), ` ${VERDICTS[pair.verdict]} ${pair.baseline}`]);
  const more = decided.length - MAX_SUMMARIZED_PAIRS;
  return [
    ...statements,
    more > 0 ? ` (and ${more} more)` : "",
    `${onSplit}.`,
    undecided ? ` ${undecided} comparison${plural(undecided)} undecided.` : "",
    pending ? ` ${pending.message}` : "",
  ];
}

function finePrint(comparison) {
  const { comparisons, pairs, alpha } = comparison;
  const significant = (p) => p !== null && p <= alpha;
  const differing = pairs.filter((pair) => significant(pair.p_adjusted) !== significant(pair.p_holm));
  const missing = Math.max(0, ...pairs.map((pair) => pair.missing));
  const biased = pairs.filter((pair) => pair.sequential?.mean_biased).map((pair) => pair.arm);
  return [
    `Paired by seed; ${testName(comparison)} over ${comparisons} comparison${plural(comparisons)}; α = ${+comparison.alpha.toPrecision(3)}.`,
    biased.length &&
      `Stopping early exaggerates the mean${plural(biased.length)} of ${biased.join(", ")}; the intervals hold.`,
    REPLICATES[comparison.generalizes_over.join()],
    shares(comparison.arms),
    conservative(pairs),
    differing.length && `Holm's correction decides otherwise for ${differing.map((pair) => pair.arm).join(", ")}.`,
    `At least ${comparison.min_seeds_possible} seeds are needed for a significant result.`,
    guessing(comparison.arms),
    comparison.exploratory && "Exploratory: this comparison was not planned when the study was created.",
    comparison.epoch_by && `Each run's epoch is the best by ${comparison.epoch_by}.`,
    comparison.optimistic && "Optimistic: epochs were chosen on the rows that judge, or on the test set.",
    missing && `${missing} seed${plural(missing)} left out of a pair: a run has no value or was deleted.`,
    comparison.looks > 1 && `Look ${comparison.looks}${lookSources(comparison)}; α is divided.`,
  ]
    .filter(Boolean)
    .join(" ");
}

/** The metric of predictions that ignore the inputs; it differs between arms with other data. */
function guessing(arms) {
  const values = arms.map((arm) => arm.guessing).filter((value) => value !== null && value !== undefined);
  const texts = new Set([Math.min(...values), Math.max(...values)].map(formatNumber));
  return values.length > 0 && `Guessing gets ${[...texts].join(" to ")}.`;
}

function testName({ sequential, correction }) {
  if (sequential) return "group-sequential sign-flip test with repeated intervals, step-down maxT";
  return `exact sign-flip test; ${CORRECTIONS[correction]} correction`;
}

function lookSources({ looks_from: studies }) {
  return studies.length ? `, with earlier studies of the same runs (${studies.join(", ")})` : "";
}

/** Shares of variance of the first arm that has them. */
function shares(arms) {
  const arm = arms.find((one) => one.variance);
  if (!arm) return null;
  const { split, seed, residual } = arm.variance;
  const percent = (share) => `${Math.round(100 * share)} %`;
  return `Of the variance of ${arm.id}, ${percent(split)} come from the split, ${percent(seed)} from the seed, ${percent(residual)} from neither alone.`;
}

/** Nadeau and Bengio's p, where splits choose the judging rows. */
function conservative(pairs) {
  const known = pairs.filter((pair) => pair.p_nadeau_bengio !== null);
  if (!known.length) return null;
  const values = known.map((pair) => `${pair.arm} ${formatNumber(pair.p_nadeau_bengio)}`);
  return `Nadeau and Bengio's conservative p: ${values.join(", ")}.`;
}

function plural(count) {
  return count === 1 ? "" : "s";
}
