// Runs that are selected in a list, by checkboxes, and what is done with them. The selection is part of the address.
import { getParam, setParams } from "../kit/address.js";
import { post, request } from "../kit/api.js";
import { linesOf, parseLabels, setUpDialogs } from "./dialogs.js";

const MAX_NAMED = 3;
const MAX_COMPARED = 50;
const byId = (id) => document.getElementById(id);
const selected = new Set(getParam("selected").split(",").filter(Boolean));
const boxes = () => [...document.querySelectorAll("[data-pick]")];

/** Set up the checkboxes of the list and the bar of actions; ``refresh`` loads the list again after an action. */
export function setUpSelection(refresh) {
  document.addEventListener("change", ({ target }) => {
    if (target.id === "pick-all") for (const box of boxes()) toggle(box.dataset.pick, target.checked);
    else if (target.dataset?.pick) toggle(target.dataset.pick, target.checked);
    else return;
    showSelection();
  });
  byId("clear-selection").addEventListener("click", () => {
    selected.clear();
    showSelection();
  });
  byId("cancel-runs")?.addEventListener("click", async () => {
    byId("selection-error").textContent = "";
    try {
      await post("/v1/runs/cancel", { ids: [...selected] });
      await refresh();
    } catch (error) {
      byId("selection-error").textContent = error.message;
    }
  });
  setUpDialogs({
    label: (form) => act(form, labels(form), refresh),
    delete: (form) => act(form, (id) => request(`/v1/runs/${id}`, { method: "DELETE" }), refresh, true),
  });
  showSelection();
}

function toggle(id, isSelected) {
  if (isSelected) selected.add(id);
  else selected.delete(id);
}

/** Show the selection in the checkboxes, the bar and the address. */
export function showSelection() {
  const listed = boxes();
  for (const box of listed) box.checked = selected.has(box.dataset.pick);
  const count = listed.filter((box) => box.checked).length;
  const all = byId("pick-all");
  if (all) {
    all.disabled = !listed.length;
    all.checked = listed.length > 0 && count === listed.length;
    all.indeterminate = count > 0 && count < listed.length;
  }
  const ids = [...selected];
  setParams({ selected: ids.join(",") });
  for (const link of document.querySelectorAll("nav.pages a")) {
    const address = new URL(link.href);
    if (ids.length) address.searchParams.set("selected", ids.join(","));
    else address.searchParams.delete("selected");
    link.href = address.href;
  }
  byId("selection").hidden = !ids.length;
  byId("selection-count").textContent = ids.length === 1 ? "1 run selected" : `${ids.length} runs selected`;
  byId("compare").href = `/compare?runs=${ids.slice(0, MAX_COMPARED).join(",")}`;
  if (!ids.length) byId("selection-error").textContent = "";
}

/** The action that adds and removes the labels in a form. Throws an Error that names a malformed line. */
function labels({ elements }) {
  const added = parseLabels(elements.added.value);
  const removed = linesOf(elements.removed.value);
  return async (id) => {
    const { labels: current } = await request(`/v1/runs/${id}`);
    const remaining = Object.entries(current).filter(([key]) => !removed.includes(key));
    await request(`/v1/runs/${id}`, {
      method: "PATCH",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ labels: { ...Object.fromEntries(remaining), ...added } }),
    });
  };
}

/** Apply an action to every selected run; runs that refuse it stay selected and are named in an Error. */
async function act(form, action, refresh, deselects = false) {
  const problems = [];
  for (const id of [...selected]) {
    try {
      await action(id);
      if (deselects) selected.delete(id);
    } catch (error) {
      problems.push(`…${id.slice(-6)}: ${error.message}`);
    }
  }
  showSelection();
  await refresh();
  if (problems.length) {
    const more = problems.length - MAX_NAMED;
    throw new Error(problems.slice(0, MAX_NAMED).join(" ") + (more > 0 ? ` And ${more} more.` : ""));
  }
  form.closest("dialog").close();
  form.reset();
}
