// A histogram of weights as bars. Zero is marked, because that is where L1 and L2 differ.
import { svg } from "../kit/elements.js";
import { formatNumber } from "../kit/format.js";

const WIDTH = 240;
const HEIGHT = 84;

export function histogramBars({ low, high, counts }, name) {
  const highest = Math.max(...counts, 1);
  const step = WIDTH / counts.length;
  const rects = counts.map((count, i) => {
    const height = count ? Math.max((count / highest) * HEIGHT, 1) : 0;
    return svg("rect", { x: i * step, y: HEIGHT - height, width: Math.max(step - 0.6, 0.4), height });
  });
  const label = `Histogram of ${name}, from ${formatNumber(low)} to ${formatNumber(high)}`;
  const textY = HEIGHT + 13;
  return svg(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT + 16}`, role: "img", "aria-label": label },
    ...rects,
    ...zeroMark(low, high, textY),
    svg("text", { x: 0, y: textY }, formatNumber(low)),
    svg("text", { x: WIDTH, y: textY, "text-anchor": "end" }, formatNumber(high)),
  );
}

/** A line at zero if the range contains it; its label only where it does not cover those of the range. */
function zeroMark(low, high, textY) {
  if (low >= 0 || high <= 0) return [];
  const x = ((0 - low) / (high - low)) * WIDTH;
  const line = svg("line", { class: "zero", x1: x, x2: x, y1: 0, y2: HEIGHT });
  if (x < 60 || x > WIDTH - 60) return [line];
  return [line, svg("text", { x, y: textY, "text-anchor": "middle" }, "0")];
}
