// The form of a new run, generated from the run schema and the catalog, and validated by the server while it is edited.
import { FieldBuilder, fieldLabel } from "../forms/fields.js";
import { showPresetStudy } from "../forms/preset_study.js";
import { fieldShape } from "../forms/schema.js";
import { getParam, setParams } from "../kit/address.js";
import { post, request } from "../kit/api.js";
import { html } from "../kit/elements.js";
import { formatDuration } from "../kit/format.js";

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
  layers: "layers",
  regularizers: "regularizers",
  optimizers: "optimizer",
  schedules: "schedule",
  stops: "stop",
};
const SECTIONS = ["dataset", "model", "optimizer", "regularizers"];
const TRAINING = ["name", "epochs", "batch_size", "seed"];
const NESTED_SHAPES = ["object", "list", "parts"];
const VALIDATION_DELAY_MILLISECONDS = 350;
const form = document.getElementById("run-form");
const container = document.getElementById("fields");
const json = document.getElementById("json");
const catalogNotes = new Map();
let schema = null;
let spec = {};
let controller = null;
let timer = null;

async function load() {
  const [runSchema, catalog] = await Promise.all([request("/v1/schema/run.json"), request("/v1/catalog")]);
  schema = runSchema;
  for (const [family, field] of Object.entries(FAMILIES)) {
    for (const part of catalog[family]) catalogNotes.set(`${field}/${part.kind}`, part);
  }
  spec = await initialSpec();
  build();
  validate();
}

/** The spec in the address, of an existing run, of the selected preset, or the example. */
async function initialSpec() {
  if (getParam("spec")) {
    try {
      return parseSpec(getParam("spec"));
    } catch {
      // The address was truncated: use the next source.
    }
  }
  const existing = JSON.parse(form.dataset.spec);
  return existing ?? (await presetSpec()) ?? structuredClone(EXAMPLE);
}

/** The spec of the selected preset's run, whose study is shown beside it. */
async function presetSpec() {
  const preset = getParam("preset");
  showPresetStudy(null);
  if (!preset) return null;
  document.getElementById("preset").value = preset;
  const [name, ...arm] = preset.split("/");
  const served = await request(`/v1/presets/${encodeURIComponent(name)}`).catch(() => null);
  showPresetStudy(served);
  return served?.runs[arm.join("/")];
}

function parseSpec(text) {
  const value = JSON.parse(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new SyntaxError("A spec is a JSON object: {…}");
  }
  return value;
}

/** Build the fields from the spec; ``focus`` is the id or JSON pointer of the field to focus. */
function build(focus) {
  const fields = new FieldBuilder(schema.$defs, catalogNotes, (structural, pointer) => {
    if (structural) build(pointer ?? document.activeElement?.id);
    onEdit();
  });
  const shapes = Object.fromEntries(
    Object.entries(schema.properties).map(([name, property]) => [name, fieldShape(property, schema.$defs)]),
  );
  container.replaceChildren(
    html(
      "section",
      { class: "card tight" },
      html("h2", {}, "Run"),
      fields.grid(TRAINING.map((name) => fields.field(name, shapes[name], spec, ""))),
    ),
    ...SECTIONS.map((name) =>
      shapes[name].is === "list"
        ? fields.list(name, shapes[name], spec, "", "h2")
        : fields.part(name, shapes[name], spec, ""),
    ),
    otherFields(fields, shapes),
  );
  if (!focus) return;
  const inside = (what) => container.querySelector(`[data-pointer="${CSS.escape(focus)}"] ${what}`);
  (document.getElementById(focus) ?? inside(":is(input, select)") ?? inside("button"))?.focus();
}

/** Everything outside the main sections, folded. */
function otherFields(fields, shapes) {
  const names = Object.keys(shapes).filter((name) => ![...SECTIONS, ...TRAINING].includes(name));
  const nested = names.filter((name) => NESTED_SHAPES.includes(shapes[name].is));
  const simple = names.filter((name) => !nested.includes(name));
  const open = container.querySelector("#others")?.open || nested.some((name) => name in spec);
  return html(
    "details",
    { class: "card", id: "others", open },
    html("summary", {}, "Schedule, early stopping, evaluation and more"),
    ...nested.map((name) => fields.nested(name, shapes[name], spec, "")),
    fields.grid(simple.map((name) => fields.field(name, shapes[name], spec, ""))),
  );
}

function onEdit() {
  showJson();
  setParams({ spec: JSON.stringify(spec), preset: null, from: null });
  clearTimeout(timer);
  timer = setTimeout(validate, VALIDATION_DELAY_MILLISECONDS);
}

function showJson() {
  if (document.activeElement !== json) json.value = JSON.stringify(spec, null, 2);
}

/** Validate the spec on the server and show its errors or its estimated cost. */
async function validate() {
  showJson();
  controller?.abort();
  controller = new AbortController();
  try {
    const estimate = await post("/v1/runs?validate_only=true", spec, { signal: controller.signal });
    showErrors([]);
    showEstimate(estimate);
  } catch (error) {
    if (error.name === "AbortError") return;
    showErrors(error.problem.errors ?? [], error.message);
    showEstimate(null);
  }
}

function showEstimate(estimate) {
  const rows = estimate
    ? [
        ["Parameters", estimate.parameters.toLocaleString("en")],
        ["Time, if run alone", formatDuration(estimate.estimated_seconds)],
        ["Memory", `${(estimate.estimated_bytes / 1e6).toFixed(0)} MB`],
      ]
    : [];
  const terms = rows.flatMap(([name, value]) => [html("dt", {}, name), html("dd", {}, value)]);
  document.getElementById("cost").replaceChildren(...terms);
  showLayers(estimate?.layers ?? []);
}

/** The model's layers with their sizes. */
function showLayers(layers) {
  const section = document.getElementById("layers");
  section.hidden = !layers.length;
  const headings = ["Layer", "Output", "Parameters"];
  const count = (number) => html("td", { class: "num" }, number.toLocaleString("en"));
  section
    .querySelector(".scroll")
    .replaceChildren(
      html(
        "table",
        {},
        html(
          "thead",
          {},
          html("tr", {}, ...headings.map((text, i) => html("th", { scope: "col", class: i ? "num" : null }, text))),
        ),
        html(
          "tbody",
          {},
          ...layers.map((layer) =>
            html(
              "tr",
              {},
              html("th", { scope: "row", title: layer.name || null }, layer.kind),
              html("td", { class: "num" }, layer.output_shape.join(" × ")),
              count(layer.parameters),
            ),
          ),
        ),
      ),
    );
}

/** Show each error at its field or the nearest field around it, and those without a field above the form. */
function showErrors(errors, message = "") {
  for (const place of container.querySelectorAll("[data-error]")) place.textContent = "";
  for (const field of container.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  const withoutField = errors.filter((error) => !showAtField(error)).map((error) => error.message);
  const count = errors.length > 1 ? `${errors.length} fields are invalid.` : "One field is invalid.";
  document.getElementById("problem").textContent = withoutField.join(" ") || (errors.length ? count : message);
}

/** Show an error where its field is; false if the form has no such place. */
function showAtField(error) {
  const ancestors = (error.pointer ?? "").split("/").map((_, i, steps) => steps.slice(0, steps.length - i).join("/"));
  const placeOf = (pointer) => pointer && container.querySelector(`[data-error="${CSS.escape(pointer)}"]`);
  const pointer = ancestors.find(placeOf);
  if (!pointer) return false;
  const place = placeOf(pointer);
  const prefix = pointer === error.pointer ? "" : `${fieldLabel(error.pointer.slice(pointer.length + 1))}: `;
  place.textContent = prefix + error.message;
  document.getElementById(`field${pointer}`)?.setAttribute("aria-invalid", "true");
  for (let fold = place.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  return true;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector(".primary");
  button.disabled = true;
  try {
    const run = await post(`/v1/runs?reuse=${document.getElementById("reuse").checked}`, spec);
    location.assign(`/runs/${run.id}`);
  } catch (error) {
    button.disabled = false;
    showErrors(error.problem.errors ?? [], error.message);
    container.querySelector("[aria-invalid]")?.focus();
  }
});

json.addEventListener("input", () => {
  const message = document.getElementById("json-error");
  try {
    spec = parseSpec(json.value);
    message.textContent = "";
    build();
    onEdit();
  } catch (error) {
    message.textContent = error.message;
  }
});

document.getElementById("preset").addEventListener("change", async (event) => {
  setParams({ preset: event.target.value, spec: null, from: null });
  form.dataset.spec = "null";
  spec = await initialSpec();
  build();
  validate();
});

load().catch((error) =>
  container.replaceChildren(html("p", { class: "field-error block", role: "alert" }, error.message)),
);
