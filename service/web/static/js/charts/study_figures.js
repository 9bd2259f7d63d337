// The figures of a study: the metric by each varied field, the seeds of every arm, and the shares of variance.
import { getParam, setParams } from "../kit/address.js";
import { html } from "../kit/elements.js";
import { formatNumber } from "../kit/format.js";
import { categories, MAX_CATEGORIES } from "./fields.js";
import { heatMap, heatMapFigure, heatMapTable, isGrid } from "./heat_map.js";
import { shadeLegend } from "./palette.js";
import { parallelFigure, parallelLines } from "./parallel.js";
import { drawResponsively, offerTable } from "./responsive.js";
import { differenceRows, MAX_ROWS, seedsFigure, seedsTable, stripRows } from "./seeds.js";
import { strengthFigure, strengthLegend, strengthLines, strengthNote, strengthRows } from "./strength.js";

const MAX_FIGURE_WIDTH = 1100;
const MAX_HALF_WIDTH = 760;
const TOGETHER = "none";
const MAX_DEFAULT_LINES = 6;

/** Draw the metric by field; hidden unless the comparison is by arm, and arms differ in fields. */
export function showFields(section, comparison, fields) {
  if (!section) return;
  const measured = comparison.arms.some(({ values }) => values.length);
  section.hidden = comparison.by.join() !== "arm" || !measured;
  if (section.hidden) return;
  const controls = section.querySelector("form");
  if (!controls.elements.length) addControls(controls, fields, () => showFields(section, section.comparison, fields));
  section.comparison = comparison;
  drawStrength(section, comparison, fields, controls.elements);
  drawTogether(section, comparison, fields);
}

/** The selects of the field and of the lines, whose values are part of the address. */
function addControls(controls, fields, redraw) {
  const lines = fields.list.filter((field) => categories(field).length <= MAX_CATEGORIES);
  const option = (field) => [field.name, field.path];
  const selects = [
    ["Field", "field", fields.list.map(option)],
    ["Lines", "split", [["All arms together", TOGETHER], ...lines.map(option)]],
  ];
  const first = firstField(fields);
  const fallback = { field: first.path, split: otherField(fields, first)?.path ?? TOGETHER };
  for (const [text, name, options] of selects) {
    const select = html("select", { name }, ...options.map(([label, value]) => html("option", { value }, label)));
    select.value = getParam(name, fallback[name]);
    if (select.selectedIndex < 0) select.value = fallback[name];
    const label = html("label", { class: "select" }, html("span", {}, text), select);
    if (options.length > 1 && fields.list.length > 1) controls.append(label);
    else controls.append(html("div", { hidden: true }, select));
    select.addEventListener("change", () => {
      setParams({ [name]: select.value === fallback[name] ? null : select.value });
      redraw();
    });
  }
  controls.addEventListener("submit", (event) => event.preventDefault());
}

/** The number with the most values; without numbers, the field with the most values. */
function firstField(fields) {
  const numbers = fields.list.filter((field) => field.numbers);
  const most = (list) => [...list].sort((a, b) => categories(b).length - categories(a).length)[0];
  return most(numbers) ?? most(fields.list);
}

/** The other field of two, if a line for each of its values is readable. */
function otherField(fields, first) {
  const others = fields.list.filter((field) => field !== first);
  return others.length === 1 && categories(others[0]).length <= MAX_DEFAULT_LINES ? others[0] : null;
}

function drawStrength(section, comparison, fields, { field: fieldSelect, split: splitSelect }) {
  const at = (path) => fields.list.find((field) => field.path === path);
  const field = at(fieldSelect.value);
  const split = splitSelect.value === fieldSelect.value ? null : (at(splitSelect.value) ?? null);
  const lines = strengthLines(comparison, fields, field, split).filter(({ points }) => points.length);
  const part = (name) => section.querySelector(`[data-${name}]`);
  part("strength-title").textContent = `${comparison.metric} by ${field.name}`;
  drawResponsively(
    part("strength"),
    (width) => strengthFigure(lines, field, comparison.metric, width),
    MAX_FIGURE_WIDTH,
  );
  part("strength-note").textContent = strengthNote(field, lines);
  part("strength-legend").replaceChildren(...strengthLegend(lines));
  const headings = [[field.name, split?.name].filter(Boolean).join(", "), "n", "Mean", "Standard deviation"];
  offerTable(part("strength-data"), `${comparison.metric} by ${field.name}`, headings, () => strengthRows(lines));
}

/** Two fields as a heat map if their cells are mostly filled, more as parallel coordinates. */
function drawTogether(section, comparison, fields) {
  const part = section.querySelector("[data-together]");
  part.hidden = fields.list.length < 2;
  if (part.hidden) return;
  const place = part.querySelector("[data-plot]");
  const cells = fields.list.length === 2 && isGrid(fields.list, comparison.arms);
  const drawn = cells ? heatMap(comparison, fields) : parallelLines(comparison);
  const figure = cells ? heatMapFigure : (lines, ...rest) => parallelFigure(lines, fields, ...rest);
  drawResponsively(place, (width) => figure(drawn, comparison.metric, width), MAX_FIGURE_WIDTH);
  part.querySelector("h3").textContent = `${comparison.metric} by ${fields.list.map(({ name }) => name).join(", ")}`;
  part.querySelector(".legend").replaceChildren(html("span", {}, ...shadeLegend(drawn.scale, formatNumber)));
  const table = part.querySelector(".scroll");
  table.hidden = !cells;
  if (cells) table.replaceChildren(heatMapTable(drawn));
}

/** Draw every seed of each group, and every difference of each pair. */
export function showSeeds(section, comparison, fields) {
  const { metric, at, arms, pairs } = comparison;
  const groups = stripRows(comparison, fields);
  const differences = differenceRows(comparison, fields);
  section.hidden = !groups.length;
  if (section.hidden) return;
  const heading = comparison.by.join() === "arm" ? fields.shortHeading : "";
  drawRows(section.querySelector("[data-strip]"), groups, { caption: `${metric}, ${at}`, heading });
  const baselines = [...new Set(pairs.map(({ baseline }) => baseline))];
  const against = baselines.length === 1 ? ` to ${fields.label(baselines[0])}` : "";
  drawRows(section.querySelector("[data-differences]"), differences, {
    caption: `Difference${against}`,
    heading,
    zero: true,
  });
  section.querySelector("[data-note]").textContent = seedsNote(
    comparison,
    groups,
    differences,
    arms.length,
    pairs.length,
  );
}

function drawRows(figure, rows, options) {
  figure.hidden = !rows.length;
  if (figure.hidden) return;
  drawResponsively(figure.querySelector("[data-plot]"), (width) => seedsFigure(rows, options, width), MAX_HALF_WIDTH);
  const { headings, rows: cells } = seedsTable(rows, options.zero);
  offerTable(figure.querySelector("details"), options.caption, headings, cells);
}

function seedsNote({ direction }, groups, differences, arms, pairs) {
  const better = direction === "lower_is_better" ? "left" : "right";
  const omitted = [
    [groups.length, arms, "arms"],
    [differences.length, pairs, "pairs"],
  ].filter(([displayed, all]) => displayed < all);
  return [
    `Dots are seeds, diamonds means, lines 95 % intervals (from six seeds on); further ${better} is better.`,
    ...omitted.map(
      ([displayed, all, name]) => `Displayed: ${displayed} of ${all} ${name}, those with values, at most ${MAX_ROWS}.`,
    ),
  ].join(" ");
}
