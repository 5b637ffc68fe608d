// The question that a room's page asks: as the address says, else as the page began; asked again whenever the address is another.

import { latest } from "./ask.js";
import { fitting } from "./carrier.js";
import { calm, complain } from "./speak.js";
import { state } from "./state.js";

/** @typedef {[string, string][]} Pairs */

/** What of the address a page's first question does not take: names that end in _ are looked at by the page alone, `loss.names` is another question's. */
const isElse = (/** @type {[string, string]} */ [key]) => key.endsWith("_") || key.includes(".");

/**
 * `changed` is called when another question is asked, `answered` when its answer is there or how the page looks at it is another.
 * Of a page that asks several, each after the first has its name before what the address says of it: `loss.names=hinge`.
 */
export function question(/** @type {string} */ name, /** @type {any} */ data, /** @type {{changed?: () => void, answered: () => void}} */ { changed, answered }) {
  const other = data.first.more?.[name], begun = other ?? data, before = other ? `${name}.` : "";
  const isMine = (/** @type {[string, string]} */ pair) => before ? pair[0].startsWith(before) : !isElse(pair);
  const asked = () => {
    const found = state.pairs().filter(isMine).map(([key, value]) => /** @type {[string, string]} */ ([key.slice(before.length), value]));
    return found.length ? found : /** @type {Pairs} */ (begun.begun);
  };
  const one = {
    /** @type {any} */
    answer: begun.first.answer ? begun.first : null,
    pairs: asked(),
    /** What was answered, null as long as nothing is. */
    get found() { return one.answer?.answer ?? null; },

    /** Another question; what else the address says stays. Where only a place of it is gone to, that is nothing to undo. */
    change(/** @type {Pairs} */ next, { push = false, undoable = true } = {}) {
      const found = fitting(name, next, one.pairs);
      if (found) state.set([...found.map(([key, value]) => /** @type {[string, string]} */ ([before + key, value])), ...state.pairs().filter((pair) => !isMine(pair))], { push, undoable });
      if (found !== next) changed?.(); // handles go back to what is asked
    },
    /** One value, or null for none. */
    put(/** @type {string} */ key, /** @type {string | null} */ value) {
      const rest = one.pairs.filter(([own]) => own !== key);
      one.change(value === null ? rest : [...rest, [key, value]]);
    },
    /** Values of one name. */
    all: (/** @type {string} */ key) => one.pairs.filter(([own]) => own === key).map(([, value]) => value),
    first: (/** @type {string} */ key) => one.all(key)[0] ?? null,

    /** Draws what the page began with; a copy's page begins alike whatever its link says. */
    begin() {
      const [wanted, there] = [one.pairs, /** @type {Pairs} */ (begun.begun)];
      if (JSON.stringify(wanted) !== JSON.stringify(there)) {
        one.pairs = there;
        const found = fitting(name, wanted, there) ?? there;
        if (found !== there) { one.pairs = found; changed?.(); ask(); return; }
      }
      changed?.();
      if (one.answer) answered();
      else complain([begun.first.problem?.detail || begun.first.problem?.title, begun.first.problem?.remedy].filter(Boolean).join("\n"), name);
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
    latest(name, one.pairs, (found) => { one.answer = found; calm(name); answered(); }, (problem) => complain(problem.message, name));
  }
  return one;
}
