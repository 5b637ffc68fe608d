// Other numbers in the network: the list of edits, a field for one, and buttons for the numbers that make a map. The file stays as it is.

import { el } from "../elements.js";
import { told } from "../numbers.js";
import { tell } from "../speak.js";
import { state } from "../state.js";
import { go } from "./address.js";

/** Adds an edit to the address. */
export function edit(/** @type {string} */ text) {
  state.set([...state.pairs(), ["edit", text]], { push: true });
  tell(`edit ${text}`);
}

function without(/** @type {number} */ place) {
  let k = 0;
  const gone = state.all("edit")[place];
  state.set(state.pairs().filter(([key]) => key !== "edit" || k++ !== place), { push: true });
  tell(`${gone} taken back`);
}

/** The list, and a field that adds to it. */
export function edits() {
  const names = el("datalist", { id: "edit-names" });
  const field = el("input", { type: "text", id: "edit", list: "edit-names", autocomplete: "off", spellcheck: "false", placeholder: "a parameter[index]=number" });
  const list = el("ol", { class: "edits", "aria-label": "Edits, one after another" });
  const clear = el("button", { type: "button", hidden: true, click: () => go({ edit: null }, true) }, "Take all back");
  const says = el("p", { class: "caption" });
  const form = el("form", { class: "row", submit: add }, el("label", { for: "edit" }, "Edit"), field, el("button", { type: "submit" }, "Edit"), clear, names);
  const element = el("section", { class: "stage", "aria-label": "Edits", "data-live": true }, form, list, says);

  function add(/** @type {Event} */ event) {
    event.preventDefault();
    const text = field.value.trim();
    if (!text) return;
    field.value = "";
    edit(text);
  }

  return {
    element,
    /** What the address says. */
    update() {
      const all = state.all("edit");
      list.replaceChildren(...all.map((text, k) => el("li", {}, el("code", {}, text), " ", el("button", { type: "button", class: "link", "aria-label": `Take back ${text}`, click: () => without(k) }, "take back"))));
      clear.hidden = all.length < 2;
      says.textContent = all.length ? "All numbers of this page are those of the edited network. Ctrl+Z takes back the last edit; the file is never changed."
        : "Any weight, bias or statistic can be another: name=0, name*=2, name=original; a part is name[index]. All later numbers follow; the file stays as it is.";
    },
    /** The names that may be edited. */
    names(/** @type {string[]} */ known) {
      names.replaceChildren(...known.map((value) => el("option", { value: `${value}=0` })));
    },
    /** Puts an edit into the field, to be changed before it is made. */
    begin(/** @type {string} */ at, /** @type {unknown} */ value) {
      field.value = `${at}=${value}`;
      field.focus();
      field.setSelectionRange(at.length + 1, field.value.length);
    },
  };
}

/** The numbers that make a map, each part with what can be done to it. `begun(at, value)` is called with one that is to be typed. */
export function numbers(/** @type {(at: string, value: unknown) => void} */ begun) {
  const element = el("div", { class: "numbers", "data-live": true, role: "group", "aria-label": "The numbers that make this map" });
  const act = (/** @type {string} */ words, /** @type {string} */ text) => el("button", { type: "button", "aria-label": `${words}: ${text}`, click: () => edit(text) }, words);

  function row(/** @type {any} */ part) {
    const one = part.size === 1;
    const value = one ? [part.values].flat(9)[0] : 0;
    const spread = one ? [el("b", { "data-value": value, "data-name": part.at }, told(value))]
      : [`${part.size.toLocaleString("en")} numbers from `, el("b", { "data-value": part.min }, told(part.min)), " to ", el("b", { "data-value": part.max }, told(part.max))];
    return el("li", {}, el("code", {}, part.at), el("span", {}, ...spread), el("span", { class: "row" }, act("Zero", `${part.at}=0`), act("Double", `${part.at}*=2`), act("Negate", `${part.at}*=-1`),
      el("button", { type: "button", "aria-label": `Another number for ${part.at}`, click: () => begun(part.at, one ? value : 1) }, "Other …"), ...(part.edited ? [act("Restore", `${part.at}=original`)] : [])));
  }

  return {
    element,
    update(/** @type {any} */ found) {
      element.replaceChildren(el("h3", {}, "The numbers that make it"), found.parts.length ? el("ul", {}, ...found.parts.map(row)) : el("p", { class: "said" }, "It has no weights of its own."));
    },
  };
}
