// Lines between columns that do not stand next to each other: from one that is read, above the columns, down to who reads it.

import { el, svg } from "../elements.js";

/** How many lines of different columns go above each other, and how many are drawn: the longer ones are drawn of one column at a time. */
const DEEP = 12, MOST = 400;
/** Pixels between two that go above each other, above the columns, from a column's middle to where its lines are, and of a corner. */
const STEP = 6, ABOVE = 10, ASIDE = 8, CORNER = 5;
/** Of the arch over a column that has lines within: pixels to each side of its middle, and upwards. */
const WIDE = 34, HIGH = 7;

/** @typedef {{layer: any, folded: any[], names: string[], reads: string[], element: HTMLElement | null}} Column */
/** @typedef {{from: number, to: number}} Line */

/** The lines of columns: who reads another than the one before it. @returns {Line[]} */
function joined(/** @type {Column[]} */ columns) {
  const places = new Map(columns.flatMap(({ names }, k) => names.map((name) => [name, k])));
  return columns.flatMap(({ reads }, to) => [...new Set(reads.map((read) => places.get(read) ?? to))].filter((from) => from < to - 1).map((from) => ({ from, to })));
}

/** How many lines there are among the layers of a folded column. */
function within(/** @type {Column} */ { folded, names }) {
  return folded.flatMap((one, k) => one.reads.filter((/** @type {string} */ read) => read !== folded[k - 1]?.layer && names.includes(read))).length;
}

/** Those that are drawn, the shorter ones first. All lines of a column begin as one, which is as deep as one. */
function some(/** @type {Line[]} */ lines, /** @type {number} */ count) {
  const depth = new Uint8Array(count), ends = /** @type {Map<number, number>} */ (new Map());
  const kept = /** @type {Line[]} */ ([]);
  for (const line of [...lines].sort((a, b) => a.to - a.from - (b.to - b.from) || a.from - b.from)) {
    const more = depth.subarray(ends.get(line.from) ?? line.from, line.to);
    if (kept.length === MOST) break;
    if (more.includes(DEEP)) continue;
    more.forEach((deep, k) => { more[k] = deep + 1; });
    ends.set(line.from, line.to);
    kept.push(line);
  }
  return { kept, ends };
}

/** How far above the columns each one's lines go, the shorter ones lower, so that none covers another. @returns {Map<number, number>} */
function lanes(/** @type {Map<number, number>} */ ends) {
  const taken = /** @type {[number, number][][]} */ ([]), found = new Map();
  for (const [from, to] of [...ends].sort((a, b) => a[1] - a[0] - (b[1] - b[0]) || a[0] - b[0])) {
    const free = taken.findIndex((others) => others.every(([start, end]) => end <= from || to <= start));
    const lane = free < 0 ? taken.length : free;
    (taken[lane] ??= []).push([from, to]);
    found.set(from, lane);
  }
  return found;
}

/** `element` is what the columns stand in. */
export function lines(/** @type {HTMLElement} */ element) {
  const rest = svg("g", { class: "rest" }), lit = svg("g", { class: "lit" });
  const drawing = svg("svg", { class: "lines", "aria-hidden": "true" }, rest, lit);
  const words = el("p", { class: "caption" });
  let columns = /** @type {Column[]} */ ([]), inside = /** @type {number[]} */ ([]), all = /** @type {Line[]} */ ([]), lane = /** @type {Map<number, number>} */ (new Map());
  let shown = /** @type {Set<Line>} */ (new Set()), high = 0, base = 0, right = 0, first = 0, end = 0, places = "";
  let pointed = /** @type {Element | null} */ (null), held = /** @type {Element | null} */ (null);

  const columnAt = (/** @type {EventTarget | null} */ target) => target instanceof Element ? target.closest(".column") : null;
  const light = () => highlight(columns.findIndex((one) => one.element !== null && one.element === (pointed ?? held)));
  element.addEventListener("pointerover", (event) => { pointed = columnAt(event.target); light(); });
  element.addEventListener("pointerleave", () => { pointed = null; light(); });
  element.addEventListener("focusin", (event) => { held = columnAt(event.target); light(); });
  element.addEventListener("focusout", () => { held = null; light(); });
  new ResizeObserver(() => requestAnimationFrame(() => { if (measured() !== places) draw(); })).observe(element);

  const middle = (/** @type {number} */ k) => { const one = /** @type {HTMLElement} */ (columns[k].element); return one.offsetLeft + one.offsetWidth / 2; };
  const is = (/** @type {number} */ k) => k >= first && k < end;

  /** Where the columns are, which is otherwise when letters are larger. */
  function measured() {
    const [left, last] = [columns[first]?.element, columns[end - 1]?.element];
    return left && last ? [left.offsetLeft, left.offsetTop, left.offsetWidth, last.offsetLeft].join() : "";
  }

  /** A line, to the edge where its other end is not there. */
  function path(/** @type {Line} */ { from, to }, /** @type {boolean} */ top) {
    const y = base - ABOVE - STEP * (top ? high : lane.get(from) ?? high);
    const start = is(from) ? `M${middle(from) + ASIDE},${base}V${y + CORNER}q0,${-CORNER} ${CORNER},${-CORNER}` : `M0,${y}`;
    const stop = is(to) ? `H${middle(to) - ASIDE - CORNER}q${CORNER},0 ${CORNER},${CORNER}V${base - 3}` : `H${right}`;
    return svg("path", { d: start + stop, "data-from": columns[from].layer.layer, "data-to": columns[to].layer.layer });
  }

  /** What stands for the lines within a column. */
  function arch(/** @type {number} */ k) {
    return svg("path", { d: `M${middle(k) - WIDE},${base}v${2 - HIGH}q0,-2 2,-2h${2 * WIDE - 4}q2,0 2,2v${HIGH - 5}`, "data-within": inside[k], "data-of": columns[k].layer.layer });
  }

  /** Lines, and arches of some columns, with a head at each place that they lead to. */
  function fill(/** @type {SVGElement} */ group, /** @type {Line[]} */ which, /** @type {number[]} */ arches) {
    const heads = [...[...new Set(which.map(({ to }) => to))].filter(is).map((to) => middle(to) - ASIDE), ...arches.map((k) => middle(k) + WIDE)];
    group.replaceChildren(...which.map((line) => path(line, !shown.has(line))), ...arches.map(arch), svg("path", { class: "heads", d: heads.map((x) => `M${x},${base}l-3.5,-7h7z`).join("") }));
  }

  function highlight(/** @type {number} */ at) {
    const own = at < 0 ? [] : all.filter(({ from, to }) => from === at || to === at);
    fill(lit, own, inside[at] && is(at) ? [at] : []);
    for (const old of element.querySelectorAll(".column.joined")) old.classList.remove("joined");
    for (const { from, to } of own) for (const k of [from, to]) columns[k].element?.classList.add("joined");
  }

  function draw() {
    const here = all.filter(({ from, to }) => is(from) || is(to)), { kept, ends } = some(here, columns.length);
    lane = lanes(ends);
    shown = new Set(kept.filter(({ from }) => Number(lane.get(from)) < DEEP));
    high = Math.max(-1, ...[...shown].map(({ from }) => Number(lane.get(from)))) + 1;
    const more = shown.size < here.length ? 1 : 0;
    const arches = inside.flatMap((count, k) => count && is(k) ? [k] : []);
    element.style.setProperty("--lines", here.length || arches.length ? `${ABOVE + STEP * (high + more)}px` : "0px");
    places = measured();
    const last = columns[end - 1]?.element;
    base = last?.offsetTop ?? 0;
    right = last ? last.offsetLeft + last.offsetWidth : 0;
    drawing.setAttribute("width", String(right));
    drawing.setAttribute("height", String(base));
    fill(rest, [...shown], arches);
    light();
    tell();
  }

  function tell() {
    const hidden = inside.reduce((sum, count) => sum + count, 0), lines = (/** @type {number} */ count) => `${count} line${count === 1 ? "" : "s"}`;
    const told = [
      ...(shown.size < all.length ? [`${shown.size} of ${all.length} lines are drawn, and all of a column that is pointed at or has the keyboard`] : all.length ? [lines(all.length)] : []),
      ...(hidden ? [`${lines(hidden)} within folded columns, over each of which an arch stands`] : []),
    ];
    words.textContent = told.length ? `Columns read the one before them; a line leads to one from any other that it reads: ${told.join("; ")}.` : "Each column reads the one before it.";
  }

  return {
    words,
    /** Draws the lines of columns, those from the `first` to before the `end` of which are there. */
    update(/** @type {Column[]} */ next, /** @type {number} */ from, /** @type {number} */ to) {
      if (columns !== next) [all, inside] = [joined(next), next.map(within)];
      [columns, first, end] = [next, from, to];
      if (all.length || inside.some(Boolean)) element.children[0]?.after(drawing);
      draw();
    },
  };
}
