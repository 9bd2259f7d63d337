// What a chart shows as a PNG: the drawing, with its title and legend, on the page's ground.
import { ink } from "./palette.js";

const EDGE = 16;
const ROW = 20;

export function picture(chart) {
  const ratio = devicePixelRatio;
  const source = chart.uplot.ctx.canvas;
  const width = source.width / ratio;
  const canvas = document.createElement("canvas");
  const ctx = canvas.getContext("2d");
  ctx.font = "13px system-ui, sans-serif";
  const keys = placed(ctx, chart.visible, width);
  const rows = keys.length ? keys[keys.length - 1].row + 1 : 0;
  const height = EDGE * 2 + 24 + source.height / ratio + rows * ROW;
  canvas.width = (width + EDGE * 2) * ratio;
  canvas.height = height * ratio;
  ctx.scale(ratio, ratio);
  ctx.fillStyle = ink("surface");
  ctx.fillRect(0, 0, width + EDGE * 2, height);
  ctx.fillStyle = ink("ink");
  ctx.font = "600 15px system-ui, sans-serif";
  ctx.fillText(
    `${document.querySelector("h1").textContent} · ${chart.section.querySelector("h2").textContent}`,
    EDGE,
    EDGE + 12,
    width,
  );
  ctx.drawImage(source, EDGE, EDGE + 24, width, source.height / ratio);
  ctx.font = "13px system-ui, sans-serif";
  for (const { line, x, row } of keys) key(ctx, chart, line, EDGE + x, height - EDGE - (rows - row) * ROW + ROW / 2);
  return new Promise((done) => {
    canvas.toBlob(done, "image/png");
  });
}

function placed(ctx, lines, width) {
  let [x, row] = [0, 0];
  return lines.map((line) => {
    const wide = 36 + ctx.measureText(line.name).width + 18;
    if (x + wide > width && x > 0) [x, row] = [0, row + 1];
    const here = { line, x, row };
    x += wide;
    return here;
  });
}

function key(ctx, chart, line, x, y) {
  ctx.save();
  ctx.strokeStyle = chart.colour(line);
  ctx.lineWidth = 2;
  ctx.setLineDash(line.dash);
  ctx.beginPath();
  ctx.moveTo(x, y);
  ctx.lineTo(x + 28, y);
  ctx.stroke();
  ctx.restore();
  ctx.fillStyle = ink("ink");
  ctx.fillText(line.name, x + 36, y + 4);
}
