// A chart: lines with bands, smoothing, logarithmic axes, zoom, a legend, a table, a file. uPlot draws, this arranges.
import uPlot from "../../vendor/uplot.js";
import { choose, chosen, joined, parted } from "../kit/address.js";
import { make, save } from "../kit/elements.js";
import { number } from "../kit/format.js";
import { aligned } from "./alignment.js";
import { Highlight } from "./highlight.js";
import { options } from "./options.js";
import { colourOf, swatch } from "./palette.js";
import { picture } from "./png.js";
import { smoothed } from "./smoothing.js";
import { csv, fillTable } from "./table.js";
import { toolbar } from "./toolbar.js";

const MOST_BANDS = 12;
const MOST_TOLD = 8;

export class Chart {
  /** @param section the card in the page. @param settings name (of files), xs (kinds of x axis), sync (a cursor's key),
   *  follows (another chart's tools serve this one too). */
  constructor(section, settings = {}) {
    this.section = section;
    this.settings = settings;
    this.lines = [];
    this.marks = [];
    this.part = (name) => section.querySelector(`[data-${name}]`);
    this.plot = this.part("plot");
    this.height = Number(section.dataset.height);
    this.part("tools").append(toolbar(this));
    this.part("data").addEventListener("toggle", () => this.tabulate());
    this.plot.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.fit()).observe(this.plot);
    document.addEventListener("theme", () => this.redraw({ anew: true }));
    document.addEventListener("chart:zoomed", ({ detail }) => this.follow(detail));
    document.addEventListener("chart:changed", () => this.redraw());
  }

  /** Axes that are logarithmic; a chart that follows another has its own heights. */
  get logarithmic() {
    return chosen("scale")
      .split(" ")
      .filter((axis) => axis === "x" || !this.settings.follows);
  }
  get smoothing() {
    return Math.min(Math.max(Number(chosen("smooth", "0")) || 0, 0), 0.99);
  }
  /** The lines that the address names; where it names none of this chart, those that are shown without being asked for. */
  get visible() {
    const names = new Set(parted(chosen("lines")));
    const asked = this.lines.filter((line) => names.has(line.name));
    return asked.length ? asked : this.lines.filter((line) => line.usual !== false);
  }

  /** Show lines: {name, x, y, low?, high?, colour, dash, usual?}. marks: {x, text, until?} */
  show(lines, { marks = [], xLabel = "epoch" } = {}) {
    this.lines = lines;
    this.marks = marks;
    this.xLabel = xLabel;
    this.section.hidden = lines.length === 0;
    this.redraw();
  }

  /** Say in the chart's place why there is none. */
  say(text) {
    this.uplot?.destroy();
    this.uplot = null;
    this.plot.replaceChildren(make("p", { class: "loading" }, text));
  }

  /** Draw what is there now. Where only values changed, uPlot keeps its state: a drag, or the pointer, is not lost. */
  redraw({ anew = false } = {}) {
    const measured = this.lines.some((line) => line.x.length);
    if (!measured) {
      if (this.lines.length) this.say("No epoch has been measured yet.");
      return;
    }
    this.drawn = this.series(this.visible);
    const look = JSON.stringify([
      this.drawn.parts.map(({ line, kind }) => [line.name, kind, line.x.length > 1]),
      this.logarithmic,
      this.xLabel,
    ]);
    if (this.uplot && !anew && look === this.look) {
      this.uplot.setData(this.drawn.data, !chosen("zoom"));
      this.restoreZoom(); // which fits the height to what is there now
    } else {
      this.build(look);
    }
    this.legend();
    this.tabulate();
  }

  build(look) {
    this.look = look;
    this.uplot?.destroy();
    this.plot.replaceChildren();
    this.tip = make("div", { class: "tip", hidden: true });
    this.uplot = new uPlot(options(this), this.drawn.data, this.plot);
    this.over = new Highlight(this.uplot);
    this.plot.append(this.tip);
    this.plot.dataset.drawn = String(this.visible.length);
    this.restoreZoom();
  }

  /** Columns for uPlot: of each line its band, its raw values where it is smoothed, and itself. */
  series(lines) {
    const { xs, column } = aligned(lines);
    const positive = this.logarithmic.includes("y");
    const clean = (values) => (positive ? values.map((v) => (v > 0 ? v : null)) : values);
    const data = [xs];
    const parts = [];
    const bands = [];
    const banded = lines.filter((line) => line.low).length <= MOST_BANDS;
    for (const line of lines) {
      if (line.low && banded) {
        data.push(clean(column(line, line.high)), clean(column(line, line.low)));
        parts.push({ line, kind: "edge" }, { line, kind: "edge" });
        bands.push({ series: [data.length - 2, data.length - 1], line });
      }
      const raw = column(line, line.y);
      if (this.smoothing) {
        data.push(clean(raw));
        parts.push({ line, kind: "raw" });
      }
      data.push(clean(this.smoothing ? smoothed(raw, this.smoothing) : raw));
      parts.push({ line, kind: "line", place: data.length - 1 });
    }
    return { data, parts, bands };
  }

  restoreZoom() {
    const [low, high] = chosen("zoom").split("..").map(Number);
    if (high > low) this.uplot.setScale("x", { min: low, max: high });
  }

  /** Called by uPlot when the x axis changes: the address keeps what is not everything. */
  zoomed(min, max) {
    const xs = this.drawn.data[0];
    const whole = min <= xs[0] && max >= xs[xs.length - 1];
    const now = chosen("zoom");
    const next = whole ? "" : `${Number(min.toPrecision(6))}..${Number(max.toPrecision(6))}`;
    if (now !== next && (now || !whole)) {
      choose({ zoom: next });
      document.dispatchEvent(new CustomEvent("chart:zoomed", { detail: { min, max, by: this } }));
    }
  }

  /** Zoom as another chart of the page was zoomed. */
  follow({ min, max, by }) {
    if (this.uplot && by !== this && this.settings.sync === by.settings.sync) this.uplot.setScale("x", { min, max });
  }

  zoomAll() {
    const xs = this.drawn.data[0];
    this.uplot.setScale("x", { min: xs[0], max: xs[xs.length - 1] });
  }

  fit() {
    const width = this.plot.clientWidth;
    if (this.uplot && width && Math.abs(width - this.uplot.width) > 1)
      this.uplot.setSize({ width, height: this.room(width) });
  }

  room(width) {
    return width < 560 ? Math.round(this.height * 0.72) : this.height;
  }

  legend() {
    const shown = new Set(this.visible);
    const buttons = this.lines.map((line) =>
      make(
        "button",
        {
          type: "button",
          "aria-pressed": String(shown.has(line)),
          class: "key",
          onclick: () => this.toggle(line),
          onmouseenter: () => this.focus(line),
          onmouseleave: () => this.focus(null),
        },
        swatch(line),
        make("span", {}, line.name),
      ),
    );
    const had = [...this.part("legend").children].indexOf(document.activeElement);
    this.part("legend").replaceChildren(...buttons);
    if (had >= 0) buttons[had]?.focus();
  }

  toggle(line) {
    const names = new Set(this.visible.map((one) => one.name));
    if (!names.delete(line.name)) names.add(line.name);
    const usual = this.lines.filter((one) => one.usual !== false).map((one) => one.name);
    const others = parted(chosen("lines")).filter((name) => !this.lines.some((one) => one.name === name));
    const wanted = this.lines.map((one) => one.name).filter((name) => names.has(name));
    if (!wanted.length) return; // a chart without a line shows nothing
    const own = joined(wanted) === joined(usual) ? [] : wanted;
    choose({ lines: joined([...own, ...others]) });
    document.dispatchEvent(new CustomEvent("chart:changed"));
  }

  focus(line) {
    const found = line ? this.drawn.parts.findIndex((part) => part.line === line && part.kind === "line") : -1;
    this.uplot?.setSeries(found >= 0 ? found + 1 : null, { focus: true });
  }

  highlight(place) {
    const part = place ? this.drawn.parts[place - 1] : null;
    this.over.show(this.uplot, part ? place : null, part ? this.colour(part.line) : "");
  }

  /** What is under the pointer, beside it. */
  told(u) {
    const at = u.cursor.idx;
    if (at === null || at === undefined || u.cursor.left < 0) {
      this.tip.hidden = true;
      return;
    }
    const height = u.cursor.top;
    const values = this.values(at).sort(
      (a, b) => Math.abs(u.valToPos(a.value, "y") - height) - Math.abs(u.valToPos(b.value, "y") - height),
    );
    const near = values.slice(0, MOST_TOLD).sort((a, b) => b.value - a.value);
    this.tip.replaceChildren(
      make("b", {}, `${this.xLabel} ${+this.drawn.data[0][at].toPrecision(6)}`),
      ...near.map(({ line, value }) =>
        make(
          "span",
          {},
          swatch(line),
          make("i", {}, line.name),
          make(
            "em",
            {},
            number(value),
            line.n ? make("small", {}, ` n ${line.n[line.x.indexOf(this.drawn.data[0][at])]}`) : null,
          ),
        ),
      ),
      ...(values.length > near.length ? [make("small", {}, `and ${values.length - near.length} more`)] : []),
    );
    this.tip.hidden = false;
    const left = u.over.offsetLeft + u.cursor.left;
    const flip = left > this.plot.clientWidth - this.tip.offsetWidth - 24;
    this.tip.style.transform = `translate(${flip ? left - this.tip.offsetWidth - 14 : left + 14}px, ${u.over.offsetTop + 8}px)`;
  }

  values(at) {
    return this.drawn.parts
      .filter((part) => part.kind === "line")
      .map(({ line, place }) => ({ line, value: this.drawn.data[place][at] }))
      .filter(({ value }) => value !== null && value !== undefined);
  }

  point(at) {
    const x = this.drawn.data[0][at];
    if (x !== undefined)
      this.uplot.setCursor({ left: this.uplot.valToPos(x, "x"), top: this.uplot.over.clientHeight / 2 });
  }

  key(event) {
    if (!this.uplot || event.target !== this.plot) return;
    const xs = this.drawn.data[0];
    const at = this.uplot.cursor.idx ?? (event.key === "ArrowLeft" ? xs.length : -1);
    const { min, max } = this.uplot.scales.x;
    const acts = {
      ArrowLeft: () => this.read(Math.max(at - 1, 0)),
      ArrowRight: () => this.read(Math.min(at + 1, xs.length - 1)),
      Home: () => this.read(0),
      End: () => this.read(xs.length - 1),
      "+": () => this.uplot.setScale("x", { min: min + (max - min) / 4, max: max - (max - min) / 4 }),
      "-": () =>
        this.uplot.setScale("x", {
          min: Math.max(min - (max - min) / 2, xs[0]),
          max: Math.min(max + (max - min) / 2, xs[xs.length - 1]),
        }),
      0: () => this.zoomAll(),
      Escape: () => this.zoomAll(),
    };
    if (acts[event.key]) {
      event.preventDefault();
      acts[event.key]();
    }
  }

  /** Point at an epoch and say its values, for those who hear the chart. */
  read(at) {
    this.point(at);
    const told = this.values(at)
      .slice(0, MOST_TOLD)
      .map(({ line, value }) => `${line.name} ${number(value)}`);
    this.part("reading").textContent = `${this.xLabel} ${this.drawn.data[0][at]}: ${told.join(", ")}`;
  }

  tabulate() {
    if (this.part("data").open && this.drawn) fillTable(this.part("table"), this);
  }
  saveTable() {
    save(`${this.settings.name}.csv`, new Blob([csv(this)], { type: "text/csv" }));
  }
  async savePicture() {
    save(`${this.settings.name}.png`, await picture(this));
  }
  colour(line) {
    return colourOf(line);
  }
}
