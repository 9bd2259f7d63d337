// The form of a new run: made from the run's schema and the catalog, checked by the server as it is filled in.

import { Fields, titled } from "../forms/fields.js";
import { shape } from "../forms/schema.js";
import { choose, chosen } from "../kit/address.js";
import { ask, post } from "../kit/api.js";
import { make } from "../kit/elements.js";

const EXAMPLE = {
  name: "my first run",
  dataset: { kind: "digits", train_size: 200 },
  model: { kind: "mlp", hidden: [128, 128] },
  optimizer: { kind: "momentum", lr: 0.05 },
  epochs: 40,
  batch_size: 20,
};
const FAMILIES = {
  datasets: "dataset",
  models: "model",
  regularizers: "regularizers",
  optimizers: "optimizer",
  schedules: "schedule",
  stops: "stop",
};
const SECTIONS = ["dataset", "model", "optimizer", "regularizers"];
const TRAINING = ["name", "epochs", "batch_size", "seed"];
const form = document.getElementById("run-form");
const place = document.getElementById("fields");
const json = document.getElementById("json");
let [body, schema, notes, checking, timer] = [{}, null, new Map(), null, null];

async function begin() {
  const [run, catalog] = await Promise.all([ask("/v1/schema/run.json"), ask("/v1/catalog")]);
  schema = run;
  for (const [family, field] of Object.entries(FAMILIES))
    for (const part of catalog[family]) notes.set(`${field}/${part.kind}`, part);
  body = await given();
  build();
  check();
}

/** What the form begins with: the address's spec or preset, a run that is there, or the example. */
async function given() {
  const ready = JSON.parse(form.dataset.given);
  if (chosen("spec")) {
    try {
      return specIn(chosen("spec"));
    } catch {
      /* an address that was cut: begin anew */
    }
  }
  if (ready) return ready;
  const [name, ...arm] = chosen("preset").split("/");
  if (name) {
    document.getElementById("preset").value = chosen("preset");
    const found = await ask(`/v1/presets/${encodeURIComponent(name)}`).catch(() => null);
    if (found?.runs[arm.join("/")]) return found.runs[arm.join("/")];
  }
  return structuredClone(EXAMPLE);
}

function specIn(text) {
  const found = JSON.parse(text);
  if (typeof found !== "object" || found === null || Array.isArray(found))
    throw new SyntaxError("A spec is an object: {…}");
  return found;
}

function build(focus) {
  const fields = new Fields(schema.$defs, notes, (structure, next) => {
    if (structure) build(next ?? document.activeElement?.id);
    changed();
  });
  const kinds = Object.fromEntries(
    Object.entries(schema.properties).map(([name, one]) => [name, shape(one, schema.$defs)]),
  );
  const rest = Object.keys(kinds).filter((name) => ![...SECTIONS, ...TRAINING].includes(name));
  const simple = rest.filter((name) => !["object", "list", "parts"].includes(kinds[name].is));
  const opened = place.querySelector("#others")?.open ?? false;
  place.replaceChildren(
    make(
      "section",
      { class: "card tight" },
      make("h2", {}, "The run"),
      fields.grid(TRAINING.map((name) => fields.field(name, kinds[name], body, ""))),
    ),
    ...SECTIONS.map((name) =>
      kinds[name].is === "list"
        ? fields.list(name, kinds[name], body, "", "h2")
        : fields.part(name, kinds[name], body, ""),
    ),
    make(
      "details",
      { class: "card", id: "others", open: opened || rest.some((name) => name in body && simple.indexOf(name) < 0) },
      make("summary", {}, "Schedule, early stopping, evaluation, and more"),
      ...rest.filter((name) => !simple.includes(name)).map((name) => fields.nested(name, kinds[name], body, "")),
      fields.grid(simple.map((name) => fields.field(name, kinds[name], body, ""))),
    ),
  );
  if (focus)
    (
      document.getElementById(focus) ?? place.querySelector(`[data-pointer="${CSS.escape(focus)}"] :is(input, select)`)
    )?.focus();
}

function changed() {
  if (document.activeElement !== json) json.value = JSON.stringify(body, null, 2);
  choose({ spec: JSON.stringify(body), preset: null, from: null });
  clearTimeout(timer);
  timer = setTimeout(check, 350);
}

/** Ask the server what this would be, and show what it says where it belongs. */
async function check() {
  if (document.activeElement !== json) json.value = JSON.stringify(body, null, 2);
  checking?.abort();
  checking = new AbortController();
  try {
    const found = await ask("/v1/runs?validate_only=true", {
      method: "POST",
      body: JSON.stringify(body),
      signal: checking.signal,
      headers: { "content-type": "application/json", accept: "application/json" },
    });
    complain([]);
    price(found);
  } catch (error) {
    if (error.name === "AbortError") return;
    complain(error.problem.errors ?? [], error.message);
    price(null);
  }
}

function price(found) {
  const rows = found
    ? [
        ["Parameters", found.parameters.toLocaleString("en")],
        ["Alone, about", seconds(found.estimated_seconds)],
        ["Memory, about", `${(found.estimated_bytes / 1e6).toFixed(0)} MB`],
      ]
    : [];
  document
    .getElementById("cost")
    .replaceChildren(...rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
}

function seconds(count) {
  return count < 100
    ? `${count.toFixed(1)} s`
    : count < 6000
      ? `${(count / 60).toFixed(0)} min`
      : `${(count / 3600).toFixed(1)} h`;
}

/** Each error at its field, or at the nearest place around it that the form has; what has none stands above. */
function complain(errors, message = "") {
  for (const one of place.querySelectorAll("[data-error]")) one.textContent = "";
  for (const one of place.querySelectorAll("[aria-invalid]")) one.removeAttribute("aria-invalid");
  const homeless = [];
  for (const error of errors) {
    let pointer = error.pointer;
    let spot = null;
    while (pointer && !(spot = place.querySelector(`[data-error="${CSS.escape(pointer)}"]`)))
      pointer = pointer.slice(0, pointer.lastIndexOf("/"));
    if (!spot) {
      homeless.push(error.message);
      continue;
    }
    spot.textContent =
      pointer === error.pointer
        ? error.message
        : `${titled(error.pointer.slice(pointer.length + 1))}: ${error.message}`;
    document.getElementById(`field${pointer}`)?.setAttribute("aria-invalid", "true");
    for (let fold = spot.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  }
  const many = errors.length > 1 ? `${errors.length} fields are wrong.` : "";
  document.getElementById("problem").textContent =
    homeless.join(" ") || many || (errors.length ? "One field is wrong." : message);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector(".primary");
  button.disabled = true;
  try {
    const run = await post(`/v1/runs?reuse=${document.getElementById("reuse").checked}`, body);
    location.assign(`/runs/${run.id}`);
  } catch (error) {
    button.disabled = false;
    complain(error.problem.errors ?? [], error.message);
    place.querySelector("[aria-invalid]")?.focus();
  }
});

json.addEventListener("input", () => {
  const told = document.getElementById("json-error");
  try {
    body = specIn(json.value);
    told.textContent = "";
    build();
    changed();
  } catch (error) {
    told.textContent = error.message;
  }
});

document.getElementById("preset").addEventListener("change", async (event) => {
  choose({ preset: event.target.value, spec: null, from: null });
  form.dataset.given = "null";
  body = await given();
  build();
  check();
});

begin().catch((error) =>
  place.replaceChildren(make("p", { class: "field-error block", role: "alert" }, error.message)),
);
