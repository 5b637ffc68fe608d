// Functions by name, each with settings of its own, as a question takes them: elu, relu, elu.alpha=2; of a single one alpha=2 is enough.

/** @typedef {Record<string, Record<string, number>>} Settings */

const plainName = (/** @type {string} */ name) => name.replaceAll("-", "_");

/** The names among such texts. */
export function namesOf(/** @type {string[]} */ texts) {
  return texts.filter((text) => !text.includes("=")).map(plainName);
}

/** What is set of each: as the curves that are shown have it, and what was asked for since. @returns {Settings} */
export function settingsOf(/** @type {string[]} */ texts, /** @type {{name: string, settings: Record<string, number>}[]} */ curves) {
  const found = /** @type {Settings} */ (Object.fromEntries(curves.map((curve) => [curve.name, { ...curve.settings }])));
  for (const text of texts.filter((one) => one.includes("="))) {
    const [path, value] = text.split("="), [setting, owner] = path.split(".").reverse();
    (found[plainName(owner ?? namesOf(texts)[0])] ??= {})[setting] = Number(value);
  }
  return found;
}

/** The texts of functions with their settings. */
export function textsOf(/** @type {string[]} */ names, /** @type {Settings} */ settings) {
  const own = (/** @type {string} */ name) => names.length === 1 ? "" : `${name}.`;
  return [...names, ...names.flatMap((name) => Object.entries(settings[name] ?? {}).map(([setting, value]) => `${own(name)}${setting}=${value}`))];
}
