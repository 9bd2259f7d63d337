// A study's learning curves: means with intervals by size, the fitted law, its extrapolation and the verdicts.
import { breakable, html } from "../kit/elements.js";
import { formatNumber } from "../kit/format.js";
import { lineStyle } from "./palette.js";

const SOLID = [];
const DASHED = [6, 5];

export function showLearningCurves(chart, curves) {
  const lines = curves.groups.flatMap(linesOf);
  const measured = curves.groups.flatMap(({ sizes }) => sizes.map(({ rows }) => rows));
  const predicted = curves.groups.flatMap((group) => predictionsOf(group).map(({ rows }) => rows));
  const marks = predicted.length ? [{ x: Math.max(...measured), text: "largest size" }] : [];
  const ticks = [...new Set([...measured, ...predicted])].sort((a, b) => a - b);
  chart.show(lines, { xLabel: "training rows", marks, ticks });
  document.getElementById("learning-curve-verdicts").replaceChildren(verdictTable(curves));
  document.getElementById("learning-curve-notes").replaceChildren(...curves.groups.flatMap(notes));
}

function predictionsOf({ law }) {
  return law?.predictions ?? [];
}

/** The measured means, the law up to the largest size, and beyond it. */
function linesOf(group, i) {
  const { color } = lineStyle(i);
  const measured = group.sizes.filter(({ mean }) => mean !== null);
  const points = {
    name: group.id,
    x: measured.map(({ rows }) => rows),
    y: measured.map(({ mean }) => mean),
    low: measured.map(({ ci }) => ci?.[0] ?? null),
    high: measured.map(({ ci }) => ci?.[1] ?? null),
    n: measured.map(({ n }) => n),
    points: true,
    color,
    dash: SOLID,
  };
  if (!group.curve) return [points];
  const largest = Math.max(...group.sizes.map(({ rows }) => rows));
  const part = (keep) => {
    const indices = [...group.curve.rows.keys()].filter((at) => keep(group.curve.rows[at]));
    return { x: indices.map((at) => group.curve.rows[at]), y: indices.map((at) => group.curve.value[at]) };
  };
  const beyond = part((rows) => rows >= largest);
  const predicted = new Map(predictionsOf(group).map(({ rows, ci }) => [rows, ci]));
  const ends = (end) => beyond.x.map((rows) => predicted.get(rows)?.[end] ?? null);
  return [
    points,
    { name: `${group.id}, law`, ...part((rows) => rows <= largest), fitted: true, color, dash: SOLID },
    { name: `${group.id}, predicted`, ...beyond, low: ends(0), high: ends(1), fitted: true, color, dash: DASHED },
  ];
}

function verdictTable({ groups, metric }) {
  const headings = [
    ["Group", ""],
    ["n", "num wide"],
    ["Verdict", ""],
    ["Gain by doubling", "num"],
    ["Law", "num wide"],
    ["Asymptote", "num wide"],
    [`${metric} at 2×`, "num wide"],
    [`${metric} at 4×`, "num wide"],
  ];
  return html(
    "table",
    {},
    html(
      "thead",
      {},
      html("tr", {}, ...headings.map(([text, kind]) => html("th", { scope: "col", class: kind }, text))),
    ),
    html("tbody", {}, ...groups.map(groupRow)),
  );
}

function groupRow(group) {
  const { id, n, verdict, explanation, gain, law, asymptote_ci: asymptote } = group;
  const [double, quadruple] = predictionsOf(group);
  return html(
    "tr",
    {},
    html("th", { scope: "row" }, ...breakable(id)),
    html("td", { class: "num wide" }, String(n)),
    html("td", { title: explanation }, html("span", { class: `state ${verdict}` }, verdict.replaceAll("_", " "))),
    html("td", { class: "num" }, gain ? withInterval(gain.value, gain.ci) : "–"),
    html("td", { class: "num wide" }, double ? formula(law) : "–"),
    html("td", { class: "num wide" }, double ? withInterval(law.asymptote, asymptote) : "–"),
    html("td", { class: "num wide" }, double ? withInterval(double.value, double.ci) : "–"),
    html("td", { class: "num wide" }, quadruple ? withInterval(quadruple.value, quadruple.ci) : "–"),
  );
}

function withInterval(value, ci) {
  return [
    formatNumber(value),
    ci ? html("small", { class: "faint wide" }, ` ${formatNumber(ci[0])} … ${formatNumber(ci[1])}`) : null,
  ];
}

function formula({ asymptote, coefficient, exponent }) {
  const sign = coefficient < 0 ? "−" : "+";
  const [a, b, c] = [asymptote, Math.abs(coefficient), exponent].map((value) => String(+value.toPrecision(3)));
  return [`${a} ${sign} ${b}·n`, html("sup", {}, `−${c}`)];
}

function notes({ id, explanation, warnings }) {
  return [explanation, ...warnings].map((text) => html("p", { class: "small" }, html("b", {}, `${id}: `), text));
}
