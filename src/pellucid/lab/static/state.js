// What is looked at, as the address has it: pairs of names and values. Every change can be undone.

import { moved, notice } from "./speak.js";

/** @typedef {[string, string][]} Pairs */

/** What a link says of the page itself, whatever room it is: no room hears of these, and no change of a room drops them. */
const KEPT = ["hide", "lock", "present", "tour_"];
/** Characters of an address, at most: longer ones are cut off by some of those that links are sent through. */
export const MOST = 4096;

/** @type {Set<() => void>} */
const listeners = new Set();
/** @type {string[]} */
const past = [];
/** @type {string[]} */
const future = [];
/** In a notebook's frame there is no address to write: what is looked at is kept here alone. */
const addressed = location.protocol !== "about:";
let [current, kept] = split(addressed ? location.search : document.documentElement.dataset.search ?? "");
let written = 0;
let waiting = 0;
/** @type {string | null} */
let due = null;

/** An address's own pairs as text, none of one that is too long, and those that are kept. @returns {[string, Pairs]} */
function split(/** @type {string} */ search) {
  const pairs = /** @type {Pairs} */ ([...new URLSearchParams(search)].map(([key, value]) => [key === "present_" ? "present" : key, value]));
  return [search.length > MOST ? "" : asText(pairs.filter(([key]) => !KEPT.includes(key))), pairs.filter(([key]) => KEPT.includes(key))];
}

function asText(/** @type {Pairs} */ pairs) {
  return pairs.length ? `?${new URLSearchParams(pairs)}` : "";
}

function whole() {
  return location.pathname + asText([...new URLSearchParams(current), ...kept]) + location.hash;
}

/** Why what is looked at is no link, "" where it is one. */
function tooLong() {
  const count = new TextEncoder().encode(whole()).length;
  return count <= MOST ? "" : `What is looked at takes ${count.toLocaleString("en")} bytes of a link, and a link has at most ${MOST.toLocaleString("en")}: `
    + "the address stays as it was. All works on; undo, or look at less, to have a link again.";
}

/** Writes the address, at most twice a second while something is dragged: browsers refuse more. */
function write(/** @type {boolean} */ push) {
  if (!addressed) return;
  clearTimeout(waiting);
  if (push && due !== null) history.replaceState(null, "", due); // the place that is left is whole
  due = null;
  const problem = tooLong();
  notice(problem);
  if (problem) return;
  const go = () => {
    written = performance.now();
    due = null;
    history[push ? "pushState" : "replaceState"](null, "", whole());
  };
  const wait = written + 500 - performance.now();
  if (push || wait <= 0) go();
  else {
    due = whole();
    waiting = window.setTimeout(go, wait);
  }
}

/** What is looked at now can be come back to. */
function remember() {
  past.push(current);
  if (past.length > 200) past.shift();
  future.length = 0;
}

function announce() {
  moved();
  for (const listener of listeners) listener();
}

export const state = {
  /** @returns {Pairs} */
  pairs: () => [...new URLSearchParams(current)],
  /** @returns {string[]} */
  all: (/** @type {string} */ name) => KEPT.includes(name) ? kept.filter(([key]) => key === name).map(([, value]) => value) : new URLSearchParams(current).getAll(name),
  /** @returns {string | null} */
  first: (/** @type {string} */ name) => state.all(name)[0] ?? null,
  /** A link to what is looked at, and why there is none. @returns {{link: string, problem: string}} */
  link: () => ({ link: location.origin + whole(), problem: tooLong() }),

  /** New pairs; `push` makes a place to go back to, `silent` tells nobody. */
  set(/** @type {Pairs} */ pairs, { push = false, silent = false, undoable = true } = {}) {
    const next = asText(pairs.filter(([key]) => !KEPT.includes(key)));
    if (next === current) return;
    if (undoable) remember();
    current = next;
    moved();
    write(push);
    if (!silent) announce();
  },

  /** One name's value, or null for none. */
  put(/** @type {string} */ name, /** @type {string | null} */ value, { push = false, silent = false, replace = false } = {}) {
    const rest = state.pairs().filter(([key]) => key !== name);
    state.set(value === null ? rest : [...rest, [name, value]], { push, silent, undoable: !replace });
  },

  /** The same of what is kept, which is nothing to undo. */
  keep(/** @type {string} */ name, /** @type {string | null} */ value) {
    kept = [...kept.filter(([key]) => key !== name), ...(value === null ? [] : /** @type {Pairs} */ ([[name, value]]))];
    write(false);
    announce();
  },

  /** As a link to this room says, which may say what is kept as well: a place to go back to. */
  go(/** @type {Pairs} */ pairs) {
    const said = pairs.filter(([key]) => KEPT.includes(key));
    kept = [...kept.filter(([key]) => !said.some(([name]) => name === key)), ...said];
    const next = asText(pairs.filter(([key]) => !KEPT.includes(key)));
    if (next !== current) remember();
    current = next;
    write(true);
    announce();
  },

  undo() {
    const last = past.pop();
    if (last === undefined) return false;
    future.push(current);
    current = last;
    write(false);
    announce();
    return true;
  },

  redo() {
    const next = future.pop();
    if (next === undefined) return false;
    past.push(current);
    current = next;
    write(false);
    announce();
    return true;
  },

  /** Calls `listener` whenever the state is another. */
  watch: (/** @type {() => void} */ listener) => listeners.add(listener),
};

addEventListener("popstate", () => {
  clearTimeout(waiting);
  due = null;
  [current, kept] = split(location.search);
  announce();
});

/** A page that is left during a drag is found again as it was left. */
addEventListener("pagehide", () => {
  clearTimeout(waiting);
  if (due !== null) history.replaceState(null, "", due);
  due = null;
});
