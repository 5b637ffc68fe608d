// Room 1: a formula as a graph, every number forward and backward, step by step.

import * as card from "../card.js";
import { diagram } from "../draw/diagram.js";
import { el } from "../elements.js";
import { tools } from "../figure.js";
import { number, PENDING, spoken, told } from "../numbers.js";
import { player } from "../player.js";
import { question } from "../question.js";
import { state } from "../state.js";
import { pace } from "../taste.js";

const PLAYED = 900;

export function mount(/** @type {HTMLElement} */ place, /** @type {any} */ data) {
  const functions = new Set(data.facts.functions);
  const asked = question("formula", data, { changed: fill, answered: draw });

  const formula = el("input", { type: "text", class: "mono grow", id: "formula", "data-live": true, spellcheck: "false", autocomplete: "off", input: typed, "aria-describedby": "problem" });
  const presets = el("select", { "aria-label": "Examples", change: () => preset(presets.value) },
    el("option", { value: "" }, "Examples"), ...data.facts.examples.map((/** @type {any} */ one) => el("option", { value: one.query }, one.title)));
  const handles = el("ul", { class: "handles" }), rows = /** @type {Map<string, any>} */ (new Map());
  const sentence = el("p", { class: "said" });
  const where = el("p", { class: "row" });
  const table = el("table", {}, el("thead", {}, el("tr", {}, ...["input", "value", "upstream", "× local", "= downstream", "local derivative"].map((t, k) => el("th", { scope: "col", class: k > 0 && k < 5 ? "number" : null }, t)))), el("tbody"));
  const all = el("button", { type: "button", title: "Every number at once", "aria-label": "Every number at once", click: () => { runs.stop("Paused by you."); show(null); } }, "All numbers");
  const runs = player({ of: asked, at: step, last, go: show, every: () => chosen() === null, pause: () => pace(PLAYED), spoken: () => steps()[step()]?.words ?? "",
    words: { slider: "Step", back: "One step back", forth: "One step on", end: "To the end" }, more: [all] });
  const kept = tools();
  const canvas = el("div", { class: "scroll", tabindex: "-1", pointerleave: (/** @type {PointerEvent} */ event) => event.pointerType === "mouse" && card.leave() });
  const drawing = diagram(canvas, { focused: about });

  place.append(
    el("div", { class: "row" }, el("label", { for: "formula" }, "f ="), formula, presets),
    el("section", { class: "stage", "aria-label": "The graph" }, canvas,
      el("p", { class: "row" }, el("span", { class: "value-key" }, "value forward, above"), el("span", { class: "gradient-key" }, "gradient backward, below"), el("span", {}, `${PENDING} not computed yet`)),
      runs.element, where, sentence, kept.element),
    el("div", { class: "sides halves" },
      el("section", { class: "stage scroll", "aria-label": "The gate at work" }, el("h2", {}, "The gate at work"), table),
      el("section", { class: "stage", "aria-label": "Inputs" }, el("h2", {}, "Inputs: drag them"), handles)),
  );
  asked.begin();

  function values() {
    return asked.all("values").map((text) => text.split("="));
  }

  /** The fields as the question says. */
  function fill() {
    const text = asked.first("expression") ?? "";
    if (formula.value !== text) formula.value = text;
    const names = [...new Set(values().map(([name]) => name))];
    if (JSON.stringify([...rows.keys()]) !== JSON.stringify(names)) {
      rows.clear();
      for (const [name, value] of values()) if (!rows.has(name)) rows.set(name, handle(name, value));
      handles.replaceChildren(...rows.values());
    }
    for (const [name, value] of values()) {
      const [range, field] = rows.get(name).querySelectorAll("input");
      if (field.valueAsNumber !== Number(value)) field.value = value;
      const reach = Math.max(5, Math.ceil(Math.abs(Number(value))));
      if (Number(range.max) < reach) { range.max = reach; range.min = -reach; }
      range.value = value;
    }
  }

  function handle(/** @type {string} */ name, /** @type {string} */ value) {
    const set = (/** @type {string} */ text) => asked.change(asked.pairs.map(([key, old]) => key === "values" && old.split("=")[0] === name ? [key, `${name}=${text}`] : [key, old]));
    const range = el("input", { type: "range", min: -5, max: 5, step: 0.01, value, "aria-label": `${name}, slider`, input: () => set(range.value) });
    const field = el("input", { type: "number", step: "any", value, "aria-label": name, input: () => Number.isFinite(field.valueAsNumber) && set(field.value) });
    return el("li", { class: "handle", "data-name": name }, el("span", { class: "mono" }, name), range, field);
  }

  function typed() {
    const names = [...new Set(formula.value.match(/[A-Za-z_]\w*/g) ?? [])].filter((name) => !functions.has(name));
    const known = new Map(values().map(([name, value]) => [name, value]));
    asked.change([["expression", formula.value], ...names.map((name) => /** @type {[string, string]} */ (["values", `${name}=${known.get(name) ?? 1}`]))]);
  }

  function preset(/** @type {string} */ query) {
    if (query) state.set([...new URLSearchParams(query)], { push: true });
    presets.value = "";
  }

  function steps() { return asked.found?.steps ?? []; }
  function last() { return Math.max(0, steps().length - 1); }
  function firstBackward() {
    const found = steps().findIndex((/** @type {any} */ s) => s.name.startsWith("backward ") && s.name !== "backward starts");
    return found < 0 ? last() : found;
  }
  /** The step that the address names, or null for every number at once. */
  function chosen() {
    const text = state.first("step_");
    return text === null || !/^\d+$/.test(text) ? null : Math.min(Number(text), last());
  }
  function step() { return chosen() ?? firstBackward(); }

  function show(/** @type {number | null} */ to) { state.put("step_", to === null ? null : String(to), { replace: true }); }

  function draw() {
    const trace = asked.found;
    const index = step();
    const here = steps()[index] ?? { values: {}, gradients: {}, gate: "", words: "" };
    const every = chosen() === null;
    const shown = every ? steps()[last()] : here;
    const returned = new Set(steps().slice(0, (every ? last() : index) + 1).filter((/** @type {any} */ s) => s.name.startsWith("backward ")).map((/** @type {any} */ s) => s.gate));
    if (!every && index < firstBackward()) returned.clear();
    const flat = trace.gates.flatMap((/** @type {any} */ gate) => gate.edges.map((/** @type {any} */ edge) => ({ ...edge, gate: gate.name })));
    const backward = here.name?.startsWith("backward ");
    drawing.update(asked.answer.picture,
      (box) => {
        const value = shown?.values[box.name];
        const slope = shown?.gradients[box.name];
        return { first: box.lines[0], second: { text: value === null || value === undefined ? PENDING : Number.isFinite(Number(value)) ? box.lines[1] : `= ${told(value)}`, pending: value === null, value },
          at: box.name === here.gate, spoken: `${box.name}: value ${spoken(value)}, gradient ${spoken(slope)}` };
      },
      (edge, place) => {
        const one = flat[place];
        const forth = shown?.values[one.source] !== null && shown?.values[one.source] !== undefined;
        const back = returned.has(one.gate) && (every || index > firstBackward() - 1);
        return { value: { text: forth ? written(one.value, edge.above) : PENDING, pending: !forth, value: forth ? one.value : undefined },
          gradient: { text: back ? written(one.downstream, edge.below) : PENDING, pending: !back, value: back ? one.downstream : undefined }, at: backward && one.gate === here.gate };
      });
    sentence.textContent = here.words ?? "";
    const gate = trace.gates.find((/** @type {any} */ one) => one.name === here.gate);
    table.tBodies[0].replaceChildren(...(gate?.edges ?? []).map((/** @type {any} */ edge) => el("tr", {},
      el("td", { class: "mono" }, edge.source), ...[edge.value, edge.upstream, edge.local, edge.downstream].map((value, column) =>
        el("td", { class: "number", "data-value": column === 0 || backward || every ? value : null }, column === 0 || backward || every ? told(value) : PENDING)),
      el("td", { class: "mono" }, edge.rule))));
    where.replaceChildren(el("span", {}, `f = ${told(trace.value)}`), ...Object.entries(trace.variables).map(([name, one]) =>
      el("span", {}, `∂f/∂${name} = `, el("span", { class: "gradient-key", "data-value": one.gradient, "data-name": name }, told(one.gradient)))));
    all.setAttribute("aria-pressed", String(every));
    runs.update(here.words ?? "");
    kept.update(asked.answer, asked.pairs);
    if (runs.playing()) drawing.reveal(here.gate);
  }

  /** A number as the picture writes it, unless it is none. */
  function written(/** @type {unknown} */ value, /** @type {string} */ text) { return Number.isFinite(Number(value)) ? text : told(value); }

  /** The card of a gate or a variable: its numbers in full. */
  function about(/** @type {string} */ name, /** @type {Element} */ element) {
    card.show(element, () => {
      const trace = asked.found;
      const gate = trace.gates.find((/** @type {any} */ one) => one.name === name);
      const one = gate ?? trace.variables[name];
      return one ? [[gate ? gate.gate : "input", name], ["value", number(one.value)], ["gradient", number(one.gradient)]] : [];
    });
  }
}
