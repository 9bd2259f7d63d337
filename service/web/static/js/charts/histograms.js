// Weight histograms as bars; zero is marked, since that is where L1 and L2 differ.
import { draw } from "../kit/elements.js";
import { number } from "../kit/format.js";

const [WIDTH, HEIGHT] = [240, 84];

export function drawHistograms(root) {
  for (const figure of root.querySelectorAll("[data-histogram]")) {
    const told = JSON.parse(figure.dataset.histogram);
    const place = figure.querySelector(".bars");
    if (place.firstChild) continue;
    if (!told) {
      place.textContent = "Not finite.";
      continue;
    }
    place.append(bars(told, figure.querySelector("b").textContent));
  }
}

function bars({ low, high, counts }, name) {
  const most = Math.max(...counts, 1);
  const wide = WIDTH / counts.length;
  const rects = counts.map((count, i) => {
    const tall = count ? Math.max((count / most) * HEIGHT, 1) : 0;
    return draw("rect", { x: i * wide, y: HEIGHT - tall, width: Math.max(wide - 0.6, 0.4), height: tall });
  });
  const zero = low < 0 && high > 0 ? ((0 - low) / (high - low)) * WIDTH : null;
  return draw(
    "svg",
    {
      viewBox: `0 0 ${WIDTH} ${HEIGHT + 16}`,
      role: "img",
      "aria-label": `Histogram of ${name}, from ${number(low)} to ${number(high)}`,
    },
    ...rects,
    ...(zero === null ? [] : [draw("line", { class: "zero", x1: zero, x2: zero, y1: 0, y2: HEIGHT })]),
    draw("text", { x: 0, y: HEIGHT + 13 }, number(low)),
    ...(zero === null || zero < 60 || zero > WIDTH - 60
      ? []
      : [draw("text", { x: zero, y: HEIGHT + 13, "text-anchor": "middle" }, "0")]),
    draw("text", { x: WIDTH, y: HEIGHT + 13, "text-anchor": "end" }, number(high)),
  );
}
