// Numbers, times and names of the API as text.

export const CORRECTIONS = { max_t: "maxT", holm: "Holm" };

export function formatNumber(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(2);
  return size >= 100 ? value.toFixed(1) : value.toFixed(4);
}

/** A place on the x axis in words: "epoch 8", or "k = 8" of nearest neighbors. */
export function formatX(label, x) {
  return label === "k" ? `k = ${x}` : `${label} ${x}`;
}

export function formatSigned(value) {
  if (value === null || value === undefined) return "–";
  return `${value < 0 ? "−" : "+"}${formatNumber(Math.abs(value))}`;
}

/** A 95 % interval, or a dash. */
export function formatInterval(ci) {
  return ci ? `${formatNumber(ci[0])} … ${formatNumber(ci[1])}` : "–";
}

export function formatP(p) {
  return p === null ? "–" : p.toFixed(3);
}

/** A duration in its two largest units, rounded to the smaller one before it is split, as the server writes it. */
export function formatDuration(seconds) {
  const split = (count, size, unit, smaller) => `${Math.floor(count / size)} ${unit} ${count % size} ${smaller}`;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`; // more would round to 60.0 s
  if (Math.round(seconds) < 3600) return split(Math.round(seconds), 60, "min", "s");
  if (Math.round(seconds / 60) < 1440) return split(Math.round(seconds / 60), 60, "h", "min");
  return split(Math.round(seconds / 3600), 24, "d", "h");
}

const UNITS = [
  ["second", 60],
  ["minute", 60],
  ["hour", 24],
  ["day", 30],
  ["month", 12],
  ["year", Infinity],
];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "narrow" });

export function timeAgo(date, now = Date.now()) {
  let count = (new Date(date) - now) / 1000;
  for (const [unit, limit] of UNITS) {
    if (Math.abs(count) < limit) return relative.format(Math.round(count), unit);
    count /= limit;
  }
  return "";
}

/** Show every <time> of the page relative to now. */
export function showRelativeTimes(root = document) {
  for (const time of root.querySelectorAll("time[datetime]")) time.textContent = timeAgo(time.dateTime);
}
