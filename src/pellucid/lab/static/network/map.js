// One map: its numbers, the filter that makes it, and the maps that it reads.

import { bytes, paint, scale } from "../draw/tile.js";
import { matrix } from "../draw/matrix.js";
import { el } from "../elements.js";
import { tools } from "../figure.js";
import { told } from "../numbers.js";
import { first, go } from "./address.js";

/** `entered(layer, map)` is called with a map that is read and chosen; `below` stands under its filter. */
export function map(/** @type {any} */ colors, /** @type {(layer: string, map: number) => void} */ entered, /** @type {HTMLElement} */ below) {
  const name = el("h2"), reading = el("p", { class: "caption reading" }), sees = el("p", { class: "said" });
  const large = el("div", { class: "large" }), reads = el("div", { class: "reads" });
  const numbers = matrix(large, { name: "Map: point at a cell, press for its terms", colors, moved: (row, column) => go({ cell: `${row},${column}` }), hovered: read, most: 112 });
  const kept = tools();
  const canvas = /** @type {HTMLElement} */ (numbers.element.querySelector("canvas"));
  canvas.addEventListener("keydown", (event) => { if (event.key === "Enter" && shown) go({ cell: first("cell", "0,0") }); });
  const element = el("section", { class: "stage", "aria-label": "Map", hidden: true }, name, el("div", { class: "inside" }, el("div", {}, large, reading, kept.element), el("div", {}, sees, reads, below)));
  let shown = /** @type {any} */ (null), unit = false, values = /** @type {number[][]} */ ([]);

  function read(/** @type {number} */ row, /** @type {number} */ column) {
    if (!shown) return;
    const value = shown.values[row]?.[column];
    reading.replaceChildren(unit ? `${shown.what}: ` : `row ${row}, column ${column}: `, el("b", { "data-value": value, title: String(value) }, told(value)));
  }

  function source(/** @type {any} */ one) {
    const tile = el("canvas", { class: "tile", "aria-hidden": "true" });
    paint(tile, bytes(one.bytes), one.shape[0], one.shape[1], Number(one.low) < 0, colors);
    const item = el("div", { class: "read" });
    if (one.kernel && one.kernel.length * one.kernel[0].length > 1) matrix(item, { name: `kernel ${one.map}`, colors }).update(one.kernel, "signed");
    else if (one.kernel) item.append(el("p", {}, "weight ", el("b", { "data-value": one.kernel[0][0] }, told(one.kernel[0][0]))));
    item.append(el("button", { type: "button", class: "one", "data-asks": "map", "data-value": one.map, "data-with": String(new URLSearchParams({ layer: one.layer, what: shown.what })), "aria-label": `map ${one.map} of ${one.layer}`, title: scale({ ...one, shape: [1] }, told), click: () => entered(one.layer, one.map) }, tile, el("span", {}, `map ${one.map}`)));
    return item;
  }

  return {
    element,
    /** A map, at the cell of the address; `isUnit` where it is one number, `called` the class that it stands for. */
    update(/** @type {any} */ found, /** @type {boolean} */ isUnit, /** @type {string} */ called) {
      const other = found !== shown;
      shown = found;
      unit = isUnit;
      const at = first("cell") ? /** @type {[number, number]} */ (first("cell").split(",").map(Number)) : null;
      name.textContent = `${unit ? "Unit" : "Map"} ${found.map} of ${found.layer}${called ? `: ${called}` : ""}`;
      large.hidden = unit;
      if (other) values = found.values.map((/** @type {any[]} */ line) => line.map(Number));
      if (!unit) numbers.update(values, Number(found.ends[0]) < 0 || found.what === "gradient" ? "signed" : "rising", at ? [{ cells: [at] }] : [], at ?? undefined);
      read(...(at ?? /** @type {[number, number]} */ ([0, 0])));
      const { layers, kernels, shown: sources } = found.reads;
      sees.textContent = !layers.length ? "This is what goes into the network."
        : kernels === 1 ? `Its filter is one kernel, over map ${sources[0].map} of ${layers[0]}.`
        : kernels ? `Its filter has ${kernels} kernels, one for each map of ${layers[0]} that it reads${sources.length < kernels ? `; the ${sources.length} largest are shown` : ""}.`
        : sources.length ? `It reads map ${found.map} of ${layers.join(" and ")}.` : `It reads all of ${layers.join(" and ")}.`;
      if (other) reads.replaceChildren(...sources.map(source));
      kept.update(found, found.pairs);
    },
    focus() { canvas.focus({ preventScroll: true }); },
  };
}
