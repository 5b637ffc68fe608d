// Room 7: a network on a picture. Layers from left to right, the maps of one, one map, one number of it: each a step further in, Esc a step back.

import { ask } from "../ask.js";
import { el } from "../elements.js";
import { tools } from "../figure.js";
import { first, go } from "../network/address.js";
import { attributions } from "../network/attributions.js";
import { cell } from "../network/cell.js";
import { edits, numbers } from "../network/edits.js";
import { front } from "../network/front.js";
import { inputs } from "../network/inputs.js";
import { heading, maps } from "../network/layer.js";
import { map } from "../network/map.js";
import { strip } from "../network/strip.js";
import { twins } from "../network/twins.js";
import { views } from "../network/views.js";
import { told } from "../numbers.js";
import { choose } from "../pictures.js";
import { complain, tell } from "../speak.js";
import { use } from "../rail.js";
import { state } from "../state.js";
import { webcam } from "../webcam.js";

/** @typedef {[string, string][]} Pairs */
/** @typedef {Record<string, string | null>} Changes */

const PAGE = 64, MOST = 256;

export async function mount(/** @type {HTMLElement} */ place, /** @type {any} */ data) {
  const colors = data.facts.colors;
  let begun = /** @type {any} */ (null), overview = /** @type {any} */ (null), outline = /** @type {any} */ (null), shownMap = /** @type {any} */ (null);
  let shownCell = /** @type {any} */ (null), shown = PAGE, goTo = "", turn = 0, stripped = "", shownOf = "", shownLook = "", laid = "", said = /** @type {any} */ (null);

  const model = el("input", { type: "text", id: "model", "data-asks": "model", list: "networks", autocomplete: "off", change: () => go({ model: model.value, picture: null, target: null, layer: null, map: null, cell: null, open: null, edit: null, input: null, other: null, against: null }, true) });
  const picture = el("input", { type: "text", id: "picture", "data-asks": "picture", list: "pictures", autocomplete: "off", change: () => go({ picture: picture.value }, true) });
  const networks = el("datalist", { id: "networks" }), pictures = el("datalist", { id: "pictures" }), classes = el("datalist", { id: "classes" }), layers = el("datalist", { id: "layers" });
  const target = el("input", { type: "text", id: "target", "data-asks": "target", list: "classes", autocomplete: "off", placeholder: "the highest score", change: () => go({ target: target.value || null }, true) });
  const toggles = ["value", "gradient"].map((what) => el("button", { type: "button", "data-what": what, click: () => go({ what: what === "value" ? null : what }, true) }, what === "value" ? "Values, forward" : "Gradients, backward"));
  const find = el("input", { type: "search", id: "find", "aria-keyshortcuts": "/", list: "layers", placeholder: "a layer's name", autocomplete: "off", change: seek, keydown: (/** @type {KeyboardEvent} */ event) => event.key === "Enter" && seek() });
  const waiting = el("p", { role: "status", class: "waiting" });
  const { view, working, idle } = views(waiting);
  const crumbs = el("nav", { "aria-label": "Where this is", class: "crumbs" });
  const above = front(data.facts.methods, working);
  const others = inputs(), compared = twins(colors, working);
  const several = attributions(data.facts.methods, (to) => enter({ layer: to.layer, map: String(to.map), cell: to.cell, what: null }, "map"), working);
  const typed = new Set(); // fields in which somebody writes: what a camera brings meanwhile does not overwrite it
  for (const field of [model, picture, target]) {
    field.addEventListener("input", () => typed.add(field));
    for (const ended of ["change", "blur"]) field.addEventListener(ended, () => typed.delete(field), true);
  }
  const put = (/** @type {HTMLInputElement} */ field, /** @type {string} */ text) => { if (!typed.has(field)) field.value = text; };
  const camera = webcam((name, last) => state.put("picture", name, { push: last, replace: !last }), idle, () => first("picture"));
  const instead = el("div", { class: "row", hidden: true });
  const pictureLabel = el("label", { for: "picture" }, "Picture");
  const columns = strip(colors, { opened: (layer) => enter({ layer, map: null, cell: null }, "maps"), unfolded: unfold, failed: (problem) => complain(problem.message) });
  const grid = maps(colors, { opened: (number) => enter({ map: String(number), cell: overview && unit() ? "0,0" : first("cell") || null }, "map"), more: () => { shown = Math.min(MOST, shown * 2); follow(); } });
  const changed = edits(), made = numbers(changed.begin);
  const layerPart = heading(grid.element);
  const mapPart = map(colors, (layer, number) => enter({ layer, map: String(number), cell: null }, "map"), made.element);
  const sum = cell(colors, (/** @type {any} */ to, /** @type {boolean} */ gradient) => enter({ layer: to.layer, map: String(to.map), cell: to.cell, what: gradient ? "gradient" : null }, "map"), changed.begin);
  const kept = tools(), traced = tools();
  const cellName = el("h2");
  const cellPart = el("section", { class: "stage", "aria-label": "One number", hidden: true }, cellName, sum.element, kept.element);
  const how = el("p", { class: "caption", id: "how" });
  const body = el("div", { hidden: true, id: "network-room" },
    above.element, changed.element,
    el("section", { class: "stage", "aria-label": "Layers" },
      el("div", { class: "row" }, el("h2", { class: "grow" }, "Layers"), el("span", { class: "row", role: "group", "aria-label": "Forward or backward" }, ...toggles), el("span", { class: "row" }, el("label", { for: "find" }, "Find ", el("kbd", {}, "/")), find, layers)),
      how, columns.element, columns.words, traced.element),
    crumbs, layerPart.element, mapPart.element, cellPart, several.element, compared.element);
  place.append(
    el("div", { class: "row asks" }, el("span", { class: "row" }, el("label", { for: "model" }, "Network"), model, networks), el("span", { class: "row" }, pictureLabel, picture, pictures), choose((name) => go({ picture: name }, true), () => first("picture")), camera, el("span", { class: "row" }, el("label", { for: "target" }, "Score of"), target, classes)),
    others.element, waiting, instead, body);
  document.addEventListener("keydown", keys);
  state.watch(follow);
  await follow();

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
    columns.focus((overview ?? outline)?.layers.find((/** @type {any} */ layer) => layer.block === block || layer.repeat === block)?.layer ?? "");
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

  async function follow() {
    const mine = ++turn;
    const wanted = first("model");
    if (!begun || begun.model !== wanted && (wanted || !begun.usual)) {
      try {
        const found = await working(ask("network/begin", wanted ? [["model", wanted]] : []));
        if (mine !== turn) return;
        begun = { ...found, usual: !wanted };
      } catch (error) {
        if (mine !== turn) return;
        hide(true);
        begun = null;
        model.value = wanted;
        complain(error instanceof Error ? error.message : String(error));
        if (wanted) offer("Look into another network", { model: null, picture: null, target: null, layer: null, map: null, cell: null, open: null, input: null, edit: null, other: null, against: null });
        ask("networks", []).then((found) => listed(networks, found.networks), () => {});
        return;
      }
      listed(networks, begun.networks);
      listed(pictures, begun.pictures);
      listed(classes, begun.classes);
    }
    others.update(begun.inputs, begun.note);
    use({ model: begun.model, picture: first("picture", begun.picture) });
    pictureLabel.textContent = begun.note ? begun.takes : "Picture";
    const look = /** @type {Pairs} */ ([["model", begun.model], ["picture", first("picture", begun.picture)], ...(first("target") ? [["target", first("target")]] : []), ...others.pairs(), ...state.all("edit").map((text) => ["edit", text])]);
    changed.update();
    put(model, look[0][1]);
    put(picture, look[1][1]);
    put(target, first("target"));
    const what = first("what", "value");
    for (const toggle of toggles) toggle.setAttribute("aria-pressed", String(toggle.dataset.what === what));
    const begins = JSON.stringify(look);
    if (shownOf !== begun.model && laid !== begins && data.carrier !== "copy") { // of a copy all is there at once
      laid = begins;
      ask("network/layers", look).then((found) => { if (laid === begins && shownOf !== begun.model) lay(found, look); }, () => {}); // what is wrong the overview says
    } else if (outline) side(look, outline, what);
    const there = view("overview", [...look, ["classes", "apart"]], (found) => {
      overview = found;
      outline = null;
      shownOf = begun.model;
      instead.hidden = true;
      hide(false);
      listed(layers, found.layers.map((/** @type {any} */ row) => row.layer));
      above.update(found);
      traced.update(found, found.pairs);
      inner(look, first("what", "value"));
      const key = shownLook = JSON.stringify(look);
      columns.filled().then(() => {
        if (shownLook !== key) return;
        const known = view("classes", look, (next) => { said = next; if (shownLook === key) above.say(next); }, () => { if (shownLook === key) above.say({ top: [] }); });
        if (known) above.say(said);
      });
    }, () => {
      if (shownOf !== begun.model) { overview = outline = null; laid = ""; hide(true); }
      if (first("picture") && first("picture") !== begun.picture) offer(`Look at ${begun.picture} instead`, { picture: null });
      else if (first("target")) offer("Ask about the highest score", { target: null });
      else if (first("input")) offer("With the usual values", { input: null });
    });
    if (there && overview) inner(look, what);
  }

  /** The columns of a network that is looked into for the first time, while its numbers are computed. */
  function lay(/** @type {any} */ found, /** @type {Pairs} */ look) {
    overview = null;
    outline = found;
    instead.hidden = true;
    hide(false);
    above.begin(found);
    side(look, found, first("what", "value"));
  }

  /** Shows the room, or hides it for a problem, beside which the edits stay: each can be taken back. */
  function hide(/** @type {boolean} */ hidden) {
    body.hidden = hidden;
    const before = hidden && state.all("edit").length ? instead : above.element;
    if (before.nextElementSibling !== changed.element) before.after(changed.element);
  }

  /** A way on from a link that cannot be shown. */
  function offer(/** @type {string} */ words, /** @type {Changes} */ changes) {
    instead.replaceChildren(el("button", { type: "button", click: () => { instead.hidden = true; go(changes, true); } }, words));
    instead.hidden = false;
  }

  function listed(/** @type {HTMLElement} */ list, /** @type {string[]} */ values) {
    list.replaceChildren(...values.map((value) => el("option", { value })));
  }

  const layer = () => overview?.layers.find((/** @type {any} */ row) => row.layer === state.first("layer"));
  function unit() { const found = layer(); return Boolean(found) && found.size[0] * found.size[1] === 1; }
  const last = (/** @type {any} */ row) => row === overview.layers[overview.layers.length - 1];

  /** Everything below the picture, as far in as the address says: values alone, where there are no gradients. */
  function inner(/** @type {Pairs} */ look, /** @type {string} */ wanted) {
    const why = overview.no_gradient, what = why || wanted !== "gradient" ? "value" : wanted;
    complain(strange(wanted).join("\n"), "link");
    for (const toggle of toggles) {
      toggle.disabled = Boolean(why);
      toggle.title = why;
      toggle.setAttribute("aria-pressed", String(toggle.dataset.what === what));
    }
    several.update(look, why);
    body.toggleAttribute("data-comparing", compared.update(look, what));
    const name = first("layer"), row = layer();
    if (name && !row) complain(`the network has no layer ${name}`);
    const asked = side(look, overview, wanted);
    above.attribute(look, columns.filled());
    crumb(what);
    layerPart.element.hidden = !row;
    mapPart.element.hidden = !row || state.first("map") === null;
    cellPart.hidden = mapPart.element.hidden || state.first("cell") === null;
    if (!row) { goTo = ""; above.field(null); return; }
    const order = first("order", unit() ? "strongest" : "first"), scale = first("scale", "shared");
    layerPart.update(row, what === "gradient", scale, order);
    const own = /** @type {Pairs} */ ([...asked, ["layer", name]]);
    const at = () => state.first("map") === null ? -1 : Number(first("map")), chosen = at();
    const there = view("maps", [...own, ["order", order], ["scale", scale], ["count", String(shown)], ["side", "64"]], (found) => {
      grid.update(found, at(), last(row) ? begun.classes : []);
      arrive("maps");
    });
    grid.choose(chosen);
    if (there) arrive("maps");
    if (chosen < 0) { above.field(null); return; }
    if (view("map", [...own, ["map", String(chosen)]], (found) => { shownMap = found; drawMap(); })) drawMap();
    view("numbers", [...look, ["layer", name], ["map", String(chosen)]], (found) => { made.update(found); changed.names(found.names); });
    if (state.first("cell") === null) { above.field(null); return; }
    const known = view("at", [...own, ["map", String(chosen)], ["cell", first("cell")]], (found) => { shownCell = found; drawCell(found, what); });
    if (known) above.field(shownCell.field);
  }

  /** What a link says and this network has not: it is looked at without. @returns {string[]} */
  function strange(/** @type {string} */ wanted) {
    const blocks = new Set(overview.layers.flatMap((/** @type {any} */ row) => [row.block, row.repeat]));
    const none = state.all("open").filter((name) => !blocks.has(name)).map((name) => `the network has no block ${name}`);
    return ["value", "gradient"].includes(wanted) ? none : [`what is looked at is value or gradient, not ${wanted}`, ...none];
  }

  /** The layers side by side, drawn again when they are others or other blocks are open; gives what is asked of each. */
  function side(/** @type {Pairs} */ look, /** @type {any} */ of, /** @type {string} */ wanted) {
    const what = of.no_gradient || wanted !== "gradient" ? "value" : wanted, name = first("layer"), open = state.all("open");
    const asked = /** @type {Pairs} */ ([...look, ...(what === "gradient" ? [["what", what]] : [])]);
    const row = of.layers.find((/** @type {any} */ one) => one.layer === name);
    const block = [row?.block, row?.repeat].filter((one) => one && !open.includes(one));
    const drawn = JSON.stringify([asked, open, block, name]);
    if (stripped !== drawn) columns.update(of.layers, asked, [...open, ...block], name);
    else columns.ranges(of.layers);
    stripped = drawn;
    how.textContent = `${of.layers.length} layers; the strongest maps of each, on a scale of its own. ${what === "gradient" ? "Shown are gradients of the score: red raises it, blue lowers it, white is 0." : "Dark is low, light is high; where there are values below zero, blue is below, white is 0, red is above."} Left and right follow what is read, up and down go through all, Enter opens one, Esc goes back.`;
    return asked;
  }

  /** Brings the keyboard to where it was sent, once that is there. */
  function arrive(/** @type {string} */ at) {
    if (goTo !== at) return;
    goTo = "";
    if (at === "maps") { layerPart.element.scrollIntoView({ block: "nearest" }); grid.focus(); return; }
    mapPart.element.scrollIntoView({ block: "nearest" });
    if (unit()) grid.focus(); else mapPart.focus();
  }

  function crumb(/** @type {string} */ what) {
    const steps = /** @type {[string, Changes][]} */ ([["All layers", { layer: null, map: null, cell: null }]]);
    if (state.first("layer") !== null) steps.push([first("layer"), { map: null, cell: null }]);
    if (state.first("map") !== null) steps.push([`${unit() ? "unit" : "map"} ${first("map")}`, { cell: null }]);
    if (state.first("cell") !== null && !unit()) steps.push([`cell ${first("cell")}`, {}]);
    crumbs.replaceChildren(el("ol", {}, ...steps.map(([name, changes], k) => el("li", {}, k === steps.length - 1 ? el("span", { "aria-current": "location" }, name) : el("button", { type: "button", class: "link", click: () => go(changes, true) }, name)))), el("span", { class: what === "gradient" ? "gradient-key" : "value-key" }, what === "gradient" ? "gradients of the score" : "values"));
    crumbs.hidden = steps.length < 2;
  }

  function drawMap() {
    mapPart.update(shownMap, unit(), unit() && last(layer()) ? begun.classes[shownMap.map] ?? "" : "");
    arrive("map");
  }

  function drawCell(/** @type {any} */ found, /** @type {string} */ what) {
    cellName.textContent = what === "gradient" ? `How the score depends on ${found.at}` : `Where ${found.at} comes from`;
    sum.update(found);
    kept.update(found, found.pairs);
    if (cellPart.hidden) return;
    above.field(found.field);
    tell(`${found.at}: ${told(found.answer.value)}`);
  }
}
