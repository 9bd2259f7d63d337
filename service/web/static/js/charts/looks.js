// The looks of a sequential study: each arm's statistic and the boundary that decides it, as the API returns them.
import { html } from "../kit/elements.js";

export function showLooks({ sequential: course, pairs }) {
  const section = document.getElementById("looks-card");
  const tested = pairs.filter((pair) => pair.sequential);
  section.hidden = !course || !tested.length;
  if (section.hidden) return;
  const headings = [["Seeds", "num"], ["α so far", "num"], ...tested.map((pair) => [pairName(pair), "num"])];
  const seeds = [...new Set(tested.flatMap((pair) => pair.sequential.looks.map((look) => look.seeds)))];
  const table = html(
    "table",
    {},
    html(
      "thead",
      {},
      html("tr", {}, ...headings.map(([text, kind]) => html("th", { scope: "col", class: kind }, text))),
    ),
    html("tbody", {}, ...seeds.sort((a, b) => a - b).map((n) => lookRow(n, tested))),
  );
  document.getElementById("looks").replaceChildren(table);
  document.getElementById("looks-line").textContent = courseText(course);
}

function pairName({ arm, baseline }) {
  return `${arm} − ${baseline}`;
}

function lookRow(seeds, pairs) {
  const looks = pairs.map((pair) => pair.sequential.looks.find((look) => look.seeds === seeds));
  const alpha = looks.find(Boolean).alpha_spendable;
  return html(
    "tr",
    {},
    html("th", { scope: "row", class: "num" }, String(seeds)),
    html("td", { class: "num" }, alpha.toFixed(4)),
    ...looks.map((look, i) => lookCell(look, pairs[i])),
  );
}

/** "statistic / boundary"; the look that decided the pair has its verdict. */
function lookCell(look, pair) {
  if (!look) return html("td", { class: "num faint" }, "–");
  const boundary = look.critical_value === null ? "–" : look.critical_value.toFixed(2);
  const title = `p = ${look.p.toFixed(4)}, decided up to ${look.nominal_p.toFixed(4)}; α spent ${look.alpha_spent.toFixed(4)}`;
  const decided = look.seeds === pair.sequential.decided_at;
  return html(
    "td",
    { class: "num", title },
    `${look.statistic.toFixed(2)} / ${boundary} `,
    decided ? html("span", { class: `state ${pair.verdict}` }, pair.verdict) : null,
  );
}

function courseText({ max, looks, next_look: next, ended, stop_reason: reason }) {
  const reached = looks.at(-1).seeds;
  const outcomes = {
    decided: `Ended at ${reached} of up to ${max} seeds: every arm is decided.`,
    max_reached: `Ended at the maximum of ${max} seeds.`,
    stopped: `Ended at ${reached} of up to ${max} seeds. ${reason}`,
  };
  const state = outcomes[ended] ?? `${reached} of up to ${max} seeds; the next look is at ${next}.`;
  return `${state} A pair is decided when its statistic exceeds the boundary.`;
}
