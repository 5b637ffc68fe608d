// The optimizers of a race: each with its step size and its own settings as sliders; more are added, and taken away.

import { LINES } from "./draw/chart.js";
import { el } from "./elements.js";
import { told } from "./numbers.js";

const SLIDERS = /** @type {Record<string, [number, number, number]>} */ ({ momentum: [0, 0.99, 0.01], decay: [0, 0.999, 0.001], beta1: [0, 0.99, 0.01], beta2: [0, 0.999, 0.001], epsilon: [1e-8, 1, 0.001], weight_decay: [0, 1, 0.01], clip_norm: [0, 10, 0.1], clip_value: [0, 10, 0.1] });
/** Step sizes go by powers of ten. */
const LOW = -5, HIGH = 1;

/** `changed(texts)` hears of the optimizers as the question takes them; `update(walks)` shows what it answered. */
export function runners(/** @type {any} */ facts, /** @type {(texts: string[]) => void} */ changed) {
  /** @type {{optimizer: string, rate: number, settings: Record<string, number>}[]} */
  let shown = [];
  const list = el("ol", { class: "runners" });
  const more = el("select", { "aria-label": "Add an optimizer", change: add }, el("option", { value: "" }, "Add an optimizer"), ...facts.optimizers.map((/** @type {any} */ one) => el("option", { value: one.name }, one.name)));
  const element = el("div", {}, list, more);

  const usual = (/** @type {string} */ name) => facts.optimizers.find((/** @type {any} */ one) => one.name === name)?.settings ?? {};
  const text = (/** @type {{optimizer: string, rate: number, settings: Record<string, number>}} */ one) => [one.optimizer, ...(one.rate ? [`rate=${one.rate}`] : []), ...Object.entries(one.settings).filter(([name, value]) => usual(one.optimizer)[name] !== value).map(([name, value]) => `${name}=${value}`)].join(",");
  const tell = () => changed(shown.map(text));

  function add() {
    if (more.value && shown.length < 12) { shown = [...shown, { optimizer: more.value, rate: 0, settings: {} }]; tell(); }
    more.value = "";
  }

  function row(/** @type {number} */ number) {
    const one = shown[number];
    const set = (/** @type {string} */ name, /** @type {number} */ value) => {
      const mine = { ...shown[number], settings: { ...shown[number].settings } };
      if (name === "rate") mine.rate = value;
      else mine.settings[name] = value;
      shown = shown.map((other, k) => k === number ? mine : other);
      tell();
    };
    const handle = (/** @type {string} */ name) => {
      const isRate = name === "rate", [low, high, step] = isRate ? [LOW, HIGH, 0.01] : SLIDERS[name];
      const range = el("input", { type: "range", min: low, max: high, step, "aria-label": `${one.optimizer} ${number + 1}, ${name}, slider`, input: () => set(name, isRate ? Number((10 ** Number(range.value)).toPrecision(3)) : Number(range.value)) });
      const field = el("input", { type: "number", step: "any", "aria-label": `${one.optimizer} ${number + 1}, ${name}`, input: () => Number.isFinite(field.valueAsNumber) && set(name, field.valueAsNumber) });
      return el("div", { class: "handle", "data-name": name }, el("span", {}, isRate ? "step size" : name.replaceAll("_", " ")), range, field);
    };
    return el("li", { "data-optimizer": one.optimizer }, el("div", { class: "row" }, el("span", { class: "swatch", style: `background:${LINES[number % LINES.length]}` }), el("b", { class: "fill" }, one.optimizer),
      el("button", { type: "button", "aria-label": `Take ${one.optimizer} ${number + 1} away`, click: () => { if (shown.length > 1) { shown = shown.filter((_, k) => k !== number); tell(); } } }, "×")),
      handle("rate"), el("details", {}, el("summary", {}, "its settings"), ...Object.keys(one.settings).map(handle)));
  }

  return {
    element,
    update(/** @type {any[]} */ walks) {
      shown = walks.map(({ optimizer, rate, settings }) => ({ optimizer, rate, settings }));
      const wanted = shown.map((one) => one.optimizer).join(" ");
      if (list.dataset.names !== wanted) {
        list.dataset.names = wanted;
        list.replaceChildren(...shown.map((_, number) => row(number)));
      }
      shown.forEach((one, number) => {
        for (const handle of list.children[number].querySelectorAll(".handle")) {
          const name = /** @type {HTMLElement} */ (handle).dataset.name ?? "", value = name === "rate" ? one.rate : one.settings[name];
          const [range, field] = handle.querySelectorAll("input");
          range.value = String(name === "rate" ? Math.log10(value) : value);
          range.setAttribute("aria-valuetext", told(value));
          if (field.valueAsNumber !== value) field.value = String(value);
        }
      });
    },
  };
}
