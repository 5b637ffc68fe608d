// Pictures that are learned from, some of them; and what the network says of one that is held out.

import { bytes, paintPicture } from "../draw/tile.js";
import { el } from "../elements.js";
import { told } from "../numbers.js";

export function examples(/** @type {HTMLElement} */ place, /** @type {any} */ colors) {
  const tiles = el("div", { class: "small-tiles examples" }), likely = el("ol", { class: "likely" }), words = el("p", { class: "caption" });
  const probe = el("canvas", { class: "tile probe", role: "img" }), guess = el("div", { hidden: true }, el("h3", {}, "What it says of one picture"), el("div", { class: "row" }, probe, likely), words);
  const element = el("figure", { class: "figure", hidden: true }, el("figcaption", {}, "Some of the pictures it learns from"), tiles, guess);
  place.append(element);
  return {
    element,
    update(/** @type {any} */ found, /** @type {any} */ snapshot) {
      const packed = found.examples;
      const key = `${found.data} ${found.shape}`;
      if (packed && tiles.dataset.key !== key) {
        tiles.dataset.key = key;
        const [count, ...shape] = packed.shape, all = bytes(packed.bytes), size = all.length / count;
        tiles.replaceChildren(...packed.targets.map((/** @type {number} */ target, /** @type {number} */ k) => {
          const canvas = el("canvas", { class: "tile", role: "img", "aria-label": found.classes[target], title: found.classes[target] });
          paintPicture(canvas, all.subarray(k * size, (k + 1) * size), shape, { ...colors, rising: colors.gray });
          return canvas;
        }));
      }
      const own = snapshot?.probe;
      guess.hidden = !own;
      if (!own) return;
      if (own.input?.bytes) paintPicture(probe, bytes(own.input.bytes), own.input.shape, { ...colors, rising: colors.gray });
      probe.setAttribute("aria-label", own.picture ?? "one example");
      likely.replaceChildren(...own.scores.map((/** @type {any} */ one) => el("li", {}, el("span", {}, one.class), el("meter", { min: 0, max: 1, value: Number(one.probability) || 0, "aria-label": `${one.class}: ${told(one.probability)}` }), el("span", { class: "number", "data-value": one.probability }, told(one.probability)))));
      words.textContent = `${own.picture ?? "an example"}: its class is ${own.target}.`;
    },
  };
}
