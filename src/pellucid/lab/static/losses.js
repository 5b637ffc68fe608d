// Losses over one another, each with its derivative and its corners: a section of the room of losses and descent.

import { chart, LINES } from "./draw/chart.js";
import { el, svg } from "./elements.js";
import { tools } from "./figure.js";
import { functions } from "./functions.js";
import { told } from "./numbers.js";
import { question } from "./question.js";
import { tell } from "./speak.js";

const SLIDERS = /** @type {Record<string, [number, number]>} */ ({ delta: [0.05, 4], beta: [0.05, 4], label_smoothing: [0, 0.99], margin: [-2, 4], target: [0, 1], alpha: [0, 1], gamma: [0, 5] });

export function losses(/** @type {any} */ data) {
  const asked = question("loss", data, { answered: draw });
  const { names: chosen, curves, settings, change, toggle } = functions(asked, data.facts.losses, "loss");
  const chips = el("div", { class: "chips", role: "group", "aria-label": "Losses" }, ...data.facts.losses.map((/** @type {string} */ name) => el("button", { type: "button", "data-name": name, click: () => toggle(name) }, name.replaceAll("_", " "))));
  const canvas = el("div"), drawing = chart(canvas, { moved: numbers, rest: (xs) => Math.floor(xs.length * 0.75) });
  const names = el("ul", { class: "legend" }), sliders = el("ul", { class: "handles" }), corners = el("ul", { class: "plain" }), table = el("tbody");
  const kept = tools();
  const element = el("section", { class: "stage", "aria-label": "Losses", "data-part": "losses" }, el("h2", {}, "Losses: how wrong, and how steep"),
    el("p", { class: "soft" }, "A loss says how wrong an answer is; its slope (dashed) is what comes back to the network. Squared, absolute and Huber's are of numbers, over the error; the others are of classes, over the margin: how far the right one of two classes is ahead."),
    chips,
    el("div", { class: "sides" }, el("div", {}, canvas, names), el("div", {}, sliders, corners,
      el("table", {}, el("thead", {}, el("tr", {}, ...["loss", "at", "value", "slope"].map((words, k) => el("th", { scope: "col", class: k ? "number" : null }, words)))), table))),
    kept.element);
  return { element, begin: asked.begin };

  function draw() {
    const found = curves();
    const series = found.flatMap((curve) => [{ name: curve.name, x: curve.x, y: curve.y, kind: "line" }, { name: `${curve.name}, derivative`, x: curve.x, y: curve.derivative, kind: "dashed" }]);
    drawing.update({ title: `Losses: ${found.map((curve) => curve.name).join(", ")}`, x_label: [...new Set(found.map((curve) => curve.over))].join(" or "), y_label: "", series }, [], null,
      found.flatMap((curve, number) => curve.kinks.map((/** @type {any} */ kink) => ({ kink, series: number }))));
    names.replaceChildren(...found.map((curve, number) => el("li", {}, svg("svg", { width: 26, height: 8, "aria-hidden": "true" }, svg("path", { d: "M1,4H25", stroke: LINES[number % LINES.length], "stroke-width": 3 })), ` ${curve.name}: `, el("span", { class: "mono" }, curve.formula))));
    for (const chip of chips.children) chip.setAttribute("aria-pressed", String(found.some((curve) => curve.name === chip.dataset.name)));
    corners.replaceChildren(...found.flatMap((curve) => curve.kinks.map((/** @type {any} */ kink) => el("li", { "data-value": kink.derivative, "data-name": `${curve.name} corner` },
      `${curve.name} has a corner at ${told(kink.x)}: its slope is ${told(kink.left)} before and ${told(kink.right)} after; the engine takes ${told(kink.derivative)} there (the full circle).`))));
    const wanted = found.flatMap((curve) => Object.keys(curve.settings).map((setting) => `${curve.name}.${setting}`));
    if (sliders.dataset.names !== wanted.join(" ")) {
      sliders.dataset.names = wanted.join(" ");
      sliders.replaceChildren(...wanted.map(handle));
    }
    for (const row of sliders.children) {
      const [name, setting] = (row.dataset.name ?? "").split(".");
      const value = found.find((curve) => curve.name === name).settings[setting];
      const [range, field] = row.querySelectorAll("input");
      range.value = value;
      if (field.valueAsNumber !== value) field.value = value;
    }
    numbers();
    kept.update(asked.answer, asked.pairs);
  }

  function handle(/** @type {string} */ path) {
    const [name, setting] = path.split("."), [low, high] = SLIDERS[setting] ?? [-3, 3];
    const set = (/** @type {number} */ value) => change(chosen(), { ...settings(), [name]: { ...settings()[name], [setting]: value } });
    const range = el("input", { type: "range", min: low, max: high, step: 0.01, "aria-label": `${path}, slider`, input: () => set(Number(range.value)) });
    const field = el("input", { type: "number", step: "any", "aria-label": path, input: () => Number.isFinite(field.valueAsNumber) && set(field.valueAsNumber) });
    return el("li", { class: "handle wide", "data-name": path }, el("span", {}, path.replaceAll("_", " ")), range, field);
  }

  function numbers() {
    const found = curves(), index = drawing.at();
    table.replaceChildren(...found.map((curve) => el("tr", {}, el("td", {}, curve.name), ...[curve.x, curve.y, curve.derivative].map((values) => el("td", { class: "number", "data-value": values[index] }, told(values[index]))))));
    if (document.activeElement?.classList.contains("chart")) tell(found.map((curve) => `${curve.name} at ${told(curve.x[index])}: ${told(curve.y[index])}, slope ${told(curve.derivative[index])}`).join("; "));
  }
}
