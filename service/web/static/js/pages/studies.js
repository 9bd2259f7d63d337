// The list of studies, updated live.
import { showRelativeTimes } from "../kit/format.js";
import { refreshParts, subscribe, throttle } from "../kit/stream.js";

const REFRESH_MILLISECONDS = 1500;

document.addEventListener("refreshed", () => showRelativeTimes());
showRelativeTimes();
subscribe(
  "/v1/events",
  document.getElementById("live").dataset.mark,
  throttle(() => refreshParts("list"), REFRESH_MILLISECONDS),
);
