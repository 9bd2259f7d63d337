// The table of a study's diagnoses: each arm over its seeds, as the API returns them.
import { breakable, html } from "../kit/elements.js";
import { formatNumber, formatSigned } from "../kit/format.js";

export function showDiagnosis({ arms, metric }) {
  const headings = [
    ["Arm", ""],
    ["n", "num wide"],
    ["Verdict", ""],
    [`Lowest ${metric ?? "loss"}`, "num wide"],
    ["Rise to the end", "num"],
    ["p", "num wide"],
    ["Explanation", "wide"],
  ];
  const table = html(
    "table",
    {},
    html(
      "thead",
      {},
      html("tr", {}, ...headings.map(([text, kind]) => html("th", { scope: "col", class: kind }, text))),
    ),
    html("tbody", {}, ...arms.map(armRow)),
  );
  document.getElementById("diagnoses").replaceChildren(table);
}

function armRow({ arm, n, verdict, lowest, regret, p, explanation }) {
  return html(
    "tr",
    {},
    html("th", { scope: "row" }, ...breakable(arm)),
    html("td", { class: "num wide" }, String(n)),
    html("td", { title: explanation }, html("span", { class: `state ${verdict}` }, verdict.replaceAll("_", " "))),
    html("td", { class: "num wide" }, formatNumber(lowest)),
    html("td", { class: "num" }, formatSigned(regret)),
    html("td", { class: "num wide" }, p === null ? "–" : p.toFixed(3)),
    html("td", { class: "faint wide" }, explanation),
  );
}
