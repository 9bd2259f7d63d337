// The study of the selected preset: its size and cost, and a button that submits it.
import { post } from "../kit/api.js";
import { html } from "../kit/elements.js";
import { formatDuration } from "../kit/format.js";

const section = document.getElementById("preset-study");
const button = section.querySelector("button");
const problem = document.getElementById("study-problem");
let controller = null;
let study = null;

/** Show the study of a preset; null hides the section. */
export async function showPresetStudy(preset) {
  controller?.abort();
  controller = new AbortController();
  study = preset?.study ?? null;
  section.hidden = !study;
  if (!study) return;
  document.getElementById("study-question").textContent = preset.question;
  document.getElementById("study-cost").replaceChildren();
  document.getElementById("study-warnings").replaceChildren();
  problem.textContent = "";
  button.disabled = true;
  try {
    showSize(await post("/v1/studies/preview", study, { signal: controller.signal }));
    button.disabled = false;
  } catch (error) {
    if (error.name !== "AbortError") problem.textContent = error.message;
  }
}

function showSize(preview) {
  const rows = [
    ["Arms", preview.arms.length.toLocaleString("en")],
    ["Runs", preview.runs.toLocaleString("en")],
    ["Finished already", preview.reused.toLocaleString("en")],
    ["Time on one worker", formatDuration(preview.estimated_seconds)],
  ];
  const terms = rows.flatMap(([name, value]) => [html("dt", {}, name), html("dd", {}, value)]);
  document.getElementById("study-cost").replaceChildren(...terms);
  const warnings = preview.warnings.map((text) => html("p", { class: "small warn" }, text));
  document.getElementById("study-warnings").replaceChildren(...warnings);
}

button.addEventListener("click", async () => {
  button.disabled = true;
  try {
    const created = await post(`/v1/studies?reuse=${document.getElementById("reuse").checked}`, study);
    location.assign(`/studies/${created.id}`);
  } catch (error) {
    button.disabled = false;
    problem.textContent = error.message;
  }
});
