// Where the score comes from, told by several methods side by side, and by the strongest paths from it back to pixels.

import { ask } from "../ask.js";
import { el } from "../elements.js";
import { tools } from "../figure.js";
import { told } from "../numbers.js";
import { tell } from "../speak.js";
import { state } from "../state.js";
import { first, go } from "./address.js";

/** @typedef {[string, string][]} Pairs */

const PATHS = 5;

/** `methods` by name; `went(place)` is called with the place of a step that is chosen; `working` says that something takes long. */
export function attributions(/** @type {string[]} */ methods, /** @type {(place: any) => void} */ went, /** @type {(promise: Promise<any>) => Promise<any>} */ working) {
  const chips = methods.map((name) => el("button", { type: "button", "data-method": name, "data-asks": "method", "data-name": name, click: () => toggle(name) }, name));
  const grid = el("div", { class: "beside" }), hint = el("p", { class: "caption" });
  const walk = el("button", { type: "button", "data-live": true, "aria-pressed": "false", click: () => go({ walk: first("walk") ? null : String(PATHS) }, true) }, "Strongest paths back");
  const drawn = el("div", { class: "heat" }), list = el("ol", { class: "paths" }), said = el("p", { class: "said" }), kept = tools();
  const paths = el("div", { hidden: true }, said, el("div", { class: "walked" }, drawn, list), kept.element);
  const element = el("details", { class: "stage", "aria-label": "Attributions side by side" },
    el("summary", {}, el("h2", {}, "Attributions side by side, and the strongest paths back")), el("div", { class: "chips", role: "group", "aria-label": "Methods" }, ...chips, walk), hint, grid, paths);
  let shown = "", walked = "", turn = 0;

  function toggle(/** @type {string} */ name) {
    const on = state.all("beside");
    const next = on.includes(name) ? on.filter((one) => one !== name) : [...on, name];
    state.set([...state.pairs().filter(([key]) => key !== "beside"), ...next.map((one) => /** @type {[string, string]} */ (["beside", one]))], { push: true });
  }

  function figure(/** @type {string} */ name) {
    const place = el("div", { class: "heat", "aria-busy": "true" }, el("p", {}, `${name} is computed`)), own = tools();
    return { element: el("figure", { class: "figure", "data-method": name }, el("figcaption", {}, name), place, own.element), place, own };
  }

  /** One method after the other, so that the first is soon there. */
  async function beside(/** @type {Pairs} */ look) {
    const chosen = [...new Set(state.all("beside"))]; // what is no method of these the answer says
    const key = JSON.stringify([look, chosen]);
    if (key === shown) return;
    shown = key;
    const mine = ++turn;
    hint.textContent = chosen.length ? `${chosen.filter((name) => methods.includes(name)).length} of ${methods.length} methods; each has a scale of its own, for they measure different things.` : "Choose methods to see their answers side by side: where they agree, more is to be believed.";
    const figures = chosen.map(figure);
    grid.replaceChildren(...figures.map((one) => one.element));
    for (const [k, { place, own }] of figures.entries()) {
      const pairs = /** @type {Pairs} */ ([...look, ["method", chosen[k]]]);
      try {
        const found = await working(ask("attribute.drawn", pairs));
        if (mine !== turn) return;
        const made = document.createElement("template");
        made.innerHTML = found.part;
        place.replaceChildren(made.content);
        own.update(found, pairs);
      } catch (error) {
        if (mine !== turn) return;
        place.replaceChildren(el("p", { class: "said" }, error instanceof Error ? error.message : String(error)));
      }
      place.removeAttribute("aria-busy");
    }
    if (figures.length) tell(`${chosen.join(", ")}: there`);
  }

  function path(/** @type {any} */ one, /** @type {number} */ k) {
    const step = (/** @type {any} */ each) => {
      const name = `${each.layer}${each.index.length ? `[${each.index}]` : ""}`, value = el("span", { class: "soft", "data-value": each.value }, ` ${told(each.value)}`);
      return each.place ? el("span", {}, el("button", { type: "button", class: "link", click: () => went(each.place) }, name), value) : el("span", {}, name, value);
    };
    return el("li", {}, el("b", { "data-value": one.share, "data-name": `path ${k + 1}` }, `${told(100 * Number(one.share))}%`), " of the score: ", ...one.steps.flatMap((/** @type {any} */ each, /** @type {number} */ n) => n ? [" ← ", step(each)] : [step(each)]));
  }

  async function back(/** @type {Pairs} */ look) {
    const count = first("walk");
    walk.setAttribute("aria-pressed", String(Boolean(count)));
    paths.hidden = !count;
    if (!count) { walked = ""; return; }
    const key = JSON.stringify([look, count]);
    if (walked === key) return;
    walked = key;
    drawn.setAttribute("aria-busy", "true");
    try {
      const found = await working(ask("network/walk", [...look, ["count", count]]));
      if (walked !== key) return;
      said.textContent = found.words;
      list.replaceChildren(...found.paths.map(path));
      const made = document.createElement("template");
      made.innerHTML = found.part;
      drawn.replaceChildren(made.content);
      kept.update(found, found.pairs);
    } catch (error) {
      if (walked !== key) return;
      said.textContent = error instanceof Error ? error.message : String(error);
      list.replaceChildren();
      drawn.replaceChildren();
    }
    drawn.removeAttribute("aria-busy");
  }

  return {
    element,
    /** `why` says why nothing can be attributed, "" where it can. */
    update(/** @type {Pairs} */ look, why = "") {
      const on = why ? [] : state.all("beside");
      for (const button of [...chips, walk]) { button.disabled = Boolean(why); button.title = why; }
      if (why) { turn += 1; shown = walked = ""; hint.textContent = `There is no score to explain here: ${why}.`; grid.replaceChildren(); paths.hidden = true; return; }
      if (on.length || first("walk")) element.open = true;
      for (const chip of chips) chip.setAttribute("aria-pressed", String(on.includes(chip.dataset.method ?? "")));
      beside(look);
      back(look);
    },
  };
}
