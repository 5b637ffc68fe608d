// Asks the views of a network: the newest question wins, what is shown already is not asked again, and what takes long says so.

import { latest } from "../ask.js";
import { calm, complain } from "../speak.js";

/** @typedef {[string, string][]} Pairs */

/** `waiting` is the element that says how long something takes. */
export function views(/** @type {HTMLElement} */ waiting) {
  const settled = /** @type {Record<string, (value: null) => void>} */ ({});
  const done = /** @type {Record<string, string>} */ ({}), here = /** @type {Record<string, string>} */ ({});
  let pending = 0, began = 0, clock = 0;

  const asking = {
    /** Whether nothing is worked on. */
    idle: () => pending === 0,

    /** Says that something is worked on, and for how long. */
    async working(/** @type {Promise<any>} */ promise) {
      if (!pending++) {
        began = performance.now();
        clock = window.setInterval(() => { waiting.textContent = `computing, ${((performance.now() - began) / 1000).toFixed(0)} s`; }, 500);
      }
      try {
        return await promise;
      } finally {
        if (!--pending) { clearInterval(clock); waiting.textContent = ""; }
      }
    },

    /** Asks a view unless that is done already. Says whether its answer is shown. */
    view(/** @type {string} */ name, /** @type {Pairs} */ pairs, /** @type {(found: any) => void} */ then, /** @type {(problem: Error) => void} */ otherwise = () => {}) {
      const key = JSON.stringify(pairs);
      if (done[name] === key) return here[name] === key;
      done[name] = key;
      settled[name]?.(null);
      asking.working(new Promise((resolve) => {
        settled[name] = resolve;
        const over = (/** @type {() => void} */ what) => { resolve(null); if (done[name] === key) what(); };
        latest(`network/${name}`, pairs, (found) => over(() => { here[name] = key; calm(); then(found); }), (problem) => over(() => { done[name] = ""; complain(problem.message); otherwise(problem); }));
      }));
      return false;
    },
  };
  return asking;
}
