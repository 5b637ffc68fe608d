// Room 9: the lecture's chart of systems that find objects; a bar is chosen, and its words stand beside.

import { el, svg } from "../elements.js";
import { tools } from "../figure.js";
import { told } from "../numbers.js";
import { question } from "../question.js";
import { tell } from "../speak.js";
import { state } from "../state.js";

const WIDE = 720, HIGH = 380, LOW = 320, MOST = 80;

export function mount(/** @type {HTMLElement} */ place, /** @type {any} */ data) {
  const asked = question("detection-history", data, { answered: draw });
  const chart = el("div", { class: "scroll" });
  const names = el("select", { id: "system", change: () => choose(Number(names.value)) }, ...data.first.answer.systems.map((/** @type {any} */ one, /** @type {number} */ number) => el("option", { value: number }, one.name)));
  const words = el("div", { role: "status", class: "system" });
  const about = el("p", { class: "caption" });
  const kept = tools();
  place.append(
    el("div", { class: "sides" },
      el("section", { class: "stage", "aria-label": "The lecture's chart", "data-part": "chart" }, el("h2", {}, "mAP on PASCAL VOC 2010, per cent"), chart, about, kept.element),
      el("section", { class: "stage", "aria-label": "The system", "data-part": "system" }, el("p", { class: "row" }, el("label", { for: "system" }, "System"), names), words)),
    el("section", { class: "stage", "aria-label": "Measure", "data-part": "measure" }, el("h2", {}, "Measure detections of your own"),
      el("p", {}, "This room shows the lecture's chart: the systems' own stages, on a picture of yours, are not here yet. What can be done today is to measure what any detector found, by the protocol that these numbers were made by:"),
      el("pre", { class: "scroll" }, "pellucid detect evaluate found.csv --data VOC2007/ --part val --out page.html")));
  asked.begin();

  function systems() { return asked.answer.answer.systems; }
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
    const all = systems(), at = chosen(), step = WIDE / all.length;
    const y = (/** @type {number} */ value) => LOW - value / MOST * (LOW - 30);
    const focused = chart.contains(document.activeElement);
    chart.replaceChildren(svg("svg", { class: "drawn chart bars", viewBox: `0 0 ${WIDE} ${HIGH}`, role: "group", "aria-label": "Systems in the order of time; arrow keys go from one to the next", keydown: keys },
      ...[0, 20, 40, 60, 80].flatMap((value) => [svg("line", { class: value ? "grid" : "axis", x1: 0, x2: WIDE, y1: y(value), y2: y(value) }), svg("text", { class: "tick", x: 0, y: y(value) - 4 }, String(value))]),
      ...all.map((/** @type {any} */ one, /** @type {number} */ number) => svg("g", { class: `bar${number === at ? " at" : ""}`, role: "img", tabindex: number === at ? 0 : -1, "data-name": one.name, "data-value": one.precision,
        "aria-label": `${one.name}, ${one.date}: ${one.precision} per cent`, "aria-current": number === at ? "true" : null, click: () => choose(number) },
        svg("rect", { x: number * step + step * 0.2, y: y(one.precision), width: step * 0.6, height: LOW - y(one.precision), rx: 4 }),
        one.published === undefined ? "" : svg("line", { class: "published", x1: number * step + step * 0.12, x2: number * step + step * 0.88, y1: y(one.published), y2: y(one.published) }),
        svg("text", { class: "number", x: (number + 0.5) * step, y: y(one.precision) - 8, "text-anchor": "middle" }, told(one.precision)),
        svg("text", { x: (number + 0.5) * step, y: LOW + 22, "text-anchor": "middle" }, one.name),
        svg("text", { class: "tick", x: (number + 0.5) * step, y: LOW + 42, "text-anchor": "middle" }, one.date)))));
    if (focused) /** @type {SVGElement | null} */ (chart.querySelector('[tabindex="0"]'))?.focus();
    chart.scrollLeft = (at + 0.5) / all.length * chart.scrollWidth - chart.clientWidth / 2;
    names.value = String(at);
    const one = all[at];
    words.replaceChildren(el("h2", {}, one.name), el("p", { class: "count", "data-value": one.precision, "data-name": "precision" }, told(one.precision), el("span", {}, ` % mAP, ${one.date}`)),
      el("p", {}, one.words), el("p", { class: "caption" }, one.paper, "."), one.remark ? el("p", { class: "remark" }, one.remark) : "");
    about.textContent = `${asked.answer.answer.about} A dashed line is the paper's own number, where it is another.`;
    if (focused) tell(`${one.name}, ${one.precision} per cent. ${one.words}`);
    kept.update(asked.answer, asked.pairs);
  }
}
