// Room 5: a layer connected to a picture in three ways, counted and drawn; and a picture that is shifted.

import { latest } from "../ask.js";
import { fitting } from "../carrier.js";
import { chart, legend } from "../draw/chart.js";
import { matrix } from "../draw/matrix.js";
import { el, svg } from "../elements.js";
import { tools } from "../figure.js";
import { handles } from "../handles.js";
import { told } from "../numbers.js";
import { choose } from "../pictures.js";
import { question } from "../question.js";
import { calm, complain, tell } from "../speak.js";
import { state } from "../state.js";

const USUAL = /** @type {Record<string, number>} */ ({ size: 10, channels: 1, maps: 2, kernel: 3, layers: 1 });
const MEANS = /** @type {Record<string, string>} */ ({
  "fully connected": "Every unit reads every pixel, each by a weight of its own.",
  "locally connected": "Every unit reads a small window, by weights of its own.",
  "convolution": "Every unit reads a small window, and all places share the weights: one color is one weight.",
});
/** The shift test as it begins; its window is that of the connections. */
const SHIFT = /** @type {[string, string][]} */ ([["picture", "digits[143]"], ["shift", "0,1"], ["kernel", "3"], ["seed", "0"]]);
const WIDE = 400, HIGH = 190, MOST = 100;

export function mount(/** @type {HTMLElement} */ place, /** @type {any} */ data) {
  const asked = question("connectivity", data, { changed: fill, answered: draw });
  const first = (/** @type {string} */ name, usual = "") => state.first(name) ?? usual;
  const controls = handles([
    { name: "size", words: "picture size", low: 2, high: 256, log: true }, { name: "maps", low: 1, high: 16 },
    { name: "kernel", words: "window", low: 1, high: 9, step: 2 }, { name: "layers", low: 1, high: 5 }, { name: "channels", low: 1, high: 3 },
  ], put);
  const presets = el("div", { class: "chips", role: "group", "aria-label": "Presets", "data-part": "presets" }, ...data.facts.presets.map((/** @type {any} */ one) =>
    el("button", { type: "button", "data-query": one.query, click: () => asked.change([...new URLSearchParams(one.query)], { push: true }) }, one.title)));
  const sentence = el("p", { class: "said", role: "status" });
  const ways = el("div", { class: "ways" });
  const canvas = el("div");
  const names = el("ul", { class: "legend" });
  const read = el("tbody");
  const curve = chart(canvas, { moved: say, rest: (xs) => xs.findIndex((x) => x >= Number(asked.first("size") ?? USUAL.size)) });
  const drawnKept = tools(), kept = tools(), shiftKept = tools();

  const picture = el("input", { type: "text", id: "shift-picture", list: "at-hand", autocomplete: "off", change: () => state.put("picture_", picture.value) });
  const moves = handles([{ name: "down", low: -6, high: 6, asks: "shift" }, { name: "right", low: -6, high: 6, asks: "shift" }, { name: "seed", words: "seed", low: 0, high: 99 }], move);
  const before = el("div", { class: "maps" }), layers = el("div", { class: "ways" });
  const shown = { image: matrix(before, { name: "The picture", colors: data.facts.colors, most: 24 }), moved: matrix(before, { name: "Shifted", colors: data.facts.colors, most: 24 }) };
  let tested = SHIFT, askedShift = "";

  place.append(
    el("section", { class: "stage", "aria-label": "Connections", "data-part": "connections" }, presets, controls.element, sentence, ways, drawnKept.element),
    el("section", { class: "stage", "aria-label": "Parameters by size", "data-part": "parameters-by-size" }, el("h2", {}, "Parameters by the picture's size"), el("div", { class: "sides" }, el("div", {}, canvas, names),
      el("div", {}, el("p", {}, "Both axes go by factors. Twice as many rows and columns are four times as many pixels and four times as many units: a fully connected layer then takes 16 times as many parameters, a locally connected one 4 times, and a convolution as many as before, whatever the size."),
        el("h3", {}, "Read at one size"), el("table", { class: "readings" }, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "layers"), el("th", { scope: "col", class: "number" }, "parameters"))), read))), kept.element),
    el("section", { class: "stage", "aria-label": "Shift test", "data-part": "shift-test" }, el("h2", {}, "Move the picture: who moves along?"),
      el("p", {}, "Weights are drawn at random, as before any learning. If the picture moves, convolution's map is the same map, moved: what it learns at one place it knows at all. The others begin anew."),
      el("div", { class: "row" }, el("label", { for: "shift-picture" }, "Picture"), picture, el("datalist", { id: "at-hand" }, ...data.facts.pictures.map((/** @type {string} */ value) => el("option", { value }))), choose((name) => state.put("picture_", name), () => state.first("picture_"))),
      moves.element, el("div", { class: "shifting" }, before, layers),
      el("p", { class: "caption" }, "“Off” compares the shifted picture's map with the first map moved along, as a share of its size: 0 % is moving along exactly. “In place” compares the maps cell by cell, “pooled” after 2×2 max pooling."), shiftKept.element,
      el("p", {}, "With learned weights, and accuracies: ", el("a", { href: "ask?question_=why-convolution&epochs=3&limit=400" }, "train the three side by side"), " (some seconds).")));
  state.watch(shift);
  asked.begin();
  shift();

  function put(/** @type {string} */ name, /** @type {string} */ value) {
    asked.change([...asked.pairs.filter(([key]) => key !== name), [name, value]]);
  }

  function fill() {
    controls.update(Object.fromEntries(Object.entries(USUAL).map(([name, usual]) => [name, Number(asked.first(name) ?? usual)])));
  }

  function draw() {
    const one = asked.found, [grid, lines] = asked.answer.picture.parts;
    const here = new URLSearchParams(asked.pairs);
    for (const button of presets.children) button.setAttribute("aria-pressed", String([...new URLSearchParams(button.dataset.query)].every(([key, value]) => (here.get(key) ?? String(USUAL[key])) === value)));
    sentence.textContent = `${grid.title}: ${grid.rows.map((/** @type {string[]} */ row) => `${row[0]} ${row[1]}`).join(", ")} parameters.`;
    ways.replaceChildren(...grid.rows.map((/** @type {string[]} */ [name, parameters, connections, , memory]) => {
      const way = one.ways[name];
      return el("figure", { class: "figure way", "data-name": name }, el("figcaption", {}, name),
        el("p", { class: "count", "data-value": parameters.replaceAll(",", ""), "data-name": `${name} parameters` }, parameters, el("span", {}, ` parameters, ${memory}`)),
        wires(name, way, one.size),
        el("p", { class: "caption" }, `${MEANS[name] ?? ""} ${way.words}. ${connections} connections.`));
    }));
    curve.update(lines);
    names.replaceChildren(...legend(lines.series));
    say(curve.at());
    for (const one of [drawnKept, kept]) one.update(asked.answer, asked.pairs);
  }

  /** A row of pixels above, the same row of the map below, and the connections that were chosen. */
  function wires(/** @type {string} */ name, /** @type {any} */ way, /** @type {number} */ size) {
    const step = WIDE / size, side = Math.max(1, Math.min(14, step * 0.8));
    const x = (/** @type {number} */ at) => (at + 0.5) * step;
    const rows = (/** @type {number} */ y) => size > MOST ? [svg("rect", { x: 0, y, width: WIDE, height: 14, class: "pixel" })] : Array.from({ length: size }, (_, at) => square(at, y)); // more are one bar
    const square = (/** @type {number} */ at, /** @type {number} */ y) => svg("rect", { x: x(at) - side / 2, y, width: side, height: 14, class: "pixel" });
    const color = (/** @type {number} */ weight) => `hsl(${Math.round(weight * 137.5 + 215) % 360} 65% 48%)`;
    return svg("svg", { class: "drawn wires", viewBox: `0 0 ${WIDE} ${HIGH}`, role: "img", "aria-label": `${name}: ${way.words}` },
      ...way.drawn.map((/** @type {number[]} */ [pixel, cell, weight]) => svg("path", { d: `M${x(pixel).toFixed(1)},16L${x(cell).toFixed(1)},${HIGH - 16}`, stroke: color(weight) })),
      ...rows(1), ...rows(HIGH - 15));
  }

  /** A count as it is; of those that are only known nearly, as points of a curve are, the digits that count. */
  function counted(/** @type {number} */ value) { return Number.isSafeInteger(value) ? value.toLocaleString("en") : told(value); }

  function say(/** @type {number} */ index) {
    const lines = (asked.answer?.picture.parts[1].series ?? []).filter((/** @type {any} */ series) => series.kind !== "points");
    const all = /** @type {[string, number][]} */ (index < 0 || !lines.length ? [] : [["rows and columns", lines[0].x[index]], ...lines.map((/** @type {any} */ series) => [series.name, series.y[index]])]);
    read.replaceChildren(...all.map(([name, value]) => el("tr", {}, el("td", {}, name), el("td", { class: "number", "data-value": value }, counted(value)))));
    if (all.length && document.activeElement?.classList.contains("chart")) tell(all.map(([name, value]) => `${name} ${counted(value)}`).join(", "));
  }

  /** Pixels down and right, the usual ones where a link says none. */
  function shifts() {
    const own = (new Map(tested).get("shift") ?? "").split(",").map(Number);
    return own.length === 2 && own.every(Number.isFinite) ? own : (new Map(SHIFT).get("shift") ?? "").split(",").map(Number);
  }

  function move(/** @type {string} */ name, /** @type {string} */ text) {
    if (name === "seed") { state.put("seed_", text); return; }
    const [down, right] = shifts();
    state.put("shift_", name === "down" ? `${text},${right}` : `${down},${text}`);
  }

  /** The test as the address says; of a copy the nearest that it holds, which the address and the handles then say. */
  function shift() {
    const wanted = SHIFT.map(([name, usual]) => /** @type {[string, string]} */ ([name, name === "kernel" ? asked.first(name) ?? usual : first(`${name}_`, usual)]));
    if (JSON.stringify(wanted) !== JSON.stringify(tested)) {
      const found = new Map(fitting("shift-test", wanted, tested) ?? tested), before = new Map(wanted);
      tested = found.get("kernel") === before.get("kernel") ? SHIFT.map(([name, usual]) => [name, found.get(name) ?? usual]) : wanted; // of another window there is no handle here
      for (const [name, value] of tested) if (value !== before.get(name)) state.put(`${name}_`, value, { silent: true, replace: true });
    }
    const now = new Map(tested), [down, right] = shifts(), seed = Number(now.get("seed"));
    moves.update({ down, right, seed: Number.isFinite(seed) ? seed : 0 });
    picture.value = now.get("picture") ?? "";
    const pairs = tested;
    if (JSON.stringify(pairs) === askedShift) return;
    askedShift = JSON.stringify(pairs);
    latest("shift-test", pairs, (found) => { calm("shift-test"); test(found, pairs); }, (problem) => complain(problem.message, "shift-test"));
  }

  function test(/** @type {any} */ found, /** @type {[string, string][]} */ pairs) {
    const one = found.answer, colors = data.facts.colors;
    shown.image.update(one.image, "gray");
    shown.moved.update(one.moved, "gray");
    layers.replaceChildren(...Object.entries(one.layers).map(([name, layer]) => {
      const maps = el("div", { class: "maps pair" });
      matrix(maps, { name: "of the picture", colors, most: 24 }).update(layer.before, "signed");
      matrix(maps, { name: "of the shifted one", colors, most: 24 }).update(layer.after, "signed");
      const percent = (/** @type {number} */ value) => `${told(value * 100)} %`;
      return el("figure", { class: "figure way", "data-name": `${name}, shifted` }, el("figcaption", {}, name), maps,
        el("p", { class: "count" }, el("b", { "data-value": layer.off, "data-name": `${name} off` }, percent(layer.off)), el("span", {}, " off")),
        el("p", { class: "caption" }, "in place ", el("span", { "data-value": layer.change }, percent(layer.change)), ", pooled ", el("span", { "data-value": layer.pooled }, percent(layer.pooled))));
    }));
    shiftKept.update(found, pairs);
  }
}
