// Asking the server: of each key one request at a time, the newest question waits and the others are forgotten.

import { jsonOf } from "./carrier.js";

export { Problem } from "./carrier.js";

/** @typedef {[string, string][]} Pairs */

/** The answer to a question; of `NAME.drawn` with its picture as a `part` of a page. */
export async function ask(/** @type {string} */ name, /** @type {Pairs} */ pairs) {
  return jsonOf(`api/v1/${name}?${new URLSearchParams(pairs)}`);
}

/** @type {Map<string, {busy: boolean, next: null | (() => void)}>} */
const lines = new Map();

/** Asks; what comes too late because a newer question was asked is dropped: `then` hears of the newest alone. */
export function latest(
  /** @type {string} */ name,
  /** @type {Pairs} */ pairs,
  /** @type {(answer: any) => void} */ then,
  /** @type {(problem: Error) => void} */ otherwise,
) {
  const line = lines.get(name) ?? { busy: false, next: null };
  lines.set(name, line);
  const go = async () => {
    line.busy = true;
    line.next = null;
    try {
      const answer = await ask(name, pairs);
      if (line.next === null) then(answer);
    } catch (error) {
      if (line.next === null) otherwise(error instanceof Error ? error : new Error(String(error)));
    } finally {
      line.busy = false;
      const next = /** @type {null | (() => void)} */ (line.next);
      if (next) next();
    }
  };
  if (line.busy) line.next = go;
  else go();
}
