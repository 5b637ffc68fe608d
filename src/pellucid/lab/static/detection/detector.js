// A detector on a picture of the reader's own: what it finds, and of the surest box, or another that is chosen, every stage by which it came to be there.

import { jsonOf } from "../carrier.js";
import { el } from "../elements.js";
import { told } from "../numbers.js";
import { choose as choosePicture } from "../pictures.js";
import { tell } from "../speak.js";
import { state } from "../state.js";
import { asked } from "./asked.js";
import { ASKS, missing } from "./missing.js";

/** @typedef {{class: string, score: number, box: number[]}} Found */

const HINT = "Below stands how the surest box came to be there. Click another, or walk to it with the arrow keys and press Enter.";

export function detector(/** @type {any} */ data) {
  const begins = new Map(/** @type {[string, string][]} */ (data.copy?.look ?? []));
  const first = (/** @type {string} */ name) => state.first(name) ?? begins.get(name) ?? "";
  const which = el("select", { id: "detector", "data-asks": "detector" });
  const picture = el("input", { type: "text", id: "detector-picture", list: "detector-at-hand", autocomplete: "off", "data-asks": "picture" });
  const threshold = el("input", { type: "number", id: "detector-threshold", step: "any", placeholder: "its own", "data-live": true });
  const none = el("p", { hidden: true }, "There is no detector here yet. Train one, as below, and open it with ", el("code", {}, "pellucid lab runs/first"), "; models of parts (.mat) are opened so, too.");
  const form = el("form", { class: "row", hidden: true, submit: (/** @type {Event} */ event) => { event.preventDefault(); send(); } },
    el("span", { class: "labeled" }, el("label", { for: "detector" }, "Detector"), which), el("span", { class: "labeled" }, el("label", { for: "detector-picture" }, "on"), picture),
    el("datalist", { id: "detector-at-hand" }, ...data.facts.pictures.map((/** @type {string} */ value) => el("option", { value }))),
    el("span", { class: "labeled" }, el("label", { for: "detector-threshold" }, "score from"), threshold), el("button", { type: "submit" }, "Find objects"));
  const own = el("div", { hidden: true, "data-live": true }, choosePicture((name) => { picture.value = name; send(); }, () => picture.value, { paste: false }));
  const hint = el("p", { class: "caption", hidden: true });
  const whyHead = el("h3", { tabindex: -1, hidden: true });
  /** @type {SVGGElement[]} */
  let boxes = [];
  /** @type {Found[]} */
  let objects = [];
  /** @type {[string, string][]} */
  let looked = [];
  let missed = ""; // what the answer says of a box that is not there
  const found = asked("find-objects", ready);
  const why = asked("explain-box", (answer, shown) => {
    const head = shown.querySelector("h2");
    missed = head?.textContent ?? "";
    head?.remove();
    mark();
    tell(answer.text.split("\n")[0]);
  });
  const lost = missing((pairs) => state.set([...without(["box_", ...ASKS.keys()]), ...pairs], { push: true }));
  jsonOf("api/v1/networks").then((known) => {
    which.replaceChildren(...known.detectors.map((/** @type {string} */ name) => el("option", { value: name }, name)));
    none.hidden = known.detectors.length > 0;
    form.hidden = own.hidden = !none.hidden;
    state.watch(follow);
    follow();
  }, () => { none.hidden = false; });
  return el("section", { class: "stage", "aria-label": "A detector on a picture", "data-part": "detector" }, el("h2", {}, "Ask a detector: what is where, and why"),
    el("p", {}, "What a detector finds is the end of many stages: regions or windows, what is looked at in each, a score, a box that is moved, and boxes that give way to surer ones. Every stage of a box can be looked at."),
    none, form, own, ...found.elements, hint, lost.element, whyHead, ...why.elements);

  function send() {
    state.set([...without(["detector_", "picture_", "threshold_", "box_", ...ASKS.keys()]), ["detector_", which.value], ["picture_", picture.value], ...(threshold.value ? [/** @type {[string, string]} */ (["threshold_", threshold.value])] : [])], { push: true });
  }

  function follow() {
    if (first("detector_")) which.value = first("detector_");
    if (first("picture_") || !picture.value) picture.value = first("picture_") || data.facts.pictures[0];
    threshold.value = first("threshold_");
    const isAsked = Boolean(first("detector_") && first("picture_"));
    /** @type {[string, string][]} */
    const pairs = [["detector", first("detector_")], ["picture", first("picture_")], ...(first("threshold_") ? [/** @type {[string, string]} */ (["threshold", first("threshold_")])] : [])];
    if (JSON.stringify(pairs) !== JSON.stringify(looked)) [looked, objects, boxes] = [pairs, [], []];
    found.ask(isAsked ? pairs : null);
    if (!isAsked) { hint.hidden = true; lost.clear(); }
    explain();
  }

  function without(/** @type {string[]} */ names) { return state.pairs().filter(([key]) => !names.includes(key)); }

  /** What is asked of boxes that are not there, by the question's names. @returns {[string, string][]} */
  function gone() { return [...ASKS].filter(([name]) => first(name)).map(([name, key]) => [key, first(name)]); }

  /** Explains the box that is chosen, the surest unless one is. */
  function explain() {
    const at = box(), asks = gone();
    const pairs = /** @type {[string, string][]} */ (asks.length ? asks : [["box", String(at)]]);
    if (why.ask(at < 0 && !asks.length || !first("detector_") || !first("picture_") ? null : [...looked, ...pairs])) missed = "";
    lost.fill(first);
    mark();
  }

  function box() { return gone().length ? -1 : first("box_") ? Number(first("box_")) : objects.length ? 0 : -1; }

  function ready(/** @type {any} */ answer, /** @type {HTMLElement} */ shown) {
    objects = answer.answer.pictures[0].objects;
    const drawn = /** @type {SVGGElement[]} */ ([...shown.querySelectorAll("[data-box]")]);
    shown.classList.add("pick");
    boxes = drawn;
    boxes.forEach((box, number) => {
      const one = objects[number];
      box.setAttribute("role", "button");
      box.setAttribute("aria-label", `Box ${number}: ${one.class}, score ${told(one.score)}`);
      box.setAttribute("data-value", String(one.score));
      box.addEventListener("click", () => pick(number));
      box.addEventListener("keydown", (event) => keys(event, number));
    });
    const area = (/** @type {SVGGElement} */ box) => { const { width, height } = box.getBBox(); return width * height; };
    [...boxes].sort((a, b) => area(b) - area(a)).forEach((box) => box.parentNode?.append(box)); // the small ones above, so that each can be clicked
    hint.textContent = boxes.length ? HINT : "No box has such a score: ask for a lower one.";
    hint.hidden = false;
    lost.update(answer.answer.pictures[0], shown);
    explain();
    tell(answer.text.split("\n")[0]);
  }

  function pick(/** @type {number} */ number) { state.set([...without(["box_", ...ASKS.keys()]), ["box_", String(number)]], { push: true }); }

  function keys(/** @type {KeyboardEvent} */ event, /** @type {number} */ number) {
    const to = { ArrowRight: number + 1, ArrowDown: number + 1, ArrowLeft: number - 1, ArrowUp: number - 1, Home: 0, End: boxes.length - 1 }[event.key];
    if (to === undefined && event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    if (to === undefined) { pick(number); return; }
    const next = boxes[Math.max(0, Math.min(boxes.length - 1, to))];
    boxes.forEach((box) => box.setAttribute("tabindex", box === next ? "0" : "-1"));
    next.focus();
  }

  /** The box that is explained stands out, and is the one that Tab comes to. */
  function mark() {
    const at = box();
    boxes.forEach((box, number) => {
      box.classList.toggle("at", number === at);
      box.setAttribute("tabindex", number === Math.max(0, at) ? "0" : "-1");
      if (number === at) box.setAttribute("aria-current", "true"); else box.removeAttribute("aria-current");
    });
    const one = objects[at];
    whyHead.textContent = one ? `Why box ${at} is here: ${one.class}, score ${told(one.score)}` : gone().length ? missed : "";
    whyHead.hidden = !whyHead.textContent;
  }
}
