// A neuron of two inputs: weights, bias and examples are dragged on the plane of its inputs, and its sum stands term by term beside it.

import { plane } from "./draw/plane.js";
import { el } from "./elements.js";
import { tools } from "./figure.js";
import { handles } from "./handles.js";
import { added, factor, rounding, told } from "./numbers.js";
import { question } from "./question.js";
import { tell } from "./speak.js";

const CLASSES = ["#2563eb", "#c2410c"], INK = "currentColor";

export function neuron(/** @type {any} */ data) {
  const asked = question("neuron", data, { answered: draw });
  const canvas = el("div"), map = plane(canvas, { name: "Plane of the inputs", dragged, removed });
  const controls = handles([["w0", 6], ["w1", 6], ["bias", 8], ["x0", 4], ["x1", 4]].map(([name, reach]) => ({ name: String(name), low: -Number(reach), high: Number(reach), step: 0.01 })), set);
  const choice = el("select", { id: "neuron-activation", change: () => asked.change([...asked.pairs.filter(([key]) => key !== "activation" && key !== "settings"), ["activation", choice.value]]) }, ...data.facts.names.map((/** @type {string} */ name) => el("option", { value: name }, name)));
  const sentence = el("p", { class: "said mono" }), words = el("p", {}), facts = el("dl", { class: "facts" });
  const add = (/** @type {number} */ label) => el("button", { type: "button", click: () => { const [x, y] = place(); asked.change([...asked.pairs, ["points", `${x},${y},${label}`]]); } }, `Add class ${label} here`);
  const kept = tools();
  const element = el("section", { class: "stage", "aria-label": "A neuron of two inputs", "data-part": "neuron" }, el("h2", {}, "A neuron cuts the plane in two"),
    el("p", { class: "soft" }, "Two inputs, two weights, one bias. Where the sum is 0 there is a straight line, and the weights are an arrow straight away from it. Drag the arrow's tip, the line, the place asked about, or the examples: can the two classes be told apart?"),
    el("div", { class: "sides even" }, el("div", {}, canvas, sentence), el("div", {}, controls.element, el("p", { class: "row" }, el("label", { for: "neuron-activation" }, "What is made of the sum"), choice), words, facts,
      el("p", { class: "row" }, add(0), add(1)), el("p", { class: "caption" }, "Delete takes a point away that has the focus."))),
    kept.element);
  return { element, begin: asked.begin };

  function pair(/** @type {string} */ key) { return (asked.first(key) ?? (key === "at" ? "-1,-2" : "2,-3")).split(",").map(Number); }
  function place() { return pair("at"); }

  function set(/** @type {string} */ name, /** @type {string} */ text) {
    if (name === "bias") { asked.put("bias", text); return; }
    const key = name.startsWith("w") ? "weights" : "at", numbers = pair(key).map(String);
    numbers[Number(name[1])] = text;
    asked.put(key, numbers.join(","));
  }

  /** A point's own number among the pairs. */
  function points(/** @type {(text: string, number: number) => string | null} */ change) {
    let number = -1;
    asked.change(asked.pairs.flatMap(([key, text]) => {
      if (key !== "points") return [[key, text]];
      const next = change(text, ++number);
      return next === null ? [] : [[key, next]];
    }));
  }

  function dragged(/** @type {string} */ name, /** @type {number} */ x, /** @type {number} */ y) {
    if (name === "weights") asked.put("weights", `${x},${y}`);
    else if (name === "the place") asked.put("at", `${x},${y}`);
    else if (name === "line") asked.put("bias", String(Number((-(pair("weights")[0] * x + pair("weights")[1] * y)).toPrecision(4)))); // the bias with which the line goes through the pointer
    else points((text, number) => name === `point ${number + 1}` ? `${x},${y},${text.split(",")[2]}` : text);
  }

  function removed(/** @type {string} */ name) {
    if (name.startsWith("point ")) points((text, number) => name === `point ${number + 1}` ? null : text);
  }

  function draw() {
    const one = asked.found, [w0, w1] = one.weights, [x0, x1] = one.at;
    map.update({ title: `A neuron of two inputs: ${one.activation} of ${told(w0)} x0 + ${told(w1)} x1 + ${told(one.bias)}`, box: one.box, labels: ["x0", "x1"], equal: true, shades: one.shades, colors: data.facts.colors, signed: true,
      lines: [...(one.line ? [{ points: one.line, color: INK, width: 3.5, cased: true, drag: "line" }] : []), { points: [[0, 0], [w0, w1]], color: INK, width: 2 }],
      marks: [...one.points.map((/** @type {any} */ point, /** @type {number} */ number) => ({ name: `point ${number + 1}`, x: point.x0, y: point.x1, shape: point.label ? "square" : "circle", color: CLASSES[point.label], drag: true, wrong: !point.right,
        spoken: `example of class ${point.label} at ${told(point.x0)}, ${told(point.x1)}: sum ${told(point.sum)}, ${point.right ? "right" : "wrong"}; arrow keys move it` })),
        ...sides(one), { name: "weights", x: w0, y: w1, shape: "tip", color: "var(--raised)", label: "weights", drag: true, spoken: `weights ${told(w0)}, ${told(w1)}; arrow keys change them` },
        { name: "the place", x: x0, y: x1, shape: "tip", color: "var(--at)", label: "asked about", drag: true, spoken: `place asked about ${told(x0)}, ${told(x1)}: sum ${told(one.sum)}; arrow keys move it` }] });
    controls.update({ w0, w1, bias: one.bias, x0, x1 });
    choice.value = one.activation;
    sentence.replaceChildren(`sum = ${added([`${factor(w0)}×${factor(x0)}`, `${factor(w1)}×${factor(x1)}`, told(one.bias)])} = ${added([...one.products, one.bias].map(told))} = `, el("b", { "data-value": one.sum, "data-name": "sum" }, told(one.sum)), `; ${one.activation}(sum) = `, el("b", { "data-value": one.value, "data-name": "value" }, told(one.value)), " ", el("span", { class: "caption" }, rounding(one.missed)));
    words.textContent = `${one.points.length ? `${one.right} of ${one.points.length} examples are on the side of their class. ` : ""}Colors: blue ${told(one.low)}, red ${told(one.high)}. ${one.line ? "" : w0 || w1 ? "The line is off the plane." : "Both weights are 0: there is no line."}`;
    facts.replaceChildren(...[["slope of the activation", one.slope], ...Object.entries(one.gradient).map(([name, value]) => [`∂y/∂${name}`, value])].flatMap(([name, value]) => [el("dt", {}, name), el("dd", { "data-value": value, "data-name": name }, told(value))]));
    kept.update(asked.answer, asked.pairs);
    if (document.activeElement?.closest(".spot")) tell(`sum ${told(one.sum)}, ${one.right} of ${one.points.length} right`);
  }

  /** Which side is which, said towards the corner that is farthest from the line. */
  function sides(/** @type {any} */ one) {
    return [[one.positive, "class 1: sum > 0"], [one.negative, "class 0: sum < 0"]].filter(([polygon]) => polygon.length).map(([polygon, label]) => {
      const away = (/** @type {number[]} */ [x, y]) => Math.abs(one.weights[0] * x + one.weights[1] * y + one.bias);
      const far = polygon.reduce((/** @type {number[]} */ best, /** @type {number[]} */ corner) => away(corner) > away(best) ? corner : best);
      const [x, y] = [0, 1].map((axis) => far[axis] + 0.16 * ((one.box[axis][0] + one.box[axis][1]) / 2 - far[axis]));
      return { name: label, x, y, shape: /** @type {const} */ ("none"), color: INK, label, spoken: label };
    });
  }
}
