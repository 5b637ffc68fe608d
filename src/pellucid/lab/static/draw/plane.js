// A part of a plane: shades, areas, lines and places over two axes. Places are dragged by pointer and by arrow keys; an update changes what is there.

import { el, svg } from "../elements.js";
import { told } from "../numbers.js";
import { tell } from "../speak.js";
import { ticks } from "./chart.js";
import { paint } from "./tile.js";

/** @typedef {[number, number]} Point */
/** @typedef {{points: Point[], color: string, opacity?: number}} Area */
/** @typedef {{points: Point[], color: string, width?: number, dashed?: boolean, dots?: boolean, cased?: boolean, faint?: boolean, drag?: string}} Line */
/** @typedef {{name: string, x: number, y: number, shape: "circle" | "square" | "cross" | "tip" | "none", color: string, label?: string, drag?: boolean, spoken?: string, wrong?: boolean}} Mark */
/** @typedef {{title: string, box: Point[], labels: [string, string], equal?: boolean, shades?: number[][], colors?: any, signed?: boolean, areas?: Area[], lines?: Line[], marks?: Mark[]}} Plane */

const NARROWEST = 280, LEFT = 46, RIGHT = 12, TOP = 10, BOTTOM = 38;
const SHAPES = { circle: "M-7,0a7,7 0 1,0 14,0a7,7 0 1,0 -14,0", square: "M-6.5,-6.5H6.5V6.5H-6.5Z", cross: "M-6,-6L6,6M-6,6L6,-6", tip: "M-8,0a8,8 0 1,0 16,0a8,8 0 1,0 -16,0M-3,0H3M0,-3V3", none: "" };
let count = 0;

/** A plane that is `equal` has units as high as wide: what is at right angles is seen so. `dragged(name, x, y)` hears of a place that is moved, `removed(name)` of Delete on it, `pointed(x, y)` of the pointer. */
export function plane(/** @type {HTMLElement} */ parent, /** @type {{name: string, high?: number, dragged?: (name: string, x: number, y: number) => void, removed?: (name: string) => void, pointed?: (x: number, y: number) => void}} */ { name, high: highest = 480, dragged, removed, pointed }) {
  let wide = 640, high = highest, right = wide - RIGHT, bottom = high - BOTTOM;
  const canvas = el("canvas", { class: "terrain-shades", "aria-hidden": "true" });
  const clip = `terrain-${++count}`;
  const grid = svg("g"), areas = svg("g"), lines = svg("g"), marks = svg("g");
  const frame_ = svg("rect", { x: LEFT, y: TOP, width: right - LEFT, height: bottom - TOP });
  const inside = svg("g", { "clip-path": `url(#${clip})` }, areas, lines);
  const drawing = svg("svg", { class: "drawn terrain", viewBox: `0 0 ${wide} ${high}`, role: "group", "aria-label": name, pointermove: move, pointerdown: press, pointerup: drop, pointercancel: drop },
    svg("clipPath", { id: clip }, frame_), grid, inside, marks);
  const element = el("div", { class: "terrain-place" }, canvas, drawing);
  parent.append(element);
  let shown = /** @type {Plane} */ ({ title: name, box: [[0, 1], [0, 1]], labels: ["", ""] });
  let painted = /** @type {number[][] | undefined} */ (undefined);
  let framed = "", held = "", sized = "";

  const xAt = (/** @type {number} */ x) => LEFT + (x - shown.box[0][0]) / (shown.box[0][1] - shown.box[0][0]) * (right - LEFT);
  const yAt = (/** @type {number} */ y) => bottom - (y - shown.box[1][0]) / (shown.box[1][1] - shown.box[1][0]) * (bottom - TOP);
  /** Far outside a line is drawn to a place that is far outside: what draws gets no huge numbers. */
  const near = (/** @type {number} */ at) => Math.max(-5000, Math.min(5000, at)).toFixed(1);
  const way = (/** @type {Point[]} */ points) => points.map(([x, y], k) => `${k ? "L" : "M"}${near(xAt(Number(x)))},${near(yAt(Number(y)))}`).join("");

  /** Where the pointer is, on the map and rounded to what a pixel of it can say. */
  function place(/** @type {PointerEvent} */ event) {
    const box = drawing.getBoundingClientRect();
    const share = [((event.clientX - box.left) / box.width * wide - LEFT) / (right - LEFT), (bottom - (event.clientY - box.top) / box.height * high) / (bottom - TOP)];
    return share.map((part, axis) => rounded(shown.box[axis][0] + Math.max(0, Math.min(1, part)) * (shown.box[axis][1] - shown.box[axis][0]), axis));
  }

  function rounded(/** @type {number} */ value, /** @type {number} */ axis) {
    const digits = Math.max(0, 3 - Math.floor(Math.log10(shown.box[axis][1] - shown.box[axis][0])));
    return Number(value.toFixed(Math.min(12, digits)));
  }

  function press(/** @type {PointerEvent} */ event) {
    const found = event.target instanceof Element ? event.target.closest("[data-drag]") : null;
    if (!found || !dragged) return;
    held = found.getAttribute("data-drag") ?? "";
    drawing.setPointerCapture(event.pointerId);
    if (found instanceof SVGElement && found.hasAttribute("tabindex")) found.focus({ preventScroll: true });
    event.preventDefault();
  }

  function move(/** @type {PointerEvent} */ event) {
    const [x, y] = place(event);
    if (held) dragged?.(held, x, y);
    else pointed?.(x, y);
  }

  function drop() { held = ""; }

  function key(/** @type {KeyboardEvent} */ event, /** @type {string} */ which) {
    const mark = (shown.marks ?? []).find((one) => one.name === which);
    if (!mark) return;
    if (removed && (event.key === "Delete" || event.key === "Backspace")) { event.preventDefault(); removed(which); return; }
    const by = /** @type {Record<string, Point>} */ ({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] })[event.key];
    if (!by) return;
    event.preventDefault();
    event.stopPropagation();
    const [x, y] = [mark.x, mark.y].map((value, axis) => {
      const [low, top] = shown.box[axis];
      return rounded(Math.max(low, Math.min(top, value + by[axis] * (top - low) * (event.shiftKey ? 0.1 : 0.01))), axis);
    });
    [mark.x, mark.y] = [x, y]; // the next key goes on from here, whether or not the answer is there
    tell(`${which}: ${told(x)}, ${told(y)}`);
    dragged?.(which, x, y);
  }

  function frame() {
    const key_ = JSON.stringify([shown.box, shown.labels, wide]);
    if (key_ === framed) return;
    framed = key_;
    const [across, up] = shown.box;
    grid.replaceChildren(
      ...ticks(up[0], up[1], high / 80).flatMap((y) => [svg("line", { class: Math.abs(y) < 1e-12 ? "axis" : "grid", x1: LEFT, x2: right, y1: yAt(y), y2: yAt(y) }), svg("text", { class: "tick", x: LEFT - 6, y: yAt(y) + 4, "text-anchor": "end" }, told(Math.abs(y) < 1e-12 ? 0 : y))]),
      ...ticks(across[0], across[1], wide / 80).flatMap((x) => [svg("line", { class: Math.abs(x) < 1e-12 ? "axis" : "grid", y1: TOP, y2: bottom, x1: xAt(x), x2: xAt(x) }), svg("text", { class: "tick", x: xAt(x), y: bottom + 17, "text-anchor": "middle" }, told(Math.abs(x) < 1e-12 ? 0 : x))]),
      svg("text", { class: "tick name", x: right, y: high - 4, "text-anchor": "end" }, shown.labels[0]), svg("text", { class: "tick name", x: 4, y: TOP + 12 }, shown.labels[1]));
  }

  function shade() {
    canvas.hidden = !shown.shades?.length;
    if (!shown.shades?.length || shown.shades === painted) return;
    painted = shown.shades;
    const rows = painted.length, columns = painted[0].length;
    const bytes = new Uint8Array(rows * columns);
    painted.forEach((row, k) => bytes.set(row, (rows - 1 - k) * columns)); // the first row is at the bottom
    paint(canvas, bytes, rows, columns, Boolean(shown.signed), shown.colors);
  }

  /** As many children of one kind as there are things to show. */
  function fit(/** @type {SVGGElement} */ group, /** @type {number} */ wanted, /** @type {() => Element} */ make) {
    while (group.children.length > wanted) group.lastElementChild?.remove();
    while (group.children.length < wanted) group.append(make());
    return /** @type {SVGElement[]} */ ([...group.children]);
  }

  function set(/** @type {Element} */ one, /** @type {Record<string, any>} */ attributes) {
    for (const [attribute, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) one.removeAttribute(attribute);
      else if (one.getAttribute(attribute) !== String(value)) one.setAttribute(attribute, String(value));
    }
  }

  function draw() {
    const all = shown.areas ?? [], strokes = shown.lines ?? [], places = (shown.marks ?? []).filter((one) => Number.isFinite(Number(one.x)) && Number.isFinite(Number(one.y)));
    fit(areas, all.length, () => svg("path", { class: "area" })).forEach((path, k) => set(path, { d: all[k].points.length ? `${way(all[k].points)}Z` : "", fill: all[k].color, "fill-opacity": all[k].opacity ?? 0.16 }));
    fit(lines, strokes.length, () => svg("g", {}, svg("path", { class: "case" }), svg("path", { class: "stroke" }), svg("path", { class: "dots" }), svg("path", { class: "grip" }))).forEach((group, k) => {
      const line = strokes[k], d = line.points.length ? way(line.points) : "", [casing, stroke, dots, grip] = group.children;
      set(casing, { d: line.cased ? d : null, "stroke-width": (line.width ?? 2) + 3 });
      set(stroke, { d, stroke: line.color, "stroke-width": line.width ?? 2, "stroke-dasharray": line.dashed ? "7 5" : null, "stroke-opacity": line.faint ? 0.35 : null });
      set(dots, { d: line.dots ? line.points.map(([x, y]) => `M${near(xAt(x))},${near(yAt(y))}h0`).join("") : null, stroke: line.color });
      set(grip, { d: line.drag ? d : null, "data-drag": line.drag });
    });
    fit(marks, places.length, () => svg("g", { class: "spot" }, svg("circle", { class: "reach", r: 16 }), svg("path"), svg("text"))).forEach((group, k) => {
      const mark = places[k], [, shape, words] = group.children;
      const x = xAt(Number(mark.x)), y = yAt(Number(mark.y)), out = x < LEFT - 1 || x > right + 1 || y < TOP - 1 || y > bottom + 1;
      set(group, { transform: `translate(${near(x)},${near(y)})`, class: `spot ${mark.shape}${mark.drag ? " drag" : ""}${mark.wrong ? " wrong" : ""}`, visibility: out ? "hidden" : null, "data-name": mark.name,
        "data-drag": mark.drag ? mark.name : null, tabindex: mark.drag && !out ? 0 : null, role: mark.drag ? "button" : "img", "aria-label": mark.spoken ?? `${mark.name}: ${told(mark.x)}, ${told(mark.y)}${mark.drag ? "; arrow keys move it" : ""}`, "aria-roledescription": mark.drag ? "place to drag" : null });
      set(shape, { d: SHAPES[mark.shape], fill: mark.shape === "cross" ? "none" : mark.color, stroke: mark.shape === "cross" ? mark.color : null });
      if (words.textContent !== (mark.label ?? "")) words.textContent = mark.label ?? "";
      set(words, { x: x > right - 110 ? -11 : 11, y: y < TOP + 24 ? 18 : -9, "text-anchor": x > right - 110 ? "end" : "start" });
      /** @type {any} */ (group).onkeydown = mark.drag ? (/** @type {KeyboardEvent} */ event) => key(event, mark.name) : null;
    });
  }

  /** The drawing has the pixels of its place: letters and lines are as large as anywhere. */
  function fit_() {
    const [across, up] = shown.box.map(([low, top]) => top - low);
    wide = Math.max(NARROWEST, element.clientWidth || wide);
    high = shown.equal ? Math.round((wide - LEFT - RIGHT) * up / across) + TOP + BOTTOM : Math.round(Math.min(highest, wide * 0.75));
    if (sized === `${wide} ${high}`) return;
    sized = `${wide} ${high}`;
    [right, bottom] = [wide - RIGHT, high - BOTTOM];
    drawing.style.height = `${high}px`;
    set(drawing, { viewBox: `0 0 ${wide} ${high}` });
    set(frame_, { width: right - LEFT, height: bottom - TOP });
    Object.assign(canvas.style, { left: `${LEFT / wide * 100}%`, top: `${TOP / high * 100}%`, width: `${(right - LEFT) / wide * 100}%`, height: `${(bottom - TOP) / high * 100}%` });
    framed = "";
    frame();
    draw();
  }
  new ResizeObserver(() => requestAnimationFrame(fit_)).observe(element);

  return {
    element,
    update(/** @type {Plane} */ next) {
      const other = !sized || JSON.stringify(next.box) !== JSON.stringify(shown.box);
      shown = next;
      drawing.setAttribute("aria-label", next.title);
      if (other) fit_();
      frame();
      shade();
      draw();
    },
  };
}
