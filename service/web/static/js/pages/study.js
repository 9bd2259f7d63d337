// The page of a study: one answer of /compare gives curves, arms and verdicts, so that a notebook shows the same numbers.

import { Chart } from "../charts/chart.js";
import { style } from "../charts/palette.js";
import { verdicts } from "../charts/comparison.js";
import { choose, chosen } from "../kit/address.js";
import { ask, post } from "../kit/api.js";
import { tellTimes } from "../kit/format.js";
import { follow, renew, seldom } from "../kit/stream.js";

const page = document.getElementById("content");
const id = page.dataset.study;
const form = document.getElementById("controls");
const chart = new Chart(document.getElementById("curves"), { name: `${id}-curves` });
const usual = Object.fromEntries([...form.elements].map((field) => [field.name, field.value]));
const WITH = "with:";
const MOST_BASELINES = 60;
let asking = null;

/** What is asked for: what stands in the form. */
function question() {
  const { metric, at, by, pairs, curve, view } = Object.fromEntries(new FormData(form));
  const against = pairs.startsWith(WITH) ? { baseline: pairs.slice(WITH.length) } : { pairs };
  const parameters = new URLSearchParams({ metric, at, ...against, curves: curve });
  const paths = by === "arm" ? ["arm", ...JSON.parse(page.dataset.paths)] : [by];
  const groups = view === "runs" ? [...new Set([...paths, "seed"])] : [by];
  return {
    metric,
    by,
    curve,
    view,
    groups,
    report: new URLSearchParams({ metric, at, ...against, by, curve }),
    compare: address([...parameters, ["by", by]]),
    curves: address([...parameters, ...groups.map((one) => ["by", one])]),
  };
}

function address(pairs) {
  return `/v1/studies/${id}/compare?${new URLSearchParams(pairs)}`;
}

async function compare() {
  asking?.abort();
  asking = new AbortController();
  const asked = question();
  document.getElementById("report").href = `/studies/${id}/report?${asked.report}`;
  const error = document.getElementById("compare-error");
  try {
    const same = asked.compare === asked.curves;
    const [found, each] = await Promise.all([
      ask(asked.compare, { signal: asking.signal }),
      same ? null : ask(asked.curves, { signal: asking.signal }),
    ]);
    error.textContent = "";
    offerBaselines(found);
    show(asked, found, each ?? found);
    verdicts(found);
  } catch (refused) {
    if (refused.name === "AbortError") return;
    error.textContent = refused.message;
    chart.say("There is nothing to draw.");
  }
}

/** Any group may be what the others are compared with. */
function offerBaselines({ arms, baseline }) {
  const field = form.elements.pairs;
  const offered = [...field.options].filter((option) => !option.value.startsWith(WITH));
  const others = arms.length > MOST_BASELINES ? [] : arms.map(({ id: arm }) => new Option(`with ${arm}`, WITH + arm));
  const chosenNow = field.value;
  field.replaceChildren(...offered, ...others);
  field.value = chosenNow.startsWith(WITH) ? WITH + baseline : chosenNow;
}

function show({ curve, view, groups }, found, drawn) {
  const told = JSON.parse(page.dataset.arms);
  const arms = found.arms.map(({ id: arm }) => ({ name: arm, told: (found.by[0] === "arm" && told[arm]) || arm }));
  const lines = drawn.curves[curve]
    .map((one, i) => {
      const band = view === "mean" ? { low: one.low, high: one.high, n: one.n } : {};
      const line = { name: one.arm, x: one.epoch, y: one.mean, ...band };
      if (groups.length === 1) return { ...line, ...style(i) };
      // Runs of one arm share its colour and dashes.
      const arm = arms.findIndex((known) => one.arm.startsWith(`${known.told}, seed=`));
      if (arm < 0) return { ...line, ...style(i) };
      return {
        ...line,
        name: one.arm.replace(`${arms[arm].told}, seed=`, `${arms[arm].name} · seed `),
        place: arm,
        ...style(arm),
      };
    })
    .sort((a, b) => (a.place ?? 0) - (b.place ?? 0)); // an arm's runs side by side; sorting keeps their order
  document.getElementById("curves-title").textContent = curve;
  document.getElementById("band-note").hidden = view !== "mean";
  chart.show(lines, { xLabel: "epoch" });
}

function changed({ target }) {
  if (target.name === "by" && form.elements.pairs.value.startsWith(WITH)) form.elements.pairs.value = "baseline";
  const wanted = Object.fromEntries(new FormData(form));
  choose({
    ...Object.fromEntries(Object.entries(wanted).map(([name, value]) => [name, value === usual[name] ? null : value])),
    lines: null,
  });
  compare();
}

/** The form as the address has it. */
function restore() {
  for (const field of form.elements) {
    const asked = chosen(field.name, usual[field.name]);
    if (![...field.options].some((option) => option.value === asked)) field.add(new Option(asked, asked));
    field.value = asked;
  }
}

page.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-action]");
  if (!button) return;
  try {
    await post(`/v1/studies/${id}/${button.dataset.action}`);
    await renew("head");
  } catch (error) {
    document.getElementById("action-error").textContent = error.message;
  }
});
/** What can be asked for grows with what has been measured. */
document.addEventListener("renewed", ({ detail: fresh }) => {
  for (const name of ["metric", "curve", "by"]) {
    const field = form.elements[name];
    const known = new Set([...field.options].map((option) => option.value));
    const more = [...fresh.querySelectorAll(`#controls [name=${name}] option`)].filter(
      (option) => !known.has(option.value),
    );
    field.append(...more.map((option) => new Option(option.value)));
  }
  tellTimes();
});

form.addEventListener("change", changed);
form.addEventListener("submit", (event) => event.preventDefault());
restore();
tellTimes();
compare().then(live);

function live() {
  if (!("active" in page.dataset)) return;
  const again = seldom(async () => {
    await renew("head");
    await compare();
    if (document.querySelector("#head .state").textContent === "finished") stream.end();
  }, 2000);
  const stream = follow("/v1/events", page.dataset.mark, again);
}
