// A reproduction: its cost, start, resume and cancel it, and follow its claims while its runs train.
import { setUpDialogs } from "../forms/dialogs.js";
import { post } from "../kit/api.js";
import { html } from "../kit/elements.js";
import { formatDuration } from "../kit/format.js";
import { refreshParts, subscribe, throttle } from "../kit/stream.js";

const page = document.getElementById("content");
const { reproduction, scale } = page.dataset;
const path = `/v1/reproductions/${encodeURIComponent(reproduction)}`;
const REFRESH_MILLISECONDS = 2000;

/** Run an action of a button, which is disabled meanwhile; an error is displayed below the buttons. */
async function act(button, action) {
  button.disabled = true;
  try {
    await action();
    location.reload();
  } catch (failure) {
    button.disabled = false;
    document.getElementById("action-error").textContent = failure.message;
  }
}

async function cancel(studies) {
  for (const study of studies) await post(`/v1/studies/${study}/cancel`);
}

/** Show in the dialog what starting takes. */
async function showCost(dialog) {
  try {
    const { runs, max_runs: most, reused, estimated_seconds: seconds } = await post(`${path}/preview`, { scale });
    const rows = [
      ["Runs", runs.toLocaleString("en") + (most > runs ? `, at most ${most.toLocaleString("en")}` : "")],
      ["Finished already", reused.toLocaleString("en")],
      ["Time on one worker, at most", formatDuration(seconds)],
    ];
    const terms = rows.flatMap(([name, value]) => [html("dt", {}, name), html("dd", {}, value)]);
    document.getElementById("cost").replaceChildren(...terms);
  } catch (failure) {
    dialog.querySelector("[role=alert]").textContent = failure.message;
  }
}

function followEvents() {
  if (!("active" in page.dataset)) return;
  const refresh = throttle(async () => {
    await refreshParts("head", "claims", "studies");
    if (document.querySelector("#head .state").textContent === "finished") stream.end();
  }, REFRESH_MILLISECONDS);
  const stream = subscribe("/v1/events", page.dataset.mark, refresh);
}

page.addEventListener("click", ({ target }) => {
  const button = target.closest("button");
  if (button?.id === "start") act(button, () => post(path, { scale }));
  if (button?.id === "cancel") act(button, () => cancel(button.dataset.studies.split(",")));
  if (button?.dataset.opens) showCost(document.getElementById(button.dataset.opens));
});
setUpDialogs({
  start: async () => {
    await post(path, { scale });
    location.reload();
  },
});
followEvents();
