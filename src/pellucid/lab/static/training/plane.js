// The plane that a network divides, with the points on it: a cursor tells the class of a place, and paints points there.

import * as card from "../card.js";
import { LINES } from "../draw/chart.js";
import { el } from "../elements.js";
import { told } from "../numbers.js";
import { tell } from "../speak.js";
import { hatching } from "../draw/tile.js";

/** @typedef {{x: [number, number], y: [number, number], rows: number, columns: number, classes: string[], across: number[], down: number[], winner: number[][], probability: (number | string)[][]}} Plane */
/** @typedef {{points: [number, number][], targets: number[]}} Part */

const SIDE = 440, MARK = 4.5;

/** The mark of a class: classes differ by form as well as by color. */
function mark(/** @type {CanvasRenderingContext2D} */ ink, /** @type {number} */ kind, /** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ r) {
  ink.beginPath();
  if (kind % 4 === 0) ink.arc(x, y, r, 0, 2 * Math.PI);
  else if (kind % 4 === 1) ink.rect(x - r * 0.9, y - r * 0.9, 1.8 * r, 1.8 * r);
  else {
    const corners = kind % 4 === 2 ? [[0, -1.3], [1.2, 1], [-1.2, 1]] : [[0, -1.35], [1.35, 0], [0, 1.35], [-1.35, 0]];
    corners.forEach(([dx, dy], k) => k ? ink.lineTo(x + dx * r, y + dy * r) : ink.moveTo(x + dx * r, y + dy * r));
    ink.closePath();
  }
}

/** A small picture of a class's mark. */
export function sign(/** @type {number} */ kind) {
  const canvas = el("canvas", { width: 28, height: 28, class: "sign-of", "aria-hidden": "true" });
  const ink = canvas.getContext("2d");
  mark(ink, kind, 14, 14, 9);
  ink.fillStyle = LINES[kind % LINES.length];
  ink.fill();
  return canvas;
}

/**
 * `painted(x, y)` is called where a point is set with the pointer or with Enter, `wiped(x, y)` where one is to go, in the points' own units, while
 * `painting()` says that points are painted.
 */
export function plane(/** @type {HTMLElement} */ place, /** @type {{painting: () => boolean, painted: (x: number, y: number) => void, wiped: (x: number, y: number) => void}} */ { painting, painted, wiped }) {
  const canvas = el("canvas", { class: "plane", role: "application", tabindex: 0, "data-part": "plane", keydown: walk, pointermove: hover, pointerdown: press, pointerleave: (/** @type {PointerEvent} */ event) => event.pointerType === "mouse" && card.leave(), keyup: (/** @type {KeyboardEvent} */ event) => { if (["Tab", "v", "V"].includes(event.key)) { at ??= shown && [Math.floor(shown.rows / 2), Math.floor(shown.columns / 2)]; draw(); reading(); } }, contextmenu: (/** @type {Event} */ event) => painting() && event.preventDefault() });
  const words = el("p", { class: "caption", role: "status" });
  const element = el("figure", { class: "figure plane-of" }, canvas, words);
  place.append(element);
  let shown = /** @type {Plane | null} */ (null), parts = /** @type {[string, Part][]} */ ([]);
  let at = /** @type {[number, number] | null} */ (null);

  const across = (/** @type {number} */ x) => shown ? (x - shown.x[0]) / (shown.x[1] - shown.x[0]) * SIDE : 0;
  const down = (/** @type {number} */ y) => shown ? (shown.y[1] - y) / (shown.y[1] - shown.y[0]) * SIDE : 0;
  /** The middle of a cell. @returns {[number, number]} */
  const middle = (/** @type {[number, number]} */ [row, column]) => shown ? [shown.across[column], shown.down[row]] : [0, 0];

  /** The card of a place: what the network says of it, in full. */
  function reading() {
    if (!at) return;
    card.show(canvas, () => !shown || !at ? [] : [["x", shown.across[at[1]]], ["y", shown.down[at[0]]], ["class", shown.classes[shown.winner[at[0]][at[1]]]], ["probability", shown.probability[at[0]][at[1]]]], () => {
      const box = canvas.getBoundingClientRect(), [row, column] = at ?? [0, 0], high = box.height / (shown?.rows ?? 1);
      return { left: box.left + (column + 1) * box.width / (shown?.columns ?? 1), top: box.top + row * high, bottom: box.top + (row + 1) * high };
    });
  }

  function cellOf(/** @type {PointerEvent} */ event) {
    const box = canvas.getBoundingClientRect();
    const count = (/** @type {number} */ share, /** @type {number} */ most) => Math.max(0, Math.min(most - 1, Math.floor(share * most)));
    return /** @type {[number, number]} */ (shown ? [count((event.clientY - box.top) / box.height, shown.rows), count((event.clientX - box.left) / box.width, shown.columns)] : [0, 0]);
  }

  function hover(/** @type {PointerEvent} */ event) {
    if (!shown || (event.pointerType === "touch" && !event.buttons)) return;
    at = cellOf(event);
    draw();
    reading();
  }

  function press(/** @type {PointerEvent} */ event) {
    if (!shown) return;
    at = cellOf(event);
    const box = canvas.getBoundingClientRect();
    const x = shown.x[0] + (event.clientX - box.left) / box.width * (shown.x[1] - shown.x[0]), y = shown.y[1] - (event.clientY - box.top) / box.height * (shown.y[1] - shown.y[0]);
    if (painting()) (event.button === 2 || event.shiftKey ? wiped : painted)(x, y);
    draw();
    reading();
  }

  function walk(/** @type {KeyboardEvent} */ event) {
    if (!shown) return;
    const step = /** @type {Record<string, [number, number]>} */ ({ ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -1e9], End: [0, 1e9], PageUp: [-1e9, 0], PageDown: [1e9, 0] })[event.key];
    const [row, column] = at ?? [Math.floor(shown.rows / 2), Math.floor(shown.columns / 2)];
    if (step) at = [Math.max(0, Math.min(shown.rows - 1, row + step[0])), Math.max(0, Math.min(shown.columns - 1, column + step[1]))];
    else if (event.key === "Escape") at = null;
    else if (painting() && event.key === "Enter") painted(...middle([row, column]));
    else if (painting() && (event.key === "Delete" || event.key === "Backspace")) wiped(...middle([row, column]));
    else return;
    event.preventDefault();
    draw();
    reading();
    if (at) tell(words.textContent ?? "");
  }

  function draw() {
    if (!shown) return;
    const scale = Math.min(2, devicePixelRatio || 1);
    if (canvas.width !== SIDE * scale) canvas.width = canvas.height = SIDE * scale;
    const ink = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    ink.setTransform(scale, 0, 0, scale, 0, 0);
    ink.globalAlpha = 1;
    const ground = getComputedStyle(canvas).getPropertyValue("--raised") || "#fff";
    ink.fillStyle = ground;
    ink.fillRect(0, 0, SIDE, SIDE);
    const [high, wide] = [SIDE / shown.rows, SIDE / shown.columns], least = 1 / shown.classes.length;
    const small = el("canvas", { width: shown.columns, height: shown.rows }), cells = small.getContext("2d");
    const odd = /** @type {[number, number][]} */ ([]); // places where the network says no number
    shown.winner.forEach((line, row) => line.forEach((kind, column) => {
      const probability = Number(shown?.probability[row][column]);
      if (!Number.isFinite(probability)) { odd.push([row, column]); return; }
      cells.globalAlpha = 0.06 + 0.6 * Math.max(0, (probability - least) / (1 - least));
      cells.fillStyle = LINES[kind % LINES.length];
      cells.fillRect(column, row, 1, 1);
    }));
    ink.imageSmoothingEnabled = false; // a place is a square: nothing is made up between two of them
    ink.drawImage(small, 0, 0, SIDE, SIDE);
    ink.fillStyle = hatching(ink);
    for (const [row, column] of odd) ink.fillRect(column * wide, row * high, wide, high);
    ink.globalAlpha = 1;
    parts.forEach(([, part], number) => part.points.forEach(([x, y], k) => {
      const kind = part.targets[k];
      mark(ink, kind, across(x), down(y), MARK);
      ink.fillStyle = number ? ground : LINES[kind % LINES.length];
      ink.strokeStyle = number ? LINES[kind % LINES.length] : "#fff";
      ink.lineWidth = number ? 1.5 : 1;
      ink.fill();
      ink.stroke();
    }));
    const ends = shown;
    const [x, y] = at ? middle(at) : [0, 0];
    if (at) {
      ink.strokeStyle = getComputedStyle(canvas).color;
      ink.lineWidth = 1;
      ink.strokeRect(at[1] * wide, at[0] * high, wide, high);
    }
    words.textContent = at
      ? `x ${told(x)}, y ${told(y)}: ${ends.classes[ends.winner[at[0]][at[1]]]}, probability ${told(ends.probability[at[0]][at[1]])}`
      : `x from ${told(ends.x[0])} to ${told(ends.x[1])}, y from ${told(ends.y[0])} to ${told(ends.y[1])}. The stronger the color, the surer the network; filled points are trained on, hollow ones held out.`;
    if (at) words.dataset.value = String(ends.probability[at[0]][at[1]]);
    else delete words.dataset.value;
  }

  return {
    element,
    canvas,
    update(/** @type {Plane} */ next, /** @type {Record<string, Part>} */ points, /** @type {string} */ name) {
      shown = next;
      parts = Object.entries(points);
      if (at && (at[0] >= next.rows || at[1] >= next.columns)) at = null;
      canvas.setAttribute("aria-label", `${name}: ${next.rows} by ${next.columns} places, ${parts.map(([part, own]) => `${own.points.length} points, ${part}`).join(", ")}. Arrow keys walk over the plane${painting() ? ", Enter sets a point, Delete takes the nearest away" : ""}.`);
      draw();
    },
  };
}
