// Two pictures, two checkpoints or two networks built alike beside each other: their classes, their layers with the differences, maps, and the same cell of both.

import { ask } from "../ask.js";
import { matrix } from "../draw/matrix.js";
import { bytes, paint, scale } from "../draw/tile.js";
import { el } from "../elements.js";
import { tools } from "../figure.js";
import { told } from "../numbers.js";
import { calm, complain, tell } from "../speak.js";
import { state } from "../state.js";
import { first, go } from "./address.js";
import { cell } from "./cell.js";
import { likely } from "./front.js";

/** @typedef {[string, string][]} Pairs */

const SIDES = ["first", "second", "difference"], WORDS = ["first", "second", "second − first"];
const SHOWN = 3, PAGE = 16, MOST = 256, COLUMNS = 400;

/** The pairs of both looks, each by itself; `edits` are those of the second, which may take fewer. */
function each(/** @type {Pairs} */ pair, /** @type {string[]} */ edits) {
  const value = (/** @type {string} */ name) => pair.find(([key]) => key === name)?.[1];
  const own = pair.filter(([key]) => key !== "other" && key !== "against");
  const other = /** @type {Pairs} */ (own.filter(([key]) => key !== "edit").map(([key, was]) => [key, key === "model" ? value("other") ?? was : key === "picture" ? value("against") ?? was : was]));
  return [own, [...other, ...edits.map((text) => /** @type {[string, string]} */ (["edit", text]))]];
}

/** A map, its twin and their difference as three small pictures. */
function triple(/** @type {any} */ one, /** @type {any} */ colors) {
  return SIDES.map((side, k) => {
    const packed = one[side], canvas = el("canvas", { class: "tile", "aria-hidden": "true", title: `${WORDS[k]}: ${scale(packed, told)}` });
    paint(canvas, bytes(packed.bytes), packed.shape[0], packed.shape[1], k === 2 || Number(packed.low) < 0, colors);
    return canvas;
  });
}

/** `working` says that something takes long. */
export function twins(/** @type {any} */ colors, /** @type {(promise: Promise<any>) => Promise<any>} */ working) {
  const other = el("input", { type: "text", id: "other", "data-asks": "other", list: "networks", autocomplete: "off", change: () => go({ other: other.value || null }, true) });
  const against = el("input", { type: "text", id: "against", "data-asks": "against", list: "pictures", autocomplete: "off", change: () => go({ against: against.value || null }, true) });
  const end = el("button", { type: "button", click: () => go({ other: null, against: null }, true) }, "Stop comparing");
  const said = el("p", { class: "said" }), both = el("div", { class: "both" });
  const columns = el("div", { class: "strip twins", role: "group", "aria-label": "Layers and how far they differ", keydown: walk });
  const legend = el("p", { class: "caption" });
  const orders = el("select", { id: "twin-order", change: () => go({ twins: orders.value === "different" ? null : orders.value }) }, el("option", { value: "different" }, "most different first"), el("option", { value: "first" }, "by number"));
  const scales = el("select", { id: "twin-scale", change: () => go({ scale: scales.value === "shared" ? null : scales.value }) }, el("option", { value: "shared" }, "one scale for all"), el("option", { value: "each" }, "a scale for each"));
  const name = el("h3"), grid = el("div", { class: "tiles triples", role: "group", "aria-label": "Maps and their twins" }), count = el("p", { class: "caption" });
  const more = el("button", { type: "button", hidden: true, click: () => { shown = Math.min(MOST, shown * 2); update(pair, what); } }, "Show more");
  const layerPart = el("div", { hidden: true }, name, el("p", { class: "row" }, el("label", { for: "twin-order" }, "Order"), orders, el("label", { for: "twin-scale" }, "Colors"), scales), grid, el("p", { class: "row" }, count, more));
  const mapName = el("h3"), large = el("div", { class: "maps large-twins" }), reading = el("p", { class: "said reading" });
  const drawers = WORDS.map((words) => matrix(large, { name: words, colors, moved: (row, column) => go({ cell: `${row},${column}` }), hovered: read, most: 80 }));
  const mapPart = el("div", { hidden: true }, mapName, large, reading);
  const sums = [0, 1].map(() => cell(colors, went));
  const into = [0, 1].map((k) => el("button", { type: "button", click: () => alone(k) }, `Look into the ${WORDS[k]} alone`));
  const cellName = el("h3"), cellPart = el("div", { hidden: true }, cellName, el("div", { class: "both" }, ...sums.map((sum, k) => el("div", {}, el("p", { class: "row" }, el("b", {}, `In the ${WORDS[k]}`), into[k]), sum.element))));
  const kept = tools();
  const part = el("div", { hidden: true }, said, both, legend, columns, layerPart, mapPart, cellPart, kept.element);
  const element = el("details", { class: "stage", "aria-label": "Compare" },
    el("summary", {}, el("h2", {}, "Compare two pictures, checkpoints or networks")), el("p", { class: "row" }, el("span", { class: "row" }, el("label", { for: "against" }, "with the picture"), against), el("span", { class: "row" }, el("label", { for: "other" }, "with the network"), other), end), part);
  let pair = /** @type {Pairs} */ ([]), what = "value", shown = PAGE, map = /** @type {any} */ (null);
  const done = /** @type {Record<string, string>} */ ({});
  /** @type {Map<Element, any>} */
  const rows = new Map();
  const seen = new IntersectionObserver((entries) => { for (const { target, isIntersecting } of entries) if (isIntersecting) fill(target); }, { root: columns, rootMargin: "0px 300px" });

  /** Asks unless that is shown already; what comes too late is dropped. */
  async function asked(/** @type {string} */ place, /** @type {string} */ view, /** @type {Pairs} */ pairs, /** @type {(found: any) => void} */ then) {
    const key = JSON.stringify([view, pairs]);
    if (done[place] === key) return;
    done[place] = key;
    try {
      const found = await working(ask(`network/${view}`, pairs));
      if (done[place] === key) { calm(); then(found); }
    } catch (error) {
      if (done[place] === key) { done[place] = ""; complain(error instanceof Error ? error.message : String(error)); }
    }
  }

  function walk(/** @type {KeyboardEvent} */ event) {
    const all = /** @type {HTMLElement[]} */ ([...columns.querySelectorAll(".column")]);
    const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const step = /** @type {Record<string, number>} */ ({ ArrowRight: 1, ArrowLeft: -1, Home: -1e9, End: 1e9 })[event.key];
    if (at < 0 || !step) return;
    event.preventDefault();
    const next = all[Math.max(0, Math.min(all.length - 1, at + step))];
    all[at].tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  async function fill(/** @type {Element} */ column) {
    const row = rows.get(column);
    seen.unobserve(column);
    if (!row || row.error === null) return;
    const pairs = /** @type {Pairs} */ ([...pair, ["layer", row.layer], ["count", String(SHOWN)], ["side", "32"], ...(what === "gradient" ? [["what", what]] : [])]);
    try {
      const found = await ask("network/twin-maps", pairs);
      column.querySelector(".thumbs")?.replaceChildren(...found.maps.flatMap((/** @type {any} */ one) => triple(one, colors)));
    } catch (error) {
      const words = error instanceof Error ? error.message : String(error);
      column.querySelector(".thumbs")?.replaceChildren(el("span", {}, words));
    }
  }

  function column(/** @type {any} */ row, /** @type {string} */ begins, /** @type {number} */ most) {
    const near = row.error === null ? (row.layer && row.other ? "of other shapes" : row.layer ? "only in the first" : "only in the second") : Number(row.error) ? `${told(100 * Number(row.error))}%` : "the same";
    const names = row.layer && row.other && row.layer !== row.other ? `${row.layer} = ${row.other}` : row.layer || row.other;
    const marked = row.layer === begins && begins !== "";
    const made = el("button", { type: "button", class: marked ? "column begins" : "column", tabindex: -1, disabled: row.error === null, "data-layer": row.layer, "aria-current": row.layer && row.layer === first("layer") ? "true" : null, title: names,
      "aria-label": `${names}, ${row.operation}, ${near}${marked ? ", the first that differs" : ""}`, click: () => { shown = PAGE; go({ layer: row.layer, map: null, cell: null }, true); } },
      el("b", {}, names), el("span", {}, row.operation), el("span", { "data-value": row.error, "data-name": `apart ${row.layer}` }, near),
      el("meter", { min: 0, max: most || 1, value: Math.min(Number(row.error ?? 0), most || 1), "aria-hidden": "true" }),
      el("span", { class: "thumbs three" }), ...(marked ? [el("span", { class: "mark" }, "first difference")] : []));
    rows.set(made, row);
    return made;
  }

  function layers(/** @type {any} */ found) {
    const looks = each(pair, found.edits[1]);
    both.replaceChildren(...found.looks.map((/** @type {any} */ look, /** @type {number} */ k) => {
      const of = Object.fromEntries(looks[k]);
      return el("section", { "aria-label": `The ${WORDS[k]}` }, el("h3", {}, `The ${WORDS[k]}`), el("p", { class: "caption" }, `${of.picture}, in ${of.model}`),
        el("div", { class: "row start" }, ...(look.given ? [el("span", { class: "framed" }, el("img", { src: look.given.png, alt: `The ${WORDS[k]} picture as the network got it` }))] : []), likely(look, (/** @type {string} */ target) => go({ target }, true))), ...(look.note ? [el("p", { class: "said" }, look.note)] : []));
    }));
    const begins = found.layers.find((/** @type {any} */ row) => row.layer === found.first && found.first);
    said.replaceChildren(...(begins ? ["From the left, the first layer that differs is ", el("b", {}, begins.layer), ": by ", el("b", { "data-value": begins.error, "data-name": "first apart" }, `${told(100 * Number(begins.error))}%`), ` of its largest value, where the first has ${told(begins.first)} and the second ${told(begins.second)}.`]
      : [`No layer differs by more than ${told(found.tolerance)} of its largest value: the two compute the same.`]));
    if (found.edits[0].length) said.append(found.notes.length ? " " : " Both have the edits above.", ...found.notes.map((/** @type {string} */ note) => el("span", { class: "wrong" }, `${note}. `)));
    const most = Math.max(...found.layers.map((/** @type {any} */ row) => Number(row.error ?? 0)).filter(Number.isFinite), 0);
    seen.disconnect();
    rows.clear();
    const made = found.layers.slice(0, COLUMNS).map((/** @type {any} */ row) => column(row, found.first, most));
    columns.replaceChildren(...made);
    const at = made.find((/** @type {HTMLElement} */ one) => one.getAttribute("aria-current")) ?? made.find((/** @type {any} */ one) => !one.disabled);
    if (at) at.tabIndex = 0;
    for (const one of made) seen.observe(one);
    legend.textContent = `${made.length < found.layers.length ? `${made.length} of ${found.layers.length}` : made.length} layers. Percents say how far the two are apart at most, of the first's largest value. Below stand the ${SHOWN} maps that differ most: left in the first, in the middle in the second, on one scale; right the difference, blue where the second is lower, red where it is higher.`;
    kept.update(found, found.pairs);
  }

  function maps(/** @type {any} */ found) {
    const units = found.size[0] * found.size[1] === 1, words = units ? "unit" : "map";
    name.textContent = `${what === "gradient" ? "Gradient at " : ""}${found.layer} ${words} by ${words}`;
    grid.replaceChildren(...found.maps.map((/** @type {any} */ one, /** @type {number} */ k) => el("button", { type: "button", class: units ? "one unit" : "one", tabindex: 0, "data-map": one.map, "aria-current": String(one.map) === first("map") ? "true" : null,
      "aria-label": `${words} ${one.map}, at most ${told(one.largest)} apart`, click: () => go({ map: String(one.map), cell: units ? "0,0" : first("cell") || null }, true) }, el("span", { class: "thumbs three" }, ...triple(one, colors)), el("span", { "data-value": one.largest }, `${one.map}: ${told(one.largest)}`))));
    const one = found.maps[0];
    count.textContent = `${found.maps.length} of ${found.total} ${words}s shown, each in the first, in the second, and the difference, with the largest difference; ${first("scale") === "each" ? "each pair on a scale of its own" : one ? `one scale for all: ${scale(one.first, told)}; differences: ${scale(one.difference, told)}` : ""}`;
    more.hidden = found.maps.length >= found.total || shown >= MOST;
    kept.update(found, found.pairs);
  }

  function read(/** @type {number} */ row, /** @type {number} */ column) {
    if (!map) return;
    const number = (/** @type {string} */ side) => { const value = map[side][row]?.[column]; return el("b", { "data-value": value, "data-name": side, title: String(value) }, told(value)); };
    reading.replaceChildren(map.size[0] * map.size[1] === 1 ? "" : `row ${row}, column ${column}: `, "first ", number("first"), ", second ", number("second"), ", difference ", number("difference"));
  }

  function draw() {
    const at = first("cell") ? /** @type {[number, number]} */ (first("cell").split(",").map(Number)) : null;
    const unit = map.size[0] * map.size[1] === 1;
    mapName.textContent = `${unit ? "Unit" : "Map"} ${map.map} of ${map.layer} in both`;
    large.hidden = unit;
    const signed = Number(map.ends[0]) < 0;
    if (!unit) SIDES.forEach((side, k) => drawers[k].update(map[side].map((/** @type {any[]} */ line) => line.map(Number)), k === 2 || signed ? "signed" : "rising", at ? [{ cells: [at] }] : [], at ?? undefined, k < 2 ? map.ends.map(Number) : null));
    read(...(at ?? /** @type {[number, number]} */ ([0, 0])));
  }

  async function cells(/** @type {Pairs} */ more) {
    const key = JSON.stringify([pair, more]);
    if (done.cells === key) return;
    done.cells = key;
    try {
      const found = await working(Promise.all(each(pair, map.edits[1]).map((own, k) => ask("network/at", [...own, ...(k ? more.map(([name, value]) => /** @type {[string, string]} */ ([name, name === "layer" ? map?.other ?? value : value])) : more)]))));
      if (done.cells !== key) return;
      sums.forEach((sum, k) => sum.update(found[k]));
      cellName.textContent = `Where ${found[0].at} comes from, in both`;
      tell(`first ${told(found[0].answer.value)}, second ${told(found[1].answer.value)}`);
    } catch (error) {
      if (done.cells === key) complain(error instanceof Error ? error.message : String(error));
    }
  }

  /** The room with one of the two alone, at the same cell. */
  function alone(/** @type {number} */ k) {
    const own = Object.fromEntries(each(pair, [])[k]), edits = map?.edits[k] ?? state.all("edit");
    const rest = state.pairs().filter(([key]) => !["model", "picture", "other", "against", "layer", "edit"].includes(key));
    state.set([...rest, ["model", own.model], ["picture", own.picture], ["layer", k && map ? map.other : first("layer")], ...edits.map((/** @type {string} */ text) => /** @type {[string, string]} */ (["edit", text]))], { push: true });
  }

  function went(/** @type {any} */ to, /** @type {boolean} */ gradient) {
    go({ layer: to.layer, map: String(to.map), cell: to.cell, what: gradient ? "gradient" : null }, true);
  }

  function update(/** @type {Pairs} */ looked, /** @type {string} */ now) {
    const added = /** @type {Pairs} */ (["other", "against"].filter((key) => first(key)).map((key) => [key, first(key)]));
    other.value = first("other");
    against.value = first("against");
    const on = added.length > 0;
    part.hidden = end.hidden = !on;
    if (on) element.open = true;
    if (!on) { for (const key of Object.keys(done)) delete done[key]; return false; }
    pair = [...looked, ...added];
    what = now;
    orders.value = first("twins", "different");
    scales.value = first("scale", "shared");
    const gradient = /** @type {Pairs} */ (what === "gradient" ? [["what", what]] : []);
    if (done.what !== what) { done.what = what; delete done.layers; }
    asked("layers", "twins", pair, layers);
    for (const one of columns.children) one.toggleAttribute("aria-current", false);
    const current = [...columns.children].find((one) => /** @type {HTMLElement} */ (one).dataset.layer === first("layer"));
    if (current && first("layer")) current.setAttribute("aria-current", "true");
    layerPart.hidden = !first("layer");
    mapPart.hidden = layerPart.hidden || !first("map");
    cellPart.hidden = mapPart.hidden || !first("cell");
    if (layerPart.hidden) return true;
    const own = /** @type {Pairs} */ ([...pair, ["layer", first("layer")], ...gradient]);
    asked("maps", "twin-maps", [...own, ["order", orders.value], ["scale", scales.value], ["count", String(shown)], ["side", "64"]], maps);
    for (const one of grid.children) {
      if (/** @type {HTMLElement} */ (one).dataset.map === first("map")) one.setAttribute("aria-current", "true");
      else one.removeAttribute("aria-current");
    }
    if (mapPart.hidden) { map = null; delete done.map; return true; }
    const whole = /** @type {Pairs} */ ([...own, ["map", first("map")]]);
    const key = JSON.stringify(["twin-map", whole]);
    if (done.map === key && map) draw();
    else asked("map", "twin-map", whole, (found) => { map = found; draw(); if (first("cell")) cells(at()); });
    function at() { return /** @type {Pairs} */ ([["layer", first("layer")], ["map", first("map")], ["cell", first("cell")], ...gradient]); }
    if (!cellPart.hidden && map) cells(at());
    return true;
  }

  return { element, update };
}
