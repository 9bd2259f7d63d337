// A study on several datasets: its arms over all of them, as the API returns them.
import { breakable, html } from "../kit/elements.js";
import { CORRECTIONS, formatInterval, formatNumber, formatP, formatSigned } from "../kit/format.js";
import { legend, profilesFigure } from "./profiles.js";
import { ranksFigure } from "./ranks.js";
import { drawResponsively } from "./responsive.js";

const SCALES = {
  guessing: "0 is what guessing gets on the dataset, 1 the best possible value",
  best: "0 is what guessing gets on the dataset, 1 the best run there",
  none: "the metric itself",
  range: "within a given range",
};
const MAX_FIGURE_WIDTH = 720;

export function showAcross(across) {
  const tables = across.arms.length ? [pairsTable(across), scoresTable(across), datasetsTable(across)] : [];
  document.getElementById("across-line").textContent = summary(across);
  document.getElementById("across-tables").replaceChildren(...tables.flat());
  document.getElementById("across-figures").hidden = !across.arms.length;
  document.getElementById("across-print").textContent = finePrint(across);
  if (!across.arms.length) return;
  document.getElementById("profiles-legend").replaceChildren(...legend(across.arms));
  document.getElementById("ranks-card").hidden = across.ranks === null;
  const fill = (id, draw) => drawResponsively(document.getElementById(id), draw, MAX_FIGURE_WIDTH);
  fill("profiles", (width) => profilesFigure(across, width));
  if (across.ranks) fill("ranks", (width) => ranksFigure(across, width));
}

function titled(title, headings, rows) {
  const head = headings.map(([text, kind]) => html("th", { scope: "col", class: kind }, ...breakable(text)));
  const table = html(
    "table",
    { class: "verdicts" },
    html("thead", {}, html("tr", {}, ...head)),
    html("tbody", {}, ...rows),
  );
  const place = { class: "scroll fitted", tabindex: 0, role: "region", "aria-label": title };
  return [html("h3", {}, title), html("div", place, table)];
}

function scoresTable({ arms, baseline }) {
  const headings = [
    ["Arm", ""],
    ["IQM", "num"],
    ["95 % interval", "num wide"],
    ["Mean", "num wide"],
    ["Median", "num wide"],
    ["Optimality gap", "num wide"],
    ["Mean rank", "num"],
  ];
  const rows = arms.map((arm) =>
    html(
      "tr",
      {},
      html(
        "th",
        { scope: "row" },
        ...breakable(arm.arm),
        arm.arm === baseline ? html("span", { class: "tag" }, "baseline") : null,
      ),
      estimateCell(arm.iqm, "num"),
      html("td", { class: "num faint wide" }, formatInterval(arm.iqm.ci)),
      estimateCell(arm.mean, "num wide"),
      estimateCell(arm.median, "num wide"),
      estimateCell(arm.optimality_gap, "num wide"),
      html("td", { class: "num" }, arm.mean_rank === null ? "–" : arm.mean_rank.toFixed(2)),
    ),
  );
  return titled("Scores", headings, rows);
}

function pairsTable({ pairs, correction }) {
  const p = [`p (${CORRECTIONS[correction]})`, "num wide"];
  const headings = [
    ["Pair", ""],
    ["P(improvement)", "num wide"],
    ["Difference", "num wide"],
    p,
    ["These datasets", ""],
    ["Wins", "num wide"],
    p,
    ["Over datasets", ""],
  ];
  const rows = pairs.map(({ arm, baseline, on_these_datasets: here, over_datasets: over, ...pair }) =>
    html(
      "tr",
      {},
      html("th", { scope: "row" }, ...breakable(`${arm} − ${baseline}`)),
      estimateCell(pair.probability_of_improvement, "num wide"),
      html("td", { class: "num wide", title: formatInterval(here.ci) }, formatSigned(here.mean_difference)),
      html("td", { class: "num wide" }, formatP(here.p_adjusted)),
      verdictCell(here.verdict),
      html("td", { class: "num wide" }, `${over.wins} of ${over.n}`),
      html("td", { class: "num wide" }, formatP(over.p_adjusted)),
      verdictCell(over.verdict),
    ),
  );
  return titled("Verdicts", headings, rows);
}

/** A statistic, with its descriptive interval as the tooltip. */
function estimateCell({ value, ci }, kind) {
  return html("td", { class: kind, title: formatInterval(ci) }, formatNumber(value));
}

function datasetsTable({ datasets, arms, metric, at }) {
  const headings = [
    ["Dataset", ""],
    ["n", "num wide"],
    ["Guessing", "num wide"],
  ];
  headings.push(...arms.map(({ arm }) => [arm, "num"]));
  const rows = datasets.map((dataset) =>
    html(
      "tr",
      {},
      html("th", { scope: "row" }, ...breakable(dataset.name)),
      html("td", { class: "num wide" }, String(dataset.n)),
      html("td", { class: "num faint wide" }, formatNumber(dataset.guessing)),
      ...dataset.arms.map(({ mean, score }) =>
        html("td", { class: "num", title: `score ${formatNumber(score)}` }, formatNumber(mean)),
      ),
    ),
  );
  return titled(`Mean ${at} ${metric}`, headings, rows);
}

function verdictCell(verdict) {
  return html("td", {}, html("span", { class: `state ${verdict}` }, verdict.replace("_", " ")));
}

function summary({ arms, pairs, not_yet: pending, datasets, min_datasets_possible: fewest }) {
  if (!arms.length) return "Nothing to compare yet: no dataset has results of every arm.";
  if (!pairs.length) return "Nothing to compare yet: the baseline, or every other arm, has no results.";
  if (pending) return `No verdict yet. ${pending.message}`;
  const decided = (scope) => pairs.filter((pair) => ["better", "worse"].includes(pair[scope].verdict)).length;
  const over =
    datasets.length < fewest
      ? `Over datasets, ${datasets.length} are too few for any verdict; ${fewest} could be enough.`
      : `Over datasets, ${decided("over_datasets")} of ${pairs.length} pairs differ significantly.`;
  return `On these ${datasets.length} datasets, ${decided("on_these_datasets")} of ${pairs.length} pairs differ significantly. ${over}`;
}

function finePrint(across) {
  const scales = [...new Set(across.datasets.map((dataset) => SCALES[dataset.normalize]))];
  const friedman = across.ranks?.friedman;
  const left = [...across.excluded_arms, ...across.excluded_datasets];
  return [
    scales.length > 0 &&
      `Scores of ${across.at} ${across.metric}: ${scales.join("; ")}. Every dataset weighs the same.`,
    `“These datasets” generalizes over the ${across.generalizes_over.join(" and ")} (sign-flip test of replicates); “over datasets” takes the datasets for a sample (Wilcoxon's signed-rank test).`,
    `α = ${+across.alpha.toPrecision(3)} for each.`,
    "Intervals are a stratified bootstrap's and decide nothing.",
    friedman && `Friedman test of equal ranks: p = ${friedman.p.toFixed(3)}.`,
    ...left.map(({ name, reason }) => `Left out: ${name}. ${reason}`),
    across.optimistic && "Optimistic: epochs were chosen on the rows that judge, or on the test set.",
    across.exploratory && "Exploratory: this was not planned when the study was created.",
  ]
    .filter(Boolean)
    .join(" ");
}
