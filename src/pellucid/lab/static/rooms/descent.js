// Room 3: losses, and optimizers that walk down a function of two variables from one start.

import { latest } from "../ask.js";
import { chart, legend, LINES } from "../draw/chart.js";
import { plane } from "../draw/plane.js";
import { el } from "../elements.js";
import { tools } from "../figure.js";
import { losses } from "../losses.js";
import { told } from "../numbers.js";
import { player } from "../player.js";
import { question } from "../question.js";
import { runners } from "../runners.js";
import { calm, complain, tell } from "../speak.js";
import { state } from "../state.js";
import { isStill, pace } from "../taste.js";

const PLAYED = 140;

export function mount(/** @type {HTMLElement} */ place, /** @type {any} */ data) {
  const asked = question("descend", data, { changed: fill, answered: draw });
  let surface = data.first.more.surface.first.answer, mapped = JSON.stringify(data.first.more.surface.begun);

  const presets = el("select", { id: "preset", change: () => preset(presets.value) }, el("option", { value: "" }, "a formula of one's own"), ...data.facts.presets.map((/** @type {any} */ one) => el("option", { value: one.name }, one.name)));
  const formula = el("input", { type: "text", id: "formula", class: "mono grow", spellcheck: "false", autocomplete: "off", "aria-describedby": "problem", change: () => ask([["formula", formula.value], ...runners_()]) });
  const says = el("p", { class: "soft" });
  const canvas = el("div"), map = plane(canvas, { name: "Map", dragged: (_, x, y) => asked.put("start", `${x},${y}`), pointed: under });
  const here = el("p", { class: "caption", "data-part": "under-the-pointer" });
  const runs = player({ of: asked, at: step, last, go: show, pause: () => pace(isStill() ? 3 * PLAYED : PLAYED), spoken: () => sentence.textContent ?? "",
    words: { slider: "Step", back: "One step back", forth: "One step on", end: "To the end" } });
  const length = el("input", { type: "number", min: 1, max: 1000, id: "steps", input: () => length.valueAsNumber >= 1 && asked.put("steps", length.value) });
  const list = runners(data.facts, (texts) => ask([...asked.pairs.filter(([key]) => key !== "optimizers"), ...texts.map((text) => /** @type {[string, string]} */ (["optimizers", text]))]));
  const rows = el("tbody"), sentence = el("p", { class: "said", "aria-live": "off" });
  const curves = el("div"), falling = chart(curves, { moved: along, tall: 240 }), names = el("ul", { class: "legend" });
  const kept = tools(), other = losses(data);

  place.append(
    el("section", { class: "stage", "aria-label": "Descent", "data-part": "descent" }, el("h2", {}, "Descent: who gets down, and how"),
      el("div", { class: "row" }, el("label", { for: "preset" }, "Surface"), presets, el("label", { for: "formula" }, "loss ="), formula, el("span", { class: "row" }, el("label", { for: "steps" }, "steps"), length)), says,
      el("div", { class: "sides even" },
        el("div", {}, canvas, here,
          runs.element, sentence),
        el("div", {}, el("div", { "data-part": "optimizers" }, el("h3", {}, "Optimizers"), list.element), el("h3", {}, "The loss at every step"), curves, names)),
      el("div", { class: "scroll" }, el("table", { class: "walks" }, el("thead", {}, el("tr", {}, ...["optimizer", "how it goes", "step", "x", "y", "loss", "slope"].map((words, k) => el("th", { scope: "col", class: k > 1 ? "number" : null }, words)))), rows)),
      kept.element),
    other.element);
  asked.begin();
  other.begin();

  function runners_() { return asked.pairs.filter(([key]) => key === "optimizers"); }

  /** Another race; its step is that of the whole way. */
  function ask(/** @type {[string, string][]} */ pairs) { asked.change(pairs); }

  function preset(/** @type {string} */ name) {
    if (name) asked.change([["formula", name], ...runners_().map(([key, text]) => /** @type {[string, string]} */ ([key, text.split(",").filter((part) => !part.startsWith("rate=")).join(",")]))], { push: true });
  }

  function fill() {
    const text = asked.first("formula") ?? "";
    const known = data.facts.presets.find((/** @type {any} */ one) => one.name === text);
    presets.value = known ? text : "";
    if (document.activeElement !== formula) formula.value = known ? known.formula : text;
    says.textContent = known ? known.says : "";
    if (document.activeElement !== length) length.value = asked.first("steps") ?? "60";
    const wanted = asked.pairs.filter(([key]) => key === "formula" || key === "box");
    if (JSON.stringify(wanted) === mapped) return;
    mapped = JSON.stringify(wanted);
    latest("surface", wanted, (found) => { surface = found.answer; calm("surface"); if (asked.answer) draw(); }, (problem) => complain(problem.message, "surface"));
  }

  function last() { return Math.max(...asked.found.walks.map((/** @type {any} */ walk) => walk.x.length - 1)); }
  /** The step that the address names, else the last. */
  function step() {
    const text = state.first("step_");
    return text === null || !/^\d+$/.test(text) ? last() : Math.min(Number(text), last());
  }
  function show(/** @type {number} */ to) { state.put("step_", to >= last() ? null : String(Math.max(0, to)), { replace: true }); }

  /** The step under the cursor of the loss's chart. */
  function along(/** @type {number} */ index) {
    if (index < 0) return;
    runs.stop("Paused: the pointer is on the chart.");
    show(index);
    if (document.activeElement?.classList.contains("chart")) tell(sentence.textContent ?? "");
  }

  function under(/** @type {number} */ x, /** @type {number} */ y) {
    if (!surface || runs.playing()) return;
    const [column, row] = [[surface.x, x], [surface.y, y]].map(([all, at]) => Math.round((at - all[0]) / (all[all.length - 1] - all[0]) * (all.length - 1)));
    const value = surface.values[row][column];
    here.replaceChildren(`at ${told(surface.x[column])}, ${told(surface.y[row])} the loss is `, el("b", { "data-value": value }, told(value)));
  }

  function draw() {
    const race = asked.found, now = step(), there = surface ?? { levels: [], shades: [] };
    const walks = race.walks.map((/** @type {any} */ walk, /** @type {number} */ number) => ({ ...walk, color: LINES[number % LINES.length], at: Math.min(now, walk.x.length - 1) }));
    const [x, y] = race.start;
    /** Whether another walk is so close that the names of both would cover each other. */
    const near = (/** @type {any} */ walk) => (/** @type {any} */ other) => [walk.x[walk.at] - other.x[other.at], walk.y[walk.at] - other.y[other.at]].every((apart, axis) => Math.abs(apart) < (race.box[axis][1] - race.box[axis][0]) * [0.16, 0.06][axis]);
    map.update({ title: `Map of the loss ${race.formula}`, box: race.box, labels: ["x", "y"], shades: there.shades, colors: data.facts.colors,
      lines: [...there.levels.flatMap((/** @type {any} */ level) => level.lines.map((/** @type {any} */ points) => ({ points, color: "currentColor", width: 1, faint: true }))),
        ...walks.map((/** @type {any} */ walk) => ({ points: walk.x.slice(0, walk.at + 1).map((/** @type {number} */ at, /** @type {number} */ k) => [Number(at), Number(walk.y[k])]).filter((/** @type {number[]} */ pair) => pair.every(Number.isFinite)), color: walk.color, width: 2.5, dots: true, cased: true }))],
      marks: [...race.minima.map((/** @type {number[]} */ [a, b], /** @type {number} */ k) => ({ name: `lowest place ${k + 1}`, x: a, y: b, shape: "cross", color: "currentColor", spoken: `lowest place known: ${told(a)}, ${told(b)}` })),
        ...walks.map((/** @type {any} */ walk, /** @type {number} */ number) => ({ name: walk.name, x: Number(walk.x[walk.at]), y: Number(walk.y[walk.at]), shape: "circle", color: walk.color, label: walks.slice(number + 1).some(near(walk)) ? "" : walk.name, spoken: `${walk.name} at step ${walk.at}: ${told(walk.x[walk.at])}, ${told(walk.y[walk.at])}` })),
        { name: "start", x, y, shape: "tip", color: "var(--raised)", label: now ? "start: drag it" : "", drag: true, spoken: `start ${told(x)}, ${told(y)}; arrow keys move it` }] });
    rows.replaceChildren(...walks.map((/** @type {any} */ walk) => el("tr", { "data-name": walk.name }, el("td", {}, el("span", { class: "swatch", style: `background:${walk.color}` }), ` ${walk.name}, rate ${told(walk.rate)}`),
      el("td", { class: walk.state === "diverged" ? "words bad" : "words" }, walk.words), el("td", { class: "number" }, String(walk.at)),
      ...[walk.x, walk.y, walk.loss, walk.slope].map((values) => el("td", { class: "number", "data-value": values[walk.at] }, told(values[walk.at]))))));
    const best = [...walks].filter((walk) => Number.isFinite(Number(walk.loss[walk.at]))).sort((a, b) => Number(a.loss[a.at]) - Number(b.loss[b.at]))[0];
    sentence.textContent = `Step ${now} of ${last()}. ${best ? `Lowest: ${best.name} with a loss of ${told(best.loss[best.at])}.` : "No loss is a number any more."}`;
    const shownChart = asked.answer.picture.parts[1];
    falling.update(shownChart);
    names.replaceChildren(...legend(shownChart.series));
    runs.update(`step ${now}`);
    list.update(race.walks);
    kept.update(asked.answer, asked.pairs);
  }
}
