// A chart as PNG: the plot with its title and legend, in the page's colors.
import { lineColor, themeColor } from "./palette.js";

const MARGIN = 16;
const TITLE_HEIGHT = 24;
const ROW_HEIGHT = 20;
const LEGEND_FONT = "13px system-ui, sans-serif";

export function chartPng(chart) {
  const ratio = devicePixelRatio;
  const plot = chart.uplot.ctx.canvas;
  const [width, plotHeight] = [plot.width / ratio, plot.height / ratio];
  const canvas = document.createElement("canvas");
  const ctx = canvas.getContext("2d");
  ctx.font = LEGEND_FONT;
  const entries = legendLayout(ctx, chart.visible, width);
  const rows = entries.length ? entries[entries.length - 1].row + 1 : 0;
  const height = MARGIN * 2 + TITLE_HEIGHT + plotHeight + rows * ROW_HEIGHT;
  canvas.width = (width + MARGIN * 2) * ratio;
  canvas.height = height * ratio;
  ctx.scale(ratio, ratio);
  ctx.fillStyle = themeColor("surface");
  ctx.fillRect(0, 0, width + MARGIN * 2, height);
  ctx.fillStyle = themeColor("ink");
  ctx.font = "600 15px system-ui, sans-serif";
  const title = `${document.querySelector("h1").textContent} · ${chart.section.querySelector("h2").textContent}`;
  ctx.fillText(title, MARGIN, MARGIN + 12, width);
  ctx.drawImage(plot, MARGIN, MARGIN + TITLE_HEIGHT, width, plotHeight);
  ctx.font = LEGEND_FONT;
  for (const { line, x, row } of entries) {
    drawEntry(ctx, line, MARGIN + x, height - MARGIN - (rows - row) * ROW_HEIGHT + ROW_HEIGHT / 2);
  }
  return new Promise((resolve) => {
    canvas.toBlob(resolve, "image/png");
  });
}

/** Legend entries from left to right, in as many rows as they need. */
function legendLayout(ctx, lines, width) {
  let [x, row] = [0, 0];
  return lines.map((line) => {
    const entryWidth = 36 + ctx.measureText(line.name).width + 18;
    if (x + entryWidth > width && x > 0) [x, row] = [0, row + 1];
    const entry = { line, x, row };
    x += entryWidth;
    return entry;
  });
}

function drawEntry(ctx, line, x, y) {
  ctx.save();
  ctx.strokeStyle = lineColor(line);
  ctx.lineWidth = 2;
  ctx.setLineDash(line.dash);
  ctx.beginPath();
  if (line.points) {
    ctx.arc(x + 14, y, 2, 0, 2 * Math.PI);
  } else {
    ctx.moveTo(x, y);
    ctx.lineTo(x + 28, y);
  }
  ctx.stroke();
  ctx.restore();
  ctx.fillStyle = themeColor("ink");
  ctx.fillText(line.name, x + 36, y + 4);
}
