// Room 4: a function, typed or drawn, and a network of one hidden layer whose pieces are added one by one; how many units it takes.

import { ask } from "../ask.js";
import { chart, legend } from "../draw/chart.js";
import { el } from "../elements.js";
import { tools } from "../figure.js";
import { handles } from "../handles.js";
import { extent, spoken, told } from "../numbers.js";
import { player } from "../player.js";
import { question } from "../question.js";
import { tell } from "../speak.js";
import { state } from "../state.js";
import { pace } from "../taste.js";

const PLAYED = 700, KNOTS = 33;
const MEANS = /** @type {Record<string, string>} */ ({
  relu: "Lines between knots: each unit bends the line by a little at its knot.",
  sigmoid: "A staircase: each unit is a steep step, up or down.",
  lattice: "Stone's theorem: through any two values goes an affine function; minima of these stay below f, the maximum of the minima comes up to f. Units are the minima here.",
  train: "Found by training, as networks are: few units, and nothing proven. It takes some seconds.",
});

export function mount(/** @type {HTMLElement} */ place, /** @type {any} */ data) {
  const asked = question("approximation-steps", data, { changed: fill, answered: draw });
  let knots = /** @type {number[] | null} */ (null), last = -1, ends = /** @type {[number, number] | null} */ (null), pen = false, turn = 0, searched = "";

  const formula = el("input", { type: "text", class: "mono grow", id: "formula", spellcheck: "false", autocomplete: "off", "aria-describedby": "problem formula-says", input: () => put({ formula: formula.value, step: null }) });
  const domain = el("input", { type: "text", id: "domain", size: 8, autocomplete: "off", change: () => put({ domain: domain.value, step: null }) });
  const presets = el("select", { "aria-label": "Examples", change: () => { const [[, f], [, on]] = [...new URLSearchParams(presets.value)]; put({ formula: f, domain: on, step: null }, true); presets.value = ""; } },
    el("option", { value: "" }, "Examples"), ...data.facts.examples.map((/** @type {any} */ one) => el("option", { value: one.query }, one.title)));
  const drawButton = el("button", { type: "button", "aria-pressed": "false", "data-part": "draw", title: "Draw a function with the pointer (d)", "aria-keyshortcuts": "d", click: switchPen }, "✎ Draw");
  const methods = el("div", { class: "chips", role: "group", "aria-label": "Method", "data-part": "method" }, ...data.facts.methods.map((/** @type {string} */ name) => el("button", { type: "button", "data-name": name, click: () => put({ method: name, step: null }, true) }, name)));
  const controls = handles([{ name: "units", words: "hidden units", low: 1, high: 128, log: true }], (name, text) => put({ [name]: text, step: null }));
  const means = el("p", { class: "caption" });
  const canvas = el("div", { class: "canvas", "data-part": "function", pointerdown: start, pointermove: stroke, pointerup: stop, pointercancel: stop });
  const drawing = chart(canvas, { moved: under, rest: (xs) => Math.floor(xs.length * 0.75) });
  const names = el("ul", { class: "legend" });
  const sentence = el("p", { class: "said" });
  const facts = el("p", { role: "status" });
  const point = el("tbody"), curvePoint = el("tbody");
  const runs = player({ of: asked, at: () => runs.playing() ? one().step : step(), last: () => one().steps, go, pause: () => pace(PLAYED),
    words: { slider: "Pieces added", back: "One piece back", forth: "One piece on", end: "All pieces" } });
  const rows = el("ol", { class: "pieces", "data-part": "pieces" });
  const kept = tools(), searchKept = tools();
  const goal = el("input", { type: "number", id: "goal", min: 0, step: "any", change: () => put({ goal_: goal.value }) });
  const curveCanvas = el("div"), curveNames = el("ul", { class: "legend" });
  const curve = chart(curveCanvas, { moved: underCurve, rest: (xs) => Math.floor(xs.length * 0.75) });
  let lines = /** @type {any} */ (null);
  const verdict = el("p", { role: "status", class: "verdict" });

  place.append(
    el("div", { class: "row" }, el("label", { for: "formula" }, "f(x) ="), formula, el("span", { class: "row" }, el("label", { for: "domain" }, "on"), domain), presets, drawButton),
    el("p", { class: "caption", id: "formula-says" }, "A formula, or numbers that it goes through at even distances: 0, 1, 0.5. Draw: press the pen, then drag over the chart."),
    methods, means,
    el("div", { class: "sides" },
      el("section", { class: "stage", "aria-label": "Function and network", "data-part": "chart" }, canvas, names,
        runs.element, controls.element, sentence, facts, kept.element),
      el("section", { class: "stage", "aria-label": "Pieces" }, el("h2", {}, "Read at one place"), readings(point), el("h2", {}, "Pieces"), rows)),
    el("section", { class: "stage", "aria-label": "How many units", "data-part": "how-many-units" }, el("h2", {}, "How many units does it take?"),
      el("p", { class: "row" }, el("label", { for: "goal" }, "to be nowhere farther from f than"), goal), verdict,
      el("div", { class: "sides" }, el("div", {}, curveCanvas, curveNames), el("div", {}, el("p", {}, "Networks are made with more and more units, and each is measured on thousands of points. Where a bound is proven, no point between them can be worse. Both axes go by factors: a straight line that falls says that so many times more units divide the error by so much."), el("h3", {}, "Read at one size"), readings(curvePoint))), searchKept.element));
  document.addEventListener("keydown", (event) => {
    if (event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "d") switchPen();
  });
  state.watch(search);
  asked.begin();
  search();

  function put(/** @type {Record<string, string | null>} */ changes, push = false) {
    const own = /** @type {[string, string][]} */ (Object.entries(changes).filter(([, value]) => value !== null));
    if ("goal_" in changes) state.put("goal_", changes.goal_);
    else asked.change([...asked.pairs.filter(([key]) => !(key in changes)), ...own], { push });
  }

  function fill() {
    const text = asked.first("formula") ?? "";
    if (formula.value !== text) formula.value = text;
    domain.value = asked.first("domain") ?? "-1,1";
    const method = asked.first("method") ?? "relu";
    for (const chip of methods.children) chip.setAttribute("aria-pressed", String(chip.dataset.name === method));
    means.textContent = MEANS[method] ?? "";
    controls.update({ units: Number(asked.first("units") ?? 8) });
    canvas.setAttribute("aria-busy", "true");
  }

  function one() { return asked.found; }
  function step() {
    const text = asked.first("step");
    return text === null || Number(text) < 0 ? one().steps : Number(text);
  }

  /** To a step; Infinity is all pieces. */
  function go(/** @type {number} */ to) {
    const step = to >= one().steps ? [] : [/** @type {[string, string]} */ (["step", String(Math.max(0, to))])];
    asked.change([...asked.pairs.filter(([key]) => key !== "step"), ...step], { undoable: false });
  }

  function draw() {
    const found = one(), at = found.step;
    canvas.removeAttribute("aria-busy");
    const finite = (/** @type {any[] | null} */ values) => values?.map((value) => Number(value)) ?? [];
    const [low, high] = extent(finite(found.wanted)), room = 0.6 * (high - low || 1);
    const near = (/** @type {any[] | null} */ values) => /** @type {any[]} */ (finite(values).map((value) => value > Math.min(low, 0) - room && value < Math.max(high, 0) + room ? value : undefined)); // far away is not drawn
    const series = [
      { name: "f", x: found.x, y: found.wanted, kind: "line" },
      { name: found.method === "lattice" && at < found.steps ? "maximum of the minima so far" : at === found.steps ? "network" : `sum of ${at} pieces`, x: found.x, y: near(found.together), kind: "line" },
      ...(found.minimum ? [{ name: "minimum so far", x: found.x, y: near(found.minimum), kind: "line" }] : []),
      ...(found.piece ? [{ name: found.minimum ? "this affine function" : "this piece", x: found.x, y: near(found.piece), kind: found.minimum ? "dashed" : "line" }] : []),
    ];
    drawing.update({ title: `f and a network of ${found.units} units`, x_label: "x", y_label: "", series }, [], ends);
    names.replaceChildren(...legend(series));
    under(drawing.at());
    sentence.textContent = found.statement;
    facts.replaceChildren(`Step ${at} of ${found.steps}: off by `, el("b", { "data-value": found.step_error, "data-name": "step error" }, told(found.step_error)), " at most, where it is drawn. The whole network: ",
      el("b", { "data-value": found.error, "data-name": "error" }, told(found.error)), ` measured; ${found.facts[2]}.`);
    runs.update(found.statement);
    list(found.formulas, at);
    kept.update(asked.answer, asked.pairs);
    if (runs.element.contains(document.activeElement)) tell(found.statement);
  }

  function list(/** @type {string[]} */ formulas, /** @type {number} */ at) {
    if (rows.dataset.of !== JSON.stringify(formulas)) {
      rows.dataset.of = JSON.stringify(formulas);
      rows.replaceChildren(...formulas.map((text, number) => el("li", {}, el("button", { type: "button", class: "link mono", click: () => go(number + 1) }, text))));
    }
    [...rows.children].forEach((row, number) => {
      row.classList.toggle("pending", number >= at);
      if (number === at - 1) row.setAttribute("aria-current", "step");
      else row.removeAttribute("aria-current");
    });
    const here = rows.children[Math.max(0, at - 1)];
    if (here) rows.scrollTop = here.offsetTop - rows.offsetTop - rows.clientHeight / 2;
  }

  function readings(/** @type {HTMLElement} */ body) {
    return el("table", { class: "readings" }, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, "curve"), el("th", { scope: "col", class: "number" }, "value"))), body);
  }

  /** Rows of what is read at a place; spoken where a chart is walked by keys. */
  function read(/** @type {HTMLElement} */ body, /** @type {[string, unknown][]} */ all) {
    body.replaceChildren(...all.map(([name, value]) => el("tr", {}, el("td", {}, name), el("td", { class: "number", "data-value": value }, told(value)))));
    if (all.length && document.activeElement?.classList.contains("chart")) tell(all.map(([name, value]) => `${name} ${spoken(value)}`).join(", "));
  }

  function under(/** @type {number} */ index) {
    const found = asked.found;
    const all = /** @type {[string, any][]} */ (found ? [["x", found.x], ["f", found.wanted], ["so far", found.together], ["this piece", found.piece], ["minimum so far", found.minimum]] : []);
    read(point, index < 0 ? [] : all.filter(([, values]) => values).map(([name, values]) => [name, values[index]]));
  }

  function underCurve(/** @type {number} */ index) {
    const all = (lines?.series ?? []).filter((/** @type {any} */ one) => one.x.length === lines.series[0].x.length);
    read(curvePoint, index < 0 || !lines ? [] : [["hidden units", lines.series[0].x[index]], ...all.map((/** @type {any} */ one) => [one.name, one.y[index]])]);
  }

  function switchPen() {
    pen = !pen;
    drawButton.setAttribute("aria-pressed", String(pen));
    canvas.classList.toggle("pen", pen);
    tell(pen ? "draw over the chart" : "drawing is over");
  }

  /** The pen goes down: the function as it is becomes one that goes through 33 values. */
  function start(/** @type {PointerEvent} */ event) {
    if (!pen || !asked.found) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    ends = drawing.ends();
    const wanted = one().wanted;
    knots = Array.from({ length: KNOTS }, (_, k) => Number(wanted[k * (wanted.length - 1) / (KNOTS - 1)]));
    last = -1;
    stroke(event);
  }

  function stroke(/** @type {PointerEvent} */ event) {
    if (!knots) return;
    const [x, y] = drawing.locate(event), on = one().domain[0];
    const at = Math.max(0, Math.min(KNOTS - 1, Math.round((x - on[0]) / (on[1] - on[0]) * (KNOTS - 1))));
    const from = last < 0 ? at : last, before = knots[from];
    for (let k = Math.min(from, at); k <= Math.max(from, at); k++) knots[k] = from === at ? y : before + (y - before) * (k - from) / (at - from);
    last = at;
    put({ formula: knots.map((value) => Number(value.toPrecision(3))).join(","), step: null });
  }

  function stop() { knots = null; ends = null; if (asked.answer) draw(); }

  /** The smallest network that is close enough: asked when the function, the method or the goal is another, and nothing is drawn. */
  function search() {
    const pairs = /** @type {[string, string][]} */ ([["formula", asked.first("formula") ?? ""], ["domain", asked.first("domain") ?? "-1,1"], ["tolerance", state.first("goal_") ?? "0.1"], ["method", asked.first("method") ?? "relu"]]);
    goal.value = pairs[2][1];
    if (JSON.stringify(pairs) === searched) return;
    searched = JSON.stringify(pairs);
    const mine = ++turn;
    verdict.textContent = "looking …";
    verdict.setAttribute("aria-busy", "true");
    window.setTimeout(async () => {
      if (mine !== turn) return;
      if (pairs[3][1] === "train") verdict.textContent = "training networks of more and more units …";
      try {
        const found = await ask("approximate", pairs);
        if (mine !== turn) return;
        lines = found.picture.parts.find((/** @type {any} */ part) => part.y_log && part.x_log);
        verdict.replaceChildren(el("b", { "data-value": found.answer.units, "data-name": "units" }, found.answer.units.toLocaleString("en")), ` hidden units: largest error ${told(found.answer.error)}, ${found.answer.bound === null ? `no bound: ${found.answer.why}` : `proven bound ${told(found.answer.bound)}`}.`);
        curve.update(lines);
        underCurve(curve.at());
        curveNames.replaceChildren(...legend(lines.series));
        searchKept.update(found, pairs);
      } catch (error) {
        if (mine === turn) verdict.textContent = error instanceof Error ? error.message : String(error);
      } finally {
        if (mine === turn) verdict.removeAttribute("aria-busy");
      }
    }, 400);
  }
}
