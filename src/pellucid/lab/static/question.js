// The question that a room's page asks: as the address says, else as the page began; asked again whenever the address is another.

import { latest } from "./ask.js";
import { fitting } from "./carrier.js";
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
      const found = fitting(name, next, one.pairs);
      if (found) state.set([...found, ...state.pairs().filter(isOwn)], { push });
      if (found !== next) changed?.(); // handles go back to what is asked
    },
    /** Values of one name. */
    all: (/** @type {string} */ key) => one.pairs.filter(([own]) => own === key).map(([, value]) => value),
    first: (/** @type {string} */ key) => one.all(key)[0] ?? null,

    /** Draws what the page began with; a copy's page begins alike whatever its link says. */
    begin() {
      const [wanted, begun] = [one.pairs, /** @type {Pairs} */ (data.begun)];
      if (JSON.stringify(wanted) !== JSON.stringify(begun)) {
        one.pairs = begun;
        const found = fitting(name, wanted, begun) ?? begun;
        if (found !== begun) { one.pairs = found; changed?.(); ask(); return; }
      }
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
    ask();
  });
  function ask() {
    latest(name, one.pairs, (found) => { one.answer = found; complain(""); answered(); }, (problem) => complain(problem.message));
  }
  return one;
}
