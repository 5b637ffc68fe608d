// Numbers in rows and columns as squares of color: a cursor walks over them by pointer, touch and keys. Colors are the server's.
// What is no finite number is hatched; what is not there at all (null), as padding, is an empty frame.

import * as card from "../card.js";
import { el } from "../elements.js";
import { brief, spoken, told } from "../numbers.js";
import { tell } from "../speak.js";
import { hatching, table } from "./tile.js";

/** @typedef {"gray" | "rising" | "signed"} Look */
/** @typedef {(number | null)[][]} Values */
/** @typedef {{cells?: [number, number][], color?: string, shaded?: boolean}} Marks */

/** Pixels of the smallest and the largest letters, and the numbers of which each may have its letters. */
const SMALLEST = 11, LARGEST = 20, MANY = 2000;

/** Values as a picture of a pixel each, and the ends of their scale: made once, however often marks move over it. */
function ground(/** @type {Values} */ values, /** @type {Look} */ look, /** @type {[number, number] | null} */ ends, /** @type {string[]} */ colors) {
  const all = values.flat(), known = /** @type {number[]} */ (all.filter(Number.isFinite)), wide = values[0]?.length ?? 0;
  const cell = (/** @type {number} */ k) => /** @type {[number, number]} */ ([Math.floor(k / wide), k % wide]), places = [...all.keys()];
  const reach = ends ? ends[1] : known.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const low = look === "signed" ? -reach : look === "gray" ? 0 : ends ? ends[0] : known.reduce((least, value) => Math.min(least, value), Infinity);
  const high = look === "signed" ? reach : look === "gray" ? 255 : ends ? ends[1] : known.reduce((most, value) => Math.max(most, value), -Infinity);
  const picture = document.createElement("canvas"), shades = table(colors);
  picture.width = wide;
  picture.height = values.length;
  if (all.length) {
    const ink = /** @type {CanvasRenderingContext2D} */ (picture.getContext("2d"));
    const image = ink.createImageData(picture.width, picture.height), pixels = new Uint32Array(image.data.buffer);
    all.forEach((value, k) => { pixels[k] = shades[place(value, low, high, colors.length)] ?? 0; });
    ink.putImageData(image, 0, 0);
  }
  return { low, high, picture, odd: places.filter((k) => all[k] !== null && !Number.isFinite(all[k])).map(cell), empty: places.filter((k) => all[k] === null).map(cell),
    letters: all.length > MANY ? [] : values.map((line) => line.map((value) => value === null ? "" : brief(value, 6))) };
}

/** The number of color among `count` from low to high. */
function place(/** @type {number | null} */ value, /** @type {number} */ low, /** @type {number} */ high, /** @type {number} */ count) {
  return value !== null && Number.isFinite(value) ? Math.round(Math.max(0, Math.min(1, high > low ? (value - low) / (high - low) : 0.5)) * (count - 1)) : -1;
}

/**
 * A drawer of matrices. `moved(row, column)` is called with the cell under the cursor; where there is `hovered`, that hears of the pointer, and a
 * press moves the cursor; squares have at most `most` pixels, and all of them `span`; `colors` are of rising and of signed values.
 */
export function matrix(/** @type {HTMLElement} */ parent, /** @type {{name: string, colors: {rising: string[], signed: string[], gray: string[]}, moved?: (row: number, column: number) => void, hovered?: (row: number, column: number) => void, most?: number, span?: number}} */ { name, colors, moved, hovered, most = 28, span = Math.max(300, 4 * most) }) {
  const canvas = el("canvas", { class: "matrix", role: "application", tabindex: moved ? 0 : -1, keydown: walk, pointermove: point, pointerdown: point, pointerleave: (/** @type {PointerEvent} */ event) => event.pointerType === "mouse" && card.leave(), keyup: (/** @type {KeyboardEvent} */ event) => ["Tab", "v", "V"].includes(event.key) && reading(at) });
  const words = el("p", { class: "caption" });
  const element = el("figure", { class: "figure" }, el("figcaption", {}, name), canvas, words);
  parent.append(element);
  let values = /** @type {Values} */ ([]);
  let at = /** @type {[number, number]} */ ([0, 0]);
  let side = 1;
  let drawn = /** @type {{values: Values, look: Look, ends: [number, number] | null, marks: Marks[], low: number, high: number, picture: HTMLCanvasElement, odd: [number, number][], empty: [number, number][], letters: string[][]} | null} */ (null);

  /** The card of a cell: its number in full, wherever the cell is. */
  function reading(/** @type {[number, number]} */ [row, column]) {
    if (values[row]?.[column] === undefined) return;
    card.show(canvas, () => [["row", row], ["column", column], ["value", values[row]?.[column] ?? "nothing: it is padding"]], () => {
      const box = canvas.getBoundingClientRect();
      const high = box.height / Math.max(1, values.length);
      return { left: box.left + (column + 1) * box.width / Math.max(1, values[0]?.length ?? 1), top: box.top + row * high, bottom: box.top + (row + 1) * high };
    });
  }

  function point(/** @type {PointerEvent} */ event) {
    if (!values.length || (event.type === "pointermove" && event.pointerType === "touch" && !event.buttons)) return;
    const box = canvas.getBoundingClientRect();
    const row = Math.floor((event.clientY - box.top) / box.height * values.length), column = Math.floor((event.clientX - box.left) / box.width * values[0].length);
    const [here, there] = within(row, column);
    if (hovered && event.type === "pointermove") hovered(here, there);
    else go(row, column, Boolean(hovered));
    reading([here, there]);
  }

  function walk(/** @type {KeyboardEvent} */ event) {
    const step = /** @type {Record<string, [number, number]>} */ ({ ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -1e9], End: [0, 1e9], PageUp: [-1e9, 0], PageDown: [1e9, 0] })[event.key];
    if (!step) return;
    event.preventDefault();
    go(at[0] + step[0], at[1] + step[1]);
    reading(at);
    if (!moved) tell(`row ${at[0]}, column ${at[1]}: ${values[at[0]][at[1]] === null ? "padding" : spoken(values[at[0]][at[1]])}`);
  }

  /** The cell, or the nearest to it that there is. @returns {[number, number]} */
  function within(/** @type {number} */ row, /** @type {number} */ column) {
    return [Math.max(0, Math.min(values.length - 1, row)), Math.max(0, Math.min((values[0]?.length ?? 1) - 1, column))];
  }

  function go(/** @type {number} */ row, /** @type {number} */ column, /** @type {boolean} */ again = false) {
    const next = within(row, column);
    if (next[0] === at[0] && next[1] === at[1] && !again) return;
    at = next;
    moved?.(...at);
  }

  /** In pixels of the screen: what is drawn in others loses lines, and with these minus signs. */
  function draw() {
    if (!drawn) return;
    const { look, low, high, marks, picture, odd, empty, letters } = drawn, rows = picture.height, columns = picture.width;
    const shown = canvas.clientWidth || columns * side, scale = Math.min(2, devicePixelRatio || 1) * shown / (columns * side || 1);
    const [wide, tall] = [columns, rows].map((count) => Math.round(count * side * scale));
    if (canvas.width !== wide) canvas.width = wide;
    if (canvas.height !== tall) canvas.height = tall;
    if (!wide || !tall) return;
    const ink = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    ink.setTransform(wide / (columns * side), 0, 0, tall / (rows * side), 0, 0);
    ink.imageSmoothingEnabled = false;
    ink.clearRect(0, 0, columns * side, rows * side);
    ink.drawImage(picture, 0, 0, columns * side, rows * side);
    ink.textAlign = "center";
    ink.textBaseline = "middle";
    ink.fillStyle = hatching(ink);
    for (const [row, column] of odd) ink.fillRect(column * side, row * side, side, side);
    ink.strokeStyle = "#8888";
    ink.lineWidth = 1;
    for (const [row, column] of empty) ink.strokeRect(column * side + 1.5, row * side + 1.5, side - 3, side - 3);
    const longest = letters.reduce((all, line) => Math.max(all, ...line.map((text) => text.length)), 3), share_ = shown / (columns * side);
    const size = Math.floor(Math.min(0.3 * side, 1.6 * side / longest, LARGEST / share_)); // one for all, as on any page
    ink.font = `${size}px system-ui`;
    if (size * share_ >= SMALLEST) values.forEach((line, row) => line.forEach((value, column) => {
      if (!letters.length) return;
      const share = place(value, low, high, 256) / 255;
      ink.fillStyle = (share < 0 || look === "signed" ? Math.abs(share - 0.5) <= 0.3 : share > 0.62) ? "#111" : "#fff";
      ink.fillText(letters[row][column], column * side + side / 2, row * side + side / 2);
    }));
    ink.lineWidth = 2.5;
    for (const { cells = [], color = "#d97706", shaded = false } of marks) {
      ink.strokeStyle = ink.fillStyle = color;
      if (shaded) for (const [row, column] of cells) ink.fillRect(column * side, row * side, side, side);
      else for (const [row, column] of cells) ink.strokeRect(column * side + 1.5, row * side + 1.5, side - 3, side - 3);
    }
  }
  new ResizeObserver(() => { if (drawn && canvas.clientWidth) draw(); }).observe(canvas);

  return {
    element,
    /** `look` is gray (pictures), rising or signed; `marks` are cells with a frame; `cursor` is the cell at hand; `ends` are those of the scale, if not the values' own. */
    update(/** @type {Values} */ next, /** @type {Look} */ look, /** @type {Marks[]} */ marks = [], /** @type {[number, number] | null} */ cursor = null, /** @type {[number, number] | null} */ ends = null) {
      values = next;
      if (cursor) at = cursor;
      const rows = next.length, columns = next[0]?.length ?? 0;
      const large = document.documentElement.hasAttribute("data-present") ? 2 : 1; // for a projector
      side = Math.max(4, Math.min(most * large, Math.floor(Math.min(span * large, innerWidth - 64) / Math.max(rows, columns, 1))));
      canvas.style.width = `${columns * side}px`;
      canvas.style.aspectRatio = `${columns} / ${rows}`;
      const same = drawn && drawn.values === next && drawn.look === look && String(drawn.ends) === String(ends);
      drawn = same && drawn ? { ...drawn, marks } : { values: next, look, ends, marks, ...ground(next, look, ends, colors[look]) };
      draw();
      const { low, high } = drawn;
      words.textContent = look === "signed" ? `${rows}×${columns}; blue ${told(low)}, white 0, red ${told(high)}` : look === "gray" ? `${rows}×${columns}; black 0, white 255` : `${rows}×${columns}; dark ${told(low)}, light ${told(high)}`;
      canvas.setAttribute("aria-label", `${name}, ${rows} rows and ${columns} columns${moved ? `; at row ${at[0]}, column ${at[1]}: ${told(values[at[0]]?.[at[1]])}` : ""}`);
    },
  };
}
