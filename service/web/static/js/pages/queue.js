// The queue: follow runs as they start and end, cancel them and change their priority.
import { post, request } from "../kit/api.js";
import { showRelativeTimes } from "../kit/format.js";
import { refreshParts, subscribe, throttle } from "../kit/stream.js";

const REFRESH_MILLISECONDS = 2000;

/** Refresh the queue, unless a priority is being edited, which the refresh would undo. */
async function show() {
  if (!document.activeElement?.matches("[data-priority]")) await refreshParts("queue");
}

async function act(request) {
  const error = document.getElementById("queue-error");
  try {
    await request();
    error.textContent = "";
    await refreshParts("queue");
  } catch (failure) {
    error.textContent = failure.message;
  }
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-cancel]");
  if (button) act(() => post(`/v1/runs/${button.dataset.cancel}/cancel`));
});
document.addEventListener("change", ({ target }) => {
  if (!target.dataset.priority || !target.reportValidity()) return;
  act(() =>
    request(`/v1/runs/${target.dataset.priority}`, {
      method: "PATCH",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ priority: target.valueAsNumber || 0 }),
    }),
  );
});
document.addEventListener("refreshed", () => showRelativeTimes());
showRelativeTimes();
subscribe("/v1/events", document.getElementById("live").dataset.mark, throttle(show, REFRESH_MILLISECONDS));
