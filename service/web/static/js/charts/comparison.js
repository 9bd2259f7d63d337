// A study's comparison: its table, a sentence with the verdicts and the fine print, as the API returns them.
import { html } from "../kit/elements.js";
import { CORRECTIONS, formatNumber } from "../kit/format.js";
import { showVerdictTable } from "./verdict_table.js";

const VERDICTS = { better: "is better than", worse: "is worse than", equivalent: "is equivalent to" };
/** What a verdict holds for, by the sources of variation that replicates differ in. */
const REPLICATES = {
  seed: "Seeds alone vary: verdicts hold on this split of the data.",
  "seed,split": "Each replicate has another seed and another split of the data.",
  split: "Each replicate is another split of the data.",
  "seed,data": "Each seed has data of its own.",
};
const MAX_SUMMARIZED_PAIRS = 4;

/** ``fields`` are those that the study varies. */
export function showComparison(comparison, fields) {
  showVerdictTable(document.getElementById("verdicts"), comparison, fields);
  document.getElementById("verdict-line").replaceChildren(...summary(named(comparison, fields)));
  document.getElementById("fine-print").textContent = finePrint(named(comparison, fields));
}

/** The comparison with arms named by the fields that they differ in. */
function named(comparison, fields) {
  const arms = comparison.arms.map((arm) => ({ ...arm, id: fields.label(arm.id) }));
  const label = (pair) => ({ ...pair, arm: fields.label(pair.arm), baseline: fields.label(pair.baseline) });
  return { ...comparison, arms, pairs: comparison.pairs.map(label) };
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
    bestOf(comparison),
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

/** The arms that the rows mark. */
function bestOf({ best, arms, metric, at }) {
  if (!best || arms.length < 2) return null;
  const within = arms.filter((arm) => arm.within_one_standard_error).length;
  const caution = metric.startsWith("test.") ? " To choose an arm, use a metric of validation rows." : "";
  return `Best: the mean ${at} ${metric}; ${within} of ${arms.length} arms are within one standard error of it.${caution}`;
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
