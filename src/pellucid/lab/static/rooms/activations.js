// Room 2: activation functions over one another, each with its derivative, and where they saturate.

import { chart, LINES } from "../draw/chart.js";
import { el, svg } from "../elements.js";
import { tools } from "../figure.js";
import { functions } from "../functions.js";
import { maxout } from "../maxout.js";
import { neuron } from "../neuron.js";
import { told } from "../numbers.js";
import { question } from "../question.js";
import { tell } from "../speak.js";

const EDGES = { low: [-20, -6], high: [20, 6] };

export function mount(/** @type {HTMLElement} */ place, /** @type {any} */ data) {
  const asked = question("activation", data, { answered: draw });
  const { names, curves, settings, change, toggle } = functions(asked, data.facts.names, "function");
  const chips = el("div", { class: "chips", role: "group", "aria-label": "Functions" }, ...data.facts.names.map((/** @type {string} */ name) =>
    el("button", { type: "button", "data-asks": "names", "data-name": name, click: () => toggle(name) }, name)));
  const canvas = el("div");
  const drawing = chart(canvas, { moved: numbers, rest: (xs) => xs.findIndex((x) => x >= 1) });
  const legend = el("ul", { class: "legend" });
  const table = el("table", {}, el("thead", {}, el("tr", {}, ...["function", "x", "value", "derivative"].map((t, k) => el("th", { scope: "col", class: k ? "number" : null }, t)))), el("tbody"));
  const rows = el("tbody");
  const facts = el("table", {}, el("thead", {}, el("tr", {}, ...["function", "formula", "steepest", "saturated"].map((t) => el("th", { scope: "col", class: t === "steepest" ? "number" : null }, t)))), rows);
  const handles = el("ul", { class: "handles" });
  const kept = tools(), others = [neuron(data), maxout(data)];
  const shade = el("input", { type: "checkbox", id: "shade", checked: true, change: draw });
  const slopes = el("input", { type: "checkbox", id: "slopes", checked: true, change: draw });

  place.append(
    chips,
    el("div", { class: "sides" },
      el("section", { class: "stage", "aria-label": "The functions" }, canvas, legend,
        el("p", { class: "row" }, el("label", { class: "row" }, slopes, "derivatives, dashed"), el("label", { class: "row" }, shade, "shade where the derivative is below 0.01 in size")), kept.element),
      el("section", { class: "stage", "aria-label": "Settings", "data-part": "handles" }, el("h2", {}, "Handles"), handles, el("h2", {}, "Read at one place"), el("p", { class: "caption" }, "Point at the curves for another place, or walk along them with the arrow keys."), el("div", { class: "scroll" }, table))),
    el("section", { class: "stage scroll", "aria-label": "What they are" }, el("h2", {}, "What they are"), facts),
    ...others.map((one) => one.element));
  asked.begin();
  for (const one of others) one.begin();

  function draw() {
    if (!asked.found) return;
    const found = curves();
    const series = found.flatMap((curve) => [
      { name: curve.name, x: curve.x, y: curve.y, kind: "line" },
      ...(slopes.checked ? [{ name: `${curve.name}, derivative`, x: curve.x, y: curve.derivative, kind: "dashed" }] : []),
    ]);
    const shaded = !shade.checked ? [] : found.flatMap((curve, number) => [
      ...(curve.flat_below === null ? [] : [{ from: -Infinity, to: curve.flat_below, series: number }]),
      ...(curve.flat_above === null ? [] : [{ from: curve.flat_above, to: Infinity, series: number }]),
    ]);
    drawing.update({ title: found.map((curve) => curve.name).join(", "), x_label: "x", y_label: "", series }, shaded, null,
      !slopes.checked ? [] : found.flatMap((curve, number) => curve.kinks.map((/** @type {any} */ kink) => ({ kink, series: number }))));
    legend.replaceChildren(...found.map((curve, number) => el("li", {}, sample(number, false), ` ${curve.name} `, ...(slopes.checked ? [sample(number, true), " derivative"] : []))));
    for (const chip of chips.children) chip.setAttribute("aria-pressed", String(found.some((curve) => curve.name === chip.dataset.name)));
    rows.replaceChildren(...found.map((curve) => el("tr", {}, el("td", {}, curve.name), el("td", { class: "mono" }, curve.formula),
      el("td", { class: "number", "data-value": curve.steepest }, told(curve.steepest)), el("td", { class: "whole" }, saturated(curve)))));
    fill(found);
    numbers();
    kept.update(asked.answer, asked.pairs);
  }

  function sample(/** @type {number} */ number, /** @type {boolean} */ dashed) {
    return svg("svg", { width: 26, height: 8, "aria-hidden": "true" },
      svg("path", { d: "M1,4H25", stroke: LINES[number % LINES.length], "stroke-width": 3, "stroke-dasharray": dashed ? "6 4" : "none" }));
  }

  function saturated(/** @type {any} */ curve) {
    const parts = [curve.flat_below === null ? "" : `below ${told(curve.flat_below)}`, curve.flat_above === null ? "" : `above ${told(curve.flat_above)}`].filter(Boolean);
    return parts.join(" and ") || "nowhere";
  }

  /** Handles of the interval, and of the settings of every function. */
  function fill(/** @type {any[]} */ found) {
    const own = found.flatMap((curve) => Object.keys(curve.settings).map((setting) => found.length === 1 ? setting : `${curve.name}.${setting}`));
    const wanted = ["low", "high", ...own].join(" ");
    if (handles.dataset.names !== wanted) {
      handles.dataset.names = wanted;
      handles.replaceChildren(...["low", "high", ...own].map(handle));
    }
    for (const row of handles.children) {
      const name = row.dataset.name, [setting, owner] = name.split(".").reverse();
      const value = name in EDGES ? Number(asked.first(name) ?? EDGES[/** @type {"low" | "high"} */ (name)][1]) : found.find((curve) => !owner || curve.name === owner).settings[setting];
      const [range, field] = row.querySelectorAll("input");
      range.value = value;
      if (field.valueAsNumber !== Number(value)) field.value = value;
    }
  }

  function handle(/** @type {string} */ name) {
    const [setting, owner] = name.split(".").reverse();
    const set = (/** @type {string} */ text) => {
      if (name in EDGES) { asked.put(name, text); return; }
      const all = settings(), whose = owner ?? names()[0];
      change(names(), { ...all, [whose]: { ...all[whose], [setting]: Number(text) } });
    };
    const [low, high] = name === "low" ? [-20, -0.5] : name === "high" ? [0.5, 20] : [-3, 3];
    const range = el("input", { type: "range", min: low, max: high, step: 0.01, "aria-label": `${name}, slider`, input: () => set(range.value) });
    const field = el("input", { type: "number", step: "any", "aria-label": name, input: () => Number.isFinite(field.valueAsNumber) && set(field.value) });
    return el("li", { class: owner ? "handle wide" : "handle", "data-name": name }, el("span", { class: "mono" }, name), range, field);
  }

  function numbers() {
    const found = curves();
    const index = drawing.at();
    table.tBodies[0].replaceChildren(...(index < 0 ? [] : found.map((curve) => el("tr", {}, el("td", {}, curve.name), ...[curve.x, curve.y, curve.derivative].map((values) => el("td", { class: "number", "data-value": values[index] }, told(values[index])))))));
    if (index >= 0 && document.activeElement?.classList.contains("chart")) tell(found.map((curve) => `${curve.name} at ${told(curve.x[index])}: ${told(curve.y[index])}, slope ${told(curve.derivative[index])}`).join("; "));
  }

}
