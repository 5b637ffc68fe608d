// What stands above the layers: the picture as the network got it, what the network says of it, and where the score comes from.

import { ask } from "../ask.js";
import { el } from "../elements.js";
import { tools } from "../figure.js";
import { told } from "../numbers.js";
import { state } from "../state.js";
import { first, go } from "./address.js";
import { pixels } from "./pixels.js";

/** @typedef {[string, string][]} Pairs */

/** The most likely classes, or the largest numbers, of a look; a press on one calls `asked`. */
export function likely(/** @type {any} */ look, /** @type {(target: string) => void} */ asked) {
  return el("ol", { class: "likely" }, ...look.top.map((/** @type {any} */ row) => {
    const name = row.class ?? row.target, kind = "probability" in row ? "probability" : "score" in row ? "score" : "value", value = row[kind];
    const share = (/** @type {unknown} */ number) => kind === "probability" ? `${(100 * Number(number)).toFixed(1)}%` : told(number);
    return el("li", {}, el("button", { type: "button", class: "link", "data-asks": "target", "data-value": name, title: `Ask about ${name}`, click: () => asked(name) }, name),
      ...(kind === "probability" ? [el("meter", { min: 0, max: 1, value, "aria-label": `probability of ${name}` })] : []), el("span", { class: "number", "data-value": value }, share(value)), ...(look.before ? [el("span", { class: "was" }, "was ", el("span", { "data-value": row.before, "data-name": "before" }, share(row.before)))] : []));
  }));
}

const TOP = 5;

/** As many lines as there will be, while what the network says is asked. */
function awaited() {
  return el("ol", { class: "likely", "aria-busy": "true", "aria-label": "asking" }, ...Array.from({ length: TOP }, () => el("li", {}, "…")));
}

/** `methods` are those of attribution; `working` says that something takes long. */
export function front(/** @type {string[]} */ methods, /** @type {(promise: Promise<any>) => Promise<any>} */ working) {
  const given = el("div", { class: "maps pair" }), scores = el("div", { class: "scores" }), heat = el("div", { class: "heat", tabindex: 0, role: "group", "aria-label": "Attribution" });
  const method = el("select", { id: "method", "data-asks": "method", change: () => go({ method: method.value }) }, ...methods.map((name) => el("option", { value: name }, name)));
  const kept = tools();
  const element = el("div", { class: "front" },
    el("section", { class: "stage", "aria-label": "The picture" }, el("h2", {}, "The picture"), given),
    el("section", { class: "stage", "aria-label": "The prediction" }, el("h2", {}, "What the network says"), scores),
    el("section", { class: "stage", "aria-label": "Attribution" }, el("p", { class: "row" }, el("h2", {}, el("label", { for: "method" }, "Where the score comes from")), method), heat, kept.element));
  let overview = /** @type {any} */ (null), said = /** @type {any} */ (null), attributed = "", looked = /** @type {Pairs} */ ([]);

  /** A frame over a picture: rows and columns, ends excluded. */
  function frame(/** @type {string} */ kind, /** @type {[number, number][]} */ [rows, wide], /** @type {number} */ high, /** @type {number} */ across, /** @type {string} */ name) {
    const box = el("span", { class: `field ${name}` });
    box.style.top = `${100 * rows[0] / high}%`;
    box.style.height = `${100 * (rows[1] - rows[0]) / high}%`;
    box.style.left = `${100 * wide[0] / across}%`;
    box.style.width = `${100 * (wide[1] - wide[0]) / across}%`;
    given.querySelector(kind)?.append(box);
  }

  function pictures() {
    const figure = (/** @type {string} */ name, /** @type {any} */ shown, /** @type {string} */ words, /** @type {string} */ kind, /** @type {any} */ reader = null) => el("figure", { class: "figure" }, el("figcaption", {}, name), el("span", { class: `framed ${kind}` }, el("img", { src: shown.png, alt: name, ...reader?.attributes })), el("p", { class: "caption" }, words), ...(reader ? [reader.words] : []));
    const size = (/** @type {number[]} */ [rows, wide]) => `${wide}×${rows} pixels`;
    given.replaceChildren(
      ...(overview.original ? [figure("As it is", overview.original, `${size(overview.original.size)}; the network is given what is in the dashed frame`, "original")] : []),
      ...(overview.given ? [figure("As the network got it", overview.given, `${size(overview.given.size)}; point at one, or walk with the arrow keys, for the numbers that the network got`, "got", pixels(overview.given.size, () => looked))] : [el("p", {}, "What the network was given is no picture: its numbers are the first of the layers below.")]));
    const part = overview.original?.given;
    if (part) {
      const [rows, wide] = overview.original.size;
      frame(".original", part, rows, wide, "part");
    }
  }

  function classes() {
    scores.replaceChildren(
      said ? likely(said, (target) => go({ target }, true)) : awaited(),
      ...(said?.note ? [el("p", { class: "said" }, said.note)] : []),
      ...(said?.before ? [el("p", { class: "said" }, `Before the edits: ${said.before.class || said.before.place} was first; the score asked about was `, el("b", { "data-value": said.before.score, "data-name": "score before" }, told(said.before.score)), ".")] : []),
      ...(!said && state.all("edit").length ? [el("p", { class: "said" }, "Before the edits: …")] : []),
      el("p", { class: "said" }, "Asked about: ", el("b", {}, overview.class || overview.place), overview.no_gradient ? ", which is " : ", score ", el("b", { "data-value": overview.score, "data-name": "score" }, told(overview.score)),
        ...(overview.probability === null ? [] : [", probability ", el("b", { "data-value": overview.probability, "data-name": "probability" }, told(overview.probability))]), ". This is inference: dropout is off, normalization uses what was learned."));
  }

  return {
    element,
    /** The picture, before the score is known. */
    begin(/** @type {any} */ next) {
      overview = next;
      pictures();
      scores.replaceChildren(awaited(), el("p", { class: "said" }, "Asked about: …"));
    },

    /** The picture, and the score that is asked about. */
    update(/** @type {any} */ next) {
      const same = ["given", "original"].every((name) => overview?.[name]?.png === next[name]?.png);
      overview = next;
      said = null;
      if (!same || !given.hasChildNodes()) pictures();
      classes();
    },

    /** What the network says of the picture. */
    say(/** @type {any} */ next) {
      if (said === next) return;
      said = next;
      classes();
    },

    /** The attribution of what is looked at, asked once what is `before` it is there. */
    async attribute(/** @type {Pairs} */ look, /** @type {Promise<void>} */ before) {
      looked = look;
      method.disabled = Boolean(overview?.no_gradient);
      if (overview?.no_gradient) {
        attributed = "";
        heat.replaceChildren(el("p", { class: "said" }, `There is no score to explain here: ${overview.no_gradient}.`));
        return;
      }
      method.value = first("method", "grad-cam");
      const pairs = /** @type {Pairs} */ ([...look, ["method", method.value]]);
      const key = JSON.stringify(pairs);
      if (attributed === key) return;
      attributed = key;
      heat.setAttribute("aria-busy", "true");
      try {
        await before;
        if (attributed !== key) return;
        const found = await working(ask("attribute.drawn", pairs));
        if (attributed !== key) return;
        const made = document.createElement("template");
        made.innerHTML = found.part;
        heat.replaceChildren(made.content);
        kept.update(found, pairs);
      } catch (error) {
        if (attributed === key) heat.replaceChildren(el("p", { class: "said" }, error instanceof Error ? error.message : String(error)));
      } finally {
        if (attributed === key) heat.removeAttribute("aria-busy");
      }
    },

    /** What a number sees of the picture, framed; null for nothing. */
    field(/** @type {any} */ found) {
      for (const old of given.querySelectorAll(".field.seen")) old.remove();
      if (found && overview.given) frame(".got", found, overview.given.size[0], overview.given.size[1], "seen");
    },
  };
}
