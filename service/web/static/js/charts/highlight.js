// One of many lines, drawn over them: dimming a hundred others for each movement of the pointer would take too long.

export class Highlight {
  constructor(u) {
    this.source = u.ctx.canvas;
    this.canvas = document.createElement("canvas");
    this.canvas.className = "highlight";
    this.source.after(this.canvas);
  }

  /** Show the series at this place of ``u``; none takes it away. */
  show(u, place, colour) {
    const { canvas, source } = this;
    if (canvas.width !== source.width || canvas.height !== source.height)
      [canvas.width, canvas.height] = [source.width, source.height];
    const ctx = canvas.getContext("2d");
    ctx.clearRect(0, 0, canvas.width, canvas.height);
    const path = place === null ? null : u.series[place]?._paths?.stroke;
    if (!(path instanceof Path2D)) return;
    ctx.save();
    ctx.beginPath();
    ctx.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
    ctx.clip();
    ctx.strokeStyle = colour;
    ctx.lineWidth = 3 * devicePixelRatio;
    ctx.stroke(path);
    ctx.restore();
  }
}
