// The page of one run: its curves from the JSON API, live while it trains; the rest of the page is renewed as it changes.

import { Chart } from "../charts/chart.js";
import { drawHistograms } from "../charts/histograms.js";
import { style, styleOfSeries } from "../charts/palette.js";
import { chosen } from "../kit/address.js";
import { ask, post } from "../kit/api.js";
import { tellTimes } from "../kit/format.js";
import { follow, renew, seldom } from "../kit/stream.js";
import { tabs } from "../kit/tabs.js";

const page = document.getElementById("content");
const id = page.dataset.run;
const SHOWN = [
  "train.loss_eval",
  "val.loss",
  "test.loss",
  "train.accuracy_eval",
  "val.accuracy",
  "test.accuracy",
  "train.rmse_eval",
  "val.rmse",
  "test.rmse",
  "train.r2_eval",
  "val.r2",
  "test.r2",
];
const SCORES = [
  ["Accuracy", /\.accuracy(_eval|_loo)?$/],
  ["R²", /\.r2(_eval)?$/],
  ["Error", /\.(error|rmse)(_eval)?$/],
];
const LOSSES = /\.(loss|loss_eval|objective)$|^penalty\./;
const FIRST = ["coefficients.error", "weights.norm", "lr"];
let history = null;

const all = () => (history ? Object.keys(history.series).filter((name) => name !== "seconds") : []);
const named = (part) => all().filter((name) => part.test(name));
const scored = () => SCORES.find(([, part]) => named(part).length) ?? SCORES[0];
/** The series of each chart: losses, the score that there is, and what is left, of which one is shown at first. */
const PARTS = {
  losses: () => named(LOSSES),
  scores: () => named(scored()[1]),
  others: () => all().filter((name) => !LOSSES.test(name) && !scored()[1].test(name)),
};
const charts = Object.fromEntries(
  Object.keys(PARTS).map((part) => [
    part,
    new Chart(document.getElementById(part), {
      name: `${id}-${part}`,
      sync: "run",
      ...(part === "losses" ? { xs: ["epoch", "steps", "time"] } : { follows: true }),
    }),
  ]),
);

/** What is drawn without being asked for: like measured with like; what was measured in training only where there is nothing else. */
function isUsual(name, part) {
  const names = PARTS[part]();
  if (part === "others") return name === (FIRST.find((one) => names.includes(one)) ?? names[0]);
  return (
    SHOWN.includes(name) ||
    (name.startsWith("train.") && !names.some((one) => SHOWN.includes(one) && one.startsWith("train.")))
  );
}

function lines(part, xs) {
  const place = (name) => (SHOWN.includes(name) ? SHOWN.indexOf(name) : SHOWN.length);
  const names = PARTS[part]().sort((a, b) => place(a) - place(b));
  const styled = (name, i) => (part === "others" ? style(i + 3) : styleOfSeries(name));
  return names.map((name, i) => ({
    name,
    x: xs,
    y: history.series[name],
    usual: isUsual(name, part),
    ...styled(name, i),
  }));
}

function places(kind) {
  if (kind === "epoch") return history.epoch;
  const each = kind === "steps" ? history.steps : (history.series.seconds ?? history.steps);
  let sum = 0;
  return each.map((value, i) => (history.epoch[i] === 0 ? 0 : (sum += value ?? 0)));
}

function marks(xs) {
  const { best, bestMetric, onset } = document.getElementById("head").dataset;
  const at = (epoch) => xs[history.epoch.indexOf(Number(epoch))];
  const found = [];
  if (best && at(best) !== undefined) found.push({ x: at(best), text: `best ${bestMetric}, epoch ${best}` });
  if (onset && onset !== best && at(onset) !== undefined)
    found.push({ x: at(onset), text: `overfits from ${onset} on`, until: xs[xs.length - 1] });
  return found;
}

function show() {
  const kind = chosen("x", "epoch");
  const xs = places(kind);
  const xLabel = kind === "time" ? "seconds" : kind;
  document.getElementById("scores-title").textContent = scored()[0];
  const told = marks(xs);
  for (const [part, chart] of Object.entries(charts)) {
    chart.show(lines(part, xs), {
      marks: part === "losses" ? told : told.map((one) => ({ ...one, text: "" })),
      xLabel,
    });
  }
  if (history.epoch.length) return;
  charts.losses.section.hidden = false;
  charts.losses.say("No epoch has been measured yet.");
}

async function load() {
  try {
    history = await ask(`/v1/runs/${id}/history`);
    show();
  } catch (error) {
    charts.losses.say(error.message);
    charts.scores.section.hidden = charts.others.section.hidden = true;
  }
}

/** One more epoch; known ones are replaced, since a stream may tell what was fetched already. */
function add({ epoch, steps, metrics, seconds }) {
  if (!history) return;
  let at = history.epoch.indexOf(epoch);
  if (at < 0) at = history.epoch.push(epoch) - 1;
  history.steps[at] = steps;
  const values = { ...metrics, seconds };
  for (const name of new Set([...Object.keys(history.series), ...Object.keys(values)])) {
    const series = (history.series[name] ??= new Array(at).fill(null));
    series[at] = values[name] ?? null;
  }
}

const drawSoon = seldom(show, 250);
const renewSoon = seldom(async () => {
  await renew("head", "measured", "side");
  settle();
  if (history) show();
}, 1500);
const loadSoon = seldom(load, 500);

function hear(event) {
  if (event.type === "epoch") {
    add(event.data);
    drawSoon();
    renewSoon();
    return;
  }
  renewSoon();
  if (event.type !== "run.changed") loadSoon(); // a run that goes on elsewhere may have lost its last epochs
}

/** A proxy that ends TLS is unknown to the server, and known to the browser: what is copied names the address that was used. */
function tellAddress() {
  if (!/^https?:\/\/[\w.-]+(:\d+)?$/.test(location.origin)) return; // what a shell would read in another way stays as it was quoted
  for (const code of document.querySelectorAll("#panel-curl code, #panel-Python code")) {
    code.textContent = code.textContent.replace(page.dataset.server, () => location.origin);
  }
}

/** What the server's markup leaves to scripts. */
function settle() {
  tellTimes();
  drawHistograms(document);
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
  for (const picture of document.querySelectorAll("img[data-light]")) {
    const wanted = dark ? picture.dataset.dark : picture.dataset.light;
    if (picture.getAttribute("src") !== wanted) picture.src = wanted;
    picture.onerror = () => picture.closest("section").remove(); // its model was not kept
  }
}

page.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-action]");
  if (!button) return;
  button.disabled = true;
  try {
    await post(`/v1/runs/${id}/${button.dataset.action}`);
    if (button.dataset.action === "retry") location.reload();
    await renew("head");
  } catch (error) {
    document.getElementById("action-error").textContent = error.message;
    button.disabled = false;
  }
});

document.addEventListener("chart:axis", show);
document.addEventListener("theme", settle);
document.querySelectorAll("[data-tabs]").forEach(tabs);
tellAddress();
settle();
load().then(() => {
  if ("active" in page.dataset) follow(`/v1/runs/${id}/events`, page.dataset.mark, hear, { closes: true });
});
