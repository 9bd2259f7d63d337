// Numbers and times as people read them.

export function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(2);
  return size >= 100 ? value.toFixed(1) : value.toFixed(4);
}

export function signed(value) {
  return value === null || value === undefined ? "–" : `${value < 0 ? "−" : "+"}${number(Math.abs(value))}`;
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

export function ago(date, now = Date.now()) {
  let count = (new Date(date) - now) / 1000;
  for (const [unit, most] of UNITS) {
    if (Math.abs(count) < most) return relative.format(Math.round(count), unit);
    count /= most;
  }
  return "";
}

/** Tell all times of the page in the reader's own words. */
export function tellTimes(root = document) {
  for (const time of root.querySelectorAll("time[datetime]")) time.textContent = ago(time.dateTime);
}
