// What the network's room keeps in the address: one value a name, and steps from one to the next.

import { state } from "../state.js";

/** @typedef {[string, string][]} Pairs */
/** @typedef {Record<string, string | null>} Changes */

export const first = (/** @type {string} */ name, usual = "") => state.first(name) ?? usual;

/** Other values for some names, null for none; `push` makes a place to go back to. */
export function go(/** @type {Changes} */ changes, push = false) {
  const rest = state.pairs().filter(([key]) => !(key in changes));
  const own = /** @type {Pairs} */ (Object.entries(changes).filter(([, value]) => value !== null && value !== ""));
  state.set([...rest, ...own], { push });
}
