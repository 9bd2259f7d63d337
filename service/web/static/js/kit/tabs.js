// Tabs, operated by pointer or arrow keys. The selected tab is part of the address.
import { getParam, setParams } from "./address.js";

export function setUpTabs(root) {
  const tabs = [...root.querySelectorAll("[role=tab]")];
  const select = (tab, focus) => {
    for (const other of tabs) {
      other.setAttribute("aria-selected", String(other === tab));
      other.tabIndex = other === tab ? 0 : -1;
      document.getElementById(other.getAttribute("aria-controls")).hidden = other !== tab;
    }
    if (focus) tab.focus();
    setParams({ tab: tab === tabs[0] ? null : tab.textContent });
  };
  for (const [i, tab] of tabs.entries()) {
    tab.addEventListener("click", () => select(tab));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) select(tabs[(i + step + tabs.length) % tabs.length], true);
    });
  }
  const initial = tabs.find((tab) => tab.textContent === getParam("tab"));
  if (initial) select(initial);
  root.querySelector("[data-copy]")?.addEventListener("click", copyPanel);

  async function copyPanel({ currentTarget: button }) {
    const text = root.querySelector("[role=tabpanel]:not([hidden])").textContent;
    button.textContent = await navigator.clipboard.writeText(text).then(
      () => "Copied",
      () => "Not allowed",
    );
    setTimeout(() => {
      button.textContent = "Copy";
    }, 1500);
  }
}
