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
      button.hidden = await compute(section, line);
    } catch (failure) {
      line.textContent = failure.message;
    }
    button.disabled = false;
  });
}

/** Request the result until the server has predicted all runs, or makes no progress; return whether it is final. */
async function compute(section, line) {
  let before = Number.POSITIVE_INFINITY;
  for (;;) {
    line.textContent = "Predicting test rows…";
    const result = await request(section.dataset.url);
    show(section, result);
    line.textContent = summary(result);
    const more = result.pending > 0 && result.pending < before;
    before = result.pending;
    if (!more) return result.complete && result.pending === 0;
  }
}

function show(section, { arms }) {
  const scroll = section.querySelector(".scroll");
  const rows = arms.flatMap(({ arm, runs, losses }) =>
    Object.entries(losses).map(([name, parts], i, { length }) =>
      row(i === 0 ? labels(arm, runs, length) : [], name, parts),
    ),
  );
  scroll.hidden = rows.length === 0;
  scroll.replaceChildren(table(rows));
}

function table(rows) {
  const headings = ["Arm", "Runs", "Loss", "Mean", "Bias", "Variance", "Net variance"];
  const cells = headings.map((text) => html("th", { scope: "col" }, text));
  return html("table", {}, html("thead", {}, html("tr", {}, ...cells)), html("tbody", {}, ...rows));
}

/** The cells that an arm's rows share. */
function labels(arm, runs, rowspan) {
  return [html("th", { scope: "rowgroup", rowspan }, arm), html("td", { rowspan }, String(runs))];
}

function row(shared, name, parts) {
  const cells = [
    NAMES[name] ?? name,
    formatNumber(parts.loss),
    withError(parts.bias, parts.bias_std_error),
    withError(parts.variance, parts.variance_std_error),
    formatNumber(parts.net_variance),
  ];
  return html("tr", {}, ...shared, ...cells.map((text) => html("td", {}, text)));
}

function withError(value, error) {
  return error === null ? formatNumber(value) : `${formatNumber(value)}\u00a0±\u00a0${formatNumber(error)}`;
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
