// How it learns: the settings of a run that are worth a handle, and how fast it goes for the eye.

import { el } from "../elements.js";

/** `changed(settings)` is called with what is set anew, `paced(pace)` with the steps a second. */
export function settings(/** @type {any} */ facts, /** @type {(next: Record<string, string>) => void} */ changed, /** @type {(pace: string) => void} */ paced) {
  const fields = facts.settings.map((/** @type {any} */ one) => {
    const id = `setting-${one.name}`;
    const input = one.choices.length
      ? el("select", { id, change: () => changed({ [one.name]: input.value }) }, ...one.choices.map((/** @type {string} */ value) => el("option", { value }, value)))
      : el("input", { id, type: "number", min: one.low, step: one.step, change: () => input.value !== "" && changed({ [one.name]: input.value }) });
    return { name: one.name, input, row: el("div", { class: "field" }, el("label", { for: id }, one.title), input, el("p", {}, one.says)) };
  });
  const pace = el("select", { id: "pace", change: () => paced(pace.value) }, ...facts.paces.map((/** @type {[string, string]} */ [value, words]) => el("option", { value }, words)));
  const element = el("div", { class: "fields", "data-live": true }, el("div", { class: "field" }, el("label", { for: "pace" }, "Speed"), pace), ...fields.map((/** @type {any} */ one) => one.row));

  return {
    element,
    update(/** @type {(name: string) => string} */ first) {
      for (const { name, input } of fields) {
        const text = input.type === "number" && Number.isNaN(Number(first(name))) ? "" : first(name);
        if (document.activeElement !== input && input.value !== text) input.value = text;
      }
      pace.value = first("pace_");
    },
  };
}
