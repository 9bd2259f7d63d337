// The choice of a study's arm: the best, or the simplest within one standard error of it, and a new run from it.
import { request } from "../kit/api.js";
import { breakable, html } from "../kit/elements.js";
import { formatNumber } from "../kit/format.js";

const ASK = "The arms differ in more than one strength. Select which of them are simpler, then choose again.";

/** Offer the choice in a section, if the page has it; the server chooses on request. */
export function offerChoice(section) {
  if (!section) return;
  const form = section.querySelector("form");
  const error = section.querySelector("[role=alert]");
  const result = section.querySelector("[data-result]");

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { rule, simpler: order } = Object.fromEntries(new FormData(form));
    const params = new URLSearchParams({ rule, ...(rule === "best" || !order ? {} : { simpler: order }) });
    error.textContent = "";
    try {
      showChoice(result, await request(`${section.dataset.url}?${params}`));
    } catch (failure) {
      const asks = failure.problem?.errors?.some(({ pointer }) => pointer === "simpler") && !order;
      error.textContent = asks ? ASK : failure.message;
      result.replaceChildren();
    }
  });
}

function showChoice(place, choice) {
  const { chosen, best, arms } = choice;
  const head = ["Arm", `Mean ${choice.at} ${choice.metric}`, "Standard error", ""].map((text) =>
    html("th", { scope: "col", class: text && text !== "Arm" ? "num" : "" }, text),
  );
  const rows = arms.map((arm) => {
    const tags = [arm.arm === chosen && "chosen", arm.arm === best && "best"].filter(Boolean);
    return html(
      "tr",
      {},
      html("th", { scope: "row" }, ...breakable(arm.arm), ...tags.map((tag) => html("span", { class: "tag" }, tag))),
      html("td", { class: "num" }, formatNumber(arm.mean)),
      html("td", { class: "num" }, formatNumber(arm.standard_error)),
      html("td", { class: "faint" }, arm.within_one_standard_error ? "within one standard error" : ""),
    );
  });
  const address = `/runs/new?spec=${encodeURIComponent(JSON.stringify(choice.chosen_spec))}`;
  place.replaceChildren(
    html("p", { class: "lead" }, "Choose ", html("b", {}, chosen), ". ", choice.explanation),
    html("p", {}, html("a", { class: "button", href: address }, "New run from it")),
    html("table", {}, html("thead", {}, html("tr", {}, ...head)), html("tbody", {}, ...rows)),
  );
}
