// The network as a list of layers: added, removed, moved and sized, each with its parameters, and all of it as Python.

import { el } from "../elements.js";
import { tell } from "../speak.js";

/** @typedef {{name: string, type: string, default: any, required: boolean}} Setting */
/** @typedef {{kind: string, says: string, start: string, settings: Setting[]}} Kind */
/** @typedef {{name: string, kind: string, shape: number[], parameters: number, text: string, settings: Record<string, any>}} Row */

const count = (/** @type {number} */ value) => value.toLocaleString("en");
const written = (/** @type {any} */ value) => Array.isArray(value) ? value.join("x") : String(value);

/** A layer as it is written: settings in their order, by name once one is left out. */
function text(/** @type {Kind} */ kind, /** @type {Record<string, string>} */ settings) {
  let gap = false;
  const words = kind.settings.flatMap(({ name }) => {
    if (!(name in settings)) { gap = true; return []; }
    return [gap ? `${name}=${settings[name]}` : settings[name]];
  });
  return [kind.kind, ...words].join(" ");
}

/** `changed(network)` is called with what the network is to be: a list of layers, or the name of a model. */
export function builder(/** @type {{kinds: Kind[], models: string[]}} */ { kinds, models }, /** @type {(network: string) => void} */ changed) {
  const known = new Map(kinds.map((one) => [one.kind, one]));
  let shown = /** @type {any} */ (null), lists = "", refused = false;
  const choice = el("select", { id: "network", change: () => changed(choice.value || lists) }, el("option", { value: "" }, "layers of my own"), ...models.map((name) => el("option", { value: name }, name)));
  const rows = el("ol", { class: "layers", "aria-label": "Layers", keydown: walk });
  const add = el("select", { id: "add-layer", "aria-label": "A layer to add" }, ...kinds.map((one) => el("option", { value: one.kind, title: one.says }, one.kind)));
  const says = el("p", { class: "caption" });
  const total = el("p", { class: "total" });
  const python = el("pre", { class: "scroll" });
  const wrong = el("p", { class: "wrong", role: "status" });
  const adding = el("p", { class: "row" }, add, el("button", { type: "button", click: () => put([...texts(), known.get(add.value)?.start ?? ""]) }, "Add"));
  add.addEventListener("change", () => { says.textContent = known.get(add.value)?.says ?? ""; });
  const element = el("div", { "data-live": true }, el("p", { class: "row" }, el("label", { for: "network" }, "Network"), choice), rows, adding, says, wrong, total,
    el("details", {}, el("summary", {}, "As Python"), python));

  /** The list as it was said last, whether it was answered yet or not; where it was refused the one that is shown. */
  const texts = () => !refused ? lists.split(",").map((one) => one.trim()).filter(Boolean) : /** @type {string[]} */ (shown?.layers.filter((/** @type {Row} */ row) => row.text).map((/** @type {Row} */ row) => row.text) ?? []);

  function put(/** @type {string[]} */ layers) { changed(layers.join(", ")); }

  function set(/** @type {number} */ place, /** @type {Row} */ row, /** @type {string} */ name, /** @type {string} */ value) {
    const own = Object.fromEntries(Object.entries(row.settings).map(([key, one]) => [key, written(one)]));
    if (value === "") delete own[name];
    else own[name] = value;
    put(texts().map((one, k) => k === place ? text(/** @type {Kind} */ (known.get(row.kind)), own) : one));
  }

  function move(/** @type {number} */ place, /** @type {number} */ by) {
    const all = texts(), to = place + by;
    if (to < 0 || to >= all.length) return;
    [all[place], all[to]] = [all[to], all[place]];
    put(all);
    tell(`layer ${place + 1} is now layer ${to + 1}`);
  }

  function drop(/** @type {number} */ place) {
    put(texts().filter((_, k) => k !== place));
    tell(`layer ${place + 1} removed`);
  }

  function walk(/** @type {KeyboardEvent} */ event) {
    const item = event.target instanceof HTMLElement ? event.target.closest("li") : null;
    const place = Number(item?.dataset.place ?? -1);
    if (place < 0 || !event.altKey) return;
    if (event.key === "ArrowUp" || event.key === "ArrowDown") { event.preventDefault(); move(place, event.key === "ArrowUp" ? -1 : 1); }
    else if (event.key === "Delete") { event.preventDefault(); drop(place); }
  }

  function field(/** @type {number} */ place, /** @type {Row} */ row, /** @type {Setting} */ one) {
    const value = row.settings[one.name] ?? one.default;
    const label = `${one.name} of layer ${place + 1}, ${row.name}`;
    if (one.type === "true or false") {
      const box = el("input", { type: "checkbox", "aria-label": label, checked: value === true, change: () => set(place, row, one.name, String(box.checked)) });
      return el("label", { class: "small" }, box, " ", one.name.replaceAll("_", " "));
    }
    const whole = one.type === "whole number" && !Array.isArray(value);
    const input = el("input", { type: whole ? "number" : "text", inputmode: "decimal", min: whole ? 0 : null, step: whole ? 1 : null, value: value === null ? "" : written(value), placeholder: one.default === null ? "as usual" : written(one.default),
      "aria-label": label, [whole ? "input" : "change"]: () => (input.value !== "" || !one.required) && set(place, row, one.name, input.value.trim()) });
    return el("label", { class: "small" }, one.name.replaceAll("_", " "), " ", input);
  }

  function item(/** @type {Row} */ row, /** @type {number} */ place, /** @type {boolean} */ listed) {
    const own = listed && row.text ? known.get(row.kind) : undefined;
    const first = own?.settings.filter((one) => one.required || one.name in row.settings) ?? [];
    const others = own?.settings.filter((one) => !first.includes(one)) ?? [];
    return el("li", { "data-place": own ? place : null, "data-layer": row.name },
      el("div", { class: "row" }, el("b", {}, row.kind), ...first.map((one) => field(place, row, one)),
        el("span", { class: "row ends" }, el("span", { class: "soft gives" }, `→ ${row.shape.join("×")}`),
        el("span", { class: "number", "data-name": "parameters", "data-value": row.parameters, title: `${row.name}: parameters` }, row.parameters ? count(row.parameters) : "-"),
        ...(own ? [
          el("button", { type: "button", class: "tiny", "aria-label": `Move layer ${place + 1} up`, disabled: place === 0, click: () => move(place, -1) }, "↑"),
          el("button", { type: "button", class: "tiny", "aria-label": `Remove layer ${place + 1}, ${row.kind}`, click: () => drop(place) }, "×")] : [el("span", { class: "soft" }, listed ? "a score each class" : "")]))),
      ...(others.length ? [el("details", {}, el("summary", { class: "small" }, "more settings"), el("div", { class: "row" }, ...others.map((one) => field(place, row, one))))] : []));
  }

  return {
    element,
    /** Shows a network as `design` answers it. */
    update(/** @type {any} */ found) {
      const focused = document.activeElement instanceof HTMLElement && rows.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
      const open = [...rows.children].map((one) => one.querySelector("details")?.open ?? false);
      shown = found;
      refused = false;
      choice.value = found.listed ? "" : models.includes(found.network) ? found.network : "";
      adding.hidden = says.hidden = !found.listed;
      const next = found.layers.map((/** @type {Row} */ row, /** @type {number} */ k) => item(row, k, found.listed));
      rows.replaceChildren(...next);
      rows.classList.toggle("many", next.length > 12);
      open.forEach((was, k) => { const more = rows.children[k]?.querySelector("details"); if (more && was && next.length === open.length) more.open = true; });
      if (focused) /** @type {HTMLElement | null} */ (rows.querySelector(`[aria-label="${CSS.escape(focused)}"]`))?.focus();
      total.replaceChildren(el("b", { "data-name": "total", "data-value": found.parameters }, count(found.parameters)), " parameters in all");
      python.textContent = found.python;
      wrong.textContent = "";
      for (const one of rows.children) one.classList.remove("bad");
    },
    /** Marks what does not fit; the network shown stays. */
    refuse(/** @type {string} */ words) {
      wrong.textContent = words;
      refused = true;
      const place = Number(/layer (\d+)/.exec(words)?.[1] ?? 0) - 1;
      rows.children[place]?.classList.add("bad");
    },
    /** What the network is to be, before it is answered. */
    begin(/** @type {string} */ network) { if (!models.includes(network)) lists = network; },
  };
}
