// Functions by name over one another, each with settings of its own, as a question takes them: elu, relu, elu.alpha=2; of a single one alpha=2 is enough.

import { tell } from "./speak.js";

/** @typedef {Record<string, Record<string, number>>} Settings */
/** @typedef {ReturnType<typeof import("./question.js").question>} Question */

const plainName = (/** @type {string} */ name) => name.replaceAll("-", "_");

/** The names among such texts. */
function namesOf(/** @type {string[]} */ texts) {
  return texts.filter((text) => !text.includes("=")).map(plainName);
}

/** What is set of each: as the curves that are shown have it, and what was asked for since. @returns {Settings} */
function settingsOf(/** @type {string[]} */ texts, /** @type {{name: string, settings: Record<string, number>}[]} */ curves) {
  const found = /** @type {Settings} */ (Object.fromEntries(curves.map((curve) => [curve.name, { ...curve.settings }])));
  for (const text of texts.filter((one) => one.includes("="))) {
    const [path, value] = text.split("="), [setting, owner] = path.split(".").reverse();
    (found[plainName(owner ?? namesOf(texts)[0])] ??= {})[setting] = Number(value);
  }
  return found;
}

/** The texts of functions with their settings. */
function textsOf(/** @type {string[]} */ names, /** @type {Settings} */ settings) {
  const own = (/** @type {string} */ name) => names.length === 1 ? "" : `${name}.`;
  return [...names, ...names.flatMap((name) => Object.entries(settings[name] ?? {}).map(([setting, value]) => `${own(name)}${setting}=${value}`))];
}

/** The functions that a question asks about, of those that are `known`: a `kind` of function, of which one stays. What was refused is no part of what is asked next. */
export function functions(/** @type {Question} */ asked, /** @type {string[]} */ known, /** @type {string} */ kind) {
  const all = () => asked.all("names");
  const one = {
    names: () => namesOf(all()).filter((name) => known.includes(name)),
    /** The curves of the answer: one, or several by name; none before there is one. @returns {any[]} */
    curves: () => !asked.found ? [] : asked.found.x ? [asked.found] : Object.values(asked.found),
    settings: () => asked.found ? settingsOf(all(), one.curves()) : {},
    /** Other functions, each with what is set of it. */
    change(/** @type {string[]} */ chosen, /** @type {Settings} */ set) {
      asked.change([...textsOf(chosen, set).map((text) => /** @type {[string, string]} */ (["names", text])), ...asked.pairs.filter(([key]) => key !== "names")]);
    },
    toggle(/** @type {string} */ name) {
      const names = one.names(), chosen = names.includes(name) ? names.filter((other) => other !== name) : [...names, name];
      if (chosen.length) one.change(chosen, one.settings());
      else tell(`one ${kind} stays`);
    },
  };
  return one;
}
