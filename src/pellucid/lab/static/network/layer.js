// A layer's maps side by side: arrows go over them, Enter opens one.

import { cut, paint, scale } from "../draw/tile.js";
import { el } from "../elements.js";
import { tools } from "../figure.js";
import { told } from "../numbers.js";
import { go } from "./address.js";

/** `opened(map)` is called with the map that is chosen; `more()` when more are to be shown. */
export function maps(/** @type {any} */ colors, /** @type {{opened: (map: number) => void, more: () => void}} */ { opened, more }) {
  const grid = el("div", { class: "tiles", role: "group", "aria-label": "Maps", keydown: walk });
  const words = el("p", { class: "caption" });
  const button = el("button", { type: "button", hidden: true, "data-live": true, click: more }, "Show more");
  const kept = tools();
  const element = el("div", {}, grid, el("p", { class: "row" }, words, button), kept.element);

  function walk(/** @type {KeyboardEvent} */ event) {
    const all = /** @type {HTMLElement[]} */ ([...grid.children]);
    const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    if (at < 0) return;
    const wide = all.findIndex((one) => one.offsetTop > all[0].offsetTop);
    const line = wide < 0 ? all.length : wide;
    const step = /** @type {Record<string, number>} */ ({ ArrowRight: 1, ArrowLeft: -1, ArrowDown: line, ArrowUp: -line, Home: -1e9, End: 1e9 })[event.key];
    if (!step) return;
    event.preventDefault();
    const next = Math.abs(step) > 1e6 ? Math.max(0, Math.min(all.length - 1, at + step)) : at + step;
    if (next < 0 || next >= all.length) return;
    all[at].tabIndex = -1;
    all[next].tabIndex = 0;
    all[next].focus();
  }

  return {
    element,
    update(/** @type {any} */ found, /** @type {number} */ chosen, /** @type {string[]} */ names) {
      const held = grid.contains(document.activeElement) ? Number(/** @type {HTMLElement} */ (document.activeElement).dataset.map) : -1;
      const units = found.size[0] * found.size[1] === 1;
      const each = found.each;
      const made = cut(found).map((one, k) => {
        const number = found.numbers[k];
        const canvas = el("canvas", { class: "tile", "aria-hidden": "true" });
        const own = each ? { ...cut({ ...each[k], shape: [1, ...each[k].shape] })[0], low: each[k].low } : { ...one, low: found.low };
        paint(canvas, own.values, own.rows, own.columns, Number(own.low) < 0, colors);
        const name = names.length === found.total ? names[number] : String(number);
        return el("button", { type: "button", class: units ? "one unit" : "one", tabindex: -1, "data-map": number, "data-asks": "map", "data-value": number, "data-with": String(new URLSearchParams({ layer: found.layer, what: found.what })), "aria-current": number === chosen ? "true" : null, "aria-label": `${units ? "unit" : "map"} ${name}`, click: () => opened(number) }, canvas, el("span", {}, name));
      });
      grid.replaceChildren(...made);
      kept.update(found, found.pairs);
      const focused = made.find((one) => Number(one.dataset.map) === (held >= 0 ? held : chosen)) ?? made[0];
      if (focused) focused.tabIndex = 0;
      if (held >= 0) focused?.focus({ preventScroll: true });
      button.hidden = made.length >= found.total;
      words.textContent = `${made.length} of ${found.total} ${units ? "units" : "maps"} shown; ${each ? "each on a scale of its own, which shows form, not size" : `one scale for all: ${scale(found, told)}`}; hatched is no finite number`;
    },
    /** Marks the map that is looked at. */
    choose(/** @type {number} */ chosen) {
      for (const one of grid.children) {
        if (Number(one.dataset.map) === chosen) one.setAttribute("aria-current", "true");
        else one.removeAttribute("aria-current");
      }
    },
    focus() { /** @type {HTMLElement | null} */ (grid.querySelector("[tabindex='0']"))?.focus(); },
  };
}

/** What a layer is, over its maps. */
export function heading(/** @type {HTMLElement} */ below) {
  const scales = el("select", { id: "scale", change: () => go({ scale: scales.value === "shared" ? null : scales.value }) }, el("option", { value: "shared" }, "one scale for all"), el("option", { value: "each" }, "a scale for each"));
  const orders = el("select", { id: "order", change: () => go({ order: orders.value }) }, el("option", { value: "first" }, "by number"), el("option", { value: "strongest" }, "strongest first"));
  const name = el("h2"), facts = el("p", { class: "said" });
  return {
    element: el("section", { class: "stage", "aria-label": "Layer", hidden: true }, name, facts, el("p", { class: "row" }, el("label", { for: "scale" }, "Colors"), scales, el("label", { for: "order" }, "Order"), orders), below),
    update(/** @type {any} */ row, /** @type {boolean} */ gradient, /** @type {string} */ scale, /** @type {string} */ order) {
      const fact = (/** @type {string} */ key) => el("b", { "data-value": row[key], "data-name": key }, told(row[key]));
      name.textContent = gradient ? `Gradient at ${row.layer}` : row.layer;
      facts.replaceChildren(`${row.operation}, ${row.shape.join("×")}${row.reads.length ? `, reads ${row.reads.join(", ")}` : ""}; values from `, fact("min"), " to ", fact("max"), ", mean ", fact("mean"), `, ${(100 * row.zeros).toFixed(1)}% zeros`);
      scales.value = scale;
      orders.value = order;
    },
  };
}
