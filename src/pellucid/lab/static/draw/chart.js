// Lines and points over two axes, all in one drawing that an update changes; a cursor walks along x by pointer and by keys.

import * as card from "../card.js";
import { el, svg } from "../elements.js";
import { extent, told } from "../numbers.js";

/** @typedef {{name: string, x: number[], y: (number | string)[], kind: string}} Series */
/** @typedef {{title: string, x_label: string, y_label: string, series: Series[], x_log?: boolean, y_log?: boolean}} Chart */
/** @typedef {{from: number, to: number, series: number}} Shade */
/** @typedef {{x: number, left: number, right: number, derivative: number}} Kink */
/** @typedef {{kink: Kink, series: number}} Corner */

const WIDEST = 1400, NARROWEST = 280, LEFT = 52, RIGHT = 12, TOP = 12, BOTTOM = 36;
export const LINES = ["#2563eb", "#d97706", "#059669", "#dc2626", "#8b5cf6", "#0891b2", "#db2777", "#65a30d", "#64748b", "#b45309"];

/** Round numbers from low to high, about so many. */
export function ticks(/** @type {number} */ low, /** @type {number} */ high, /** @type {number} */ count) {
  const rough = (high - low) / count || 1;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = size * ([1, 2, 5, 10].find((factor) => size * factor >= rough) ?? 10);
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high + step * 1e-9; k++) found.push(k * step);
  return found;
}

/** Powers of ten from low to high (their exponents), with 2 and 5 between where there are few. */
function powers(/** @type {number} */ low, /** @type {number} */ high) {
  const between = high - low < 2.5 ? [1, 2, 5] : [1];
  const every = Math.max(1, Math.ceil((high - low) / 7));
  const found = [];
  for (let k = Math.floor(low); k <= high; k++) for (const factor of between) if ((k % every === 0 || between.length > 1) && Math.log10(factor) + k >= low - 1e-9 && Math.log10(factor) + k <= high + 1e-9) found.push(factor * 10 ** k);
  return found;
}

const short = (/** @type {number} */ value) => Math.abs(value) >= 1e5 ? `${Number((value / 10 ** Math.floor(Math.log10(value))).toPrecision(3))}e${Math.floor(Math.log10(value))}` : told(value);
/** A point as a part of a path. */
const dot = (/** @type {number} */ x, /** @type {number} */ y) => `M${(x - 5).toFixed(1)},${y.toFixed(1)}a5,5 0 1,0 10,0a5,5 0 1,0 -10,0`;

/** The number of a series' color; dashed lines have that of the line before. */
function place(/** @type {Series[]} */ all, /** @type {number} */ number) {
  const solid = all.slice(0, number + 1).filter((one) => one.kind !== "dashed").length - 1;
  return Math.max(0, solid) % LINES.length;
}

/** The names of a chart's series, each with its line or point. */
export function legend(/** @type {Series[]} */ all) {
  return all.map((series, number) => el("li", {}, svg("svg", { width: 26, height: 10, "aria-hidden": "true" },
    series.kind === "points" ? svg("circle", { cx: 13, cy: 5, r: 4.5, fill: LINES[place(all, number)] })
      : svg("path", { d: "M1,5H25", stroke: LINES[place(all, number)], "stroke-width": 3, "stroke-dasharray": series.kind === "dashed" ? "6 4" : "none" })), ` ${series.name}`));
}

/** A line of a single point as that point: else nothing of it would be seen. */
function alone(/** @type {string} */ way) {
  const found = /^M([^,]+),([^L]+)$/.exec(way);
  return found && !way.includes("a") ? dot(Number(found[1]), Number(found[2])) : null;
}

/** `moved(index)` hears of the point that the cursor is at, which `at()` says as well; where nobody points it rests at the point `rest(xs)`, -1 for none. */
export function chart(/** @type {HTMLElement} */ parent, /** @type {{moved: (index: number) => void, rest?: (xs: number[]) => number, tall?: number}} */ { moved, rest = () => -1, tall = 340 }) {
  let shown = /** @type {Chart | null} */ (null);
  let shadedNow = /** @type {Shade[]} */ ([]), corneredNow = /** @type {Corner[]} */ ([]);
  let at = -1, wide = 640;
  const grid = svg("g"), shades = svg("g"), lines = svg("g");
  const cursor = svg("line", { class: "cursor", y1: TOP, y2: tall - BOTTOM, visibility: "hidden" });
  const dots = svg("g"), odd = svg("g"), corners = svg("g", { class: "corners" });
  const drawing = svg("svg", { class: "drawn chart", viewBox: `0 0 ${wide} ${tall}`, role: "application", tabindex: 0,
    pointermove: point, pointerdown: point, pointerleave: (/** @type {PointerEvent} */ event) => event.pointerType === "mouse" && leave(), keydown: walk }, grid, shades, lines, odd, corners, cursor, dots);
  parent.append(drawing);
  let across = [0, 1], upward = [0, 1];

  /** As far along an axis as it is drawn: a logarithm where the chart says so. */
  const alongX = (/** @type {number} */ x) => shown?.x_log ? Math.log10(x) : x, alongY = (/** @type {number} */ y) => shown?.y_log ? Math.log10(y) : y;
  const xAt = (/** @type {number} */ x) => LEFT + ((alongX(x) - across[0]) / (across[1] - across[0] || 1)) * (wide - LEFT - RIGHT);
  const yAt = (/** @type {number} */ y) => tall - BOTTOM - ((alongY(y) - upward[0]) / (upward[1] - upward[0] || 1)) * (tall - TOP - BOTTOM);

  function point(/** @type {PointerEvent} */ event) {
    if (!shown?.series.length) return;
    const box = drawing.getBoundingClientRect();
    const x = across[0] + (((event.clientX - box.left) / box.width) * wide - LEFT) / (wide - LEFT - RIGHT) * (across[1] - across[0]);
    const xs = shown.series[0].x;
    let best = 0;
    for (let k = 1; k < xs.length; k++) if (Math.abs(alongX(xs[k]) - x) < Math.abs(alongX(xs[best]) - x)) best = k;
    place_(best);
  }

  function walk(/** @type {KeyboardEvent} */ event) {
    const count = shown?.series[0]?.x.length ?? 0;
    const page = Math.max(1, Math.round(count / 20));
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, PageUp: at + page, PageDown: at - page, Home: 0, End: count - 1, Escape: -1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    place_(event.key === "Escape" ? -1 : Math.max(0, Math.min(count - 1, at < 0 && event.key !== "Home" && event.key !== "End" ? Math.floor(count / 2) : to)));
  }

  /** The point at hand, -1 for none. */
  function here() {
    const xs = shown?.series[0]?.x ?? [];
    return at >= 0 && at < xs.length ? at : xs.length ? Math.min(xs.length - 1, rest(xs)) : -1;
  }

  function place_(/** @type {number} */ index) {
    at = index;
    mark();
    moved(here());
    if (index >= 0) card.show(drawing, rows, below);
  }

  function leave() {
    place_(-1);
    card.leave();
  }

  /** The numbers under the cursor, for the card. @returns {[string, unknown][]} */
  function rows() {
    const x = shown?.series[0]?.x[at];
    if (!shown || x === undefined) return [];
    const here = shown.series.filter((series) => series.x[at] === x);
    return [[shown.x_label || "x", x], ...here.map((series) => /** @type {[string, unknown]} */ ([series.name || shown?.y_label || "value", series.y[at]]))];
  }

  /** The card stands below the drawing, where it covers no line. */
  function below() {
    const box = drawing.getBoundingClientRect();
    return { left: box.left + xAt(shown?.series[0].x[at] ?? 0) / wide * box.width, top: box.top, bottom: box.bottom - BOTTOM / wide * box.width };
  }

  function mark() {
    const index = here(), on = index >= 0;
    cursor.setAttribute("visibility", on ? "visible" : "hidden");
    dots.replaceChildren();
    if (!on || !shown) return;
    const x = xAt(shown.series[0].x[index]);
    cursor.setAttribute("x1", x);
    cursor.setAttribute("x2", x);
    const own = shown.series[0].x[index];
    shown.series.forEach((series, number) => {
      const y = Number(series.y[series.x[index] === own ? index : series.x.indexOf(own)]);
      if (Number.isFinite(alongY(y))) dots.append(svg("circle", { cx: x, cy: yAt(y), r: 4.5, fill: LINES[colorOf(series, number)], "data-value": y }));
    });
  }

  const colorOf = (/** @type {Series} */ _, /** @type {number} */ number) => place(shown?.series ?? [], number);

  const one = {
    /** Where on the axes a pointer is. @returns {[number, number]} */
    locate(/** @type {PointerEvent} */ event) {
      const box = drawing.getBoundingClientRect();
      const right = ((event.clientX - box.left) / box.width * wide - LEFT) / (wide - LEFT - RIGHT), up = (tall - BOTTOM - (event.clientY - box.top) / box.height * tall) / (tall - TOP - BOTTOM);
      return [across[0] + right * (across[1] - across[0]), upward[0] + up * (upward[1] - upward[0])];
    },
    /** Where the upward axis ends. @returns {[number, number]} */
    ends: () => [upward[0], upward[1]],
    /** Draws; `ends` holds the upward axis where it is. Of `cornered` slopes the two ends at each corner are open circles, what is taken there a full one. */
    update(/** @type {Chart} */ picture, /** @type {Shade[]} */ shaded = [], /** @type {[number, number] | null} */ ends = null, /** @type {Corner[]} */ cornered = []) {
      if (!shown) fit(); // it is in its place now
      shown = picture;
      [shadedNow, corneredNow] = [shaded, cornered];
      const xs = picture.series.flatMap((s) => s.x.map((x) => alongX(Number(x)))).filter(Number.isFinite), ys = picture.series.flatMap((s) => s.y.map((y) => alongY(Number(y)))).filter(Number.isFinite);
      across = xs.length ? extent(xs) : [0, 1];
      const [low, high] = extent(picture.y_log ? ys : [0, ...ys]);
      const room = (high - low) * 0.05 || 1;
      upward = ends ?? [low - room, high + room];
      drawing.setAttribute("aria-label", `${picture.title}. Arrow keys walk along ${picture.x_label || "x"}.`);
      grid.replaceChildren(
        ...(picture.y_log ? powers : ticks)(upward[0], upward[1], 6).flatMap((y) => [svg("line", { class: y === 0 ? "axis" : "grid", x1: LEFT, x2: wide - RIGHT, y1: yAt(y), y2: yAt(y) }), svg("text", { class: "tick", x: LEFT - 6, y: yAt(y) + 4, "text-anchor": "end" }, short(y))]),
        ...(picture.x_log ? powers : ticks)(across[0], across[1], wide / 90).flatMap((x) => [svg("line", { class: Math.abs(x) < 1e-12 ? "axis" : "grid", y1: TOP, y2: tall - BOTTOM, x1: xAt(x), x2: xAt(x) }), svg("text", { class: "tick", x: xAt(x), y: tall - BOTTOM + 16, "text-anchor": "middle" }, short(Math.abs(x) < 1e-12 ? 0 : x))]),
        svg("text", { class: "tick", x: (LEFT + wide - RIGHT) / 2, y: tall - 4, "text-anchor": "middle" }, picture.x_label));
      shades.replaceChildren(...shaded.map(({ from, to, series }) => {
        const [a, b] = [Math.max(from, across[0]), Math.min(to, across[1])];
        return svg("rect", { class: "shade", x: xAt(a), width: Math.max(0, xAt(b) - xAt(a)), y: TOP, height: tall - TOP - BOTTOM, fill: LINES[series % LINES.length] });
      }));
      while (lines.children.length > picture.series.length) lines.lastChild.remove();
      picture.series.forEach((series, number) => {
        let pen = "M";
        const way = series.x.map((x, k) => {
          const y = Number(series.y[k]);
          if (!Number.isFinite(alongY(y)) || !Number.isFinite(alongX(Number(x)))) { pen = "M"; return ""; }
          if (series.kind === "points") return dot(xAt(Number(x)), yAt(y));
          const part = `${pen}${xAt(Number(x)).toFixed(1)},${yAt(y).toFixed(1)}`;
          pen = "L";
          return part;
        }).join("");
        const line = lines.children[number] ?? lines.appendChild(svg("path", { class: "line" }));
        const single = alone(way);
        line.setAttribute("d", single ?? way);
        line.setAttribute("stroke", LINES[colorOf(series, number)]);
        line.style.fill = single || series.kind === "points" ? LINES[colorOf(series, number)] : "none";
        line.setAttribute("stroke-dasharray", series.kind === "dashed" && !single ? "7 5" : "none");
      });
      odd.replaceChildren(...picture.series.flatMap((series, number) => series.x.flatMap((x, k) => {
        const y = series.y[k];
        if (y === null || y === undefined || Number.isFinite(Number(y))) return [];
        const [left, top] = [xAt(Number(x)), Number(y) === -Infinity ? tall - BOTTOM - 8 : TOP + 6]; // a mark where there is no number to draw: a gap would be overlooked
        return [svg("path", { class: "odd", d: `M${left - 6},${top + 9}L${left},${top - 3}L${left + 6},${top + 9}Z`, fill: LINES[colorOf(series, number)], "data-value": y }, svg("title", {}, `${series.name} ${told(y)} at ${told(x)}`))];
      })).slice(-200));
      corners.replaceChildren(...cornered.flatMap(({ kink, series }) => [[kink.left, false], [kink.right, false], [kink.derivative, true]].map(([y, full]) =>
        svg("circle", { cx: xAt(Number(kink.x)), cy: yAt(Number(y)), r: 4.5, stroke: LINES[series % LINES.length], fill: full ? LINES[series % LINES.length] : "none", "data-value": full ? y : null }))));
      mark();
    },
    at: here,
  };

  /** The drawing has the pixels of its place: letters and lines are as large as anywhere. */
  function fit() {
    const next = Math.max(NARROWEST, Math.min(WIDEST, parent.clientWidth || wide));
    if (next === wide) return;
    wide = next;
    drawing.setAttribute("viewBox", `0 0 ${wide} ${tall}`);
    if (shown) one.update(shown, shadedNow, null, corneredNow);
  }
  drawing.style.height = `${tall}px`;
  new ResizeObserver(() => requestAnimationFrame(fit)).observe(parent);
  return one;
}
