// The table of arms with their verdicts, from the API's comparison.
import { draw, make } from "../kit/elements.js";
import { number, signed } from "../kit/format.js";

const WORDS = { better: "is better than", worse: "is worse than", equivalent: "is as good as" };

const MOST_TOLD = 4;
const FOREST = 190;

export function verdicts(found) {
  const heads = [
    [named(found.by), ""],
    ["n", "num wide"],
    [`${found.metric}, ${found.at}`, "num"],
    ["95 % interval", "num wide"],
    ["Against", baselineColumn(found)],
    ["Difference", "num"],
    ["Each seed, and the interval", "wide"],
    ["p (Holm)", "num wide"],
    ["Verdict", ""],
  ];
  const table = make(
    "table",
    { class: "verdicts" },
    make("thead", {}, make("tr", {}, ...heads.map(([text, kind]) => make("th", { scope: "col", class: kind }, text)))),
    make("tbody", {}, ...found.arms.flatMap((arm) => rows(arm, found, span(found.pairs)))),
  );
  document.getElementById("verdicts").replaceChildren(table);
  document.getElementById("verdict-line").replaceChildren(...line(found));
  document.getElementById("fine-print").textContent = finePrint(found);
}

function named(by) {
  return by.length === 1 && by[0] === "arm" ? "Arm" : by.join(", ");
}

/** Narrow screens have room for the arm, its value, the difference and the verdict; and where there is no one baseline, for it. */
function baselineColumn({ baseline }) {
  return baseline === null ? "" : "wide";
}

function spread(std) {
  return std === null ? null : make("span", { class: "wide" }, ` ± ${number(std)}`);
}

function empty(...kinds) {
  return kinds.map((kind) => make("td", { class: kind }));
}

function rows(arm, found, scale) {
  const pairs = found.pairs.filter((pair) => pair.arm === arm.id);
  const against = baselineColumn(found);
  const troubles = [
    ["diverged", arm.diverged],
    ["unfinished", arm.unfinished],
    ["missing", arm.missing],
  ]
    .filter(([, count]) => count)
    .map(([word, count]) => make("span", { class: "tag" }, `${count} ${word}`));
  const own = [
    make(
      "th",
      { scope: "row" },
      arm.id,
      arm.id === found.baseline ? make("span", { class: "tag" }, "baseline") : null,
      ...troubles,
    ),
    make("td", { class: "num wide" }, String(arm.n)),
    make("td", { class: "num" }, number(arm.mean), spread(arm.std)),
    make("td", { class: "num faint wide" }, interval(arm.ci)),
  ];
  if (!pairs.length) return [make("tr", {}, ...own, ...empty(against, "", "wide", "wide", ""))];
  return pairs.map((pair, i) =>
    make(
      "tr",
      {},
      ...(i === 0 ? own : [make("th", { scope: "row", class: "faint" }, arm.id), ...empty("wide", "", "wide")]),
      make("td", { class: `against ${against}` }, pair.baseline),
      make("td", { class: "num" }, signed(pair.mean_difference), spread(pair.std)),
      make("td", { class: "wide", title: `95 % interval, unadjusted: ${interval(pair.ci)}` }, forest(pair, scale)),
      make("td", { class: "num wide" }, pair.p_adjusted === null ? "–" : pair.p_adjusted.toFixed(3)),
      make("td", {}, make("span", { class: `state ${pair.verdict}` }, pair.verdict)),
    ),
  );
}

/** The differences of all pairs, zero among them: what every small picture has room for. */
function span(pairs) {
  const all = [0, ...pairs.flatMap((pair) => [...pair.differences.map((one) => one.difference), ...(pair.ci ?? [])])];
  return [Math.min(...all), Math.max(...all)];
}

/** A pair as a picture: a dot for each seed, the mean, the interval; the dashed line is no difference. */
function forest(pair, [low, high]) {
  if (pair.mean_difference === null || high === low) return "–";
  const x = (value) => 8 + ((value - low) / (high - low)) * (FOREST - 16);
  const told = `Mean ${signed(pair.mean_difference)}; ${pair.differences.map((one) => `seed ${one.seed} ${signed(one.difference)}`).join(", ")}`;
  return draw(
    "svg",
    {
      class: `forest ${pair.verdict}`,
      viewBox: `0 0 ${FOREST} 24`,
      width: FOREST,
      height: 24,
      role: "img",
      "aria-label": told,
    },
    draw("line", { class: "none", x1: x(0), x2: x(0), y1: 1, y2: 23 }),
    ...pair.differences.map((one) => draw("circle", { class: "seed", cx: x(one.difference), cy: 12, r: 3 })),
    pair.ci ? draw("line", { class: "interval", x1: x(pair.ci[0]), x2: x(pair.ci[1]), y1: 12, y2: 12 }) : null,
    draw("path", { class: "mean", d: `M${x(pair.mean_difference)} 5l4.500 7l-4.500 7l-4.500-7z` }),
  );
}

function interval(ci) {
  return ci ? `${number(ci[0])} … ${number(ci[1])}` : "–";
}

function line(found) {
  if (!found.pairs.length)
    return [found.complete ? "There is one group: nothing to compare it with." : "Nothing to compare yet."];
  const decided = found.pairs.filter((pair) => pair.verdict !== "undecided");
  const told = decided
    .slice(0, MOST_TOLD)
    .flatMap((pair, i) => [i ? "; " : "", make("b", {}, pair.arm), ` ${WORDS[pair.verdict]} ${pair.baseline}`]);
  const more = decided.length - MOST_TOLD;
  const left = found.pairs.length - decided.length;
  const seeds = Math.min(...found.pairs.map((pair) => pair.n).filter(Boolean));
  if (seeds === Infinity)
    return [
      found.complete
        ? "Nothing can be compared: no two groups were measured at the same seed."
        : "Nothing can be compared yet: no pair of seeds has come so far.",
    ];
  if (!decided.length)
    return [`With ${seeds} pair${seeds === 1 ? "" : "s"} of seeds no difference can be told from chance.`];
  return [
    ...(found.complete ? [] : ["So far: "]),
    ...told,
    more > 0 ? ` (and ${more} more)` : "",
    ".",
    left ? ` Of ${left} other${left > 1 ? "s" : ""} it cannot be told.` : "",
  ];
}

function finePrint(found) {
  const notes = [
    `Paired by seed, exact sign-flip test, Holm over ${found.comparisons} comparison${found.comparisons === 1 ? "" : "s"}, α = ${+found.alpha.toPrecision(3)}.`,
    `With fewer than ${found.min_seeds_possible} seeds nothing could be significant.`,
  ];
  if (found.exploratory) notes.push("Exploratory: the study was not made to answer this.");
  if (found.optimistic) notes.push("Optimistic: epochs were chosen on the test set.");
  if (!found.complete) notes.push("Not every run has ended.");
  const lost = Math.max(0, ...found.pairs.map((pair) => pair.missing));
  if (lost) notes.push(`Of ${lost} seed${lost === 1 ? "" : "s"} no pair is left, since a run has no value or is gone.`);
  if (found.looks > 1) notes.push(`This is look ${found.looks}; α is divided.`);
  return notes.join(" ");
}
