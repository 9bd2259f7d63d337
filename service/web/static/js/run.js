// The page of one run: its curves from the JSON API, live while it trains; the rest of the page is renewed as it changes.
import { chosen } from "./address.js";
import { ask, post } from "./api.js";
import { Chart } from "./chart.js";
import { tellTimes } from "./format.js";
import { drawHistograms } from "./histograms.js";
import { styleOfSeries } from "./palette.js";
import { follow, renew, seldom } from "./stream.js";
import { tabs } from "./tabs.js";

const page = document.getElementById("content");
const id = page.dataset.run;
const SHOWN = ["train.loss_eval", "val.loss", "test.loss", "train.accuracy_eval", "val.accuracy", "test.accuracy",
  "train.rmse_eval", "val.rmse", "test.rmse", "train.r2_eval", "val.r2", "test.r2"];
const SCORES = [["Accuracy", /\.accuracy(_eval|_loo)?$/], ["R²", /\.r2(_eval)?$/], ["Error", /\.(error|rmse)(_eval)?$/]];
const LOSSES = /\.(loss|loss_eval|objective)$|^penalty\./;
let history = null;

const named = (part) => (history ? Object.keys(history.series).filter((name) => part.test(name)) : []);
const scored = () => SCORES.find(([, part]) => named(part).length) ?? SCORES[0];
const losses = new Chart(document.getElementById("losses"), { name: `${id}-loss`, xs: ["epoch", "steps", "time"], sync: "run", others: () => usual(scored()[1]) });
const scores = new Chart(document.getElementById("scores"), { name: `${id}-scores`, follows: true, sync: "run", others: () => usual(LOSSES) });

function usual(part) { return named(part).filter((name) => isUsual(name, named(part))); }

/** What is drawn without being asked for: like measured with like; what was measured in training only where there is nothing else. */
function isUsual(name, names) {
  return SHOWN.includes(name) || (name.startsWith("train.") && !names.some((one) => SHOWN.includes(one) && one.startsWith("train.")));
}

function lines(part, xs) {
  const place = (name) => (SHOWN.includes(name) ? SHOWN.indexOf(name) : SHOWN.length);
  const names = named(part).sort((a, b) => place(a) - place(b));
  return names.map((name) => ({ name, x: xs, y: history.series[name], usual: isUsual(name, names), ...styleOfSeries(name) }));
}

function places(kind) {
  if (kind === "epoch") return history.epoch;
  const each = kind === "steps" ? history.steps : history.series.seconds ?? history.steps;
  let sum = 0;
  return each.map((value, i) => (history.epoch[i] === 0 ? 0 : (sum += value ?? 0)));
}

function marks(xs) {
  const { best, bestMetric, onset } = document.getElementById("head").dataset;
  const at = (epoch) => xs[history.epoch.indexOf(Number(epoch))];
  const found = [];
  if (best && at(best) !== undefined) found.push({ x: at(best), text: `best ${bestMetric}, epoch ${best}` });
  if (onset && onset !== best && at(onset) !== undefined) found.push({ x: at(onset), text: `overfits from ${onset} on`, until: xs[xs.length - 1] });
  return found;
}

function show() {
  const kind = chosen("x", "epoch");
  const xs = places(kind);
  const xLabel = kind === "time" ? "seconds" : kind;
  const [title, part] = scored();
  document.getElementById("scores-title").textContent = title;
  losses.show(lines(LOSSES, xs), { marks: marks(xs), xLabel });
  scores.show(lines(part, xs), { marks: marks(xs).map((one) => ({ ...one, text: "" })), xLabel });
  if (history.epoch.length) return;
  losses.section.hidden = false;
  losses.say("No epoch has been measured yet.");
}

async function load() {
  try {
    history = await ask(`/v1/runs/${id}/history`);
    show();
  } catch (error) {
    losses.say(error.message);
    scores.say("");
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
    const series = history.series[name] ??= new Array(at).fill(null);
    series[at] = values[name] ?? null;
  }
}

const drawSoon = seldom(show, 250);
const renewSoon = seldom(async () => { await renew("head", "measured", "side"); settle(); if (history) show(); }, 1500);
const loadSoon = seldom(load, 500);

function hear(event) {
  if (event.type === "epoch") { add(event.data); drawSoon(); renewSoon(); return; }
  renewSoon();
  if (event.type !== "run.changed") loadSoon(); // a run that goes on elsewhere may have lost its last epochs
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
settle();
load().then(() => {
  if ("active" in page.dataset) follow(`/v1/runs/${id}/events`, page.dataset.mark, hear, { closes: true });
});
