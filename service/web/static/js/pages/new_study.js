// The form of a new study: base, arms, replicates and question. The server previews it while it is edited.
import { armCards, changesFor, freeName } from "../forms/arms.js";
import { armsOf, armsPointer, setArms, tune, untune } from "../forms/tuning.js";
import { getParam, setParams } from "../kit/address.js";
import { post, request } from "../kit/api.js";
import { html } from "../kit/elements.js";
import { formatDuration } from "../kit/format.js";
import { parseOrdered, stringifyOrdered } from "../kit/ordered_json.js";

const EXAMPLE = {
  name: "does dropout help?",
  base: {
    dataset: { kind: "digits", train_size: 200 },
    model: { kind: "mlp", hidden: [128, 128] },
    optimizer: { kind: "momentum", lr: 0.05 },
    epochs: 60,
    batch_size: 20,
  },
  arms: { plain: {}, dropout: { regularizers_add: [{ kind: "dropout", p: 0.5 }] } },
  replicates: { n: 8, vary: ["seed", "split"] },
  at: "last",
};
/** Fields of the body that the form edits; others are edited as JSON. */
const EDITED = ["name", "base", "arms", "grid", "seeds", "replicates", "tune", "metric", "at"];
const DEFAULT_COUNT = { seeds: 8, replicates: 8, sequential: 32, tune: 8 };
const PREVIEW_DELAY_MILLISECONDS = 400;
const byId = (id) => document.getElementById(id);
const form = byId("study-form");
let body = EXAMPLE;
let catalog = null;
let controller = null;
let timer = null;

async function load() {
  body = await initialBody();
  build();
  preview();
  catalog = await request("/v1/catalog");
  const options = [
    ["Regularizers", "regularizers"],
    ["Optimizers", "optimizers"],
  ].map(([label, family]) =>
    html(
      "optgroup",
      { label },
      ...catalog[family].map((part) => html("option", { value: `${family}/${part.kind}` }, part.kind)),
    ),
  );
  byId("add-arm").append(...options);
}

/** The study in the address, of the selected preset, of an existing run, or the example. */
async function initialBody() {
  if (getParam("study")) {
    try {
      return parseObject(getParam("study"));
    } catch {
      // The address was truncated: use the next source.
    }
  }
  const base = JSON.parse(form.dataset.base);
  if (base) return { ...structuredClone(EXAMPLE), name: undefined, base, arms: { plain: {} } };
  const preset = getParam("preset");
  if (!preset) return structuredClone(EXAMPLE);
  byId("preset").value = preset;
  const served = await request(`/v1/presets/${encodeURIComponent(preset)}`).catch(() => null);
  return served?.study ?? structuredClone(EXAMPLE);
}

function parseObject(text) {
  const value = parseOrdered(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new SyntaxError("Write a JSON object: {…}");
  }
  return value;
}

/** How the study repeats its arms: by seeds, by seeds and splits, until every arm is decided, or after a search. */
function mode() {
  if (body.tune) return "tune";
  if (body.seeds && typeof body.seeds === "object" && !Array.isArray(body.seeds)) return "sequential";
  return body.replicates ? "replicates" : "seeds";
}

function count() {
  const counts = {
    sequential: () => body.seeds.max,
    replicates: () => body.replicates.n,
    tune: () => body.tune.budget,
    seeds: () => (Array.isArray(body.seeds) ? body.seeds.length : body.seeds),
  };
  return counts[mode()]() ?? "";
}

function setReplicates(chosen, number) {
  if (chosen === "tune") {
    if (!body.tune) tune(body);
    body.tune.budget = number;
    return;
  }
  untune(body);
  delete body.seeds;
  delete body.replicates;
  if (chosen === "replicates") body.replicates = { n: number, vary: ["seed", "split"] };
  else body.seeds = chosen === "sequential" ? { max: number } : number;
}

function build() {
  byId("study-name").value = body.name ?? "";
  byId("base").value = stringifyOrdered(body.base ?? {}, 2);
  byId("grid").value = body.grid ? stringifyOrdered(body.grid) : "";
  byId("space").value = body.tune ? stringifyOrdered(body.tune.space ?? {}, 1) : "";
  byId("mode").value = mode();
  for (const field of form.querySelectorAll("[data-mode]")) {
    field.hidden = (field.dataset.mode === "tune") !== Boolean(body.tune);
  }
  byId("count").value = count();
  byId("metric").value = body.metric ?? "";
  byId("at").value = ["best", "last"].includes(body.at) ? body.at : "";
  const others = Object.keys(body).filter((name) => !EDITED.includes(name));
  byId("others").textContent = others.length ? `Also in the JSON: ${others.join(", ")}.` : "";
  buildArms();
  showJson();
}

function buildArms() {
  const change = (arms, structural) => {
    setArms(body, arms);
    if (structural) buildArms();
    onEdit();
  };
  const cards = armCards(() => armsOf(body), change, armsPointer(body));
  byId("arms").replaceChildren(...cards);
}

function onEdit() {
  showJson();
  setParams({ study: stringifyOrdered(body), preset: null, from: null });
  clearTimeout(timer);
  timer = setTimeout(preview, PREVIEW_DELAY_MILLISECONDS);
}

function showJson() {
  if (document.activeElement !== byId("json")) byId("json").value = stringifyOrdered(body, 2);
}

/** Preview the study on the server, and show its errors or its size. */
async function preview() {
  controller?.abort();
  controller = new AbortController();
  try {
    const answer = await post("/v1/studies/preview", stringifyOrdered(body), { signal: controller.signal });
    showErrors([]);
    showSize(answer);
  } catch (error) {
    if (error.name === "AbortError") return;
    showErrors(error.problem?.errors ?? [], error.message);
    showSize(null);
  }
}

function showSize(answer) {
  const rows = answer
    ? [
        ["Arms", answer.arms.length.toLocaleString("en")],
        ["Runs", Math.max(answer.runs, answer.max_runs).toLocaleString("en")],
        ["Finished already", answer.reused.toLocaleString("en")],
        ["Time on one worker, at most", formatDuration(answer.estimated_seconds)],
        ["Fewest seeds that can decide", answer.min_seeds_possible.toLocaleString("en")],
      ]
    : [];
  const terms = rows.flatMap(([name, value]) => [html("dt", {}, name), html("dd", {}, value)]);
  byId("cost").replaceChildren(...terms);
  byId("warnings").replaceChildren(...(answer?.warnings ?? []).map((text) => html("li", { class: "warn" }, text)));
}

/** Show each error at the arm or field that it concerns, and others above the button. */
function showErrors(errors, message = "") {
  for (const place of form.querySelectorAll("[data-error]")) place.textContent = "";
  const rest = errors.filter(({ pointer = "", message: text }) => {
    const place = [...form.querySelectorAll("[data-error]")].find(
      ({ dataset }) => pointer === dataset.error || pointer.startsWith(`${dataset.error}/`),
    );
    if (place) place.textContent = `${place.textContent} ${pointer.slice(place.dataset.error.length)} ${text}`.trim();
    return !place;
  });
  byId("problem").textContent = rest.map((one) => one.message).join(" ") || (errors.length ? "" : message);
}

/** Set a field of ``place`` from a JSON text; an empty text removes it. */
function setFromText(name, target, place = body, pointer = `/${name}`) {
  const error = form.querySelector(`[data-error="${pointer}"]`);
  try {
    if (target.value.trim()) place[name] = parseObject(target.value);
    else delete place[name];
    error.textContent = "";
    onEdit();
  } catch (problem) {
    error.textContent = problem.message;
  }
}

const setOptional = (name, value) => {
  if (value) body[name] = value;
  else delete body[name];
  onEdit();
};
byId("study-name").addEventListener("input", ({ target }) => setOptional("name", target.value));
byId("metric").addEventListener("change", ({ target }) => setOptional("metric", target.value.trim()));
byId("at").addEventListener("change", ({ target }) => setOptional("at", target.value));
byId("base").addEventListener("input", ({ target }) => setFromText("base", target));
byId("grid").addEventListener("input", ({ target }) => setFromText("grid", target));
byId("space").addEventListener("input", ({ target }) => setFromText("space", target, body.tune, "/tune/space"));
byId("mode").addEventListener("change", ({ target }) => {
  setReplicates(target.value, DEFAULT_COUNT[target.value]);
  build();
  onEdit();
});
byId("count").addEventListener("input", ({ target }) => {
  setReplicates(byId("mode").value, target.valueAsNumber || null);
  onEdit();
});
byId("add-arm").addEventListener("change", ({ target }) => {
  const [family, kind] = target.value.split("/");
  const part = catalog[family]?.find((one) => one.kind === kind);
  const arms = armsOf(body);
  const name = freeName(kind ?? "arm", arms);
  setArms(body, { ...arms, [name]: part ? changesFor(family, part, body.base ?? {}) : {} });
  target.value = "";
  buildArms();
  onEdit();
});
byId("json").addEventListener("input", ({ target }) => {
  try {
    body = parseObject(target.value);
    byId("json-error").textContent = "";
    build();
    onEdit();
  } catch (error) {
    byId("json-error").textContent = error.message;
  }
});
byId("preset").addEventListener("change", async ({ target }) => {
  setParams({ preset: target.value, study: null, from: null });
  form.dataset.base = "null";
  body = await initialBody();
  build();
  preview();
});
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector(".primary");
  button.disabled = true;
  try {
    const created = await post("/v1/studies", stringifyOrdered(body));
    location.assign(`/studies/${created.id}`);
  } catch (error) {
    button.disabled = false;
    showErrors(error.problem?.errors ?? [], error.message);
  }
});
load().catch((error) => {
  byId("problem").textContent = error.message;
});
