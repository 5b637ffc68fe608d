// Room 9: the lecture's chart of systems that find objects; a bar is chosen, and its words stand beside. Below, a detector on a picture of
// one's own with every stage of a box, where an object may be at all, and the commands by which a detector learns and is measured.

import { detector } from "../detection/detector.js";
import { proposals } from "../detection/proposals.js";
import { el, svg } from "../elements.js";
import { copy, tools } from "../figure.js";
import { told } from "../numbers.js";
import { question } from "../question.js";
import { tell } from "../speak.js";
import { state } from "../state.js";

const NARROWEST = 544, HIGH = 380, LOW = 320, MOST = 80;
const COMMANDS = [
  ["Train a detector on pictures with boxes", "pellucid detect train --data VOC2007/ --out runs/first"],
  ["Find what is on a picture", "pellucid detect predict runs/first photo.jpg --out found.html"],
  ["Ask why a box is where it is: its proposal, bins, pixels, and what it took the place of", "pellucid detect explain runs/first photo.jpg --box 0 --out why.html"],
  ["Ask why there is no dog: whether none was proposed, or which step dropped it", "pellucid detect explain runs/first photo.jpg --at 12,20,80,90 --class dog"],
  ["Put detectors beside each other on the same pictures, with what the pictures can tell", "pellucid detect compare runs/first --data VOC2007/ --train-missing --out table.html"],
  ["Measure a detector, or what any program found, by the protocol of these numbers", "pellucid detect evaluate runs/first --data VOC2007/ --part val --out page.html"],
];

export function mount(/** @type {HTMLElement} */ place, /** @type {any} */ data) {
  const lecture = question("detection-history", data, { answered: draw });
  const chart = el("div", { class: "scroll" });
  const names = el("select", { id: "system", change: () => choose(Number(names.value)) });
  const words = el("div", { role: "status", class: "system" });
  const about = el("p", { class: "caption" });
  const kept = tools();
  place.append(
    el("div", { class: "sides" },
      el("section", { class: "stage", "aria-label": "The lecture's chart", "data-part": "chart" }, el("h2", {}, "mAP on PASCAL VOC 2010, per cent"), chart, about, kept.element),
      el("section", { class: "stage", "aria-label": "The system", "data-part": "system" }, el("p", { class: "row" }, el("label", { for: "system" }, "System"), names), words)),
    detector(data),
    proposals(data),
    el("section", { class: "stage", "aria-label": "Measure", "data-part": "measure" }, el("h2", {}, "Train a detector, ask it, measure it"),
      el("p", {}, "Every system of the chart learns here by command, with --system dpm, segdpm, rcnn, segdeepm or faster-rcnn; unless one is named Fast R-CNN: it looks at a picture once, every proposal becomes a map of 7 x 7 bins, and two heads say for each which class it is and how its box is to be moved. What any of them found can be asked about, down to the pixels:"),
      ...COMMANDS.flatMap(([words, command]) => [el("p", {}, words), el("p", { class: "row" }, el("pre", { class: "scroll" }, command), el("button", { type: "button", "aria-label": `Copy: ${command}`, click: () => copy(command, "command") }, "Copy"))])));
  lecture.begin();
  let drawn = chart.clientWidth;
  new ResizeObserver(() => requestAnimationFrame(() => { if (lecture.answer && drawn !== chart.clientWidth) { drawn = chart.clientWidth; draw(); } })).observe(chart);

  function systems() { return lecture.answer?.answer.systems ?? []; }
  function chosen() { return Math.min(systems().length - 1, Math.max(0, Number(state.first("system_") ?? 2) || 0)); }

  function choose(/** @type {number} */ number) {
    state.put("system_", String(Math.max(0, Math.min(systems().length - 1, number))));
  }

  function keys(/** @type {KeyboardEvent} */ event) {
    const to = { ArrowRight: chosen() + 1, ArrowLeft: chosen() - 1, Home: 0, End: systems().length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    choose(to);
  }

  function draw() {
    const all = systems(), at = chosen(), wide = Math.max(NARROWEST, chart.clientWidth), step = wide / all.length;
    const y = (/** @type {number} */ value) => LOW - value / MOST * (LOW - 30);
    const focused = chart.contains(document.activeElement);
    chart.replaceChildren(svg("svg", { class: "drawn chart bars", viewBox: `0 0 ${wide} ${HIGH}`, style: `height: ${HIGH}px`, role: "group", "aria-label": "Systems in the order of time; arrow keys go from one to the next", keydown: keys },
      ...[0, 20, 40, 60, 80].flatMap((value) => [svg("line", { class: value ? "grid" : "axis", x1: 0, x2: wide, y1: y(value), y2: y(value) }), svg("text", { class: "tick", x: 0, y: y(value) - 4 }, String(value))]),
      ...all.map((/** @type {any} */ one, /** @type {number} */ number) => svg("g", { class: `bar${number === at ? " at" : ""}`, role: "img", tabindex: number === at ? 0 : -1, "data-name": one.name, "data-value": one.precision,
        "aria-label": `${one.name}, ${one.date}: ${one.precision} per cent`, "aria-current": number === at ? "true" : null, click: () => choose(number) },
        svg("rect", { x: number * step + step * 0.2, y: y(one.precision), width: step * 0.6, height: LOW - y(one.precision), rx: 4 }),
        one.published === undefined ? "" : svg("line", { class: "published", x1: number * step + step * 0.12, x2: number * step + step * 0.88, y1: y(one.published), y2: y(one.published) }),
        svg("text", { class: "number", x: (number + 0.5) * step, y: y(one.precision) - 8, "text-anchor": "middle" }, told(one.precision)),
        svg("text", { x: (number + 0.5) * step, y: LOW + 22, "text-anchor": "middle" }, one.name),
        svg("text", { class: "tick", x: (number + 0.5) * step, y: LOW + 42, "text-anchor": "middle" }, one.date)))));
    if (focused) /** @type {SVGElement | null} */ (chart.querySelector('[tabindex="0"]'))?.focus();
    chart.scrollLeft = (at + 0.5) / all.length * chart.scrollWidth - chart.clientWidth / 2;
    if (!names.options.length) names.append(...all.map((/** @type {any} */ one, /** @type {number} */ number) => el("option", { value: number }, one.name)));
    names.value = String(at);
    const one = all[at];
    words.replaceChildren(el("h2", {}, one.name), el("p", { class: "count", "data-value": one.precision, "data-name": "precision" }, told(one.precision), el("span", {}, ` % mAP, ${one.date}`)),
      el("p", {}, one.words), el("p", { class: "caption" }, one.paper, "."), one.remark ? el("p", { class: "remark" }, one.remark) : "");
    about.textContent = `${lecture.answer.answer.about} A dashed line is the paper's own number, where it is another.`;
    if (focused) tell(`${one.name}, ${one.precision} per cent. ${one.words}`);
    kept.update(lecture.answer, lecture.pairs);
  }
}
