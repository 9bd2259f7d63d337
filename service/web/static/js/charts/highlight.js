// One emphasized line of many, drawn on a canvas above the others: redrawing a hundred dimmed lines is too slow.

export class Highlight {
  constructor(plot) {
    this.source = plot.ctx.canvas;
    this.canvas = document.createElement("canvas");
    this.canvas.className = "highlight";
    this.source.after(this.canvas);
  }

  /** Emphasize the series at this index; null clears the emphasis. */
  show(plot, index, color) {
    const { canvas, source } = this;
    if (canvas.width !== source.width || canvas.height !== source.height) {
      canvas.width = source.width;
      canvas.height = source.height;
    }
    const ctx = canvas.getContext("2d");
    ctx.clearRect(0, 0, canvas.width, canvas.height);
    const path = index === null ? null : plot.series[index]?._paths?.stroke;
    if (!(path instanceof Path2D)) return;
    ctx.save();
    ctx.beginPath();
    ctx.rect(plot.bbox.left, plot.bbox.top, plot.bbox.width, plot.bbox.height);
    ctx.clip();
    ctx.strokeStyle = color;
    ctx.lineWidth = 3 * devicePixelRatio;
    ctx.stroke(path);
    ctx.restore();
  }
}
