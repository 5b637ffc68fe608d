// The layers from left to right as columns of maps. Columns are filled when they come into view; blocks of layers are folded.

import { ask } from "../ask.js";
import { cut, paint } from "../draw/tile.js";
import { el } from "../elements.js";
import { told } from "../numbers.js";
import { tell } from "../speak.js";

const SHOWN = 5, SIDE = 40;

/**
 * `opened(layer)` is called with a layer that is chosen, `unfolded(block)` with a block that is to be opened or folded again.
 */
export function strip(/** @type {any} */ colors, /** @type {{opened: (layer: string) => void, unfolded: (block: string) => void, failed: (problem: Error) => void}} */ { opened, unfolded, failed }) {
  const element = el("div", { class: "strip", role: "group", "aria-label": "Layers, from left to right", keydown: walk });
  /** @type {Map<Element, any>} */
  const columns = new Map();
  const kept = new Map();
  let asked = /** @type {[string, string][]} */ ([]);
  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) fill(target);
      else for (const canvas of target.querySelectorAll("canvas")) canvas.width = 0;
    }
  }, { root: element, rootMargin: "0px 400px" });

  function walk(/** @type {KeyboardEvent} */ event) {
    const all = /** @type {HTMLElement[]} */ ([...element.querySelectorAll(".column")]);
    const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const step = /** @type {Record<string, number>} */ ({ ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1, Home: -1e9, End: 1e9 })[event.key];
    if (at < 0 || !step) return;
    event.preventDefault();
    const along = event.key === "ArrowRight" || event.key === "ArrowLeft" ? followed(all, at, step) : -1;
    focus(all[along >= 0 ? along : Math.max(0, Math.min(all.length - 1, at + step))]);
  }

  /** The nearest column that reads this one, or that it reads; -1 for none. */
  function followed(/** @type {HTMLElement[]} */ all, /** @type {number} */ at, /** @type {number} */ step) {
    const { names, reads } = columns.get(all[at]);
    const next = all.map((one, k) => ({ k, ...columns.get(one) })).filter((one) => step > 0 ? one.k > at && one.reads.some((/** @type {string} */ read) => names.includes(read)) : one.k < at && one.names.some((/** @type {string} */ name) => reads.includes(name)));
    return (step > 0 ? next[0] : next[next.length - 1])?.k ?? -1;
  }

  function focus(/** @type {HTMLElement} */ column) {
    for (const one of element.querySelectorAll(".column[tabindex='0']")) one.tabIndex = -1;
    column.tabIndex = 0;
    column.focus();
    tell(column.getAttribute("aria-label") ?? "");
  }

  async function fill(/** @type {Element} */ column) {
    const { layer } = columns.get(column) ?? {};
    if (!layer) return;
    const pairs = /** @type {[string, string][]} */ ([...asked, ["layer", layer.layer], ["side", String(SIDE)], ["order", "strongest"], ["count", String(SHOWN)]]);
    const key = JSON.stringify(pairs);
    try {
      if (!kept.has(key)) kept.set(key, ask("network/maps", pairs));
      const found = await kept.get(key);
      if (found.what === "gradient") /** @type {HTMLElement} */ (column.querySelector(".range")).textContent = Number(found.high) ? `±${told(found.high)}` : "all 0";
      const canvases = column.querySelectorAll("canvas");
      cut(found).forEach((map, k) => canvases[k] && paint(canvases[k], map.values, map.rows, map.columns, Number(found.low) < 0, colors));
    } catch (error) {
      kept.delete(key);
      failed(error instanceof Error ? error : new Error(String(error)));
    }
  }

  function column(/** @type {any} */ layer, /** @type {any[]} */ folded, /** @type {any} */ before, /** @type {string} */ chosen, repeated = false) {
    const many = folded.length > 1, block = repeated ? layer.repeat : layer.block;
    const name = many ? block : layer.layer;
    const names = folded.map((one) => one.layer), reads = [...new Set(folded.flatMap((one) => one.reads))].filter((read) => !names.includes(read));
    const skips = reads.filter((read) => read !== before?.layer);
    const shown = Math.min(SHOWN, layer.maps);
    const words = repeated && layer.times ? `× ${layer.times}, each ${folded.length / layer.times} layers` : many ? `${folded.length} layers` : layer.operation;
    const size = layer.size.join("×");
    const made = el("button", { type: "button", class: many ? "column folded" : "column", tabindex: -1, "aria-current": !many && layer.layer === chosen ? "true" : null, "data-layer": layer.layer,
      "aria-label": `${name}, ${words}, ${layer.maps} ${size === "1×1" ? "units" : `maps of ${size}`}${many ? ", folded" : ""}`, title: many ? `Open ${name}` : name,
      click: () => many ? unfolded(block) : opened(layer.layer) },
      el("b", {}, !many && layer.block && name.startsWith(layer.block) ? name.slice(layer.block.length + 1) : name), el("span", {}, words), el("span", {}, size === "1×1" ? `${layer.maps} units` : `${layer.maps} × ${size}`),
      el("span", { class: "thumbs" }, ...Array.from({ length: shown }, () => el("canvas", { class: "tile", width: 0, height: 0 }))),
      el("span", {}, shown < layer.maps ? `${shown} of ${layer.maps}` : layer.maps === 1 ? "1 map" : `all ${layer.maps}`),
      el("span", { class: "range" }, asked.some(([key]) => key === "what") ? "" : `${told(layer.min)} to ${told(layer.max)}`),
      ...(skips.length && before ? [el("span", { class: "skips" }, `reads ${skips.join(", ")}`)] : []));
    columns.set(made, { layer, names, reads });
    return made;
  }

  /** What folds an open block again. */
  function fold(/** @type {string} */ block) {
    return el("button", { type: "button", class: "fold", tabindex: -1, "aria-label": `Fold ${block}`, title: `Fold ${block}`, click: () => unfolded(block) }, `‹ ${block}`);
  }

  return {
    element,
    /** Shows the layers of an overview; `pairs` say what is asked of each. */
    update(/** @type {any[]} */ layers, /** @type {[string, string][]} */ pairs, /** @type {string[]} */ open, /** @type {string} */ chosen) {
      const held = element.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement).dataset.layer : "";
      seen.disconnect();
      columns.clear();
      if (JSON.stringify(pairs) !== JSON.stringify(asked)) kept.clear();
      asked = pairs;
      const made = /** @type {HTMLElement[]} */ ([]);
      for (let k = 0; k < layers.length;) {
        const { block, repeat } = layers[k];
        const until = (/** @type {string} */ key) => { let end = k + 1; while (end < layers.length && layers[end][key] === layers[k][key]) end++; return end; };
        if (repeat && !open.includes(repeat)) {
          const end = until("repeat");
          made.push(column(layers[end - 1], layers.slice(k, end), layers[k - 1], chosen, true));
          k = end;
          continue;
        }
        if (repeat && layers[k - 1]?.repeat !== repeat) made.push(fold(repeat));
        const end = block ? until("block") : k + 1;
        const run = layers.slice(k, end);
        if (block && !open.includes(block)) made.push(column(run[run.length - 1], run, layers[k - 1], chosen));
        else {
          if (block) made.push(fold(block));
          run.forEach((layer, n) => made.push(column(layer, [layer], layers[k + n - 1], chosen)));
        }
        k = end;
      }
      element.replaceChildren(...made);
      const cols = made.filter((one) => columns.has(one));
      const own = cols.find((one) => one.dataset.layer === (held || chosen)) ?? cols[0];
      if (own) own.tabIndex = 0;
      if (held) own?.focus({ preventScroll: true });
      const current = cols.find((one) => one.getAttribute("aria-current"));
      if (current) element.scrollLeft = current.offsetLeft - element.clientWidth / 2 + current.offsetWidth / 2;
      for (const one of cols) seen.observe(one);
    },
    /** Brings the keyboard to a layer's column. */
    focus(/** @type {string} */ layer) {
      const found = [...columns].find(([, one]) => one.names.includes(layer))?.[0] ?? [...columns.keys()][0];
      if (found) focus(/** @type {HTMLElement} */ (found));
    },
  };
}
