// What plays step by step: its buttons, its slider and its keys; and by whom it was ended.

import { el } from "./elements.js";
import { tell } from "./speak.js";
import { state } from "./state.js";

/** @typedef {{slider: string, back: string, forth: string, end: string}} Words */

/**
 * There is something to play once `of`, a question, is answered; `at()` is the step that is shown, of `last()`; `go(step)` shows another; `every()` says that all are shown at once; `pause()` gives the milliseconds
 * between two, `spoken()` what is told of one. `words` name the slider and the buttons, beside which stand `more`.
 */
export function player(/** @type {{of: {found: any}, at: () => number, last: () => number, go: (step: number) => void, every?: () => boolean, pause: () => number, spoken?: () => string, words: Words, more?: HTMLElement[]}} */ { of, at, last, go, every = () => false, pause, spoken = () => "", words, more = [] }) {
  const looked = () => JSON.stringify(state.pairs());
  let clock = 0, own = false, before = looked();
  const button = (/** @type {string} */ face, /** @type {string} */ title, /** @type {() => void} */ click, key = "") =>
    el("button", { type: "button", title, "aria-label": title, "aria-keyshortcuts": key || null, click }, face);
  const start = button("|◀", "To the start", () => by(() => 0)), back = button("◀", `${words.back} (,)`, () => by(() => at() - 1), ",");
  const play = button("▶ Play", "Play or pause (space)", press, "Space");
  const forth = button("▶", `${words.forth} (.)`, () => by(() => at() + 1), "."), end = button("▶|", words.end, () => by(last));
  const slider = el("input", { type: "range", min: 0, step: 1, "aria-label": words.slider, "data-part": "step", input: () => by(() => Number(slider.value), true) });
  const ended = el("span", { class: "ended", role: "status" });
  const element = el("div", { class: "row player" }, start, back, play, forth, end, ...more, el("span", { class: "grow" }, slider), ended);
  document.addEventListener("keydown", keys);
  document.addEventListener("visibilitychange", () => { if (document.hidden) stop("Paused while this page was hidden."); });

  state.watch(() => {
    const now = looked();
    if (now !== before && !own) stop("Paused: what is shown was changed.");
    before = now;
  });

  /** Shows a step; what changes meanwhile is the player's own doing. */
  function to(/** @type {number} */ step, quiet = false) {
    own = true;
    go(Math.max(0, Math.min(last(), step)));
    own = false;
    if (!quiet && spoken()) tell(spoken());
  }

  /** The reader goes to a step. */
  function by(/** @type {() => number} */ step, quiet = false) {
    if (!of.found) return;
    stop("Paused: you went to another step.");
    to(step(), quiet);
  }

  function stop(/** @type {string} */ why) {
    if (!clock) return;
    clearInterval(clock);
    clock = 0;
    ended.textContent = why;
    show();
  }

  function press() {
    if (clock) { stop("Paused by you."); return; }
    if (!of.found) return;
    ended.textContent = "";
    if (every() || at() >= last()) to(0);
    clock = window.setInterval(() => {
      if (at() >= last()) stop("Played to the end.");
      else to(at() + 1);
    }, pause());
    show();
  }

  function keys(/** @type {KeyboardEvent} */ event) {
    const on = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || on instanceof HTMLElement && on.matches("input:not([type=range]), select, textarea")) return;
    if (event.key === ".") by(() => at() + 1);
    else if (event.key === ",") by(() => at() - 1);
    else if (event.key === " " && !(on instanceof HTMLElement && on.matches("button, summary, a, input"))) { event.preventDefault(); press(); }
  }

  function show() {
    play.textContent = clock ? "❚❚ Pause" : "▶ Play";
  }

  return {
    element,
    stop,
    playing: () => clock !== 0,
    /** The slider and the buttons as things stand; `says` is what the slider is spoken as. */
    update(/** @type {string} */ says) {
      slider.max = last();
      slider.value = at();
      slider.setAttribute("aria-valuetext", says);
      back.disabled = start.disabled = !every() && at() === 0;
      forth.disabled = end.disabled = !every() && at() >= last();
      show();
    },
  };
}
