// What a network takes beside the picture, or in its place: a field for each input, for numbers, random ones, or an array from a file.

import { turn } from "../ask.js";
import { jsonOf } from "../carrier.js";
import { el } from "../elements.js";
import { complain, tell } from "../speak.js";
import { state } from "../state.js";

/** @typedef {[string, string][]} Pairs */
/** @typedef {{name: string, says: string, usual: string, optional: boolean}} Input */

const value = (/** @type {Input} */ one) => state.all("input").find((pair) => pair.startsWith(`${one.name}=`))?.slice(one.name.length + 1) ?? one.usual;

export function inputs() {
  const note = el("p", { class: "caption" }), fields = el("div", { class: "row" });
  const element = el("section", { class: "inputs", "aria-label": "What else the network takes", hidden: true }, note, fields);
  let known = /** @type {Input[]} */ ([]);

  function put(/** @type {Input} */ one, /** @type {string} */ text) {
    const others = known.filter((each) => each !== one).map((each) => [each.name, value(each)]);
    const all = [...others, [one.name, text.trim()]].filter(([, what]) => what).map(([name, what]) => /** @type {[string, string]} */ (["input", `${name}=${what}`]));
    state.set([...state.pairs().filter(([key]) => key !== "input"), ...all], { push: true });
  }

  async function send(/** @type {Input} */ one, /** @type {File | undefined} */ file) {
    if (!file) return;
    complain("");
    const isWanted = turn(`input ${one.name}`, () => value(one));
    try {
      const told = await jsonOf("api/v1/pictures", { method: "POST", body: file });
      if (!isWanted()) return;
      put(one, told.picture);
      tell("the array is there");
    } catch (error) {
      if (isWanted()) complain(error instanceof Error ? error.message : String(error));
    }
  }

  function field(/** @type {Input} */ one, /** @type {number} */ k) {
    const id = `input-${k}`;
    const text = el("input", { type: "text", id, "data-live": true, "data-input": one.name, autocomplete: "off", placeholder: one.optional ? "left out" : "5, [1, 2] or random:0", change: () => put(one, text.value) });
    const file = el("input", { type: "file", accept: ".npy", "aria-label": `An array for ${one.name}`, change: () => send(one, file.files[0]) });
    return el("span", { class: "row input" }, el("label", { for: id }, one.says), text, el("span", { class: "drop" }, "or a .npy file: ", file));
  }

  return {
    element,
    /** The inputs that a network takes beside its first; `note` says why it is given no picture. */
    update(/** @type {Input[]} */ next, /** @type {string} */ why) {
      if (JSON.stringify(next) !== JSON.stringify(known)) {
        known = next;
        fields.replaceChildren(...next.map(field));
      }
      for (const one of known) { const text = /** @type {HTMLInputElement | null} */ (fields.querySelector(`[data-input="${CSS.escape(one.name)}"]`)); if (text) text.value = value(one); }
      note.textContent = [why, next.length ? "It takes more than one thing: numbers as 5 or [[1, 2], [3, 4]], random:0 for random ones drawn from the seed 0 (whole numbers are 0), or an array." : ""].filter(Boolean).join(" ");
      element.hidden = !note.textContent;
    },
    /** As a view is asked. @returns {Pairs} */
    pairs: () => known.flatMap((one) => value(one) ? [/** @type {[string, string]} */ (["input", `${one.name}=${value(one)}`])] : []),
  };
}
