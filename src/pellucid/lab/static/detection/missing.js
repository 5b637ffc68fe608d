// Why a box is not there: those that were dropped by number, and any place on the picture by its corners, written or dragged, and a class.

import { el, svg } from "../elements.js";
import { told } from "../numbers.js";

/** @typedef {{class: string, score: number, box: number[], step: string, by: number | null}} Gone */

/** How what is asked for is called in the address, and by the question. */
export const ASKS = new Map([["dropped_", "dropped"], ["place_", "at"], ["kind_", "kind"]]);
const LISTED = 50;

/**
 * `asked` hears what the address is to say.
 * @returns {{element: HTMLElement, update: (found: {objects: any[], dropped?: Gone[], width: number, height: number}, shown: HTMLElement) => void, fill: (first: (name: string) => string) => void, clear: () => void}}
 */
export function missing(/** @type {(pairs: [string, string][]) => void} */ asked) {
  const place = el("input", { type: "text", id: "detector-place", autocomplete: "off", placeholder: "x1,y1,x2,y2", required: true });
  const kind = el("input", { type: "text", id: "detector-kind", list: "detector-kinds", autocomplete: "off", placeholder: "a class", required: true });
  const kinds = el("datalist", { id: "detector-kinds" });
  const form = el("form", { class: "row", submit: (/** @type {Event} */ event) => { event.preventDefault(); asked([["place_", place.value], ["kind_", kind.value]]); } },
    el("span", { class: "labeled" }, el("label", { for: "detector-place" }, "at"), place), el("span", { class: "labeled" }, el("label", { for: "detector-kind" }, "of the class"), kind), kinds, el("button", { type: "submit" }, "Ask why"));
  const count = el("p", {}), list = el("ol", { start: 0, class: "dropped" }), rest = el("p", { class: "caption" });
  const element = el("details", { hidden: true, "data-part": "missing", "data-live": true }, el("summary", {}, "Why is something not there?"),
    el("p", { class: "caption" }, "Drag a rectangle over the picture, or write its corners in pixels, and name a class: the box of that class which is nearest is explained, and the step that dropped it."), form, count, list, rest);

  /** Corners in the picture's own pixels are dragged over it. */
  function corners(/** @type {HTMLElement} */ shown, /** @type {number[]} */ size) {
    const drawing = /** @type {SVGSVGElement | null} */ (shown.querySelector("svg")), photo = /** @type {SVGImageElement | null} */ (drawing?.querySelector("image") ?? null);
    if (!drawing || !photo) return;
    const frame = svg("rect", { class: "asked", visibility: "hidden" });
    drawing.append(frame);
    let from = /** @type {number[] | null} */ (null);
    const at = (/** @type {PointerEvent} */ event) => {
      const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(drawing.getScreenCTM()?.inverse());
      const inside = photo.getBBox();
      return [Math.max(0, Math.min(1, (x - inside.x) / inside.width)), Math.max(0, Math.min(1, (y - inside.y) / inside.height))];
    };
    drawing.addEventListener("pointerdown", (event) => { if (event.button === 0 && event.pointerType !== "touch") from = at(event); });
    drawing.addEventListener("pointermove", (event) => {
      if (!from) return;
      const to = at(event), inside = photo.getBBox();
      if (Math.hypot(to[0] - from[0], to[1] - from[1]) < 0.02) return; // a click on a box
      drawing.dataset.dragged = "true";
      drawing.setPointerCapture(event.pointerId);
      const [low, high] = [0, 1].map((far) => [0, 1].map((axis) => (far ? Math.max : Math.min)(/** @type {number[]} */ (from)[axis], to[axis])));
      for (const [name, value] of Object.entries({ x: inside.x + low[0] * inside.width, y: inside.y + low[1] * inside.height, width: (high[0] - low[0]) * inside.width, height: (high[1] - low[1]) * inside.height, visibility: "visible" })) frame.setAttribute(name, String(value));
      place.value = [low, high].flatMap((corner) => corner.map((part, axis) => Math.min(size[axis] - 1, Math.round(part * size[axis])))).join(",");
    });
    const end = () => { if (from && drawing.dataset.dragged) { element.open = true; kind.focus(); } from = null; delete drawing.dataset.dragged; };
    drawing.addEventListener("pointerup", end);
    drawing.addEventListener("pointercancel", end);
  }

  return {
    element,
    /** What was found, what was dropped, and where that is drawn. */
    update({ objects, dropped: gone = [], width, height }, shown) {
      element.hidden = false;
      kinds.replaceChildren(...[...new Set([...objects, ...gone].map((one) => one.class))].map((value) => el("option", { value })));
      count.textContent = gone.length ? `${gone.length === 1 ? "1 box was" : `${gone.length} boxes were`} dropped; choose one:` : "No box was dropped.";
      list.replaceChildren(...gone.slice(0, LISTED).map((one, number) => el("li", {}, el("button", { type: "button", class: "link", "data-dropped": number, click: () => asked([["dropped_", String(number)]]) }, `${one.class}, `, el("span", { "data-value": one.score }, told(one.score))), ` ${one.step}${one.by === null ? "" : ` by box ${one.by}`}`)));
      rest.textContent = gone.length > LISTED ? `The surest ${LISTED}; the command's --json has all.` : "";
      corners(shown, [width, height]);
    },
    /** The fields as the address has them. */
    fill(first) {
      if ([...ASKS.keys()].some(first)) element.open = true;
      if (first("place_")) { place.value = first("place_"); kind.value = first("kind_"); }
      for (const one of list.querySelectorAll("button")) one.setAttribute("aria-current", String(first("dropped_") === one.dataset.dropped));
    },
    clear() { element.hidden = true; },
  };
}
