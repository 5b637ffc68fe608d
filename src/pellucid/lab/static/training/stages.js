// One step in slow motion: forward, loss, backward, update, each with its sentence and its numbers.

import { el } from "../elements.js";
import { told } from "../numbers.js";
import { tell } from "../speak.js";

/** What has a table of its own in a stage, and what is told in a line. */
const isRow = (/** @type {unknown} */ value) => Array.isArray(value) && value.length > 0 && typeof value[0] === "object" && value[0] !== null && !Array.isArray(value[0]);
/** @returns {string} */
const shown = (/** @type {unknown} */ value) => isRow(value) ? /** @type {any[]} */ (value).map((one) => Object.values(one).map(shown).join(" ")).join(", ") : Array.isArray(value) ? value.join("×") : typeof value === "boolean" ? (value ? "yes" : "no") : typeof value === "number" || ["NaN", "Infinity", "-Infinity"].includes(String(value)) ? told(value) : String(value ?? "");
const isNumber = (/** @type {unknown} */ value) => typeof value === "number" || ["NaN", "Infinity", "-Infinity"].includes(String(value));

function table(/** @type {string} */ name, /** @type {any[]} */ rows) {
  const columns = Object.keys(rows[0]);
  return el("div", { class: "scroll" }, el("table", {}, el("caption", {}, name), el("thead", {}, el("tr", {}, ...columns.map((column) => el("th", { scope: "col" }, column.replaceAll("_", " "))))),
    el("tbody", {}, ...rows.map((row) => el("tr", {}, ...columns.map((column) => el("td", { class: isNumber(row[column]) ? "number" : null, "data-value": isNumber(row[column]) ? row[column] : null }, shown(row[column]))))))));
}

function facts(/** @type {Record<string, unknown>} */ values) {
  return el("dl", { class: "facts" }, ...Object.entries(values).flatMap(([name, value]) => [el("dt", {}, name.replaceAll("_", " ")), el("dd", { "data-name": name, "data-value": isNumber(value) ? value : null }, shown(value))]));
}

/** `next()` is called where the last stage is behind, and another step is wanted. */
export function stages(/** @type {{next: () => void}} */ { next }) {
  let found = /** @type {any} */ (null), at = 0;
  const names = el("div", { class: "chips stage-names", role: "group", "aria-label": "Stages of a step" });
  const says = el("p", { class: "said" }), numbers = el("div", { class: "stage-numbers" });
  const on = el("button", { type: "button", click: () => go(at + 1) }, "Next stage");
  const element = el("section", { class: "stage", "aria-label": "One step in slow motion", hidden: true, keydown: (/** @type {KeyboardEvent} */ event) => {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by && event.target instanceof HTMLButtonElement) { event.preventDefault(); go(at + by); }
  } }, el("h2", {}, "One step in slow motion"), names, says, numbers, el("p", { class: "row" }, on));

  function go(/** @type {number} */ to) {
    if (!found) return;
    if (to >= found.stages.length) { next(); return; }
    at = Math.max(0, to);
    draw();
    tell(`${found.stages[at].name}: ${found.stages[at].says}`);
  }

  function draw() {
    const { name: _, says: words, ...rest } = found.stages[at];
    names.replaceChildren(...found.stages.map((/** @type {any} */ one, /** @type {number} */ k) => el("button", { type: "button", "aria-pressed": String(k === at), "data-name": `stage-${one.name}`, click: () => go(k) }, `${k + 1} ${one.name}`)));
    says.textContent = words;
    const entries = Object.entries(rest);
    const lines = Object.fromEntries(entries.filter(([, value]) => value === null || typeof value !== "object"));
    numbers.replaceChildren(facts({ step: found.step, examples: found.examples, rate: found.rate, ...lines }),
      ...entries.flatMap(([key, value]) => isRow(value) ? [table(key, value)] : value && typeof value === "object" && !Array.isArray(value)
        ? [el("h3", {}, key.replaceAll("_", " ")), facts(Object.fromEntries(Object.entries(value).filter(([, inner]) => !isRow(inner)))), ...Object.entries(value).filter(([, inner]) => isRow(inner)).map(([inner, rows]) => table(inner, rows))] : []));
    on.textContent = at + 1 < found.stages.length ? `Next: ${found.stages[at + 1].name}` : "Another step";
  }

  return {
    element,
    update(/** @type {any} */ next) {
      element.hidden = next === null;
      if (next === null || (found?.run === next.run && found?.step === next.step)) { found = next; return; }
      found = next;
      at = 0;
      draw();
      tell(`${found.stages[0].name}: ${found.stages[0].says}`);
    },
  };
}
