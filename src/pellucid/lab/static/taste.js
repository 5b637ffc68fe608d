// What a reader likes, kept in the browser (not in the link): light or dark, how quickly things play, whether they move.

import { keep, read } from "./keep.js";

const root = document.documentElement;
const SPEEDS = /** @type {Record<string, number>} */ ({ slow: 0.5, usual: 1, fast: 2.5 });

/** What was chosen last, "" for nothing; a browser that keeps nothing forgets. */
export function chosen(/** @type {string} */ name) {
  return read("localStorage", name) ?? "";
}

export function choose(/** @type {string} */ name, /** @type {string} */ value) {
  keep("localStorage", name, value);
  show();
}

export function show() {
  for (const name of ["theme", "motion"]) {
    const value = chosen(name);
    if (value) root.dataset[name] = value;
    else delete root.dataset[name];
  }
}

export function isDark() {
  return root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** Whether nothing is to move by itself. */
export function isStill() {
  return chosen("motion") === "still" || matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/** Milliseconds between two steps of what plays, at the speed that was chosen. */
export function pace(/** @type {number} */ usual) {
  return usual / (SPEEDS[chosen("speed")] ?? 1);
}
