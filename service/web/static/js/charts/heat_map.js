// The metric against two varied fields: a cell for each arm, with its mean, colored from the best to the worst.
import { html, svg } from "../kit/elements.js";
import { formatNumber } from "../kit/format.js";
import { labelWidth, rowLabel, shortened } from "./axes.js";
import { categories } from "./fields.js";
import { shades } from "./palette.js";

const ROW = 44;
const TOP = 44;
const LABEL_SHARE = 0.26;
const MAX_CELL = 120;
const FULL_MARK_PIXELS = 80;
const CHARACTER_PIXELS = 6.6;
/** With a smaller share of filled cells, the arms are points that were drawn at random. */
const MIN_FILLED = 0.5;

/** Whether two fields of an arm make cells of a grid that is mostly full. */
export function isGrid([one, other], arms) {
  return arms.length >= MIN_FILLED * categories(one).length * categories(other).length;
}

/** The field with more values goes down, where labels have room. */
export function heatMap({ arms, best, direction }, fields) {
  const [down, across] = [...fields.list].sort((a, b) => categories(b).length - categories(a).length);
  const cells = new Map(arms.map((arm) => [`${fields.text(down, arm.id)}\n${fields.text(across, arm.id)}`, arm]));
  const at = (row, column) => cells.get(`${row}\n${column}`);
  const scale = shades(
    arms.map(({ mean }) => mean ?? Number.NaN),
    direction === "lower_is_better",
  );
  return { down, across, rows: categories(down), columns: categories(across), at, best, scale };
}

export function heatMapFigure(map, metric, width) {
  const left = Math.min(LABEL_SHARE * width, labelWidth([...map.rows, map.down.name]));
  const cell = Math.min(MAX_CELL, (width - left) / map.columns.length);
  const height = TOP + ROW * map.rows.length;
  const label = `Mean ${metric} by ${map.down.name} and ${map.across.name}; the table below has the same values`;
  const most = Math.max(2, Math.floor(cell / CHARACTER_PIXELS));
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label },
    svg("text", { x: left + (cell * map.columns.length) / 2, y: 12, "text-anchor": "middle" }, map.across.name),
    rowLabel(map.down.name, TOP - 12, left),
    ...map.columns.map((text, i) =>
      svg(
        "text",
        { class: "name", x: left + cell * (i + 0.5), y: TOP - 8, "text-anchor": "middle" },
        svg("title", {}, text),
        shortened(text, most),
      ),
    ),
    ...map.rows.flatMap((row, r) => [
      rowLabel(row, TOP + ROW * (r + 0.5), left),
      ...map.columns.map((column, c) => drawnCell(map, map.at(row, column), left + cell * c, TOP + ROW * r, cell)),
    ]),
  );
}

/** The mean, and below it whether the arm is the best or within one standard error of it. */
function drawnCell({ best, scale }, arm, x, y, width) {
  const box = { x: x + 1.5, y: y + 1.5, width: width - 3, height: ROW - 3, rx: 4 };
  if (!arm) return svg("rect", { class: "cell empty", ...box });
  const mark = markOf(arm, best);
  const short = width < FULL_MARK_PIXELS ? mark.replace("within ", "") : mark;
  const middle = { x: x + width / 2, "text-anchor": "middle" };
  return svg(
    "g",
    {},
    svg("title", {}, `${arm.id}: ${formatNumber(arm.mean)}${mark ? `, ${mark}` : ""}`),
    svg("rect", { class: `cell ${scale.shadeOf(arm.mean ?? Number.NaN)}${mark === "best" ? " best" : ""}`, ...box }),
    svg("text", { class: "value", ...middle, y: y + ROW / 2 + (mark ? -1 : 4) }, formatNumber(arm.mean)),
    mark ? svg("text", { class: "mark", ...middle, y: y + ROW / 2 + 13 }, short) : null,
  );
}

function markOf(arm, best) {
  if (arm.id === best) return "best";
  return arm.within_one_standard_error ? "within 1 SE" : "";
}

/** The cells as an HTML table. */
export function heatMapTable(map) {
  const head = [`${map.down.name} \\ ${map.across.name}`, ...map.columns];
  const text = (arm) => (arm ? [formatNumber(arm.mean), markOf(arm, map.best)].filter(Boolean).join(", ") : "–");
  return html(
    "table",
    {},
    html(
      "thead",
      {},
      html("tr", {}, ...head.map((one, i) => html("th", { scope: "col", class: i ? "num" : "" }, one))),
    ),
    html(
      "tbody",
      {},
      ...map.rows.map((row) =>
        html(
          "tr",
          {},
          html("th", { scope: "row" }, row),
          ...map.columns.map((column) => html("td", { class: "num" }, text(map.at(row, column)))),
        ),
      ),
    ),
  );
}
