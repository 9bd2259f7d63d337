// Performance profiles: the share of each arm's runs whose score is above a threshold.
import { html, svg } from "../kit/elements.js";
import { linearTicks } from "./axes.js";
import { lineStyle, swatch } from "./palette.js";

const HEIGHT = 300;
const LEFT = 46;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 40;
const SHARES = [0, 0.25, 0.5, 0.75, 1];
const MAX_BANDS = 6;

export function profilesFigure({ thresholds, profiles }, width) {
  const [low, high] = [thresholds[0], thresholds.at(-1)];
  const x = (score) => LEFT + ((score - low) / (high - low || 1)) * (width - LEFT - RIGHT);
  const y = (share) => HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM);
  const points = (shares) => shares.map((share, i) => `${x(thresholds[i]).toFixed(1)} ${y(share).toFixed(1)}`);
  const band = ({ low: lower, high: upper }) => `M${points(upper).join("L")}L${points(lower).reverse().join("L")}Z`;
  const banded = profiles.length <= MAX_BANDS && profiles.every((profile) => profile.low);
  return svg(
    "svg",
    {
      class: "profiles",
      viewBox: `0 0 ${width} ${HEIGHT}`,
      width,
      height: HEIGHT,
      role: "img",
      "aria-label": `Share of runs above each score, for ${profiles.map(({ arm }) => arm).join(", ")}`,
    },
    ...SHARES.flatMap((share) => [
      svg("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(share), y2: y(share) }),
      svg("text", { x: LEFT - 6, y: y(share) + 4, "text-anchor": "end" }, `${100 * share} %`),
    ]),
    ...linearTicks(low, high, Math.max(2, width / 60)).flatMap((score) => [
      svg("line", { class: "grid", x1: x(score), x2: x(score), y1: TOP, y2: HEIGHT - BOTTOM }),
      svg("text", { x: x(score), y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, String(score)),
    ]),
    svg("text", { x: (LEFT + width - RIGHT) / 2, y: HEIGHT - 6, "text-anchor": "middle" }, "score τ"),
    ...(banded ? profiles.map((profile, i) => svg("path", { class: `band ${lineClass(i)}`, d: band(profile) })) : []),
    ...profiles.map(({ share }, i) =>
      svg("path", {
        class: `line ${lineClass(i)}`,
        d: `M${points(share).join("L")}`,
        "stroke-dasharray": lineStyle(i).dash.join(" "),
      }),
    ),
  );
}

export function legend(arms) {
  return arms.map(({ arm }, i) => html("span", { class: "key" }, swatch(lineStyle(i)), html("span", {}, arm)));
}

function lineClass(i) {
  return `line-${lineStyle(i).color}`;
}
