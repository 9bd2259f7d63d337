// The list of runs: kept up to date while it is looked at, with a small curve in each row.

import { written } from "../charts/table.js";
import { ask, SILENT } from "../kit/api.js";
import { draw, save } from "../kit/elements.js";
import { tellTimes } from "../kit/format.js";
import { follow, renew, seldom } from "../kit/stream.js";

const [WIDTH, HEIGHT, POINTS] = [132, 30, 60];

/** Fetch the curves of rows that have none, or an older one: one request for each held-out loss. */
async function drawCurves() {
  const wanted = new Map();
  for (const cell of document.querySelectorAll(".spark")) {
    if (cell.dataset.drawn === cell.dataset.mark || cell.dataset.mark.startsWith("0.")) continue;
    if (cell.offsetParent === null) continue; // narrow screens have no room for it
    const metric = cell.dataset.metric;
    wanted.set(metric, [...(wanted.get(metric) ?? []), cell]);
  }
  for (const [metric, cells] of wanted) {
    const ids = cells.map((cell) => cell.closest("tr").dataset.run).join(",");
    const both = [...new Set([metric, "train.loss_eval"])].join(",");
    const { data } = await ask(`/v1/histories?ids=${ids}&metrics=${both}&max_points=${POINTS}`).catch(() => ({
      data: [],
    }));
    data.forEach((history, i) => {
      cells[i].dataset.drawn = cells[i].dataset.mark;
      cells[i].replaceChildren(curve(history, metric));
    });
  }
}

function curve({ epoch, series }, metric) {
  const lines = [
    ["train.loss_eval", "line-0"],
    [metric, "line-1"],
  ].filter(([name]) => series[name]);
  const level = (value) => Math.log(Math.max(value, 1e-4)); // the differences that matter are the small ones
  const values = lines
    .flatMap(([name]) => series[name])
    .filter((value) => value !== null)
    .map(level);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const [first, last] = [epoch[0], epoch[epoch.length - 1]];
  const x = (e) => (last === first ? WIDTH / 2 : ((e - first) / (last - first)) * (WIDTH - 6) + 3);
  const y = (v) => HEIGHT - 3 - ((level(v) - low) / (high - low || 1)) * (HEIGHT - 6);
  return draw(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, "aria-hidden": "true" },
    ...lines.map(([name, style]) =>
      draw("polyline", {
        class: style,
        points: epoch
          .map((e, i) => [e, series[name][i]])
          .filter(([, v]) => v !== null)
          .map(([e, v]) => `${x(e).toFixed(1)},${y(v).toFixed(1)}`)
          .join(" "),
      }),
    ),
  );
}

/** The runs that are listed, with all that was measured last, as the API has them. */
async function saveList(address) {
  const { data } = await ask(address);
  const last = [...new Set(data.flatMap((run) => Object.keys(run.last)))].sort();
  const told = ["id", "name", "status", "study_id", "arm", "seed", "created_at"];
  const head = [
    ...told,
    "epoch",
    "epochs",
    "best.metric",
    "best.epoch",
    "best.value",
    ...last.map((name) => `last.${name}`),
  ];
  const rows = data.map((run) => [
    ...told.map((name) => run[name]),
    run.progress.epoch,
    run.progress.epochs,
    run.best?.metric,
    run.best?.epoch,
    run.best?.value,
    ...last.map((name) => run.last[name]),
  ]);
  save("runs.csv", new Blob([written([head, ...rows])], { type: "text/csv" }));
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-csv]");
  if (button)
    saveList(button.dataset.csv).then(
      () => complain(""),
      (error) => complain(error.message),
    );
});

/** What went wrong with the list as a whole; nothing, where it goes well again. */
function complain(text) {
  document.getElementById("list-error").textContent = text;
}

function settle() {
  tellTimes();
  drawCurves();
}

const refresh = seldom(() => renew("list"), 1500);
document.addEventListener("renewed", settle);
document.addEventListener("htmx:after:swap", () => {
  complain("");
  settle();
});
document.addEventListener("htmx:error", () => complain(SILENT));
document.querySelector("#filters").addEventListener("keydown", (event) => {
  if (event.key === "Escape") event.target.value = "";
});
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.closest("input, select, textarea")) {
    event.preventDefault();
    document.getElementById("filter").focus();
  }
});
settle();
follow("/v1/events", document.getElementById("live").dataset.mark, refresh);
