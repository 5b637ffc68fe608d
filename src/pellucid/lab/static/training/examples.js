// Pictures that are learned from, some of them; and what the network says of one that is held out.

import { cut, paint } from "../draw/tile.js";
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
        tiles.replaceChildren(...cut(packed).map((map, k) => {
          const canvas = el("canvas", { class: "tile", role: "img", "aria-label": found.classes[packed.targets[k]], title: found.classes[packed.targets[k]] });
          paint(canvas, map.values, map.rows, map.columns, false, { ...colors, rising: colors.gray });
          return canvas;
        }));
      }
      const own = snapshot?.probe;
      guess.hidden = !own;
      if (!own) return;
      if (own.input?.bytes) {
        const { shape } = own.input, [map] = cut({ ...own.input, shape: [1, ...shape.slice(-2)] });
        paint(probe, map.values, map.rows, map.columns, false, { ...colors, rising: colors.gray });
      }
      probe.setAttribute("aria-label", own.picture ?? "one example");
      likely.replaceChildren(...own.scores.map((/** @type {any} */ one) => el("li", {}, el("span", {}, one.class), el("meter", { min: 0, max: 1, value: Number(one.probability) || 0, "aria-label": `${one.class}: ${told(one.probability)}` }), el("span", { class: "number", "data-value": one.probability }, told(one.probability)))));
      words.textContent = `${own.picture ?? "an example"}: its class is ${own.target}.`;
    },
  };
}
