// What the browser keeps between pages; where it keeps nothing, as in a frame of another site, it is remembered as long as the page is there.

/** @type {Map<string, string>} */
const here = new Map();

/** @returns {Storage | null} */
function kept(/** @type {"localStorage" | "sessionStorage"} */ where) {
  try { return window[where]; } catch { return null; } // reading the name alone is refused
}

export function read(/** @type {"localStorage" | "sessionStorage"} */ where, /** @type {string} */ name) {
  const store = kept(where);
  return store ? store.getItem(name) : here.get(`${where} ${name}`) ?? null;
}

/** Keeps a text, or forgets it where it is empty. */
export function keep(/** @type {"localStorage" | "sessionStorage"} */ where, /** @type {string} */ name, /** @type {string} */ value) {
  const store = kept(where);
  if (!store) here.set(`${where} ${name}`, value);
  else if (value) store.setItem(name, value);
  else store.removeItem(name);
}
