// Server-sent events, and the refresh of page parts that they trigger.

const EVENT_TYPES = [
  "epoch",
  "run.created",
  "run.waiting",
  "run.claimed",
  "run.started",
  "run.resumed",
  "run.requeued",
  "run.queued",
  "run.changed",
  "run.pausing",
  "run.paused",
  "run.cancelling",
  "run.succeeded",
  "run.failed",
  "run.cancelled",
  "study.look",
  "study.seeds",
  "study.frozen",
  "study.confirming",
  "study.tuned",
];
const TERMINAL_TYPES = new Set(["run.succeeded", "run.failed", "run.cancelled"]);

/**
 * Call ``onEvent`` with each event after id ``cursor``. With ``once``, close the stream after a run's last event.
 * The stream is closed while the page is hidden and resumed where it stopped: browsers allow six connections to a
 * server, and a seventh tab would wait forever.
 */
export function subscribe(path, cursor, onEvent, { once = false } = {}) {
  let source = null;
  let lastId = cursor;
  let ended = false;
  const close = (status) => {
    source?.close();
    source = null;
    setLiveStatus(status, true);
  };
  const end = () => {
    ended = true;
    close("ended");
  };
  const receive = (event) => {
    lastId = event.lastEventId;
    onEvent(JSON.parse(event.data));
    if (once && TERMINAL_TYPES.has(event.type)) end();
  };
  const open = () => {
    if (source || ended || document.hidden) return;
    source = new EventSource(`${path}?after=${lastId}`);
    source.onopen = () => setLiveStatus("live", false);
    source.onerror = () =>
      setLiveStatus(source?.readyState === EventSource.CLOSED ? "disconnected" : "reconnecting", true);
    for (const type of EVENT_TYPES) source.addEventListener(type, receive);
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? close("paused") : open()));
  addEventListener("pagehide", () => close("paused"));
  addEventListener("pageshow", open);
  open();
  return { end };
}

function setLiveStatus(text, off) {
  const indicator = document.getElementById("live");
  if (!indicator) return;
  indicator.querySelector(".live-text").textContent = text;
  indicator.classList.toggle("off", off);
}

/** ``action`` limited to one call per interval; calls while the page is hidden run once when it is shown again. */
export function throttle(action, milliseconds) {
  let scheduled = false;
  let pending = false;
  let lastRun = 0;
  const run = async () => {
    scheduled = false;
    if (document.hidden) {
      pending = true;
      return;
    }
    lastRun = Date.now();
    await action();
  };
  document.addEventListener("visibilitychange", () => {
    if (document.hidden || !pending) return;
    pending = false;
    run();
  });
  return () => {
    if (scheduled) return;
    scheduled = true;
    setTimeout(run, Math.max(0, lastRun + milliseconds - Date.now()));
  };
}

/** Fetch the page again and replace the parts with these ids where they differ. */
export async function refreshParts(...ids) {
  const response = await fetch(location.href, { headers: { accept: "text/html", "hx-request": "true" } });
  if (!response.ok) {
    if (response.status === 401) location.reload();
    return;
  }
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const id of ids) {
    const [current, next] = [document.getElementById(id), fresh.getElementById(id)];
    if (current && next && !current.isEqualNode(next)) {
      await window.htmx.swap({ target: current, sourceElement: current, text: next.outerHTML, swap: "outerMorph" });
    }
  }
  document.dispatchEvent(new CustomEvent("refreshed", { detail: fresh }));
}
