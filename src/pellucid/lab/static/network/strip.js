// The layers from left to right as columns of maps. Columns are filled when they come into view; blocks of layers are folded,
// and of more columns than can be drawn a part is there, which goes along.

import { ask } from "../ask.js";
import { cut, stack } from "../draw/tile.js";
import { el } from "../elements.js";
import { told } from "../numbers.js";
import { tell } from "../speak.js";
import { lines } from "./lines.js";

const SHOWN = 5, SIDE = 40;
/** Columns, and what folds them, that are there at once. */
const MOST = 400;
/** Columns whose maps are asked at once: the others wait, and are not asked when they have gone out of view by then. */
const AT_ONCE = 4;
/** Layers that are named of all that a column reads besides the one before it. */
const NAMED = 2;

/** @typedef {{layer: any, folded: any[], before: any, repeated: boolean, names: string[], reads: string[], element: HTMLElement | null}} Column */
/** @typedef {{block: string, element: HTMLElement | null}} Fold */

/**
 * `opened(layer)` is called with a layer that is chosen, `unfolded(block)` with a block that is to be opened or folded again.
 */
export function strip(/** @type {any} */ colors, /** @type {{opened: (layer: string) => void, unfolded: (block: string) => void, failed: (problem: Error) => void}} */ { opened, unfolded, failed }) {
  const element = el("div", { class: "strip", role: "group", "aria-label": "Layers, from left to right", keydown: walk });
  /** @type {Map<Element, Column>} */
  const columns = new Map();
  const kept = new Map();
  const joins = lines(element);
  let numbers = /** @type {any[] | null} */ (null), asked = /** @type {[string, string][]} */ ([]), all = /** @type {(Column | Fold)[]} */ ([]), own = /** @type {Column[]} */ ([]), from = 0, chosen = "";
  let full = () => {}, filled = Promise.resolve();
  /** @type {Set<Element>} */
  const inView = new Set();
  const line = /** @type {(() => void)[]} */ ([]);
  let running = 0;
  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) inView.add(target);
      else {
        inView.delete(target);
        const canvas = target.querySelector("canvas");
        if (canvas) canvas.width = canvas.height = 0;
      }
    }
    Promise.all(entries.filter((one) => one.isIntersecting).map((one) => fill(one.target))).then(full);
  }, { root: element, rootMargin: "0px 400px" });
  const less = el("button", { type: "button", class: "fold", tabindex: -1, click: () => move(from - MOST / 2, from) });
  const more = el("button", { type: "button", class: "fold", tabindex: -1, click: () => move(from + MOST / 2, from + MOST - 1) });

  const isColumn = (/** @type {Column | Fold | undefined} */ one) => Boolean(one && "layer" in one);
  const placeOf = (/** @type {string | undefined} */ layer) => all.findIndex((one) => "layer" in one && one.names.includes(layer ?? ""));

  function walk(/** @type {KeyboardEvent} */ event) {
    const known = columns.get(/** @type {Element} */ (document.activeElement));
    const step = /** @type {Record<string, number>} */ ({ ArrowRight: 1, ArrowLeft: -1, ArrowDown: 1, ArrowUp: -1, Home: -1e9, End: 1e9 })[event.key];
    if (!known || !step) return;
    event.preventDefault();
    const way = Math.sign(step), at = all.indexOf(known);
    let next = event.key === "ArrowRight" || event.key === "ArrowLeft" ? followed(known, at, step) : -1;
    if (next < 0) {
      next = Math.max(0, Math.min(all.length - 1, at + step));
      while (all[next] && !isColumn(all[next])) next += Math.abs(step) > 1 ? -way : way;
    }
    focus(next);
  }

  /** The nearest column that reads this one, or that it reads; -1 for none. */
  function followed(/** @type {Column} */ known, /** @type {number} */ at, /** @type {number} */ step) {
    for (let k = at + step; k >= 0 && k < all.length; k += step) {
      const one = all[k];
      if ("layer" in one && (step > 0 ? one.reads.some((read) => known.names.includes(read)) : one.names.some((name) => known.reads.includes(name)))) return k;
    }
    return -1;
  }

  function focus(/** @type {number} */ at) {
    const one = all[at];
    if (!one || !("layer" in one)) return;
    if (at < from || at >= from + MOST) move(at - MOST / 2, at);
    for (const other of element.querySelectorAll(".column[tabindex='0']")) /** @type {HTMLElement} */ (other).tabIndex = -1;
    const column = /** @type {HTMLElement} */ (one.element);
    column.tabIndex = 0;
    column.focus();
    tell(column.getAttribute("aria-label") ?? "");
  }

  /** Has the columns from one on there, as many as can be drawn; what stands at `pivot` stays where it is. */
  function move(/** @type {number} */ first, /** @type {number} */ pivot) {
    const still = all[pivot]?.element, was = still?.isConnected ? still.offsetLeft - element.scrollLeft : null;
    from = Math.max(0, Math.min(all.length - MOST, Math.round(first)));
    const shown = all.slice(from, from + MOST), after = all.length - from - shown.length;
    seen.disconnect();
    inView.clear();
    columns.clear();
    for (const one of shown) {
      const made = one.element ??= "layer" in one ? column(one) : fold(one.block);
      if ("layer" in one) columns.set(made, one);
    }
    words(less, from, "before", `‹ ${from} more`);
    words(more, after, "after", `${after} more ›`);
    element.replaceChildren(...(from ? [less] : []), ...shown.map((one) => /** @type {HTMLElement} */ (one.element)), ...(after ? [more] : []));
    const there = own.findIndex((one) => columns.has(/** @type {Element} */ (one.element)));
    joins.update(own, there, there + columns.size);
    if (still && was !== null) element.scrollLeft = still.offsetLeft - was;
    for (const one of columns.keys()) seen.observe(one);
  }

  function words(/** @type {HTMLElement} */ button, /** @type {number} */ count, /** @type {string} */ side, /** @type {string} */ text) {
    button.textContent = text;
    button.setAttribute("aria-label", `${count} more columns ${side} these`);
  }

  async function fill(/** @type {Element} */ column) {
    const { layer } = columns.get(column) ?? {};
    if (!layer) return;
    const pairs = /** @type {[string, string][]} */ ([...asked, ["layer", layer.layer], ["side", String(SIDE)], ["order", "strongest"], ["count", String(SHOWN)]]);
    const key = JSON.stringify(pairs);
    try {
      if (!kept.has(key)) {
        if (running >= AT_ONCE) await new Promise((resolve) => line.push(() => resolve(null)));
        if (inView.has(column) && !kept.has(key)) kept.set(key, alone(() => ask("network/maps", pairs)));
        else if (running < AT_ONCE) line.shift()?.();
        if (!kept.has(key)) return;
      }
      const found = await kept.get(key);
      if (found.what === "gradient") /** @type {HTMLElement} */ (column.querySelector(".range")).textContent = Number(found.high) ? `±${told(found.high)}` : "all 0";
      if (!inView.has(column)) return;
      const canvas = column.querySelector("canvas");
      if (canvas) stack(canvas, cut(found), Number(found.low) < 0, colors);
    } catch (error) {
      kept.delete(key);
      failed(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Runs one of `AT_ONCE`, and calls the next when it has ended. */
  async function alone(/** @type {() => Promise<any>} */ what) {
    running++;
    try {
      return await what();
    } finally {
      running--;
      line.shift()?.();
    }
  }

  function column(/** @type {Column} */ { layer, folded, before, repeated, reads }) {
    const many = folded.length > 1, block = repeated ? layer.repeat : layer.block;
    const name = many ? block : layer.layer;
    const skips = before ? reads.filter((read) => read !== before.layer) : [];
    const read = skips.length ? `reads ${skips.slice(0, NAMED).join(", ")}${skips.length > NAMED ? ` and ${skips.length - NAMED} more` : ""}` : "";
    const shown = Math.min(SHOWN, layer.maps);
    const words = repeated && layer.times ? `× ${layer.times}, each ${folded.length / layer.times} layers` : many ? `${folded.length} layers` : layer.operation;
    const size = layer.size.join("×");
    return el("button", { type: "button", class: many ? "column folded" : "column", tabindex: -1, "aria-current": !many && layer.layer === chosen ? "true" : null, "data-layer": layer.layer,
      "aria-label": `${name}, ${words}, ${layer.maps} ${size === "1×1" ? "units" : `maps of ${size}`}${many ? ", folded" : ""}${read && `, ${read}`}`, title: many ? `Open ${name}` : name,
      click: () => many ? unfolded(block) : opened(layer.layer) },
      el("b", {}, !many && layer.block && name.startsWith(layer.block) ? name.slice(layer.block.length + 1) : name), el("span", {}, words), el("span", {}, size === "1×1" ? `${layer.maps} units` : `${layer.maps} × ${size}`),
      el("span", { class: "thumbs" }, el("canvas", { class: "stack", width: 0, height: 0, style: `--maps: ${shown}` })),
      el("span", {}, shown < layer.maps ? `${shown} of ${layer.maps}` : layer.maps === 1 ? "1 map" : `all ${layer.maps}`),
      el("span", { class: "range" }, range(layer)),
      ...(read ? [el("span", { class: "skips" }, read)] : []));
  }

  /** How far the values of a layer go, when that is known; of gradients it comes with their maps. */
  function range(/** @type {any} */ layer) {
    return asked.some(([key]) => key === "what") ? "" : "min" in layer ? `${told(layer.min)} to ${told(layer.max)}` : "…";
  }

  /** What folds an open block again. */
  function fold(/** @type {string} */ block) {
    return el("button", { type: "button", class: "fold", tabindex: -1, "aria-label": `Fold ${block}`, title: `Fold ${block}`, click: () => unfolded(block) }, `‹ ${block}`);
  }

  return {
    element,
    /** What the lines are, in words. */
    words: joins.words,
    /** Shows the layers of an overview; `pairs` say what is asked of each. */
    update(/** @type {any[]} */ layers, /** @type {[string, string][]} */ pairs, /** @type {string[]} */ open, /** @type {string} */ layer) {
      const held = element.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement).dataset.layer : "";
      if (JSON.stringify(pairs) !== JSON.stringify(asked)) kept.clear();
      asked = pairs;
      chosen = layer;
      full();
      filled = new Promise((resolve) => { full = resolve; });
      const before = from;
      numbers = layers;
      all = arranged(layers, open);
      own = /** @type {Column[]} */ (all.filter(isColumn));
      const at = placeOf(held || chosen), begin = at < 0 ? all.findIndex(isColumn) : at;
      move(at < 0 || at >= before && at < before + MOST ? before : at - MOST / 2, -1);
      const column = all[begin]?.element;
      if (column) column.tabIndex = 0;
      if (held) column?.focus({ preventScroll: true });
      const current = /** @type {HTMLElement | null} */ (element.querySelector(".column[aria-current=true]"));
      if (current) element.scrollLeft = current.offsetLeft - element.clientWidth / 2 + current.offsetWidth / 2;
      if (!all.length) full();
    },
    /** Says how far the values of the layers that are there go. */
    ranges(/** @type {any[]} */ layers) {
      if (numbers === layers) return;
      numbers = layers;
      const known = new Map(layers.map((layer) => [layer.layer, layer]));
      for (const one of own) {
        one.layer = known.get(one.layer.layer);
        const words = one.element?.querySelector(".range");
        if (words && range(one.layer)) words.textContent = range(one.layer);
      }
    },
    /** Comes when the columns in view have their maps. */
    filled: () => filled,
    /** Brings the keyboard to a layer's column. */
    focus(/** @type {string} */ layer) {
      const at = placeOf(layer);
      focus(at < 0 ? all.findIndex(isColumn) : at);
    },
  };
}

/** The columns of layers, where blocks that are not open are one each, and what folds those that are. @returns {(Column | Fold)[]} */
function arranged(/** @type {any[]} */ layers, /** @type {string[]} */ open) {
  const made = /** @type {(Column | Fold)[]} */ ([]);
  const add = (/** @type {number} */ from, /** @type {number} */ end, repeated = false) => {
    const folded = layers.slice(from, end), names = folded.map((one) => one.layer);
    const reads = [...new Set(folded.flatMap((one) => one.reads))].filter((read) => !names.includes(read));
    made.push({ layer: layers[end - 1], folded, before: layers[from - 1], repeated, names, reads, element: null });
  };
  for (let k = 0; k < layers.length;) {
    const { block, repeat } = layers[k];
    const until = (/** @type {string} */ key) => { let end = k + 1; while (end < layers.length && layers[end][key] === layers[k][key]) end++; return end; };
    if (repeat && !open.includes(repeat)) {
      const end = until("repeat");
      add(k, end, true);
      k = end;
      continue;
    }
    if (repeat && layers[k - 1]?.repeat !== repeat) made.push({ block: repeat, element: null });
    const end = block ? until("block") : k + 1;
    if (block && !open.includes(block)) add(k, end);
    else {
      if (block) made.push({ block, element: null });
      for (let n = k; n < end; n++) add(n, n + 1);
    }
    k = end;
  }
  return made;
}
