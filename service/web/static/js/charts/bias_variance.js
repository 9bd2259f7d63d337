// Bias and variance of a study's arms: computed by the server on request, then a row for each arm and loss.
import { request } from "../kit/api.js";
import { html } from "../kit/elements.js";
import { formatNumber } from "../kit/format.js";

const NAMES = {
  cross_entropy: "Cross-entropy",
  zero_one: "Zero-one loss",
  brier: "Brier score",
  squared_error: "Squared error",
};

/** Compute and show the table once the section's button is pressed. */
export function offerBiasVariance(section) {
  const button = section?.querySelector("button");
  button?.addEventListener("click", async () => {
    button.disabled = true;
    const line = section.querySelector("[data-summary]");
    try {
      await compute(section, line);
    } catch (failure) {
      line.textContent = failure.message;
    }
    button.disabled = false;
  });
}

/** Request the result until the server has predicted all runs, or makes no progress. */
async function compute(section, line) {
  let before = Number.POSITIVE_INFINITY;
  for (let more = true; more; ) {
    line.textContent = "Predicting test rows…";
    const result = await request(section.dataset.url);
    show(section, result);
    line.textContent = summary(result);
    more = result.pending > 0 && result.pending < before;
    before = result.pending;
  }
}

function show(section, { arms }) {
  const scroll = section.querySelector(".scroll");
  const rows = arms.flatMap(({ arm, runs, losses }) =>
    Object.entries(losses).map(([name, parts], i) => row(i === 0 ? [arm, runs] : ["", ""], name, parts)),
  );
  scroll.hidden = rows.length === 0;
  scroll.replaceChildren(table(rows));
}

function table(rows) {
  const headings = ["Arm", "Runs", "Loss", "Mean", "Bias", "Variance", "Net variance"];
  const cells = headings.map((text) => html("th", { scope: "col" }, text));
  return html("table", {}, html("thead", {}, html("tr", {}, ...cells)), html("tbody", {}, ...rows));
}

function row([arm, runs], name, parts) {
  const cells = [
    String(runs),
    NAMES[name] ?? name,
    formatNumber(parts.loss),
    withError(parts.bias, parts.bias_std_error),
    withError(parts.variance, parts.variance_std_error),
    formatNumber(parts.net_variance),
  ];
  return html("tr", {}, html("th", { scope: "row" }, arm), ...cells.map((text) => html("td", {}, text)));
}

function withError(value, error) {
  return error === null ? formatNumber(value) : `${formatNumber(value)} ± ${formatNumber(error)}`;
}

function summary({ at, pending, generalizes_over: over, arms }) {
  const count = (name) => arms.reduce((sum, arm) => sum + arm[name], 0);
  const [diverged, leftOut] = ["diverged", "left_out"].map(count);
  const sentences = [
    `Mean test loss (${at} epoch) = bias + net variance; the variance is that over ${over.join(", ")}, ± is a standard error. The bias contains the noise of the targets.`,
    diverged ? `Diverged runs, which do not count: ${diverged}.` : "",
    leftOut ? `Runs left out, as their predictions do not fit into memory: ${leftOut}.` : "",
    pending ? `Runs to predict: ${pending}.` : "",
  ];
  return sentences.filter(Boolean).join(" ");
}
