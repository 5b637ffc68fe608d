// An answer that is drawn as several figures: each has tools of its own, which keep it and ask for its numbers alone.

import { tools } from "./figure.js";

/** Puts tools under each figure of an answer that is `shown`; those of the whole, `kept`, then say that they are of all. */
export function eachKept(/** @type {HTMLElement} */ shown, /** @type {any} */ answer, /** @type {[string, string][]} */ pairs, /** @type {ReturnType<typeof tools>} */ kept) {
  const several = answer.figures.length > 1;
  kept.update(answer, pairs);
  kept.element.setAttribute("aria-label", several ? "Keep all figures" : "Keep this figure");
  kept.element.querySelectorAll("[aria-hidden]").forEach((words, k) => { words.textContent = `${k ? "Copy" : "Save"}${several ? " all" : ""}${k ? "" : " as"}`; });
  for (const [number, one] of answer.figures.entries()) {
    const own = tools();
    own.element.setAttribute("aria-label", `Keep this figure: ${one.title}`);
    own.update({ ...answer, ...one }, [...pairs, ["figure", String(number)]]);
    shown.querySelector(`[data-figure="${number}"]`)?.append(own.element);
  }
}
