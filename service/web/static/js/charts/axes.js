// Axes of small SVG charts: linear, logarithmic, or categories with equal spacing.
import { svg } from "../kit/elements.js";
import { categories } from "./fields.js";

/** Positive values that span this ratio have a logarithmic axis. */
const LOG_RATIO = 10;
const CHARACTER_PIXELS = 6.6;
const TICK_GAP = 10;
const MAX_DIGITS = 6;
const MULTIPLES = [1, 2, 5];

/**
 * An axis of measured values between two places, in pixels. It has ``place(value)`` and ``ticks``: [{at, text}], about
 * one for every ``spacing`` pixels.
 */
export function valueAxis(values, from, to, { spacing = 60, ratio = Number.POSITIVE_INFINITY } = {}) {
  const [low, high] = padded(Math.min(...values), Math.max(...values));
  const smallest = Math.min(...values);
  if (smallest > 0 && Math.max(...values) / smallest >= ratio) return logAxis(values, from, to);
  const place = (value) => from + ((value - low) / (high - low)) * (to - from);
  const count = Math.max(2, Math.abs(to - from) / spacing);
  return { place, log: false, ticks: linearTicks(low, high, count).map((value) => tick(value, place)) };
}

/** An axis of a varied field: of its numbers, or of its categories. ``place`` takes what ``Fields.value`` returns. */
export function fieldAxis(field, from, to, { vertical = false } = {}) {
  const names = categories(field);
  if (!field.numbers) {
    const step = (to - from) / names.length;
    const place = (i) => from + (i + 0.5) * step;
    const most = vertical ? names.length : Math.max(3, Math.floor(Math.abs(step) / CHARACTER_PIXELS));
    const ticks = names.map((text, i) => ({ at: place(i), text: vertical ? text : shortened(text, most), full: text }));
    return { place, log: false, ticks };
  }
  const axis = numberAxis(field.numbers, from, to);
  const texts = new Map(field.texts.map((text, i) => [text, field.numbers[i]]));
  const own = names.map((text) => ({ at: axis.place(texts.get(text)), text }));
  return { ...axis, ticks: fits(own, vertical) ? own : thinned(axis.ticks, vertical) };
}

/** An axis of a field's numbers; on a logarithmic one, 0 is a step below the smallest of the others. */
function numberAxis(numbers, from, to) {
  const positive = [...new Set(numbers)].filter((value) => value > 0);
  const [low, high] = [Math.min(...positive), Math.max(...positive)];
  if (Math.min(...numbers) !== 0 || !(high / low >= LOG_RATIO)) {
    return valueAxis(numbers, from, to, { ratio: LOG_RATIO });
  }
  const zero = low * (low / high) ** (1 / (positive.length - 1));
  const axis = logAxis([zero, ...positive], from, to);
  const place = (value) => axis.place(value === 0 ? zero : value);
  const ticks = axis.ticks.filter(({ value }) => value >= low);
  return { place, log: true, ticks: [{ at: place(0), text: "0" }, ...ticks] };
}

function logAxis(values, from, to) {
  const logs = values.map(Math.log10);
  const [low, high] = padded(Math.min(...logs), Math.max(...logs));
  const place = (value) => from + ((Math.log10(value) - low) / (high - low)) * (to - from);
  const multiples = high - low < 2 ? MULTIPLES : [1];
  const decades = Array.from({ length: Math.ceil(high) - Math.floor(low) + 1 }, (_, i) => Math.floor(low) + i);
  const ticks = decades
    .flatMap((power) => multiples.map((digit) => Number((digit * 10 ** power).toPrecision(MAX_DIGITS))))
    .filter((value) => Math.log10(value) >= low && Math.log10(value) <= high);
  return { place, log: true, ticks: ticks.map((value) => tick(value, place)) };
}

function tick(value, place) {
  return { at: place(value), text: tickText(value), value };
}

/** A number as short as it is exact. */
function tickText(value) {
  const text = String(Number(value.toPrecision(MAX_DIGITS)));
  return text.length > 6 && Math.abs(value) < 1e-3 ? value.toExponential().replace("e-", "e−") : text;
}

/** The range with a margin of 4 %; a single value is in the middle. */
function padded(low, high) {
  const margin = (high - low) * 0.04 || Math.abs(low) * 0.1 || 1;
  return [low - margin, high + margin];
}

/** Round numbers from ``low`` to ``high``, about ``count``. */
export function linearTicks(low, high, count) {
  const raw = (high - low || 1) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [...MULTIPLES, 10].map((digit) => digit * power).find((one) => one >= raw * (1 - 1e-9));
  const first = Math.ceil(low / step - 1e-9);
  const length = Math.floor(high / step + 1e-9) - first + 1;
  return Array.from({ length: Math.max(0, length) }, (_, i) => Number(((first + i) * step).toPrecision(MAX_DIGITS)));
}

function fits(ticks, vertical) {
  const room = ({ text }) => (vertical ? 16 : text.length * CHARACTER_PIXELS + TICK_GAP);
  const sorted = [...ticks].sort((a, b) => a.at - b.at);
  return sorted.every((one, i) => i === 0 || one.at - sorted[i - 1].at >= (room(one) + room(sorted[i - 1])) / 2);
}

/** Every nth tick, so that texts do not overlap. */
function thinned(ticks, vertical) {
  for (let every = 1; every < ticks.length; every++) {
    const some = ticks.filter((_, i) => i % every === 0);
    if (fits(some, vertical)) return some;
  }
  return ticks.slice(0, 1);
}

/** ``text`` with at most so many characters, and an ellipsis if it is longer. */
export function shortened(text, most) {
  return text.length > most ? `${text.slice(0, Math.max(1, most - 1))}…` : text;
}

/** A label of a row, as wide as fits; the whole text is its tooltip. */
export function rowLabel(text, y, width) {
  return svg("text", { class: "name", x: 0, y: y + 4 }, svg("title", {}, text), shortened(text, labelRoom(width)));
}

function labelRoom(width) {
  return Math.floor((width - 8) / CHARACTER_PIXELS);
}

/** The width that the longest of the labels needs. */
export function labelWidth(texts) {
  return 12 + CHARACTER_PIXELS * Math.max(...texts.map((text) => text.length));
}

/** A caption in the middle of a figure, with as many characters as fit. */
export function captionText(text, width, y) {
  return svg(
    "text",
    { x: width / 2, y, "text-anchor": "middle" },
    svg("title", {}, text),
    shortened(text, labelRoom(width)),
  );
}

/** Lines and texts of a horizontal axis below a plot from ``top`` to ``bottom``. */
export function bottomAxis(ticks, top, bottom) {
  return ticks.flatMap(({ at, text, full }) => [
    svg("line", { class: "grid", x1: at, x2: at, y1: top, y2: bottom }),
    svg("text", { x: at, y: bottom + 16, "text-anchor": "middle" }, full ? svg("title", {}, full) : null, text),
  ]);
}

/** Lines and texts of a vertical axis left of a plot from ``left`` to ``right``. */
export function leftAxis(ticks, left, right) {
  return ticks.flatMap(({ at, text }) => [
    svg("line", { class: "grid", x1: left, x2: right, y1: at, y2: at }),
    svg("text", { x: left - 6, y: at + 4, "text-anchor": "end" }, text),
  ]);
}
