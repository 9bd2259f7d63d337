// Figures that are drawn as wide as their place.
import { html } from "../kit/elements.js";

const MIN_WIDTH = 280;
const observers = new Map();

/** Draw ``draw(width)`` into ``place`` now and when its width changes; a later call replaces an earlier one. */
export function drawResponsively(place, draw, maxWidth) {
  observers.get(place)?.disconnect();
  let drawn = 0;
  const observer = new ResizeObserver(() => {
    const width = Math.floor(Math.min(Math.max(place.clientWidth, MIN_WIDTH), maxWidth));
    if (width === drawn || place.clientWidth === 0) return; // hidden, or resized by the drawing itself
    drawn = width;
    place.replaceChildren(draw(width));
  });
  observer.observe(place);
  observers.set(place, observer);
}

/** Fill ``details`` with a table once it is opened: headings, and rows of texts that begin with a header. */
export function offerTable(details, label, headings, rows) {
  const fill = () => {
    if (!details.open) return;
    const head = headings.map((text, i) => html("th", { scope: "col", class: i ? "num" : null }, text));
    const row = ([name, ...cells]) =>
      html("tr", {}, html("th", { scope: "row" }, name), ...cells.map((text) => html("td", { class: "num" }, text)));
    const table = html("table", {}, html("thead", {}, html("tr", {}, ...head)), html("tbody", {}, ...rows().map(row)));
    const place = html("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": label }, table);
    details.replaceChildren(details.querySelector("summary"), place);
  };
  details.ontoggle = fill;
  fill();
}
