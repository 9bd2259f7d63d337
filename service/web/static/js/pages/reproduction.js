// A reproduction: start or resume it, and follow its claims while its runs train.
import { post } from "../kit/api.js";
import { refreshParts, subscribe, throttle } from "../kit/stream.js";

const page = document.getElementById("content");
const { reproduction, scale } = page.dataset;
const REFRESH_MILLISECONDS = 2000;

async function start(button) {
  button.disabled = true;
  try {
    await post(`/v1/reproductions/${encodeURIComponent(reproduction)}`, { scale });
    location.reload();
  } catch (failure) {
    button.disabled = false;
    document.getElementById("action-error").textContent = failure.message;
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
  const button = target.closest("#start");
  if (button) start(button);
});
followEvents();
