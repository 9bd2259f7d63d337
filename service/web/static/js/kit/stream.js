// Events as they happen. A browser resumes by the last id it saw; the page says from which one to begin.

const TYPES = [
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
];
const ENDS = new Set(["run.succeeded", "run.failed", "run.cancelled"]);

/**
 * Hear events behind ``mark``; ``told`` gets each one. A run's stream is closed after its last event. While the page is
 * hidden nothing is heard, and afterwards all that happened meanwhile: browsers open six connections to a server, and a
 * seventh tab would wait for one of them for ever.
 */
export function follow(path, mark, told, { closes = false } = {}) {
  let [source, last, over] = [null, mark, false];
  const close = (text) => {
    source?.close();
    source = null;
    say(text, true);
  };
  const open = () => {
    if (source || over || document.hidden) return;
    source = new EventSource(`${path}?after=${last}`);
    source.onopen = () => say("live", false);
    source.onerror = () => say(source?.readyState === EventSource.CLOSED ? "no longer live" : "reconnecting", true);
    for (const type of TYPES) source.addEventListener(type, hear);
  };
  const hear = (event) => {
    last = event.lastEventId;
    told(JSON.parse(event.data));
    if (closes && ENDS.has(event.type)) end();
  };
  const end = () => {
    over = true;
    close("ended");
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? close("paused") : open()));
  addEventListener("pagehide", () => close("paused"));
  addEventListener("pageshow", open);
  open();
  return { end };
}

function say(text, quiet) {
  const sign = document.getElementById("live");
  if (!sign) return;
  sign.querySelector(".live-text").textContent = text;
  sign.classList.toggle("off", quiet);
}

/** ``act`` at once, and then at most once in so many milliseconds, however often it is asked for; not while hidden. */
export function seldom(act, milliseconds) {
  let [timer, again, last] = [null, false, 0];
  const run = async () => {
    timer = null;
    if (document.hidden) {
      again = true;
      return;
    }
    last = Date.now();
    await act();
  };
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && again) {
      again = false;
      run();
    }
  });
  return () => {
    timer ??= setTimeout(run, Math.max(0, last + milliseconds - Date.now()));
  };
}

/** Fetch this page again and take over some of its parts, leaving in place what has not changed. */
export async function renew(...ids) {
  const answer = await fetch(location.href, { headers: { accept: "text/html", "hx-request": "true" } });
  if (!answer.ok) {
    if (answer.status === 401) location.reload();
    return;
  }
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const id of ids) {
    const [old, next] = [document.getElementById(id), fresh.getElementById(id)];
    if (old && next && !old.isEqualNode(next)) {
      await window.htmx.swap({ target: old, sourceElement: old, text: next.outerHTML, swap: "outerMorph" });
    }
  }
  document.dispatchEvent(new CustomEvent("renewed", { detail: fresh }));
}
