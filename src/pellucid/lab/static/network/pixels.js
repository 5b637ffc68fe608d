// The numbers that the network got at a place of the picture: under the pointer, a finger, or the arrow keys.

import { latest } from "../ask.js";
import * as card from "../card.js";
import { el } from "../elements.js";
import { told } from "../numbers.js";
import { tell } from "../speak.js";

/** What makes a picture of `rows` and `columns` readable: attributes for its img, and the line that says the numbers; `look` is what is asked about. */
export function pixels(/** @type {number[]} */ [rows, columns], /** @type {() => [string, string][]} */ look) {
  const words = el("p", { class: "caption pixel-numbers" }, "\u00a0");
  let at = [0, 0], last = "", read = /** @type {any} */ (null);

  /** The numbers in full, beside the picture. */
  function full(/** @type {Element} */ image) {
    card.show(image, () => [["row", read.row], ["column", read.column], ...read.values.map((/** @type {any} */ value, /** @type {number} */ k) => [`channel ${k}`, value]), ...(read.pixel ?? []).map((/** @type {number} */ value, /** @type {number} */ k) => [`its pixel ${k}`, value])]);
  }

  function show(/** @type {Element} */ image, /** @type {number} */ row, /** @type {number} */ column, spoken = false) {
    at = [Math.max(0, Math.min(rows - 1, row)), Math.max(0, Math.min(columns - 1, column))];
    const cell = at.join(",");
    if (!look().length) return;
    if (cell === last) { if (read) full(image); return; }
    last = cell;
    latest("network/pixel", [...look(), ["cell", cell]], (found) => {
      read = found;
      full(image);
      const parts = found.values.flatMap((/** @type {any} */ value, /** @type {number} */ k) => [k ? ", " : "", el("b", { "data-value": value, "data-name": `channel ${k}`, title: String(value) }, told(value)), found.pixel && k < found.pixel.length ? ` (${found.pixel[k]})` : ""]);
      words.replaceChildren(`row ${found.row}, column ${found.column}: `, ...parts);
      if (spoken) tell(words.textContent ?? "");
    }, (problem) => { words.textContent = problem.message; });
  }

  function point(/** @type {PointerEvent} */ event) {
    const box = /** @type {HTMLElement} */ (event.currentTarget).getBoundingClientRect();
    show(/** @type {Element} */ (event.currentTarget), Math.floor((event.clientY - box.top) / box.height * rows), Math.floor((event.clientX - box.left) / box.width * columns));
  }

  function walk(/** @type {KeyboardEvent} */ event) {
    const step = /** @type {Record<string, number[]>} */ ({ ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1], Home: [0, -1e9], End: [0, 1e9], PageUp: [-1e9, 0], PageDown: [1e9, 0] })[event.key];
    if (!step) return;
    event.preventDefault();
    show(/** @type {Element} */ (event.currentTarget), at[0] + step[0], at[1] + step[1], true);
  }

  return { words, attributes: { role: "application", "aria-roledescription": "picture to read numbers from", tabindex: 0, pointermove: point, pointerdown: point, keydown: walk, pointerleave: card.leave, blur: card.leave, focus: (/** @type {FocusEvent} */ event) => show(/** @type {Element} */ (event.currentTarget), at[0], at[1], true) } };
}
