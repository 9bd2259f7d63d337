// The table of a study's diagnoses: each arm over its seeds, as the API returns them.
import { breakable, html } from "../kit/elements.js";
import { formatNumber, formatSigned } from "../kit/format.js";

/** ``fields`` are those that the study varies, which name its arms. */
export function showDiagnosis({ arms, metric }, fields) {
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
    html("tbody", {}, ...arms.map((arm) => armRow(arm, fields.label(arm.arm)))),
  );
  document.getElementById("diagnoses").replaceChildren(table);
}

function armRow({ n, verdict, lowest, regret, p, explanation }, name) {
  return html(
    "tr",
    {},
    html("th", { scope: "row" }, ...breakable(name)),
    html("td", { class: "num wide" }, String(n)),
    html("td", { title: explanation }, html("span", { class: `state ${verdict}` }, verdict.replaceAll("_", " "))),
    html("td", { class: "num wide" }, formatNumber(lowest)),
    html("td", { class: "num" }, formatSigned(regret)),
    html("td", { class: "num wide" }, p === null ? "–" : p.toFixed(3)),
    html("td", { class: "faint wide" }, explanation),
  );
}
