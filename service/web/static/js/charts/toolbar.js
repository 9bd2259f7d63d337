// The controls above a chart: scales, smoothing, x axis, downloads. They change the address; charts follow it.
import { getParam, setParams } from "../kit/address.js";
import { html } from "../kit/elements.js";

const announce = () => document.dispatchEvent(new CustomEvent("chart:changed"));

export function toolbar(chart) {
  const controls =
    chart.settings.follows || chart.settings.sizes
      ? []
      : [scaleButton("y", "Log y"), scaleButton("x", "Log x"), outliersButton(), smoothingSlider()];
  if (chart.settings.xAxes?.length > 1) controls.push(axisSelect(chart.settings.xAxes));
  const button = (text, onclick, attributes = {}) =>
    html("button", { type: "button", class: "quiet small", onclick, ...attributes }, text);
  const files = html(
    "span",
    { class: "files" },
    button("All", () => chart.zoomOut(), { "aria-label": chart.settings.sizes ? "Show all sizes" : "Show all epochs" }),
    button("CSV", () => chart.saveTable()),
    button("PNG", () => chart.saveImage()),
  );
  return html("div", { class: "tools" }, ...controls, files);
}

function scaleButton(axis, text) {
  const pressed = () => getParam("scale").split(" ").includes(axis);
  const toggle = () => {
    const scales = new Set(getParam("scale").split(" ").filter(Boolean));
    if (!scales.delete(axis)) scales.add(axis);
    setParams({ scale: [...scales].sort().join(" ") });
  };
  return toggleButton(text, pressed, toggle);
}

function outliersButton() {
  const pressed = () => getParam("outliers") === "ignore";
  const title = "Fit the y axis to all but outliers, such as spikes: values more than three interquartile ranges away";
  return toggleButton("Ignore outliers", pressed, () => setParams({ outliers: pressed() ? null : "ignore" }), {
    title,
  });
}

function toggleButton(text, pressed, toggle, attributes = {}) {
  const onclick = () => {
    toggle();
    announce();
  };
  const state = { "aria-pressed": String(pressed()) };
  const button = html("button", { type: "button", class: "quiet small", ...state, onclick, ...attributes }, text);
  document.addEventListener("chart:changed", () => button.setAttribute("aria-pressed", String(pressed())));
  return button;
}

function smoothingSlider() {
  const slider = html("input", {
    type: "range",
    min: 0,
    max: 0.98,
    step: 0.02,
    value: getParam("smooth", "0"),
    "aria-label": "Smoothing",
    oninput: () => {
      setParams({ smooth: Number(slider.value) ? slider.value : null });
      announce();
    },
  });
  document.addEventListener("chart:changed", () => {
    if (document.activeElement !== slider) slider.value = getParam("smooth", "0");
  });
  return html("label", { class: "slider" }, html("span", {}, "Smoothing"), slider);
}

function axisSelect(axes) {
  const select = html(
    "select",
    {
      "aria-label": "x axis",
      onchange: () => {
        setParams({ x: select.value === axes[0] ? null : select.value, zoom: null });
        document.dispatchEvent(new CustomEvent("chart:axis"));
      },
    },
    ...axes.map((axis) => html("option", {}, axis)),
  );
  select.value = axes.includes(getParam("x")) ? getParam("x") : axes[0];
  document.addEventListener("chart:axis", () => {
    select.value = getParam("x", axes[0]);
  });
  return select;
}
