// A stage's answer: worked on when it is asked for, with a bar meanwhile, drawn as the command draws it, each figure with its tools.

import { drawn, el } from "../elements.js";
import { tools } from "../figure.js";
import { eachKept } from "../figures.js";
import { bar, worked } from "../job.js";
import { complain, tell } from "../speak.js";

/** @typedef {[string, string][]} Pairs */

/**
 * An answer of `question`; `ready` hears of each that is drawn. `ask(null)` shows none; it says whether something else is asked than before.
 * @returns {{elements: HTMLElement[], ask: (pairs: Pairs | null) => boolean}}
 */
export function asked(/** @type {string} */ question, /** @type {(found: any, shown: HTMLElement) => void} */ ready) {
  const shown = el("div", { class: "answer", hidden: true }), kept = tools();
  let ending = new AbortController(), last = "";
  const far = bar(() => ending.abort());
  kept.element.hidden = true;
  return { elements: [far.element, shown, kept.element], ask };

  function ask(/** @type {Pairs | null} */ pairs) {
    const wanted = pairs ? JSON.stringify(pairs) : "";
    if (wanted === last) return false;
    last = wanted;
    ending.abort();
    complain("");
    if (pairs) find(pairs);
    else shown.removeAttribute("aria-busy");
    shown.hidden = kept.element.hidden = true;
    return true;
  }

  async function find(/** @type {Pairs} */ pairs) {
    const mine = ending = new AbortController();
    shown.setAttribute("aria-busy", "true");
    try {
      const found = await worked({ question, query: pairs, form: "drawn" }, (job) => { if (!mine.signal.aborted) far.update(job); }, mine.signal);
      if (mine !== ending) return;
      if (found === null) { last = ""; tell("the work was ended"); return; }
      shown.replaceChildren(drawn(found.part));
      shown.hidden = kept.element.hidden = false;
      eachKept(shown, found, pairs, kept);
      ready(found, shown);
    } catch (problem) {
      if (mine === ending) complain(problem instanceof Error ? problem.message : String(problem));
    } finally {
      if (mine === ending) { far.update(null); shown.removeAttribute("aria-busy"); }
    }
  }
}
