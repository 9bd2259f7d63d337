// The tools above a chart: scales, smoothing, x axis, files. They write into the address, and charts follow it.
import { choose, chosen } from "../kit/address.js";
import { make } from "../kit/elements.js";

const changed = () => document.dispatchEvent(new CustomEvent("chart:changed"));

export function toolbar(chart) {
  const tools = chart.settings.follows ? [] : [scale("y", "Log y"), scale("x", "Log x"), smoothing()];
  if (chart.settings.xs) tools.push(axis(chart.settings.xs));
  const files = make(
    "span",
    { class: "files" },
    make(
      "button",
      { type: "button", class: "quiet small", onclick: () => chart.zoomAll(), "aria-label": "Show all epochs" },
      "All",
    ),
    make("button", { type: "button", class: "quiet small", onclick: () => chart.saveTable() }, "CSV"),
    make("button", { type: "button", class: "quiet small", onclick: () => chart.savePicture() }, "PNG"),
  );
  return make("div", { class: "tools" }, ...tools, files);
}

function scale(axisName, text) {
  const pressed = () => chosen("scale").split(" ").includes(axisName);
  const button = make(
    "button",
    {
      type: "button",
      class: "quiet small",
      "aria-pressed": String(pressed()),
      onclick: () => {
        const scales = new Set(chosen("scale").split(" ").filter(Boolean));
        if (!scales.delete(axisName)) scales.add(axisName);
        choose({ scale: [...scales].sort().join(" ") });
        changed();
      },
    },
    text,
  );
  document.addEventListener("chart:changed", () => button.setAttribute("aria-pressed", String(pressed())));
  return button;
}

function smoothing() {
  const slider = make("input", {
    type: "range",
    min: 0,
    max: 0.98,
    step: 0.02,
    value: chosen("smooth", "0"),
    "aria-label": "Smoothing",
    oninput: () => {
      choose({ smooth: Number(slider.value) ? slider.value : null });
      changed();
    },
  });
  document.addEventListener("chart:changed", () => {
    if (document.activeElement !== slider) slider.value = chosen("smooth", "0");
  });
  return make("label", { class: "slider" }, make("span", {}, "Smooth"), slider);
}

function axis(kinds) {
  const select = make(
    "select",
    {
      "aria-label": "x axis",
      onchange: () => {
        choose({ x: select.value === kinds[0] ? null : select.value, zoom: null });
        document.dispatchEvent(new CustomEvent("chart:axis"));
      },
    },
    ...kinds.map((kind) => make("option", {}, kind)),
  );
  select.value = kinds.includes(chosen("x")) ? chosen("x") : kinds[0];
  document.addEventListener("chart:axis", () => {
    select.value = chosen("x", kinds[0]);
  });
  return select;
}
