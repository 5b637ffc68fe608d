// What is looked at, as the address has it: pairs of names and values. Every change can be undone.

/** @typedef {[string, string][]} Pairs */

/** @type {Set<() => void>} */
const listeners = new Set();
/** @type {string[]} */
const past = [];
/** @type {string[]} */
const future = [];
let current = location.search;
let written = 0;
let waiting = 0;
/** @type {string | null} */
let due = null;

/** Writes the address, at most twice a second while something is dragged: browsers refuse more. */
function write(/** @type {boolean} */ push) {
  clearTimeout(waiting);
  if (push && due !== null) history.replaceState(null, "", location.pathname + due + location.hash); // the place that is left is whole
  due = null;
  const go = () => {
    written = performance.now();
    due = null;
    history[push ? "pushState" : "replaceState"](null, "", location.pathname + current + location.hash);
  };
  const wait = written + 500 - performance.now();
  if (push || wait <= 0) go();
  else {
    due = current;
    waiting = window.setTimeout(go, wait);
  }
}

function announce() {
  for (const listener of listeners) listener();
}

export const state = {
  /** @returns {Pairs} */
  pairs: () => [...new URLSearchParams(current)],
  /** @returns {string[]} */
  all: (/** @type {string} */ name) => new URLSearchParams(current).getAll(name),
  /** @returns {string | null} */
  first: (/** @type {string} */ name) => new URLSearchParams(current).get(name),

  /** New pairs; `push` makes a place to go back to, `silent` tells nobody. */
  set(/** @type {Pairs} */ pairs, { push = false, silent = false, undoable = true } = {}) {
    const next = pairs.length ? `?${new URLSearchParams(pairs)}` : "";
    if (next === current) return;
    if (undoable) {
      past.push(current);
      if (past.length > 200) past.shift();
      future.length = 0;
    }
    current = next;
    write(push);
    if (!silent) announce();
  },

  /** One name's value, or null for none. */
  put(/** @type {string} */ name, /** @type {string | null} */ value, { push = false, silent = false, replace = false } = {}) {
    const rest = state.pairs().filter(([key]) => key !== name);
    state.set(value === null ? rest : [...rest, [name, value]], { push, silent, undoable: !replace });
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
  current = location.search;
  announce();
});
