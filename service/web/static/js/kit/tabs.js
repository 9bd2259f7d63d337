// Tabs by mouse and by arrow keys; the chosen one is in the address.
import { choose, chosen } from "./address.js";

export function tabs(root) {
  const all = [...root.querySelectorAll("[role=tab]")];
  const select = (tab, focus) => {
    for (const one of all) {
      one.setAttribute("aria-selected", String(one === tab));
      one.tabIndex = one === tab ? 0 : -1;
      document.getElementById(one.getAttribute("aria-controls")).hidden = one !== tab;
    }
    if (focus) tab.focus();
    choose({ tab: tab === all[0] ? null : tab.textContent });
  };
  for (const [i, tab] of all.entries()) {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) select(all[(i + step + all.length) % all.length], true);
    });
  }
  const asked = all.find((tab) => tab.textContent === chosen("tab"));
  if (asked) select(asked);
  root.querySelector("[data-copy]")?.addEventListener("click", async (event) => {
    const text = root.querySelector("[role=tabpanel]:not([hidden])").textContent;
    const button = event.currentTarget;
    button.textContent = await navigator.clipboard.writeText(text).then(
      () => "Copied",
      () => "Not allowed",
    );
    setTimeout(() => {
      button.textContent = "Copy";
    }, 1500);
  });
}
