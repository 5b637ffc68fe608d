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
/** @type {Map<any, number>} */
const turns = new Map();

/**
 * What is looked at in `slot` (the data, a run, a picture) is another from now on. The function that is given says whether it still is this one:
 * no newer turn was taken, and what `of` gives is as it was.
 */
export function turn(/** @type {any} */ slot, /** @type {() => any} */ of = () => null) {
  const mine = (turns.get(slot) ?? 0) + 1, begun = of();
  turns.set(slot, mine);
  return () => turns.get(slot) === mine && of() === begun;
}

/** Asks; what comes when it is no longer wanted, as where a newer question was asked, is dropped, be it an answer or a problem. */
export function latest(
  /** @type {string} */ name,
  /** @type {Pairs} */ pairs,
  /** @type {(answer: any) => void} */ then,
  /** @type {(problem: Error) => void} */ otherwise,
  isWanted = turn(name),
) {
  const line = lines.get(name) ?? { busy: false, next: null };
  lines.set(name, line);
  const go = async () => {
    line.next = null;
    if (!isWanted()) return;
    line.busy = true;
    try {
      const answer = await ask(name, pairs);
      if (isWanted()) then(answer);
    } catch (error) {
      if (isWanted()) otherwise(error instanceof Error ? error : new Error(String(error)));
    } finally {
      line.busy = false;
      const next = /** @type {null | (() => void)} */ (line.next);
      if (next) next();
    }
  };
  if (line.busy) line.next = go;
  else go();
}
