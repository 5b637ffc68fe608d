// Boxes and arrows where they stand. An update changes what is there, so a drag never rebuilds.

import { svg } from "../elements.js";

/** How much larger than in a document, where there is room, and at least. */
const LARGE = 1.25, SMALL = 1;
/** How many times that for a projector. */
const PRESENT = 1.2;

/** @typedef {{name: string, lines: string[], kind: string, x: number, y: number, width: number, height: number}} Box */
/** @typedef {{source: string, target: string, above: string, below: string, points: [number, number][]}} Edge */
/** @typedef {{title: string, boxes: Box[], edges: Edge[]}} Diagram */
/** @typedef {{text: string, pending?: boolean, value?: unknown}} Label */

function path(/** @type {[number, number][]} */ points) {
  let [x, y] = points[0];
  const parts = [`M${x},${y}`];
  for (const [toX, toY] of points.slice(1)) {
    const middle = (x + toX) / 2;
    parts.push(Math.abs(toY - y) < 0.05 ? `H${toX}` : `C${middle},${y} ${middle},${toY} ${toX},${toY}`);
    [x, y] = [toX, toY];
  }
  return parts.join("");
}

function label(/** @type {any} */ element, /** @type {Label} */ told) {
  element.textContent = told.text;
  element.classList.toggle("pending", Boolean(told.pending));
  if (told.value === undefined || told.value === null) element.removeAttribute("data-value");
  else element.setAttribute("data-value", String(told.value));
}

const shapeOf = (/** @type {Diagram} */ picture) =>
  JSON.stringify([picture.boxes.map((b) => [b.name, b.x, b.y, b.width]), picture.edges.map((e) => [e.source, e.target])]);

/** A drawer of diagrams: `update(picture, told)`, where `told` says words and marks of boxes and edges. */
export function diagram(/** @type {HTMLElement} */ place, /** @type {{focused: (name: string, element: Element) => void}} */ { focused }) {
  let shape = "", size = [1, 1];
  let names = /** @type {string[]} */ ([]);
  let at = 0;
  const boxes = /** @type {Map<string, any>} */ (new Map());
  const edges = /** @type {any[]} */ ([]);
  const drawing = svg("svg", { class: "drawn gates", role: "group", keydown: move, focusin: (/** @type {FocusEvent} */ event) => told(event.target),
    mouseover: (/** @type {MouseEvent} */ event) => told(event.target), click: (/** @type {MouseEvent} */ event) => told(event.target) });
  place.append(drawing);
  let picture = /** @type {Diagram} */ ({ title: "", boxes: [], edges: [] });

  function told(/** @type {EventTarget | null} */ target) {
    const box = target instanceof Element ? target.closest(".box") : null;
    if (box) focused(box.getAttribute("data-name") ?? "", box);
  }

  function step(/** @type {number} */ to) {
    boxes.get(names[at])?.group.setAttribute("tabindex", "-1");
    at = Math.max(0, Math.min(names.length - 1, to));
    const group = boxes.get(names[at]).group;
    group.setAttribute("tabindex", "0");
    group.focus();
  }

  function move(/** @type {KeyboardEvent} */ event) {
    const here = names[at];
    const next = {
      ArrowRight: picture.edges.find((e) => e.source === here)?.target,
      ArrowLeft: picture.edges.find((e) => e.target === here)?.source,
      ArrowDown: names[at + 1],
      ArrowUp: names[at - 1],
      Home: names[0],
      End: names[names.length - 1],
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    step(names.indexOf(next));
  }

  /** As large as there is room, so that all is seen at once if it can be; letters keep their size. */
  function fit() {
    const present = document.documentElement.hasAttribute("data-present") ? PRESENT : 1;
    const zoom = Math.max(SMALL, Math.min(LARGE * present, place.clientWidth / size[0]));
    drawing.setAttribute("width", String(Math.floor(size[0] * zoom)));
    drawing.setAttribute("height", String(Math.round(size[1] * zoom)));
    drawing.style.setProperty("--zoom", String(zoom));
  }
  new ResizeObserver(() => requestAnimationFrame(fit)).observe(place);

  function build(/** @type {Diagram} */ next) {
    drawing.replaceChildren();
    boxes.clear();
    edges.length = 0;
    const right = Math.max(...next.boxes.map((b) => b.x + b.width), 0) + 8;
    const bottom = Math.max(...next.boxes.map((b) => b.y + b.height), 0) + 22;
    drawing.setAttribute("viewBox", `0 -16 ${right} ${bottom + 16}`);
    size = [right, bottom + 16];
    fit();
    for (const edge of next.edges) {
      const [x, y] = edge.points[edge.points.length - 1];
      const value = svg("text", { class: "value", x: x - 9, y: y - 4, "text-anchor": "end" });
      const gradient = svg("text", { class: "gradient", x: x - 9, y: y + 12, "text-anchor": "end" });
      const group = svg("g", { class: "edge", "aria-hidden": "true" },
        svg("path", { d: path(edge.points) }), svg("path", { class: "head", d: `M${x - 7},${y - 3.5}L${x},${y}L${x - 7},${y + 3.5}z` }), value, gradient);
      edges.push({ group, value, gradient });
      drawing.append(group);
    }
    names = next.boxes.map((b) => b.name);
    at = Math.min(at, names.length - 1);
    next.boxes.forEach((box, number) => {
      const middle = box.x + box.width / 2;
      const first = svg("text", { x: middle, y: box.y + box.height / 2 - 2, "text-anchor": "middle" });
      const second = svg("text", { class: "second", x: middle, y: box.y + box.height / 2 + 13, "text-anchor": "middle" });
      const group = svg("g", { class: `box ${box.kind}`, role: "img", tabindex: number === at ? 0 : -1, "data-name": box.name },
        svg("rect", { x: box.x, y: box.y, width: box.width, height: box.height, rx: 6 }), first, second);
      boxes.set(box.name, { group, first, second });
      drawing.append(group);
    });
  }

  return {
    /** `boxOf(box)` says {first, second, spoken, at}; `edgeOf(edge, number)` {value, gradient, at}. */
    update(/** @type {Diagram} */ next, /** @type {(box: Box) => any} */ boxOf, /** @type {(edge: Edge, number: number) => any} */ edgeOf) {
      picture = next;
      const shaped = shapeOf(next);
      if (shaped !== shape) build(next);
      shape = shaped;
      drawing.setAttribute("aria-label", next.title);
      for (const box of next.boxes) {
        const { group, first, second } = boxes.get(box.name);
        const words = boxOf(box);
        label(first, { text: words.first });
        label(second, words.second);
        group.setAttribute("aria-label", words.spoken);
        group.classList.toggle("at", Boolean(words.at));
      }
      next.edges.forEach((edge, number) => {
        const words = edgeOf(edge, number);
        label(edges[number].value, words.value);
        label(edges[number].gradient, words.gradient);
        edges[number].group.classList.toggle("at", Boolean(words.at));
      });
    },
    /** Brings a box into view. */
    reveal(/** @type {string} */ name) {
      boxes.get(name)?.group.scrollIntoView({ block: "nearest", inline: "nearest" });
    },
  };
}
