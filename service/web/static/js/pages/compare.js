// Any runs side by side: the curves of those that measure the selected series like the first run.
import { Chart } from "../charts/chart.js";
import { lineStyle } from "../charts/palette.js";
import { getParam, setParams } from "../kit/address.js";
import { request } from "../kit/api.js";
import { html } from "../kit/elements.js";

const MAX_POINTS = 1000;
const page = document.getElementById("content");
const form = document.getElementById("controls");
const { titles, ids } = document.getElementById("titles").dataset;
const names = Object.fromEntries(JSON.parse(ids).map((id, i) => [id, JSON.parse(titles)[i]]));
const order = Object.keys(names);
const chart = new Chart(document.getElementById("curves"), { name: "runs" });
const histories = new Map();
let comparison = null;

/** The histories of a series, requested once. */
function historiesOf(metric, runs) {
  const query = new URLSearchParams({ ids: runs.join(","), metrics: metric, max_points: MAX_POINTS });
  const response = histories.get(metric) ?? request(`/v1/histories?${query}`);
  histories.set(metric, response);
  return response;
}

async function draw() {
  const metric = form.elements.metric.value;
  document.getElementById("curves-title").textContent = metric;
  comparison ??= request(`/v1/run_comparison?ids=${order.join(",")}`);
  try {
    const series = (await comparison).series.find(({ name }) => name === metric);
    showExclusions(series);
    const { data } = await historiesOf(metric, series.comparable);
    if (metric !== form.elements.metric.value) return;
    const lines = data.map((history) => ({
      name: names[history.run_id],
      x: history.epoch,
      y: history.series[metric] ?? history.epoch.map(() => null),
      spans: !(metric in history.nonfinite),
      ...lineStyle(order.indexOf(history.run_id)),
    }));
    chart.show(lines, { xLabel: page.dataset.axis });
  } catch (error) {
    histories.delete(metric);
    chart.showMessage(error.message);
  }
}

/** Say why runs are not in the chart. */
function showExclusions({ excluded, note }) {
  const rows = Object.entries(excluded).map(([id, reason]) =>
    html("li", {}, html("b", {}, names[id]), ` is left out: ${reason}.`),
  );
  document.getElementById("excluded").replaceChildren(...rows);
  document.getElementById("note").textContent = note ?? "";
}

form.addEventListener("change", () => {
  const { value } = form.elements.metric;
  setParams({ metric: value === page.dataset.metric ? null : value, lines: null });
  draw();
});
form.addEventListener("submit", (event) => event.preventDefault());
const requested = getParam("metric", page.dataset.metric);
if ([...form.elements.metric.options].some(({ value }) => value === requested)) form.elements.metric.value = requested;
if (form.elements.metric.value) draw();
else chart.showMessage("No epochs yet.");
