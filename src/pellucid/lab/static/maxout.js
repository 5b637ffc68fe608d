// A maxout unit: the largest of some linear pieces, of one input as a curve, of two as regions of the plane.

import { LINES } from "./draw/chart.js";
import { plane } from "./draw/plane.js";
import { el } from "./elements.js";
import { tools } from "./figure.js";
import { told } from "./numbers.js";
import { question } from "./question.js";
import { tell } from "./speak.js";

const BEGINS = /** @type {Record<number, string[]>} */ ({ 1: ["-1,-1", "0.25,0", "2,-3"], 2: ["1,0,-1", "-1,0,-1", "0,1,-1", "0,-1,-1"] });

export function maxout(/** @type {any} */ data) {
  const asked = question("maxout", data, { answered: draw });
  const canvas = el("div"), map = plane(canvas, { name: "Maxout unit", high: 420, dragged: (_, x, y) => asked.put("at", inputs() === 1 ? String(x) : `${x},${y}`) });
  const list = el("ol", { class: "linear" }), sentence = el("p", { class: "said mono" }), corners = el("ul", { class: "plain" });
  const kinds = el("div", { class: "row", role: "group", "aria-label": "Inputs of the maxout unit" }, ...[1, 2].map((count) => el("button", { type: "button", "data-inputs": count, click: () => asked.change(BEGINS[count].map((text) => /** @type {[string, string]} */ (["pieces", text])), { push: true }) }, count === 1 ? "one input" : "two inputs")));
  const more = el("button", { type: "button", click: () => texts().length < 12 && change([...texts(), inputs() === 1 ? "-2,-2" : "1,1,-1"]) }, "Add a piece");
  const kept = tools();
  const element = el("section", { class: "stage", "aria-label": "Maxout", "data-part": "maxout" }, el("h2", {}, "Maxout: the largest piece wins"),
    el("p", { class: "soft" }, "A maxout unit learns its own shape: it is the largest of some linear pieces, and the gradient goes to the one that wins. Of one input the pieces make a curve that is bent upwards; of two they share the plane."),
    kinds, el("div", { class: "sides even" }, el("div", {}, canvas, sentence), el("div", {}, list, more, corners)), kept.element);
  return { element, begin: asked.begin };

  function texts() { return asked.all("pieces"); }
  function inputs() { return (texts()[0] ?? "0,0").split(",").length - 1; }
  function change(/** @type {string[]} */ next) { asked.change([...next.map((text) => /** @type {[string, string]} */ (["pieces", text])), ...asked.pairs.filter(([key]) => key !== "pieces")]); }

  function row(/** @type {number} */ number) {
    const names = inputs() === 1 ? ["w", "b"] : ["w0", "w1", "b"];
    const fields = names.map((name, place) => {
      const set = (/** @type {string} */ text) => change(texts().map((piece, k) => k === number ? piece.split(",").map((part, p) => p === place ? text : part).join(",") : piece));
      const range = el("input", { type: "range", min: -4, max: 4, step: 0.05, "aria-label": `piece ${number + 1}, ${name}, slider`, input: () => set(range.value) });
      const field = el("input", { type: "number", step: "any", "aria-label": `piece ${number + 1}, ${name}`, input: () => Number.isFinite(field.valueAsNumber) && set(field.value) });
      return el("div", { class: "handle" }, el("span", { class: "mono" }, name), range, field);
    });
    return el("li", {}, el("div", { class: "row" }, el("span", { class: "swatch", style: `background:${LINES[number % LINES.length]}` }), el("b", { class: "fill" }, `piece ${number + 1}`), el("span", { class: "wins" }),
      el("button", { type: "button", "aria-label": `Take piece ${number + 1} away`, click: () => texts().length > 1 && change(texts().filter((_, k) => k !== number)) }, "×")), ...fields);
  }

  function draw() {
    const one = asked.found, flat = one.box.length === 1, color = (/** @type {number} */ number) => LINES[number % LINES.length];
    for (const chip of kinds.children) chip.setAttribute("aria-pressed", String(Number(chip.dataset.inputs) === one.box.length));
    const wanted = `${one.box.length} ${one.pieces.length}`;
    if (list.dataset.names !== wanted) {
      list.dataset.names = wanted;
      list.replaceChildren(...one.pieces.map((/** @type {any} */ _, /** @type {number} */ number) => row(number)));
    }
    one.pieces.forEach((/** @type {number[]} */ piece, /** @type {number} */ number) => {
      list.children[number].querySelector(".wins").textContent = one.winners.includes(number) ? "wins here" : one.regions[number]?.length ? "" : "wins nowhere";
      piece.forEach((value, part) => {
        const [range, field] = list.children[number].querySelectorAll(".handle")[part].querySelectorAll("input");
        range.value = String(value);
        if (field.valueAsNumber !== value) field.value = String(value);
      });
    });
    const label = `${told(one.value)}`;
    if (flat) {
      const ends = /** @type {[number, number]} */ (one.box[0]), low = Math.min(0, ...one.y), high = Math.max(0, ...one.y), room = (high - low) * 0.08 || 1;
      map.update({ title: `A maxout unit of one input: the largest of ${one.pieces.length} pieces`, box: [ends, [low - room, high + room]], labels: ["x", ""], shades: [],
        lines: [...one.lines.map((/** @type {number[][]} */ points, /** @type {number} */ k) => ({ points, color: color(k), dashed: true, width: 1.75 })),
          ...one.tops.flatMap((/** @type {number[][]} */ points, /** @type {number} */ k) => points.length ? [{ points, color: color(k), width: 5 }] : [])],
        marks: [{ name: "the place", x: one.at[0], y: one.value, shape: "tip", color: "var(--at)", label, drag: true, spoken: `at ${told(one.at[0])}: ${label}; arrow keys move it` }] });
    } else {
      map.update({ title: `A maxout unit of two inputs: the largest of ${one.pieces.length} pieces`, box: one.box, labels: ["x0", "x1"], equal: true, shades: [],
        areas: one.regions.map((/** @type {any} */ points, /** @type {number} */ k) => ({ points, color: color(k), opacity: 0.3 })),
        lines: one.below.length ? [{ points: [...one.below, one.below[0]], color: "currentColor", dashed: true, width: 2.5 }] : [],
        marks: [{ name: "the place", x: one.at[0], y: one.at[1], shape: "tip", color: "var(--at)", label, drag: true, spoken: `at ${told(one.at[0])}, ${told(one.at[1])}: ${label}; arrow keys move it` }] });
    }
    sentence.replaceChildren(`max(${one.sums.map(told).join(", ")}) = `, el("b", { "data-value": one.value, "data-name": "maxout" }, told(one.value)), `: piece${one.winners.length > 1 ? "s" : ""} ${one.winners.map((/** @type {number} */ k) => k + 1).join(" and ")} win${one.winners.length > 1 ? "" : "s"}; gradient to the input ${one.gradient.map(told).join(", ")}`);
    corners.replaceChildren(...(flat ? one.kinks.map((/** @type {any} */ kink) => el("li", {}, `corner at ${told(kink.x)}: slope ${told(kink.left)} before, ${told(kink.right)} after; where the two are equal the engine takes their mean, ${told(kink.derivative)}`)) : one.below.length ? [el("li", {}, "Within the dashed line no piece is above 0: for a class that is said by a value above 0, this is where it is not said.")] : []));
    kept.update(asked.answer, asked.pairs);
    if (document.activeElement?.closest(".spot")) tell(sentence.textContent ?? "");
  }
}
