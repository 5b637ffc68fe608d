// What the layers hold at a snapshot: maps of activations, filters, and how large gradients, updates and weights are.

import { cut, paint, scale } from "../draw/tile.js";
import { el } from "../elements.js";
import { told } from "../numbers.js";

function tiles(/** @type {any} */ packed, /** @type {string} */ what, /** @type {any} */ colors) {
  if (!packed) return [];
  const one = packed.size[0] * packed.size[1] === 1;
  return [el("figure", { class: "figure" }, el("figcaption", {}, `${what}: ${packed.numbers.length} of ${packed.total}`),
    el("div", { class: one ? "small-tiles units" : "small-tiles" }, ...cut(packed).map((map, k) => {
      const canvas = el("canvas", { class: "tile", role: "img", "aria-label": `${what} ${packed.numbers[k]}`, title: `${what} ${packed.numbers[k]}` });
      paint(canvas, map.values, map.rows, map.columns, Number(packed.low) < 0, colors);
      return canvas;
    })), el("p", { class: "caption" }, scale(packed, told)))];
}

export function layers(/** @type {any} */ colors) {
  const element = el("div", { class: "layers-of" });
  const cell = (/** @type {unknown} */ value, /** @type {string} */ name) => el("td", { class: "number", "data-value": value, "data-name": name }, told(value));

  return {
    element,
    update(/** @type {any} */ snapshot) {
      const parameters = snapshot.layers.flatMap((/** @type {any} */ layer) => layer.parameters);
      const words = ["gradient", "update", "weight", "ratio"];
      element.replaceChildren(
        el("p", { class: "caption" }, snapshot.probe ? [`The activations are those of ${snapshot.probe.picture ?? "one example"}`, snapshot.probe.target ? `, whose class is ${snapshot.probe.target}` : "", "."].join("") : ""),
        el("div", { class: "layer-cards" }, ...snapshot.layers.filter((/** @type {any} */ layer) => layer.operation).map((/** @type {any} */ layer) => el("section", { class: "layer-card", "aria-label": layer.layer },
          el("h3", {}, layer.layer), el("p", { class: "caption" }, `${[layer.operation, layer.shape.join("×")].filter(Boolean).join(", ")}; ${told(layer.range[0])} to ${told(layer.range[1])}; ${told(100 * Number(layer.zeros))} % are 0`),
          ...tiles(layer.activations, "activations", colors), ...tiles(layer.filters, "filters", colors)))),
        ...(parameters.length ? [el("div", { class: "scroll" }, el("table", {}, el("caption", {}, "How large things are, parameter by parameter: norms of the last step. A ratio of update to weight near 0.001 is usual."),
          el("thead", {}, el("tr", {}, ...["parameter", "shape", ...words].map((word) => el("th", { scope: "col" }, word)))),
          el("tbody", {}, ...parameters.map((/** @type {any} */ one) => el("tr", {}, el("th", { scope: "row", class: "mono" }, one.name), el("td", {}, one.shape.join("×")), ...words.map((word) => cell(one[word], `${one.name}/${word}`)))))))] : []));
    },
  };
}
