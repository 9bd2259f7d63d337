// The list of runs, updated live, with a small loss curve in each row.
import { setUpSelection, showSelection } from "../forms/selection.js";
import { request, UNREACHABLE } from "../kit/api.js";
import { toCsv } from "../kit/csv.js";
import { saveFile, svg } from "../kit/elements.js";
import { showRelativeTimes } from "../kit/format.js";
import { refreshParts, subscribe, throttle } from "../kit/stream.js";

const WIDTH = 132;
const HEIGHT = 30;
const MAX_POINTS = 60;
const MIN_LOSS = 1e-4;
const REFRESH_MILLISECONDS = 1500;

/** Draw the curves of rows that have none or an outdated one, with one request for each held-out metric. */
async function drawCurves() {
  for (const [metric, cells] of outdatedCells()) {
    const query = new URLSearchParams({
      ids: cells.map((cell) => cell.closest("tr").dataset.run).join(","),
      metrics: [...new Set([metric, "train.loss_eval"])].join(","),
      max_points: MAX_POINTS,
    });
    const { data } = await request(`/v1/histories?${query}`).catch(() => ({ data: [] }));
    data.forEach((history, i) => {
      cells[i].dataset.drawn = cells[i].dataset.mark;
      cells[i].replaceChildren(sparkline(history, metric));
    });
  }
}

/** Cells to draw, by metric. Runs without an epoch are skipped, and cells that narrow screens hide. */
function outdatedCells() {
  const cells = new Map();
  for (const cell of document.querySelectorAll(".spark")) {
    const { drawn, mark, metric } = cell.dataset;
    if (drawn === mark || mark.startsWith("0.") || cell.offsetParent === null) continue;
    cells.set(metric, [...(cells.get(metric) ?? []), cell]);
  }
  return cells;
}

function sparkline({ epoch, series }, metric) {
  const lines = [
    ["train.loss_eval", "line-0"],
    [metric, "line-1"],
  ].filter(([name]) => series[name]);
  const level = (value) => Math.log(Math.max(value, MIN_LOSS)); // shows small differences
  const levels = lines.flatMap(([name]) => series[name].filter((value) => value !== null).map(level));
  const [low, high] = [Math.min(...levels), Math.max(...levels)];
  const [first, last] = [epoch[0], epoch[epoch.length - 1]];
  const x = (e) => (last === first ? WIDTH / 2 : ((e - first) / (last - first)) * (WIDTH - 6) + 3);
  const y = (value) => HEIGHT - 3 - ((level(value) - low) / (high - low || 1)) * (HEIGHT - 6);
  const points = (values) =>
    epoch
      .map((e, i) => [e, values[i]])
      .filter(([, value]) => value !== null)
      .map(([e, value]) => `${x(e).toFixed(1)},${y(value).toFixed(1)}`)
      .join(" ");
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, "aria-hidden": "true" },
    ...lines.map(([name, style]) => svg("polyline", { class: style, points: points(series[name]) })),
  );
}

/** Save the listed runs with their last metrics as CSV. */
async function saveList(url) {
  const { data } = await request(url);
  const fields = ["id", "name", "status", "study_id", "arm", "seed", "created_at"];
  const metrics = [...new Set(data.flatMap((run) => Object.keys(run.last)))].sort();
  const computed = ["epoch", "epochs", "best.metric", "best.epoch", "best.value"];
  const head = [...fields, ...computed, ...metrics.map((name) => `last.${name}`)];
  const rows = data.map((run) => [
    ...fields.map((name) => run[name]),
    run.progress.epoch,
    run.progress.epochs,
    run.best?.metric,
    run.best?.epoch,
    run.best?.value,
    ...metrics.map((name) => run.last[name]),
  ]);
  saveFile("runs.csv", new Blob([toCsv([head, ...rows])], { type: "text/csv" }));
}

function showError(text) {
  document.getElementById("list-error").textContent = text;
}

function enhance() {
  showRelativeTimes();
  showSelection();
  drawCurves();
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-csv]");
  if (!button) return;
  saveList(button.dataset.csv).then(
    () => showError(""),
    (error) => showError(error.message),
  );
});
document.addEventListener("refreshed", enhance);
document.addEventListener("htmx:after:swap", () => {
  showError("");
  enhance();
});
document.addEventListener("htmx:error", () => showError(UNREACHABLE));
document.getElementById("filters").addEventListener("keydown", (event) => {
  if (event.key === "Escape") event.target.value = "";
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, select, textarea")) return;
  event.preventDefault();
  document.getElementById("filter").focus();
});
enhance();
setUpSelection(() => refreshParts("list"));
subscribe(
  "/v1/events",
  document.getElementById("live").dataset.mark,
  throttle(() => refreshParts("list"), REFRESH_MILLISECONDS),
);
