// A run: interactive charts, drawn live from events while it trains. Changed parts of the page are refreshed.
import { Chart } from "../charts/chart.js";
import { drawConfusion } from "../charts/confusion.js";
import { drawImportance } from "../charts/importance.js";
import { guessingStyle, lineStyle, seriesStyle } from "../charts/palette.js";
import { loadPictures, setUpPictures } from "../charts/pictures.js";
import { drawReliability } from "../charts/reliability.js";
import { drawWeights } from "../charts/weights.js";
import { setUpDialogs } from "../forms/dialogs.js";
import { getParam, setParams } from "../kit/address.js";
import { post, request } from "../kit/api.js";
import { showRelativeTimes } from "../kit/format.js";
import { refreshParts, subscribe, throttle } from "../kit/stream.js";
import { setUpTabs } from "../kit/tabs.js";

const page = document.getElementById("content");
const id = page.dataset.run;
const LOSS_SERIES = /\.(loss|loss_eval|objective)(_averaged)?$|^penalty\./;
const SCORES = [
  ["Accuracy", /\.accuracy(_eval|_loo)?(_averaged)?$/],
  ["R²", /\.r2(_eval)?(_averaged)?$/],
  ["Error", /\.(error|rmse)(_eval)?(_averaged)?$/],
];
/** Series that are comparable and shown by default, in the order of the legend. */
const DEFAULT_SERIES = ["loss", "accuracy", "rmse", "r2"].flatMap((name) => [
  `train.${name}_eval`,
  `val.${name}`,
  `test.${name}`,
]);
/** Of the other series one is shown by default: the first that exists. */
const DEFAULT_OTHERS = ["coefficients.error", "weights.norm", "lr"];
/** Of nearest neighbors, an epoch is a number of neighbors, so nothing else is an axis. */
const X_AXES = page.dataset.axis === "epoch" ? ["epoch", "steps", "time"] : [page.dataset.axis];
let history = null;

const seriesNames = () => (history ? Object.keys(history.series).filter((name) => name !== "seconds") : []);
const score = () => SCORES.find(([, pattern]) => seriesNames().some((name) => pattern.test(name))) ?? SCORES[0];
/** The series of each chart: losses, the run's score, and all others. */
const CHART_SERIES = {
  losses: () => seriesNames().filter((name) => LOSS_SERIES.test(name)),
  scores: () => seriesNames().filter((name) => score()[1].test(name)),
  others: () => seriesNames().filter((name) => !LOSS_SERIES.test(name) && !score()[1].test(name)),
};
const charts = Object.fromEntries(
  Object.keys(CHART_SERIES).map((name) => {
    const settings = name === "losses" ? { xAxes: X_AXES } : { follows: true };
    return [name, new Chart(document.getElementById(name), { name: `${id}-${name}`, sync: "run", ...settings })];
  }),
);

/** Series measured during training are shown only if the training set was not evaluated separately. */
function isDefault(name, names, chart) {
  if (chart === "others") return name === (DEFAULT_OTHERS.find((other) => names.includes(other)) ?? names[0]);
  if (DEFAULT_SERIES.includes(name)) return true;
  return name.startsWith("train.") && !names.some((one) => DEFAULT_SERIES.includes(one) && one.startsWith("train."));
}

function chartLines(chart, x) {
  const rank = (name) => (DEFAULT_SERIES.includes(name) ? DEFAULT_SERIES.indexOf(name) : DEFAULT_SERIES.length);
  const names = CHART_SERIES[chart]().sort((a, b) => rank(a) - rank(b));
  const style = (name, i) => (chart === "others" ? lineStyle(i + 3) : seriesStyle(name));
  const line = (name) => ({
    name,
    x,
    y: history.series[name],
    spans: !(name in history.nonfinite), // then nulls are epochs that did not measure it
    byDefault: isDefault(name, names, chart),
  });
  return [...names.map((name, i) => ({ ...line(name), ...style(name, i) })), ...guessingLines(names, x)];
}

/** Level lines at what predictions that ignore the inputs get on the held-out rows. */
function guessingLines(names, x) {
  const baseline = JSON.parse(document.getElementById("head").dataset.baseline);
  const heldOut = DEFAULT_SERIES.find((name) => !name.startsWith("train.") && names.includes(name));
  const metric = heldOut?.split(".")[1]; // part of the name, which must be unique among all charts
  const levels = {
    [`guessing ${metric}`]: baseline[heldOut],
    [`last value ${metric}`]: baseline[`${heldOut}_last_value`],
  };
  return Object.entries(levels)
    .filter(([, level]) => level !== null && level !== undefined)
    .map(([name, level], i) => ({ name, x, y: x.map(() => level), ...guessingStyle(i) }));
}

/** The x value of each epoch: the epoch itself (which is k of nearest neighbors), or steps or seconds since the start. */
function xValues(axis) {
  if (axis === X_AXES[0]) return history.epoch;
  const each = axis === "steps" ? history.steps : (history.series.seconds ?? history.steps);
  let sum = 0;
  return each.map((value, i) => {
    if (history.epoch[i] === 0) return 0;
    sum += value ?? 0;
    return sum;
  });
}

function chartMarks(xs) {
  const { best, bestText, onset, onsetText } = document.getElementById("head").dataset;
  const at = (epoch) => xs[history.epoch.indexOf(Number(epoch))];
  const marks = [];
  if (best && at(best) !== undefined) marks.push({ x: at(best), text: bestText });
  if (onset && onset !== best && at(onset) !== undefined) {
    marks.push({ x: at(onset), text: onsetText, until: xs[xs.length - 1] });
  }
  return marks;
}

function drawCharts() {
  if (!history) return;
  const axis = X_AXES.find((one) => one === getParam("x")) ?? X_AXES[0];
  const xs = xValues(axis);
  const xLabel = axis === "time" ? "seconds" : axis;
  document.getElementById("scores-title").textContent = score()[0];
  const marks = chartMarks(xs);
  const unlabeled = marks.map((mark) => ({ ...mark, text: "" }));
  for (const [name, chart] of Object.entries(charts)) {
    chart.show(chartLines(name, xs), { marks: name === "losses" ? marks : unlabeled, xLabel });
  }
  if (history.epoch.length) return;
  charts.losses.section.hidden = false;
  charts.losses.showMessage("No epochs yet.");
}

async function loadHistory() {
  try {
    history = await request(`/v1/runs/${id}/history`);
    drawCharts();
  } catch (error) {
    charts.losses.showMessage(error.message);
    charts.scores.section.hidden = true;
    charts.others.section.hidden = true;
  }
}

/** Add an epoch to the history, or replace it: the stream may repeat epochs that were already loaded. */
function addEpoch({ epoch, steps, metrics, seconds }) {
  if (!history) return;
  let index = history.epoch.indexOf(epoch);
  if (index < 0) index = history.epoch.push(epoch) - 1;
  history.steps[index] = steps;
  const values = { ...metrics, seconds };
  for (const name of new Set([...Object.keys(history.series), ...Object.keys(values)])) {
    history.series[name] ??= new Array(index).fill(null);
    history.series[name][index] = values[name] ?? null;
  }
}

const drawSoon = throttle(drawCharts, 250);
const loadSoon = throttle(loadHistory, 500);
const refreshSoon = throttle(async () => {
  await refreshParts("head", "measured", "side");
  enhance();
  drawCharts();
}, 1500);

function onEvent(event) {
  refreshSoon();
  if (event.type === "epoch") {
    addEpoch(event.data);
    drawSoon();
  } else if (event.type !== "run.changed") {
    loadSoon(); // a run that another worker resumes may have lost its last epochs
  }
}

/** Use the browser's address in code examples: behind a TLS proxy, the server does not know its own. */
function fixServerAddress() {
  if (!/^https?:\/\/[\w.-]+(:\d+)?$/.test(location.origin)) return; // other origins would need shell quoting
  for (const code of document.querySelectorAll("#panel-curl code, #panel-Python code")) {
    code.textContent = code.textContent.replace(page.dataset.server, () => location.origin);
  }
}

/** Times, themed images and measured parts, which the server's markup leaves to scripts. */
function enhance() {
  showRelativeTimes();
  loadPictures();
  for (const section of document.querySelectorAll(
    Object.keys(MEASURED)
      .map((name) => `[data-${name}]`)
      .join(),
  )) {
    whenNear.observe(section);
  }
}

/** What the server measures on request, by the attribute that has the URL: only if someone scrolls there. */
const MEASURED = {
  weights: drawWeights,
  confusion: drawConfusion,
  calibration: drawReliability,
  importance: drawImportance,
};
/** The URL that each section shows or will show: another epoch may be selected before the response arrives. */
const requested = new WeakMap();
const responses = new Map();
const whenNear = new IntersectionObserver(
  (entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      whenNear.unobserve(target);
      measure(target);
    }
  },
  { rootMargin: "300px" },
);

/** The response of a URL, which is requested once: what is measured of a saved model does not change. */
function measured(url) {
  const response =
    responses.get(url) ??
    request(url).catch((error) => {
      responses.delete(url);
      throw error;
    });
  responses.set(url, response);
  return response;
}

async function measure(section) {
  const name = Object.keys(MEASURED).find((one) => one in section.dataset);
  if (!name) return;
  const url = section.dataset[name];
  delete section.dataset[name]; // once
  requested.set(section, url);
  const summary = section.querySelector("[data-summary]");
  try {
    const result = await measured(url);
    if (requested.get(section) !== url) return;
    summary.textContent = "";
    MEASURED[name](section, result);
  } catch (error) {
    if (requested.get(section) === url) summary.textContent = error.message;
  }
}

/** Display the model of another epoch, in every part of the page. */
async function showEpoch(link) {
  setParams({ at: link.dataset.at === "best" ? null : link.dataset.at });
  await refreshParts("head", "measured", "side");
  enhance();
}

page.addEventListener("click", async (event) => {
  const link = event.target.closest("[data-at]");
  if (link) {
    event.preventDefault();
    await showEpoch(link);
    return;
  }
  const button = event.target.closest("[data-action]");
  if (!button) return;
  button.disabled = true;
  try {
    const { action, request: body } = button.dataset;
    const result = await post(`/v1/runs/${id}/${action}`, body && JSON.parse(body));
    if (action === "extend") {
      location.assign(`/runs/${result.id}`);
      return;
    }
    if (action === "retry") location.reload();
    await refreshParts("head");
  } catch (error) {
    document.getElementById("action-error").textContent = error.message;
    button.disabled = false;
  }
});
document.addEventListener("chart:axis", drawCharts);
document.addEventListener("theme", enhance);
document.querySelectorAll("[data-tabs]").forEach(setUpTabs);
fixServerAddress();
setUpDialogs();
setUpPictures();
enhance();
loadHistory().then(() => {
  if ("active" in page.dataset) subscribe(`/v1/runs/${id}/events`, page.dataset.mark, onEvent, { once: true });
});
