// The values at the pointer, in a box beside it.
import { html } from "../kit/elements.js";
import { formatNumber, formatX } from "../kit/format.js";
import { swatch } from "./palette.js";

const MAX_ROWS = 8;

export class Tooltip {
  constructor(chart) {
    this.chart = chart;
    this.element = html("div", { class: "tip", hidden: true });
  }

  update(plot) {
    const index = plot.cursor.idx;
    const outside = index === null || index === undefined || plot.cursor.left < 0;
    this.element.hidden = outside;
    if (outside) return;
    const { chart } = this;
    const x = chart.columns.data[0][index];
    const distance = ({ value }) => Math.abs(plot.valToPos(value, "y") - plot.cursor.top);
    const values = chart.valuesAt(index).sort((a, b) => distance(a) - distance(b));
    const nearest = values.slice(0, MAX_ROWS).sort((a, b) => b.value - a.value);
    const more = values.length - nearest.length;
    this.element.replaceChildren(
      html("b", {}, formatX(chart.xLabel, +x.toPrecision(6))),
      ...nearest.map(({ line, value }) => row(line, value, x)),
      ...(more > 0 ? [html("small", {}, `and ${more} more`)] : []),
    );
    this.move(plot);
  }

  /** To the right of the pointer, or to its left near the right edge. */
  move(plot) {
    const left = plot.over.offsetLeft + plot.cursor.left;
    const flip = left > this.chart.plot.clientWidth - this.element.offsetWidth - 24;
    const x = flip ? left - this.element.offsetWidth - 14 : left + 14;
    this.element.style.transform = `translate(${x}px, ${plot.over.offsetTop + 8}px)`;
  }
}

function row(line, value, x) {
  const count = line.n ? html("small", {}, ` n ${line.n[line.x.indexOf(x)]}`) : null;
  return html("span", {}, swatch(line), html("i", {}, line.name), html("em", {}, formatNumber(value), count));
}
