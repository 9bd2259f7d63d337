// A study: curves, arms and verdicts from one response of /compare, so that a notebook shows the same numbers.
import { showAcross } from "../charts/across.js";
import { offerBiasVariance } from "../charts/bias_variance.js";
import { Chart } from "../charts/chart.js";
import { showComparison } from "../charts/comparison.js";
import { showDiagnosis } from "../charts/diagnosis.js";
import { Fields } from "../charts/fields.js";
import { drawStudyImportance } from "../charts/importance.js";
import { showLearningCurves } from "../charts/learning_curve.js";
import { showLooks } from "../charts/looks.js";
import { lineStyle } from "../charts/palette.js";
import { showShares } from "../charts/shares.js";
import { showFields, showSeeds } from "../charts/study_figures.js";
import { offerChoice } from "../forms/choice.js";
import { setUpDialogs } from "../forms/dialogs.js";
import { setUpMoreSeeds } from "../forms/more_seeds.js";
import { getParam, setParams } from "../kit/address.js";
import { post, request } from "../kit/api.js";
import { showRelativeTimes } from "../kit/format.js";
import { refreshParts, subscribe, throttle } from "../kit/stream.js";

const page = document.getElementById("content");
const id = page.dataset.study;
const form = document.getElementById("controls");
const fields = new Fields(JSON.parse(page.dataset.varied));
const chart = new Chart(document.getElementById("curves"), { name: `${id}-curves` });
const curveSection = document.getElementById("learning-curve");
const curveChart = curveSection && new Chart(curveSection, { name: `${id}-learning-curve`, sizes: true });
const defaults = Object.fromEntries([...form.elements].map((field) => [field.name, field.value]));
const BASELINE_PREFIX = "with:";
const MAX_BASELINE_OPTIONS = 60;
const REFRESH_MILLISECONDS = 2000;
/** What lines and bands are, by view. */
const BAND_NOTES = {
  mean: "Lines are means over seeds; bands are ± one standard deviation, within the values that are possible.",
  quartiles: "Lines are medians over seeds; bands reach from the lower to the upper quartile.",
};
let controller = null;

/** What the form selects, and the URLs that return it. */
function selection() {
  const { metric, at, by, pairs, correction, curve, view } = Object.fromEntries(new FormData(form));
  const against = pairs.startsWith(BASELINE_PREFIX) ? { baseline: pairs.slice(BASELINE_PREFIX.length) } : { pairs };
  const band = view === "quartiles" ? { band: "quartiles" } : {};
  const params = Object.entries({ metric, at, ...against, correction, curves: curve, ...band });
  const paths = by === "arm" ? ["arm", ...JSON.parse(page.dataset.paths)] : [by];
  const groups = view === "runs" ? [...new Set([...paths, "seed"])] : [by];
  return {
    curve,
    view,
    groups,
    reportUrl: `/studies/${id}/report?${new URLSearchParams({ metric, at, ...against, correction, by, curve, ...band })}`,
    acrossUrl: `/v1/studies/${id}/across-datasets?${new URLSearchParams({ metric, at, ...(by === "arm" ? against : {}), correction })}`,
    comparisonUrl: compareUrl([...params, ["by", by]]),
    curvesUrl: compareUrl([...params, ...groups.map((group) => ["by", group])]),
  };
}

function compareUrl(params) {
  return `/v1/studies/${id}/compare?${new URLSearchParams(params)}`;
}

/** Load and show the selected comparison; a newer selection cancels an older one. */
async function compare() {
  controller?.abort();
  controller = new AbortController();
  const { signal } = controller;
  const selected = selection();
  document.getElementById("report").href = selected.reportUrl;
  const error = document.getElementById("compare-error");
  try {
    const sameUrl = selected.comparisonUrl === selected.curvesUrl;
    const [comparison, curves] = await Promise.all([
      request(selected.comparisonUrl, { signal }),
      sameUrl ? null : request(selected.curvesUrl, { signal }),
    ]);
    error.textContent = "";
    updateBaselines(comparison);
    drawCurves(selected, comparison, curves ?? comparison);
    showComparison(comparison, fields);
    showLooks(comparison);
    showFields(document.getElementById("fields"), comparison, fields);
    showSeeds(document.getElementById("seeds"), comparison, fields);
    showShares(document.getElementById("shares"), comparison, fields);
    await compareAcross(selected.acrossUrl, signal);
  } catch (failure) {
    if (failure.name === "AbortError") return;
    error.textContent = failure.message;
    chart.showMessage("No curves.");
  }
}

/** Load and show the comparison over datasets, if the study has several. */
async function compareAcross(url, signal) {
  if (!document.getElementById("across")) return;
  try {
    showAcross(await request(url, { signal }));
  } catch (failure) {
    if (failure.name === "AbortError") return;
    document.getElementById("across-line").textContent = failure.message;
  }
}

/** Load and show the learning curves of the selected metric and epoch, if the study has several sizes. */
async function fitLearningCurves() {
  if (!curveChart) return;
  const { metric, at } = Object.fromEntries(new FormData(form));
  try {
    showLearningCurves(
      curveChart,
      await request(`/v1/studies/${id}/learning-curve?${new URLSearchParams({ metric, at })}`),
    );
  } catch (failure) {
    curveChart.showMessage(failure.message);
  }
}

/** Load and show the diagnoses of the arms, which no setting of the form changes. */
async function diagnose() {
  try {
    showDiagnosis(await request(`/v1/studies/${id}/diagnosis`), fields);
  } catch (failure) {
    document.getElementById("diagnoses").textContent = failure.message;
  }
}

/** Measure the importance of columns, which the server computes on request, once someone scrolls to it. */
async function measureImportance(section) {
  let pending = Infinity;
  try {
    for (let more = true; more; ) {
      const importance = await request(section.dataset.url);
      drawStudyImportance(section, importance);
      more = importance.pending > 0 && importance.pending < pending;
      pending = importance.pending;
    }
  } catch (failure) {
    section.querySelector(".scroll").textContent = failure.message;
  }
}

const whenNear = new IntersectionObserver(
  ([{ isIntersecting, target }]) => {
    if (!isIntersecting) return;
    whenNear.unobserve(target);
    measureImportance(target);
  },
  { rootMargin: "300px" },
);

function observeImportance() {
  for (const section of document.querySelectorAll("#importance")) whenNear.observe(section);
}

/** Offer every group as the baseline. */
function updateBaselines({ arms, baseline }) {
  const field = form.elements.pairs;
  const current = field.value;
  const fixed = [...field.options].filter((option) => !option.value.startsWith(BASELINE_PREFIX));
  const groups = arms.length > MAX_BASELINE_OPTIONS ? [] : arms;
  field.replaceChildren(...fixed, ...groups.map((group) => new Option(`With ${group.id}`, BASELINE_PREFIX + group.id)));
  field.value = current.startsWith(BASELINE_PREFIX) ? BASELINE_PREFIX + baseline : current;
}

function drawCurves({ curve, view, groups }, comparison, { curves }) {
  const lines = view === "runs" ? runLines(curves[curve], groups, comparison) : meanLines(curves[curve]);
  document.getElementById("curves-title").textContent = curve;
  const note = document.getElementById("band-note");
  note.hidden = !(view in BAND_NOTES);
  note.textContent = `${BAND_NOTES[view]} Seeds that ended early count with their last value.`;
  chart.show(lines, { xLabel: page.dataset.axis });
}

function meanLines(curves) {
  return curves.map(({ arm, epoch, mean, median, low, high, n }, i) => ({
    name: arm,
    x: epoch,
    y: median ?? mean,
    low,
    high,
    n,
    ...lineStyle(i),
  }));
}

/** One line for each run, in its arm's style, sorted by arm. */
function runLines(curves, groups, { arms, by }) {
  const labels = by[0] === "arm" ? JSON.parse(page.dataset.arms) : {};
  const names = arms.map((arm) => ({ name: arm.id, label: labels[arm.id] || arm.id }));
  const line = ({ arm: group, epoch, mean }, i) => {
    const armIndex = groups.length === 1 ? -1 : names.findIndex(({ label }) => group.startsWith(`${label}, seed=`));
    if (armIndex < 0) return { name: group, x: epoch, y: mean, armIndex: 0, ...lineStyle(i) };
    const { name, label } = names[armIndex];
    const runName = group.replace(`${label}, seed=`, `${name} · seed `);
    return { name: runName, x: epoch, y: mean, armIndex, ...lineStyle(armIndex) };
  };
  return curves.map(line).sort((a, b) => a.armIndex - b.armIndex);
}

function onFormChange({ target }) {
  if (target.name === "by" && form.elements.pairs.value.startsWith(BASELINE_PREFIX)) {
    form.elements.pairs.value = "baseline";
  }
  const values = [...new FormData(form)].map(([name, value]) => [name, value === defaults[name] ? null : value]);
  setParams({ ...Object.fromEntries(values), lines: null });
  compare();
  if (["metric", "at"].includes(target.name)) fitLearningCurves();
}

/** Set the form's fields from the address. */
function restoreForm() {
  for (const field of form.elements) {
    const value = getParam(field.name, defaults[field.name]);
    if (![...field.options].some((option) => option.value === value)) field.add(new Option(value, value));
    field.value = value;
  }
}

/** Add the options of a refreshed page: more metrics exist once more has been measured. */
function addOptions(fresh) {
  for (const name of ["metric", "curve", "by"]) {
    const field = form.elements[name];
    const existing = new Set([...field.options].map((option) => option.value));
    for (const { value } of fresh.querySelectorAll(`#controls [name=${name}] option`)) {
      if (!existing.has(value)) field.append(new Option(value));
    }
  }
}

function followEvents() {
  if (!("active" in page.dataset)) return;
  const refresh = throttle(async () => {
    await refreshParts("head", "tuning");
    await Promise.all([compare(), diagnose(), fitLearningCurves()]);
    if (document.querySelector("#head .state").textContent === "finished") {
      stream.end();
      observeImportance();
    }
  }, REFRESH_MILLISECONDS);
  const stream = subscribe("/v1/events", page.dataset.mark, refresh);
}

page.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-action]");
  if (!button) return;
  try {
    await post(`/v1/studies/${id}/${button.dataset.action}`);
    await refreshParts("head");
  } catch (error) {
    document.getElementById("action-error").textContent = error.message;
  }
});
document.addEventListener("refreshed", ({ detail: fresh }) => {
  addOptions(fresh);
  showRelativeTimes();
});
form.addEventListener("change", onFormChange);
form.addEventListener("submit", (event) => event.preventDefault());
restoreForm();
showRelativeTimes();
observeImportance();
offerChoice(document.getElementById("choice"));
setUpDialogs({ seeds: setUpMoreSeeds(id) });
offerBiasVariance(document.getElementById("bias-variance"));
Promise.all([compare(), diagnose(), fitLearningCurves()]).then(followEvents);
