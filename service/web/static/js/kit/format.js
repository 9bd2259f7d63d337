// Numbers and times as text.

export function formatNumber(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(2);
  return size >= 100 ? value.toFixed(1) : value.toFixed(4);
}

export function formatSigned(value) {
  if (value === null || value === undefined) return "–";
  return `${value < 0 ? "−" : "+"}${formatNumber(Math.abs(value))}`;
}

export function formatDuration(seconds) {
  if (seconds < 100) return `${seconds.toFixed(1)} s`;
  return seconds < 6000 ? `${(seconds / 60).toFixed(0)} min` : `${(seconds / 3600).toFixed(1)} h`;
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
