// Who carries what the page asks to who answers: the server it came from, unless the page is a copy or stands in a notebook.

/** @typedef {{method?: string, body?: Blob | string | null, keepalive?: boolean}} How */
/** @typedef {{ok: boolean, status: number, bytes: () => Promise<ArrayBuffer>}} Carried */
/** @typedef {[string, string][]} Pairs */
/** @typedef {(address: string, how: How) => Promise<Carried>} Carrier */

/** @type {Carrier} */
async function server(address, how) {
  const response = await fetch(address, { ...how, headers: { accept: "application/json" } }).catch((error) => {
    throw error instanceof TypeError ? new Problem({ title: "The lab does not answer", remedy: "Does `pellucid lab` still run where it was started?" }) : error;
  });
  return { ok: response.ok, status: response.status, bytes: () => response.arrayBuffer() };
}

let carrier = server;
/** @type {(name: string, next: Pairs, before: Pairs) => Pairs | null} */
let fit = (_, next) => next;

/** From now on another one carries; `nearest` says what it can answer in the place of a question. */
export function carriedBy(/** @type {Carrier} */ other, /** @type {typeof fit} */ nearest = fit) {
  [carrier, fit] = [other, nearest];
}

/** The question that is asked where it shall be `next` and was `before`: itself, unless a copy has only others; null where it has none. */
export function fitting(/** @type {string} */ name, /** @type {Pairs} */ next, /** @type {Pairs} */ before) {
  return fit(name, next, before);
}

/** A problem as the server tells it. */
export class Problem extends Error {
  constructor(/** @type {{title?: string, detail?: string, remedy?: string}} */ told) {
    super([told.detail || told.title, told.remedy].filter(Boolean).join("\n"));
  }
}

/** The bytes at an address such as `api/v1/networks`; throws a `Problem`. */
export async function bytesOf(/** @type {string} */ address, /** @type {How} */ how = {}) {
  const carried = await carrier(address, how);
  const bytes = await carried.bytes();
  if (carried.ok) return bytes;
  let told = { title: `the server answered ${carried.status}` };
  try { told = JSON.parse(new TextDecoder().decode(bytes)); } catch { /* a proxy's own page: its number says it */ }
  throw new Problem(told);
}

/** What an address answers; throws a `Problem`. */
export async function jsonOf(/** @type {string} */ address, /** @type {How} */ how = {}) {
  return JSON.parse(new TextDecoder().decode(await bytesOf(address, how)));
}
