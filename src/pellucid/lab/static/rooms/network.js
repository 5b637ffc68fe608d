// Room 7: a network on a picture. Layers from left to right, the maps of one, one map, one number of it: each a step further in, Esc a step back.

import { ask, latest } from "../ask.js";
import { bytes, paint, scale } from "../draw/tile.js";
import { matrix } from "../draw/matrix.js";
import { el } from "../elements.js";
import { tools } from "../figure.js";
import { cell } from "../network/cell.js";
import { maps } from "../network/layer.js";
import { strip } from "../network/strip.js";
import { told } from "../numbers.js";
import { choose } from "../pictures.js";
import { complain, tell } from "../speak.js";
import { state } from "../state.js";

/** @typedef {[string, string][]} Pairs */
/** @typedef {Record<string, string | null>} Changes */

const PAGE = 64, MOST = 256;

export async function mount(/** @type {HTMLElement} */ place, /** @type {any} */ data) {
  const colors = data.facts.colors;
  const settled = /** @type {Record<string, (value: null) => void>} */ ({});
  let begun = /** @type {any} */ (null), overview = /** @type {any} */ (null), map = /** @type {any} */ (null);
  let shownCell = /** @type {any} */ (null), shown = PAGE, pending = 0, began = 0, clock = 0, goTo = "", turn = 0;
  const done = /** @type {Record<string, string>} */ ({}), here = /** @type {Record<string, string>} */ ({});
  const first = (/** @type {string} */ name, usual = "") => state.first(name) ?? usual;

  const model = el("input", { type: "text", id: "model", list: "networks", autocomplete: "off", change: () => go({ model: model.value, picture: null, target: null, layer: null, map: null, cell: null, open: null }, true) });
  const picture = el("input", { type: "text", id: "picture", list: "pictures", autocomplete: "off", change: () => go({ picture: picture.value }, true) });
  const networks = el("datalist", { id: "networks" }), pictures = el("datalist", { id: "pictures" }), classes = el("datalist", { id: "classes" }), layers = el("datalist", { id: "layers" });
  const target = el("input", { type: "text", id: "target", list: "classes", autocomplete: "off", placeholder: "the highest score", change: () => go({ target: target.value || null }, true) });
  const toggles = ["value", "gradient"].map((what) => el("button", { type: "button", "data-what": what, click: () => go({ what: what === "value" ? null : what }, true) }, what === "value" ? "Values, forward" : "Gradients, backward"));
  const find = el("input", { type: "search", id: "find", list: "layers", placeholder: "a layer's name", autocomplete: "off", change: seek, keydown: (/** @type {KeyboardEvent} */ event) => event.key === "Enter" && seek() });
  const waiting = el("p", { role: "status", class: "waiting" });
  const crumbs = el("nav", { "aria-label": "Where this is", class: "crumbs" });
  const given = el("div", { class: "maps pair" }), scores = el("div", { class: "scores" });
  const heat = el("div", { class: "heat" });
  const methods = el("select", { id: "method", change: () => go({ method: methods.value }) }, ...data.facts.methods.map((/** @type {string} */ name) => el("option", { value: name }, name)));
  const columns = strip(colors, { opened: (layer) => enter({ layer, map: null, cell: null }, "maps"), unfolded: unfold, failed: (problem) => complain(problem.message) });
  const grid = maps(colors, { opened: (number) => enter({ map: String(number), cell: overview && unit() ? "0,0" : first("cell") || null }, "map"), more: () => { shown = Math.min(MOST, shown * 2); follow(); } });
  const scales = el("select", { id: "scale", change: () => go({ scale: scales.value === "shared" ? null : scales.value }) }, el("option", { value: "shared" }, "one scale for all"), el("option", { value: "each" }, "a scale for each"));
  const orders = el("select", { id: "order", change: () => go({ order: orders.value }) }, el("option", { value: "first" }, "by number"), el("option", { value: "strongest" }, "strongest first"));
  const layerName = el("h2"), layerFacts = el("p", { class: "said" });
  const layerPart = el("section", { class: "stage", "aria-label": "Layer", hidden: true }, layerName, layerFacts, el("p", { class: "row" }, el("label", { for: "scale" }, "Colors"), scales, el("label", { for: "order" }, "Order"), orders), grid.element);
  const mapName = el("h2"), reading = el("p", { class: "caption reading" }), sees = el("p", { class: "said" });
  const large = el("div", { class: "large" }), reads = el("div", { class: "reads" });
  const one = matrix(large, { name: "Map: point at a cell, press for its terms", colors, moved: (row, column) => go({ cell: `${row},${column}` }), hovered: read, most: 112 });
  one.element.querySelector("canvas")?.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => { if (event.key === "Enter" && map) go({ cell: first("cell", "0,0") }); });
  const mapPart = el("section", { class: "stage", "aria-label": "Map", hidden: true }, mapName, el("div", { class: "inside" }, el("div", {}, large, reading), el("div", {}, sees, reads)));
  const sum = cell(colors, (/** @type {any} */ to, /** @type {boolean} */ gradient) => enter({ layer: to.layer, map: String(to.map), cell: to.cell, what: gradient ? "gradient" : null }, "map"));
  const kept = tools();
  const cellName = el("h2");
  const cellPart = el("section", { class: "stage", "aria-label": "One number", hidden: true }, cellName, sum.element, kept.element);
  const body = el("div", { hidden: true, id: "network-room" },
    el("div", { class: "front" },
      el("section", { class: "stage", "aria-label": "The picture" }, el("h2", {}, "The picture"), given),
      el("section", { class: "stage", "aria-label": "The prediction" }, el("h2", {}, "What the network says"), scores),
      el("section", { class: "stage", "aria-label": "Attribution" }, el("p", { class: "row" }, el("label", { for: "method" }, el("b", {}, "Where the score comes from")), methods), heat)),
    el("section", { class: "stage", "aria-label": "Layers" },
      el("div", { class: "row" }, el("h2", { class: "grow" }, "Layers"), el("span", { class: "row", role: "group", "aria-label": "Forward or backward" }, ...toggles), el("span", { class: "row" }, el("label", { for: "find" }, "Find ", el("kbd", {}, "/")), find, layers)),
      el("p", { class: "caption", id: "how" }), columns.element),
    crumbs, layerPart, mapPart, cellPart);
  place.append(
    el("div", { class: "row asks" }, el("span", { class: "row" }, el("label", { for: "model" }, "Network"), model, networks), el("span", { class: "row" }, el("label", { for: "picture" }, "Picture"), picture, pictures), choose((name) => go({ picture: name }, true)), el("span", { class: "row" }, el("label", { for: "target" }, "Score of"), target, classes)),
    waiting, body);
  document.addEventListener("keydown", keys);
  state.watch(follow);
  await follow();

  function go(/** @type {Changes} */ changes, push = false) {
    const rest = state.pairs().filter(([key]) => !(key in changes));
    const own = /** @type {Pairs} */ (Object.entries(changes).filter(([, value]) => value !== null && value !== ""));
    state.set([...rest, ...own], { push });
  }

  function enter(/** @type {Changes} */ changes, /** @type {string} */ focus) {
    goTo = focus;
    if ("layer" in changes) shown = PAGE;
    go(changes, true);
  }

  function unfold(/** @type {string} */ block) {
    const open = state.all("open");
    const next = open.includes(block) ? open.filter((name) => name !== block) : [...open, block];
    state.set([...state.pairs().filter(([key]) => key !== "open"), ...next.map((name) => /** @type {[string, string]} */ (["open", name]))]);
    tell(open.includes(block) ? `${block} folded` : `${block} opened`);
    columns.focus(overview?.layers.find((/** @type {any} */ layer) => layer.block === block)?.layer ?? "");
  }

  function seek() {
    const words = find.value.trim().toLowerCase();
    if (!words || !overview) return;
    const names = overview.layers.map((/** @type {any} */ layer) => layer.layer);
    const found = names.find((/** @type {string} */ name) => name.toLowerCase() === words) ?? names.find((/** @type {string} */ name) => name.toLowerCase().includes(words));
    if (!found) { complain(`no layer's name has ${find.value} in it`); return; }
    complain("");
    enter({ layer: found, map: null, cell: null }, "maps");
  }

  function up() {
    if (state.first("cell") !== null && !unit()) { goTo = "map"; go({ cell: null }, true); }
    else if (state.first("map") !== null) { goTo = "maps"; go({ map: null, cell: null }, true); }
    else if (state.first("layer") !== null) { const was = first("layer"); go({ layer: null }, true); columns.focus(was); }
  }

  function keys(/** @type {KeyboardEvent} */ event) {
    const writing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
    if (event.key === "Escape") { if (writing) /** @type {HTMLElement} */ (event.target).blur(); else up(); }
    else if (event.key === "/" && !writing && !event.ctrlKey && !event.metaKey) { event.preventDefault(); find.focus(); find.select(); }
  }

  /** Says that something is worked on, and for how long. */
  async function working(/** @type {Promise<any>} */ promise) {
    if (!pending++) {
      began = performance.now();
      clock = window.setInterval(() => { waiting.textContent = `computing, ${((performance.now() - began) / 1000).toFixed(0)} s`; }, 500);
    }
    try {
      return await promise;
    } finally {
      if (!--pending) { clearInterval(clock); waiting.textContent = ""; }
    }
  }

  /** Asks a view unless that is done already; the newest question wins. Says whether its answer is shown. */
  function view(/** @type {string} */ name, /** @type {Pairs} */ pairs, /** @type {(found: any) => void} */ then) {
    const key = JSON.stringify(pairs);
    if (done[name] === key) return here[name] === key;
    done[name] = key;
    settled[name]?.(null);
    working(new Promise((resolve) => {
      settled[name] = resolve;
      const over = (/** @type {() => void} */ what) => { resolve(null); if (done[name] === key) what(); };
      latest(`network/${name}`, pairs, (found) => over(() => { here[name] = key; complain(""); then(found); }), (problem) => over(() => { done[name] = ""; complain(problem.message); }));
    }));
    return false;
  }

  async function follow() {
    const mine = ++turn;
    const wanted = first("model");
    if (!begun || begun.model !== wanted && (wanted || !begun.usual)) {
      try {
        const found = await working(ask("network/begin", wanted ? [["model", wanted]] : []));
        if (mine !== turn) return;
        begun = { ...found, usual: !wanted };
      } catch (error) {
        body.hidden = true;
        begun = null;
        complain(error instanceof Error ? error.message : String(error));
        return;
      }
      networks.replaceChildren(...begun.networks.map((/** @type {string} */ value) => el("option", { value })));
      pictures.replaceChildren(...begun.pictures.map((/** @type {string} */ value) => el("option", { value })));
      classes.replaceChildren(...begun.classes.map((/** @type {string} */ value) => el("option", { value })));
    }
    const look = /** @type {Pairs} */ ([["model", begun.model], ["picture", first("picture", begun.picture)], ...(first("target") ? [["target", first("target")]] : [])]);
    model.value = look[0][1];
    picture.value = look[1][1];
    target.value = first("target");
    const what = first("what", "value");
    for (const toggle of toggles) toggle.setAttribute("aria-pressed", String(toggle.dataset.what === what));
    if (view("overview", look, (found) => { overview = found; body.hidden = false; head(look); inner(look, first("what", "value")); })) inner(look, what);
  }

  /** The picture and what the network says of it. */
  function head(/** @type {Pairs} */ look) {
    layers.replaceChildren(...overview.layers.map((/** @type {any} */ layer) => el("option", { value: layer.layer })));
    const figure = (/** @type {string} */ name, /** @type {any} */ shown, /** @type {string} */ words, /** @type {string} */ kind) => el("figure", { class: "figure" }, el("figcaption", {}, name), el("span", { class: `framed ${kind}` }, el("img", { src: shown.png, alt: name })), el("p", { class: "caption" }, words));
    const size = (/** @type {number[]} */ [rows, wide]) => `${wide}×${rows} pixels`;
    given.replaceChildren(
      ...(overview.original ? [figure("As it is", overview.original, `${size(overview.original.size)}; the network is given what is in the dashed frame`, "original")] : []),
      ...(overview.given ? [figure("As the network got it", overview.given, size(overview.given.size), "got")] : [el("p", {}, "What the network takes is no picture.")]));
    const cut_ = overview.original?.given;
    if (cut_) {
      const [rows, wide] = overview.original.size;
      frame(".original", cut_, rows, wide, "part");
    }
    const likely = overview.top[0] && "probability" in overview.top[0] ? "probability" : "score" in (overview.top[0] ?? {}) ? "score" : "value";
    scores.replaceChildren(
      el("ol", { class: "likely" }, ...overview.top.map((/** @type {any} */ row) => {
        const name = row.class ?? row.target, value = row[likely];
        return el("li", {}, el("button", { type: "button", class: "link", title: `Ask about ${name}`, click: () => go({ target: name }, true) }, name),
          ...(likely === "probability" ? [el("meter", { min: 0, max: 1, value, "aria-label": `probability of ${name}` })] : []), el("span", { class: "number", "data-value": value }, likely === "probability" ? `${(100 * value).toFixed(1)}%` : told(value)));
      })),
      el("p", { class: "said" }, "Asked about: ", el("b", {}, overview.class || overview.place), ", score ", el("b", { "data-value": overview.score, "data-name": "score" }, told(overview.score)),
        ...(overview.probability === null ? [] : [", probability ", el("b", { "data-value": overview.probability, "data-name": "probability" }, told(overview.probability))]), ". This is inference: dropout is off, normalization uses what was learned."));
    attribute(look);
  }

  async function attribute(/** @type {Pairs} */ look) {
    const method = first("method", "grad-cam");
    methods.value = method;
    const pairs = /** @type {Pairs} */ ([...look, ["method", method]]);
    const key = JSON.stringify(pairs);
    if (done.attribute === key) return;
    done.attribute = key;
    heat.setAttribute("aria-busy", "true");
    try {
      const found = await working(ask("attribute.drawn", pairs));
      if (done.attribute !== key) return;
      const made = document.createElement("template");
      made.innerHTML = found.part;
      heat.replaceChildren(made.content);
    } catch (error) {
      if (done.attribute === key) heat.replaceChildren(el("p", { class: "said" }, error instanceof Error ? error.message : String(error)));
    } finally {
      if (done.attribute === key) heat.removeAttribute("aria-busy");
    }
  }

  /** A frame over a picture: rows and columns, ends excluded. */
  function frame(/** @type {string} */ kind, /** @type {[number, number][]} */ [rows, wide], /** @type {number} */ high, /** @type {number} */ across, /** @type {string} */ name) {
    const box = el("span", { class: `field ${name}` });
    box.style.top = `${100 * rows[0] / high}%`;
    box.style.height = `${100 * (rows[1] - rows[0]) / high}%`;
    box.style.left = `${100 * wide[0] / across}%`;
    box.style.width = `${100 * (wide[1] - wide[0]) / across}%`;
    given.querySelector(kind)?.append(box);
  }

  const layer = () => overview?.layers.find((/** @type {any} */ row) => row.layer === state.first("layer"));
  function unit() { const found = layer(); return Boolean(found) && found.size[0] * found.size[1] === 1; }

  function inner(/** @type {Pairs} */ look, /** @type {string} */ what) {
    attribute(look);
    const name = first("layer"), row = layer();
    if (name && !row) { complain(`the network has no layer ${name}`); }
    const open = state.all("open");
    const block = row?.block && !open.includes(row.block) ? [row.block] : [];
    const filled = /** @type {Pairs} */ ([...look, ...(what === "gradient" ? [["what", what]] : [])]);
    const drawn = JSON.stringify([filled, open, block, name]);
    if (done.strip !== drawn) {
      done.strip = drawn;
      columns.update(overview.layers, filled, [...open, ...block], name);
    }
    const how = /** @type {HTMLElement} */ (place.querySelector("#how"));
    how.textContent = `${overview.layers.length} layers; the strongest maps of each, on a scale of its own. ${what === "gradient" ? "Shown are gradients of the score: red raises it, blue lowers it, white is 0." : "Dark is low, light is high; where there are values below zero, blue is below, white is 0, red is above."} Arrows go from layer to layer, Enter opens one, Esc goes back.`;
    crumb(what);
    layerPart.hidden = !row;
    mapPart.hidden = !row || state.first("map") === null;
    cellPart.hidden = mapPart.hidden || state.first("cell") === null;
    if (!row) { goTo = ""; field(null); return; }
    layerName.textContent = what === "gradient" ? `Gradient at ${name}` : name;
    const fact = (/** @type {string} */ key) => el("b", { "data-value": row[key], "data-name": key }, told(row[key]));
    layerFacts.replaceChildren(`${row.operation}, ${row.shape.join("×")}${row.reads.length ? `, reads ${row.reads.join(", ")}` : ""}; values from `, fact("min"), " to ", fact("max"), ", mean ", fact("mean"), `, ${(100 * row.zeros).toFixed(1)}% zeros`);
    const order = first("order", unit() ? "strongest" : "first");
    orders.value = order;
    scales.value = first("scale", "shared");
    const asked = /** @type {Pairs} */ ([...look, ["layer", name], ...(what === "gradient" ? [["what", what]] : [])]);
    const chosen = state.first("map") === null ? -1 : Number(first("map"));
    const there = view("maps", [...asked, ["order", order], ["scale", scales.value], ["count", String(shown)], ["side", "64"]], (found) => {
      grid.update(found, chosen, row === overview.layers[overview.layers.length - 1] ? begun.classes : []);
      arrive("maps");
    });
    grid.choose(chosen);
    if (there) arrive("maps");
    if (chosen < 0) { field(null); return; }
    if (view("map", [...asked, ["map", String(chosen)]], (found) => { map = found; drawMap(); arrive("map"); })) { drawMap(); arrive("map"); }
    if (state.first("cell") === null) { field(null); return; }
    const known = view("at", [...asked, ["map", String(chosen)], ["cell", first("cell")]], (found) => { shownCell = found; drawCell(found, what); });
    if (known) field(shownCell.field);
  }

  /** Brings the keyboard to where it was sent, once that is there. */
  function arrive(/** @type {string} */ at) {
    if (goTo !== at) return;
    goTo = "";
    if (at === "maps") { layerPart.scrollIntoView({ block: "nearest" }); grid.focus(); return; }
    mapPart.scrollIntoView({ block: "nearest" });
    const canvas = /** @type {HTMLElement} */ (one.element.querySelector("canvas"));
    if (unit()) grid.focus(); else canvas.focus({ preventScroll: true });
  }

  function crumb(/** @type {string} */ what) {
    const steps = /** @type {[string, Changes][]} */ ([["All layers", { layer: null, map: null, cell: null }]]);
    if (state.first("layer") !== null) steps.push([first("layer"), { map: null, cell: null }]);
    if (state.first("map") !== null) steps.push([`${unit() ? "unit" : "map"} ${first("map")}`, { cell: null }]);
    if (state.first("cell") !== null && !unit()) steps.push([`cell ${first("cell")}`, {}]);
    crumbs.replaceChildren(el("ol", {}, ...steps.map(([name, changes], k) => el("li", {}, k === steps.length - 1 ? el("span", { "aria-current": "location" }, name) : el("button", { type: "button", class: "link", click: () => go(changes, true) }, name)))), el("span", { class: what === "gradient" ? "gradient-key" : "value-key" }, what === "gradient" ? "gradients of the score" : "values"));
    crumbs.hidden = steps.length < 2;
  }

  function read(/** @type {number} */ row, /** @type {number} */ column) {
    if (!map) return;
    const value = map.values[row]?.[column];
    reading.replaceChildren(unit() ? `${map.what}: ` : `row ${row}, column ${column}: `, el("b", { "data-value": value, title: String(value) }, told(value)));
  }

  function drawMap() {
    const at = state.first("cell") === null ? null : /** @type {[number, number]} */ (first("cell").split(",").map(Number));
    mapName.textContent = `${unit() ? "Unit" : "Map"} ${map.map} of ${map.layer}${unit() && begun.classes.length && layer() === overview.layers[overview.layers.length - 1] ? `: ${begun.classes[map.map] ?? ""}` : ""}`;
    large.hidden = unit();
    const numbers = map.values.map((/** @type {any[]} */ line) => line.map(Number));
    if (!unit()) one.update(numbers, Number(map.ends[0]) < 0 || map.what === "gradient" ? "signed" : "rising", at ? [{ cells: [at] }] : [], at ?? undefined);
    read(...(at ?? /** @type {[number, number]} */ ([0, 0])));
    const found = map.reads;
    sees.textContent = !found.layers.length ? "This is what goes into the network."
      : found.kernels === 1 ? `Its filter is one kernel, over map ${found.shown[0].map} of ${found.layers[0]}.`
      : found.kernels ? `Its filter has ${found.kernels} kernels, one for each map of ${found.layers[0]} that it reads${found.shown.length < found.kernels ? `; the ${found.shown.length} largest are shown` : ""}.`
      : found.shown.length ? `It reads map ${map.map} of ${found.layers.join(" and ")}.` : `It reads all of ${found.layers.join(" and ")}.`;
    reads.replaceChildren(...found.shown.map((/** @type {any} */ source) => {
      const canvas = el("canvas", { class: "tile", "aria-hidden": "true" });
      paint(canvas, bytes(source.bytes), source.shape[0], source.shape[1], Number(source.low) < 0, colors);
      const item = el("div", { class: "read" });
      if (source.kernel && source.kernel.length * source.kernel[0].length > 1) matrix(item, { name: `kernel ${source.map}`, colors }).update(source.kernel, "signed");
      else if (source.kernel) item.append(el("p", {}, "weight ", el("b", { "data-value": source.kernel[0][0] }, told(source.kernel[0][0]))));
      item.append(el("button", { type: "button", class: "one", "aria-label": `map ${source.map} of ${source.layer}`, title: scale({ ...source, shape: [1] }, told), click: () => enter({ layer: source.layer, map: String(source.map), cell: null }, "map") }, canvas, el("span", {}, `map ${source.map}`)));
      return item;
    }));
  }

  function field(/** @type {any} */ found) {
    for (const old of given.querySelectorAll(".field.seen")) old.remove();
    if (found && overview.given) frame(".got", found, overview.given.size[0], overview.given.size[1], "seen");
  }

  function drawCell(/** @type {any} */ found, /** @type {string} */ what) {
    cellName.textContent = what === "gradient" ? `How the score depends on ${found.at}` : `Where ${found.at} comes from`;
    sum.update(found);
    kept.update(found, found.pairs);
    field(found.field);
    tell(`${found.at}: ${told(found.answer.value)}`);
  }
}
