// Dialogs that change or delete a resource: opened by buttons with data-opens, closed by Escape or data-closes.
import { request } from "../kit/api.js";

const LABEL = /^([^=]+)=(.*)$/;

/** The lines of a text that are not empty. */
export function linesOf(text) {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
}

/** The labels in a text with one key=value a line; throws an Error that names the first malformed line. */
export function parseLabels(text) {
  const pairs = linesOf(text).map((line) => {
    const match = LABEL.exec(line);
    if (!match) throw new Error(`A label is key=value; “${line}” has no =.`);
    return [match[1].trim(), match[2].trim()];
  });
  return Object.fromEntries(pairs);
}

function changes(form) {
  const { name, labels, priority } = form.elements;
  return { name: name.value.trim() || null, labels: parseLabels(labels.value), priority: priority.valueAsNumber };
}

async function submit(form, actions) {
  if (form.dataset.submits) {
    await actions[form.dataset.submits](form);
    return;
  }
  if (form.dataset.deletes) {
    await request(form.dataset.deletes, { method: "DELETE" });
    location.assign(form.dataset.next);
    return;
  }
  const headers = { "content-type": "application/json" };
  await request(form.dataset.changes, { method: "PATCH", headers, body: JSON.stringify(changes(form)) });
  location.reload();
}

/**
 * Set up the dialogs of the page. ``actions`` are asynchronous functions by the name in data-submits; each gets the form,
 * and an error that it throws is displayed there.
 */
export function setUpDialogs(actions = {}) {
  document.addEventListener("click", ({ target }) => {
    const opened = target.closest("[data-opens]");
    if (opened) document.getElementById(opened.dataset.opens).showModal();
    if (target.closest("[data-closes]")) target.closest("dialog").close();
  });
  for (const form of document.querySelectorAll("dialog form")) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const button = form.querySelector("[type=submit]");
      button.disabled = true;
      try {
        form.querySelector("[role=alert]").textContent = "";
        await submit(form, actions);
      } catch (error) {
        form.querySelector("[role=alert]").textContent = error.message;
      }
      button.disabled = false;
    });
  }
}
