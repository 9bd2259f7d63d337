// The table of a comparison: a row for each pair, which every column sorts. A grid has a column for each varied field.
import { getParam, setParams } from "../kit/address.js";
import { breakable, html, svg } from "../kit/elements.js";
import { CORRECTIONS, formatInterval, formatNumber, formatP, formatSigned } from "../kit/format.js";
import { categories } from "./fields.js";

/** Verdicts in the order in which their column sorts them. */
const VERDICT_ORDER = ["better", "equivalent", "undecided", "not_yet", "worse"];
const LONGEST_WORD = 18;
const FOREST_WIDTH = 190;
const FOREST_HEIGHT = 24;

/** Fill ``place`` with the table, sorted as the address says; a click on a heading sorts it again. */
export function showVerdictTable(place, comparison, fields) {
  const columns = columnsOf(comparison, fields);
  const sorting = parsedSort(columns);
  const sort = (text, control) => {
    setParams({ sort: text });
    showVerdictTable(place, comparison, fields);
    place.querySelector(`[data-sort="${CSS.escape(control)}"]`).focus();
  };
  const scale = differenceRange(comparison.pairs);
  const rows = sorted(rowsOf(comparison), sorting).map((row, i, all) => {
    const repeated = i > 0 && all[i - 1].arm === row.arm;
    return html(
      "tr",
      { class: rowClass(row.arm, comparison) },
      ...columns.map((one) => one.cell(row, repeated, scale)),
    );
  });
  const head = columns.map((column) => heading(column, columns, sorting, sort));
  place.replaceChildren(
    html("table", { class: "verdicts" }, html("thead", {}, html("tr", {}, ...head)), html("tbody", {}, ...rows)),
  );
}

/** Whether the rows are the arms of a grid, so that its fields name them. */
function isGrid({ by }, fields) {
  return by.length === 1 && by[0] === "arm" && fields.list.length > 0;
}

function columnsOf(comparison, fields) {
  const grid = isGrid(comparison, fields);
  const combined = grid && !fields.named;
  const names = combined ? combinedColumn(comparison, fields) : nameColumn(comparison);
  const varied = grid ? fields.list.map((field, i) => fieldColumn(field, fields, combined && i === 0)) : [];
  const marks = combined ? [markColumn(comparison)] : [];
  const baselines = new Set(comparison.pairs.map((pair) => pair.baseline));
  const against = grid && comparison.baseline !== null && baselines.size < 2 ? [] : [againstColumn(comparison, fields)];
  return [names, ...varied, ...marks, ...statistics(comparison), ...against, ...pairColumns(comparison, combined)];
}

function nameColumn(comparison) {
  const by = comparison.by.join(", ");
  return {
    key: "arm",
    text: by === "arm" ? "Arm" : by,
    kind: "",
    value: ({ order }) => order,
    cell: ({ arm }, repeated) =>
      html(
        "th",
        { scope: "row", class: repeated ? "faint" : "" },
        ...breakable(arm.id),
        repeated ? null : armTags(arm, comparison),
      ),
  };
}

/** The fields of a grid in one column, which narrow screens show instead of one for each. */
function combinedColumn(comparison, fields) {
  const { value } = nameColumn(comparison);
  const cell = ({ arm }, repeated) =>
    html(
      "th",
      { scope: "row", class: `combined${repeated ? " faint" : ""}` },
      ...fields.list.map((field) =>
        html(
          "span",
          { class: "value" },
          field.path === "arm" ? null : html("small", { class: "faint" }, ...breakable(field.name), " "),
          ...whole(fields.text(field, arm.id)),
        ),
      ),
      repeated ? null : armTags(arm, comparison),
    );
  return { key: "arm", text: "Arm", kind: "combined", value, cell };
}

/** ``lead`` is whether the column's cells name their rows. */
function fieldColumn(field, fields, lead) {
  const kind = `field${field.numbers ? " num" : ""}`;
  const cell = ({ arm }, repeated) =>
    html(
      lead ? "th" : "td",
      { scope: lead ? "row" : null, class: `${kind}${repeated ? " faint" : ""}` },
      ...whole(fields.text(field, arm.id)),
    );
  const places = new Map(categories(field).map((text, i) => [text, i]));
  const value = ({ arm }) => (field.numbers ? fields.value(field, arm.id) : places.get(fields.text(field, arm.id)));
  const text = field.path === "arm" ? "Arm" : field.name;
  return { key: field.path, text, title: field.path, kind, value, cell };
}

/** A value that breaks at spaces only, unless a word is too long. */
function whole(text) {
  return text.split(" ").some((word) => word.length > LONGEST_WORD) ? breakable(text) : [text];
}

/** What the rows of a grid are: the best, within one standard error of it, the baseline, or with missing results. */
function markColumn(comparison) {
  const order = ({ arm }) => (arm.id === comparison.best ? 0 : arm.within_one_standard_error ? 1 : 2);
  const cell = ({ arm }, repeated) => html("td", { class: "field marks" }, repeated ? null : armTags(arm, comparison));
  return { key: "mark", text: "Mark", kind: "field", value: order, cell };
}

function statistics({ metric, at }) {
  const cell = (kind, ...texts) => html("td", { class: kind }, ...texts);
  return [
    {
      key: "n",
      text: "n",
      kind: "num wide",
      value: ({ arm }) => arm.n,
      cell: ({ arm }, repeated) => cell("num wide", repeated ? "" : String(arm.n)),
    },
    {
      key: "mean",
      text: `${metric}, ${at}`,
      kind: "num",
      value: ({ arm }) => arm.mean,
      cell: ({ arm }, repeated) => (repeated ? cell("num") : cell("num", formatNumber(arm.mean), deviation(arm.std))),
    },
    {
      text: "95 % interval",
      kind: "num wide",
      cell: ({ arm }, repeated) => cell("num faint wide", repeated ? "" : formatInterval(arm.ci)),
    },
  ];
}

/** Narrow screens show the baseline only where it differs from row to row. */
function againstColumn({ baseline }, fields) {
  const kind = baseline === null ? "against" : "against wide";
  const cell = ({ pair }) => html("td", { class: kind }, ...(pair ? breakable(fields.label(pair.baseline)) : []));
  return { key: "against", text: "Against", kind, value: ({ pair }) => pair?.baseline, cell };
}

/** A grid has no room for dots, which the figure of paired differences has. */
function pairColumns({ correction }, grid) {
  const p = `p (${CORRECTIONS[correction]})`;
  const cell = (kind, draw, title) => (row, _, scale) =>
    html("td", { class: kind, title: row.pair && title?.(row.pair) }, row.pair ? draw(row.pair, scale) : "");
  const difference = (pair) => [formatSigned(pair.mean_difference), deviation(pair.std)];
  const unadjusted = (pair) => `95 % interval, unadjusted: ${formatInterval(pair.ci)}`;
  const verdict = (pair) => html("span", { class: `state ${pair.verdict}` }, pair.verdict.replace("_", " "));
  const columns = [
    ["difference", "Difference", "num", difference, grid ? unadjusted : null, (pair) => pair.mean_difference],
    ...(grid ? [] : [[undefined, "Differences by seed, with interval", "wide", forestPlot, unadjusted, undefined]]),
    [
      "p",
      p,
      "num wide",
      (pair) => formatP(pair.p_adjusted),
      (pair) => `Holm: ${formatP(pair.p_holm)}`,
      (pair) => pair.p_adjusted,
    ],
    ["verdict", "Verdict", "", verdict, null, (pair) => VERDICT_ORDER.indexOf(pair.verdict)],
  ];
  return columns.map(([key, text, kind, draw, title, value]) => ({
    key,
    text,
    kind,
    value: value && (({ pair }) => (pair ? value(pair) : null)),
    cell: cell(kind, draw, title),
  }));
}

/** A row for each pair of an arm, or one for an arm without a pair; ``order`` is the arm's place in the response. */
function rowsOf({ arms, pairs }) {
  return arms.flatMap((arm, order) => {
    const own = pairs.filter((pair) => pair.arm === arm.id);
    return (own.length ? own : [null]).map((pair) => ({ arm, pair, order }));
  });
}

/** The column that the address names, and its direction; null if it names no column. */
function parsedSort(columns) {
  const text = getParam("sort");
  const descending = text.startsWith("-");
  const column = columns.find(({ key, value }) => value && key === text.slice(descending ? 1 : 0));
  return column ? { column, descending } : null;
}

/** Rows by the column's values; missing ones are last in either direction. */
function sorted(rows, sorting) {
  if (!sorting) return rows;
  const { column, descending } = sorting;
  const missing = (value) => value === null || value === undefined;
  const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  return rows
    .map((row) => ({ row, value: column.value(row) }))
    .sort((a, b) => {
      if (missing(a.value) || missing(b.value)) return Number(missing(a.value)) - Number(missing(b.value));
      return descending ? compare(b.value, a.value) : compare(a.value, b.value);
    })
    .map(({ row }) => row);
}

function heading(column, columns, sorting, sort) {
  const { key, text, title, kind } = column;
  const label = breakable(text);
  if (!column.value) return html("th", { scope: "col", class: kind }, ...label);
  const current = sorting?.column === column;
  const order = current ? (sorting.descending ? "descending" : "ascending") : null;
  const arrow = html(
    "span",
    { class: "arrow", "aria-hidden": "true" },
    current ? (sorting.descending ? "↓" : "↑") : "",
  );
  const onclick = () => sort(order === "ascending" ? `-${key}` : key, key);
  const button = html("button", { type: "button", class: "sort", "data-sort": key, title, onclick }, ...label, arrow);
  const control = kind === "combined" ? sortChoice(columns, sorting, sort) : button;
  return html("th", { scope: "col", class: kind, "aria-sort": order }, control);
}

/** Sorts by any column where the columns of fields have no place. */
function sortChoice(columns, sorting, sort) {
  const selected = (column, descending) => sorting?.column === column && sorting.descending === descending;
  const options = columns
    .filter(({ value }) => value)
    .flatMap((column) => [
      html("option", { value: column.key, selected: selected(column, false) }, `${column.text} ↑`),
      html("option", { value: `-${column.key}`, selected: selected(column, true) }, `${column.text} ↓`),
    ]);
  const onchange = ({ target }) => sort(target.value, "arm");
  return html("select", { "aria-label": "Sort by", "data-sort": "arm", onchange }, ...options);
}

function rowClass(arm, { best }) {
  if (arm.id === best) return "best";
  return arm.within_one_standard_error ? "within" : null;
}

function armTags(arm, { best, baseline, pairs }) {
  const marks = {
    best: arm.id === best,
    "within 1 SE": arm.id !== best && arm.within_one_standard_error,
    baseline: baseline !== null && pairs.some((pair) => pair.baseline === arm.id),
  };
  const problems = ["diverged", "unfinished", "missing"].filter((name) => arm[name]);
  const texts = [
    ...Object.keys(marks).filter((name) => marks[name]),
    ...problems.map((name) => `${arm[name]} ${name}`),
  ];
  return texts.map((text) => html("span", { class: `tag ${text.split(" ")[0]}` }, text));
}

function deviation(std) {
  return std === null ? null : html("span", { class: "wide" }, ` ± ${formatNumber(std)}`);
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
