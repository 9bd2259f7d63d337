// The dialog that adds seeds to a study: their cost and what they can decide, before they are queued.
import { post, request } from "../kit/api.js";
import { html } from "../kit/elements.js";
import { formatDuration } from "../kit/format.js";

const PREVIEW_DELAY_MILLISECONDS = 300;

/** Set up the dialog of the study, if the page has it; return the action that submits it. */
export function setUpMoreSeeds(id) {
  const dialog = document.getElementById("add-seeds");
  let study = null;
  let controller = null;
  let timer = null;

  /** The study with more seeds, which costs what they add, because the others are reused. */
  function extended(count) {
    const { replicates, seeds, ...body } = study.request;
    if (replicates) return { ...body, replicates: { ...replicates, n: study.seeds.length + count } };
    const first = Math.max(...study.seeds) + 1;
    return { ...body, seeds: [...study.seeds, ...Array.from({ length: count }, (_, i) => first + i)] };
  }

  async function preview() {
    const place = document.getElementById("seeds-cost");
    const error = dialog.querySelector("[role=alert]");
    controller?.abort();
    controller = new AbortController();
    error.textContent = "";
    try {
      const count = dialog.querySelector("[name=add]").valueAsNumber;
      study ??= await request(`/v1/studies/${id}`);
      if (!(count > 0)) return;
      const answer = await post("/v1/studies/preview", extended(count), { signal: controller.signal });
      const rows = [
        ["Seeds in all", (study.seeds.length + count).toLocaleString("en")],
        ["New runs", (count * study.arms.length * (study.folds ?? 1)).toLocaleString("en")],
        ["Time on one worker, at most", formatDuration(answer.estimated_seconds)],
      ];
      place.replaceChildren(...rows.flatMap(([name, value]) => [html("dt", {}, name), html("dd", {}, value)]));
    } catch (failure) {
      if (failure.name !== "AbortError") error.textContent = failure.message;
    }
  }

  document.addEventListener("click", ({ target }) => {
    if (target.closest("[data-opens=add-seeds]")) preview();
  });
  dialog?.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(preview, PREVIEW_DELAY_MILLISECONDS);
  });
  return async (form) => {
    await post(`/v1/studies/${id}/seeds`, { add: form.elements.add.valueAsNumber });
    location.reload();
  };
}
