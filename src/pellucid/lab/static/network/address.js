// What the network's room keeps in the address: one value a name, and steps from one to the next.

import { fitting } from "../carrier.js";
import { state } from "../state.js";

/** @typedef {[string, string][]} Pairs */
/** @typedef {Record<string, string | null>} Changes */

export const first = (/** @type {string} */ name, usual = "") => state.first(name) ?? usual;

/** What says which number is taken apart. */
const PLACE = ["model", "picture", "target", "layer", "map", "cell", "what"];

/** Other values for some names, null for none; `push` makes a place to go back to. */
export function go(/** @type {Changes} */ changes, push = false) {
  const rest = state.pairs().filter(([key]) => !(key in changes));
  const own = /** @type {Pairs} */ (Object.entries(changes).filter(([, value]) => value !== null && value !== ""));
  const next = [...rest, ...own];
  const placed = (/** @type {Pairs} */ pairs) => pairs.filter(([key]) => PLACE.includes(key));
  const cell = changes.cell && fitting("network/at", placed(next), placed(state.pairs()))?.find(([key]) => key === "cell");
  state.set(cell ? next.map((pair) => pair[0] === "cell" ? cell : pair) : next, { push });
}
