// The question that a room's page asks: as the address says, else as the page began; asked again whenever the address is another.

import { latest } from "./ask.js";
import { complain } from "./speak.js";
import { state } from "./state.js";

/** @typedef {[string, string][]} Pairs */

/** What of the address is asked: names that end in _ are looked at by the page alone. */
const isOwn = (/** @type {[string, string]} */ [key]) => key.endsWith("_");

/**
 * `changed` is called when another question is asked, `answered` when its answer is there or how the page looks at it is another.
 */
export function question(/** @type {string} */ name, /** @type {any} */ data, /** @type {{changed?: () => void, answered: () => void}} */ { changed, answered }) {
  const asked = () => {
    const found = state.pairs().filter((pair) => !isOwn(pair));
    return found.length ? found : /** @type {Pairs} */ (data.begun);
  };
  const one = {
    /** @type {any} */
    answer: data.first.answer ? data.first : null,
    pairs: asked(),

    /** Another question; what the page looks at by itself stays. */
    change(/** @type {Pairs} */ next, { push = false } = {}) {
      state.set([...next, ...state.pairs().filter(isOwn)], { push });
    },
    /** Values of one name. */
    all: (/** @type {string} */ key) => one.pairs.filter(([own]) => own === key).map(([, value]) => value),
    first: (/** @type {string} */ key) => one.all(key)[0] ?? null,

    /** Draws what the page began with. */
    begin() {
      changed?.();
      if (one.answer) answered();
      else complain([data.first.problem?.detail || data.first.problem?.title, data.first.problem?.remedy].filter(Boolean).join("\n"));
    },
  };
  state.watch(() => {
    const next = asked();
    if (JSON.stringify(next) === JSON.stringify(one.pairs)) {
      if (one.answer) answered();
      return;
    }
    one.pairs = next;
    changed?.();
    latest(name, next, (found) => { one.answer = found; complain(""); answered(); }, (problem) => complain(problem.message));
  });
  return one;
}
