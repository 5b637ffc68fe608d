// A number to drag or to type: a slider and a field, which say the same.

import { el } from "./elements.js";

/**
 * A list of handles: `update(values)` shows values by name. A slider that is `log` goes by doublings. `set(name, text)` hears of changes.
 */
export function handles(/** @type {{name: string, words?: string, low: number, high: number, step?: number, log?: boolean, asks?: string}[]} */ all, /** @type {(name: string, text: string) => void} */ set) {
  const rows = new Map(all.map((one) => {
    const onto = (/** @type {number} */ value) => one.log ? Math.log2(value) : value;
    const back = (/** @type {number} */ place) => one.log ? Math.round(2 ** place) : place;
    const words = one.words ?? one.name.replaceAll("_", " ");
    const range = el("input", { type: "range", min: onto(one.low), max: onto(one.high), step: one.log ? 0.01 : one.step ?? 1, "aria-label": `${words}, slider`, input: () => set(one.name, String(back(Number(range.value)))),
      keydown: (/** @type {KeyboardEvent} */ event) => {
        const by = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1 }[event.key];
        if (!one.log || !by) return;
        event.preventDefault(); // a step is one, however far along the slider
        set(one.name, String(Math.max(one.low, Math.min(one.high, Number(field.value) + by))));
      } });
    const field = el("input", { type: "number", min: one.low, step: one.step ?? 1, "aria-label": words, input: () => Number.isFinite(field.valueAsNumber) && set(one.name, field.value) });
    const row = el("li", { class: "handle", "data-log": one.log ?? null, "data-asks": one.asks ?? null, "data-name": one.name, "data-part": one.name.replaceAll("_", "-") }, el("span", {}, words), range, field);
    return [one.name, { row, range, field, onto }];
  }));
  return {
    element: el("ul", { class: "handles" }, ...[...rows.values()].map(({ row }) => row)),
    update(/** @type {Record<string, number>} */ values) {
      for (const [name, value] of Object.entries(values)) {
        const found = rows.get(name);
        if (!found) continue;
        found.range.value = found.onto(value);
        found.range.setAttribute("aria-valuetext", String(value));
        if (found.field.valueAsNumber !== value) found.field.value = value;
      }
    },
  };
}
