// An interactive chart: lines with bands, smoothing, logarithmic axes, zoom, legend, table and downloads. Drawn by uPlot.
import uPlot from "../../vendor/uplot.js";
import { getParam, joinNames, setParams, splitNames } from "../kit/address.js";
import { html, saveFile } from "../kit/elements.js";
import { formatNumber, formatX } from "../kit/format.js";
import { chartColumns } from "./columns.js";
import { Highlight } from "./highlight.js";
import { plotOptions } from "./options.js";
import { lineColor, swatch } from "./palette.js";
import { chartPng } from "./png.js";
import { chartCsv, fillTable } from "./table.js";
import { toolbar } from "./toolbar.js";
import { Tooltip } from "./tooltip.js";

const MAX_READ_VALUES = 8;
const MAX_SMOOTHING = 0.99;
const NARROW_PIXELS = 560;
/** Lines in a legend; a button shows the others. */
const MAX_KEYS = 24;

export class Chart {
  /**
   * ``section`` is the chart's card. Settings: name (of downloads), xAxes (choices of the x axis), sync (key of the
   * shared cursor), follows (controlled by the toolbar of another chart), sizes (the x axis is a logarithmic axis of
   * sizes, not of epochs: the address neither smooths nor zooms it).
   */
  constructor(section, settings = {}) {
    this.section = section;
    this.settings = settings;
    this.lines = [];
    this.marks = [];
    this.part = (name) => section.querySelector(`[data-${name}]`);
    this.plot = this.part("plot");
    this.height = Number(section.dataset.height);
    this.tooltip = new Tooltip(this);
    this.part("tools").append(toolbar(this));
    this.part("data").addEventListener("toggle", () => this.updateTable());
    this.plot.addEventListener("keydown", (event) => this.onKey(event));
    new ResizeObserver(() => this.fit()).observe(this.plot);
    document.addEventListener("theme", () => this.redraw({ rebuild: true }));
    document.addEventListener("chart:zoomed", ({ detail }) => this.onOtherZoom(detail));
    document.addEventListener("chart:changed", () => this.redraw());
  }

  /** The logarithmic axes; a chart that follows another keeps a linear y axis. */
  get logAxes() {
    const axes = getParam("scale").split(" ");
    if (this.settings.sizes) return axes.includes("y") ? ["x", "y"] : ["x"];
    return axes.filter((axis) => axis === "x" || !this.settings.follows);
  }

  get smoothing() {
    if (this.settings.sizes) return 0;
    return Math.min(Math.max(Number(getParam("smooth", "0")) || 0, 0), MAX_SMOOTHING);
  }

  /** Whether the y axis leaves outliers out. */
  get ignoresOutliers() {
    return !this.settings.sizes && getParam("outliers") === "ignore";
  }

  /** The lines that the address names; if it names none of this chart, its default lines. */
  get visible() {
    const names = new Set(splitNames(getParam("lines")));
    const selected = this.lines.filter((line) => names.has(line.name));
    return selected.length ? selected : this.defaultLines;
  }

  get defaultLines() {
    return this.lines.filter((line) => line.byDefault !== false);
  }

  /**
   * Show lines ({name, x, y, low?, high?, n?, color, dash, byDefault?}) and marks ({x, text, until?}). Lines with
   * ``points`` are points with error bars; ``ticks`` are the only ones on the x axis.
   */
  show(lines, { marks = [], xLabel = "epoch", ticks = null } = {}) {
    this.lines = lines;
    this.marks = marks;
    this.ticks = ticks;
    this.xLabel = xLabel;
    this.section.hidden = lines.length === 0;
    this.redraw();
  }

  /** Show a message instead of a plot. */
  showMessage(text) {
    this.uplot?.destroy();
    this.uplot = null;
    this.plot.replaceChildren(html("p", { class: "loading" }, text));
  }

  /** Draw the current lines. Where only values changed, uPlot keeps its state, such as a drag in progress. */
  redraw({ rebuild = false } = {}) {
    if (!this.lines.some((line) => line.x.length)) {
      if (this.lines.length) this.showMessage("No epochs yet.");
      return;
    }
    this.columns = chartColumns(this.visible, { smoothing: this.smoothing, positive: this.logAxes.includes("y") });
    const structure = JSON.stringify([
      this.columns.parts.map(({ line, kind }) => [line.name, kind, line.x.length > 1]),
      this.logAxes,
      this.ignoresOutliers,
      this.xLabel,
      this.ticks,
    ]);
    if (this.uplot && !rebuild && structure === this.structure) {
      this.uplot.setData(this.columns.data, this.settings.sizes || !getParam("zoom"));
      this.restoreZoom(); // also fits the y axis to the new values
    } else {
      this.structure = structure;
      this.build();
    }
    this.updateLegend();
    this.updateTable();
  }

  build() {
    this.uplot?.destroy();
    this.plot.replaceChildren();
    this.tooltip.element.hidden = true;
    this.uplot = new uPlot(plotOptions(this), this.columns.data, this.plot);
    this.overlay = new Highlight(this.uplot);
    this.plot.append(this.tooltip.element);
    this.plot.dataset.drawn = String(this.visible.length);
    this.restoreZoom();
  }

  restoreZoom() {
    if (this.settings.sizes) return;
    const [low, high] = getParam("zoom").split("..").map(Number);
    if (high > low) this.uplot.setScale("x", { min: low, max: high });
  }

  /** Store the range of the x axis in the address, unless it is the whole range. */
  onZoom(min, max) {
    if (this.settings.sizes) return;
    const xs = this.columns.data[0];
    const whole = min <= xs[0] && max >= xs[xs.length - 1];
    const current = getParam("zoom");
    const zoom = whole ? "" : `${Number(min.toPrecision(6))}..${Number(max.toPrecision(6))}`;
    if (current !== zoom && (current || !whole)) {
      setParams({ zoom });
      document.dispatchEvent(new CustomEvent("chart:zoomed", { detail: { min, max, chart: this } }));
    }
  }

  onOtherZoom({ min, max, chart }) {
    if (this.uplot && chart !== this && this.settings.sync === chart.settings.sync) {
      this.uplot.setScale("x", { min, max });
    }
  }

  zoomOut() {
    const xs = this.columns.data[0];
    this.uplot.setScale("x", { min: xs[0], max: xs[xs.length - 1] });
  }

  fit() {
    const width = this.plot.clientWidth;
    if (this.uplot && width && Math.abs(width - this.uplot.width) > 1) {
      this.uplot.setSize({ width, height: this.heightFor(width) });
    }
  }

  heightFor(width) {
    return width < NARROW_PIXELS ? Math.round(this.height * 0.72) : this.height;
  }

  updateLegend() {
    const visible = new Set(this.visible);
    const listed = this.lines.filter(
      (line, i) => this.listsAll || i < MAX_KEYS || visible.has(line) !== (line.byDefault !== false),
    );
    const buttons = listed.map((line) =>
      html(
        "button",
        {
          type: "button",
          "aria-pressed": String(visible.has(line)),
          class: "key",
          onclick: () => this.toggle(line),
          onmouseenter: () => this.focusLine(line),
          onmouseleave: () => this.focusLine(null),
        },
        swatch(line),
        html("span", {}, line.name),
      ),
    );
    if (listed.length < this.lines.length) buttons.push(this.moreButton(this.lines.length - listed.length));
    const legend = this.part("legend");
    const focused = [...legend.children].indexOf(document.activeElement);
    legend.replaceChildren(...buttons);
    if (focused >= 0) buttons[focused]?.focus();
  }

  /** Lists all lines in the legend, from then on. */
  moreButton(count) {
    const onclick = () => {
      this.listsAll = true;
      this.updateLegend();
    };
    return html("button", { type: "button", class: "quiet small", onclick }, `and ${count} more`);
  }

  /** Show or hide a line, except the last visible one. */
  toggle(line) {
    const names = new Set(this.visible.map(({ name }) => name));
    if (!names.delete(line.name)) names.add(line.name);
    if (!names.size) return;
    const selected = this.lines.map(({ name }) => name).filter((name) => names.has(name));
    const isDefault = joinNames(selected) === joinNames(this.defaultLines.map(({ name }) => name));
    const ofOthers = splitNames(getParam("lines")).filter((name) => !this.lines.some((own) => own.name === name));
    setParams({ lines: joinNames([...(isDefault ? [] : selected), ...ofOthers]) });
    document.dispatchEvent(new CustomEvent("chart:changed"));
  }

  focusLine(line) {
    const part = line && this.columns.parts.find((one) => one.line === line && one.kind === "line");
    this.uplot?.setSeries(part ? part.index : null, { focus: true });
  }

  highlight(index) {
    const part = index ? this.columns.parts[index - 1] : null;
    this.overlay.show(this.uplot, part ? index : null, part ? lineColor(part.line) : "");
  }

  /** {line, value} of each line that has a value at this index of the x axis. */
  valuesAt(index) {
    return this.columns.parts
      .filter((part) => part.kind === "line")
      .map((part) => ({ line: part.line, value: this.columns.data[part.index][index] }))
      .filter(({ value }) => value !== null && value !== undefined);
  }

  onKey(event) {
    if (!this.uplot || event.target !== this.plot) return;
    const last = this.columns.data[0].length - 1;
    const index = this.uplot.cursor.idx ?? (event.key === "ArrowLeft" ? last + 1 : -1);
    const actions = {
      ArrowLeft: () => this.read(Math.max(index - 1, 0)),
      ArrowRight: () => this.read(Math.min(index + 1, last)),
      Home: () => this.read(0),
      End: () => this.read(last),
      "+": () => this.zoomBy(-1 / 4),
      "-": () => this.zoomBy(1 / 2),
      0: () => this.zoomOut(),
      Escape: () => this.zoomOut(),
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  }

  /** Move both ends of the x axis outward by a share of its range. */
  zoomBy(share) {
    const xs = this.columns.data[0];
    const { min, max } = this.uplot.scales.x;
    const step = (max - min) * share;
    this.uplot.setScale("x", { min: Math.max(min - step, xs[0]), max: Math.min(max + step, xs[xs.length - 1]) });
  }

  /** Move the cursor to an epoch and announce its values to screen readers. */
  read(index) {
    const x = this.columns.data[0][index];
    if (x === undefined) return;
    this.uplot.setCursor({ left: this.uplot.valToPos(x, "x"), top: this.uplot.over.clientHeight / 2 });
    const values = this.valuesAt(index).slice(0, MAX_READ_VALUES);
    const text = values.map(({ line, value }) => `${line.name} ${formatNumber(value)}`).join(", ");
    this.part("reading").textContent = `${formatX(this.xLabel, x)}: ${text}`;
  }

  updateTable() {
    if (this.part("data").open && this.columns) fillTable(this.part("table"), this);
  }

  saveTable() {
    saveFile(`${this.settings.name}.csv`, new Blob([chartCsv(this)], { type: "text/csv" }));
  }

  async saveImage() {
    saveFile(`${this.settings.name}.png`, await chartPng(this));
  }
}
