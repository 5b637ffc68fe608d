// The data to learn from: sets of points with their noise, pictures, a table or points painted by hand.

import { turn } from "../ask.js";
import { jsonOf } from "../carrier.js";
import { el } from "../elements.js";
import { complain, tell } from "../speak.js";
import { sign } from "./plane.js";

/** @typedef {{sets: {name: string, says: string}[], names: string[], painted: string, start: string, usual: {count: number, noise: number, seed: number}, most: number, classes: string[]}} Facts */

/** What a text says of a set of points: its name and settings. */
export function parsed(/** @type {string} */ data) {
  const [name, ...words] = data.trim().split(/\s+/);
  return { name, settings: Object.fromEntries(words.map((word) => word.split("=")).filter(([, value]) => value !== undefined)) };
}

/** `changed(data)` is called with what the data is to be called, `sized(side)` with the side that pictures are scaled to. */
export function chooser(/** @type {Facts} */ facts, /** @type {(data: string) => void} */ changed, /** @type {(side: string) => void} */ sized) {
  let data = "", classes = /** @type {string[]} */ (facts.classes), chosen = 0;
  /** What was painted and is too long for an address, by the name that the server gave it; and what is on its way there. @type {Map<string, string>} */
  const sent = new Map();
  let sending = "";
  const sets = el("div", { class: "chips", role: "group", "aria-label": "Points of a plane" },
    ...facts.sets.map(({ name, says }) => chip(name, name, says)), chip(facts.painted, "paint my own", "Click on the plane, or walk over it with the arrow keys and press Enter"));
  const others = el("div", { class: "chips", role: "group", "aria-label": "Pictures" }, ...facts.names.map((name) => chip(name, name, "")));
  const noise = number("noise", 0, 0.5, 0.05), count = number("count", 20, 2000, 10);
  const again = el("button", { type: "button", click: () => put("seed", String(Number(parsed(data).settings.seed ?? facts.usual.seed) + 1)) }, "New points");
  const ofSets = el("div", {}, noise.row, count.row, el("p", { class: "row" }, again));
  const brushes = el("div", { class: "chips", role: "group", "aria-label": "The class that is painted" });
  const ofPainted = el("div", {}, el("p", { class: "caption" }, "Click on the plane to set a point, Shift and click to take one away; by keyboard: arrows, Enter, Delete."), brushes,
    el("p", { class: "row" }, el("button", { type: "button", click: () => changed(facts.start) }, "Begin anew")));
  const side = el("input", { id: "side", type: "number", min: 0, max: 1024, step: 1, change: () => sized(side.value || "0") });
  const ofFolders = el("div", { class: "row" }, el("label", { for: "side" }, "Scale pictures to a side of"), side, el("span", { class: "soft" }, "pixels, 0: as they are"));
  const files = el("input", { type: "file", accept: ".csv,text/csv", "aria-label": "A table of points: x, y and a class on each line", change: () => keep(files.files[0]).then(there) });
  const drop = el("div", { class: "drop", "data-part": "table", dragover: (/** @type {DragEvent} */ event) => event.preventDefault(),
    drop: (/** @type {DragEvent} */ event) => { event.preventDefault(); keep(event.dataTransfer?.files[0]).then(there); } }, "A table of points (x, y, class), CSV: ", files);
  const element = el("div", { "data-live": true }, sets, ofSets, ofPainted, others, ofFolders, el("details", {}, el("summary", {}, "From a table"), drop));

  function chip(/** @type {string} */ name, /** @type {string} */ words, /** @type {string} */ says) {
    return el("button", { type: "button", "data-name": name, title: says || null, click: () => changed(name === facts.painted ? facts.start : name) }, words);
  }

  function number(/** @type {string} */ name, /** @type {number} */ low, /** @type {number} */ high, /** @type {number} */ step) {
    const range = el("input", { type: "range", min: low, max: high, step, "aria-label": `${name}, slider`, input: () => put(name, range.value) });
    const field = el("input", { type: "number", min: low, step: "any", "aria-label": name, input: () => field.value !== "" && put(name, field.value) });
    return { row: el("div", { class: "handle", "data-name": name }, el("span", {}, name), range, field), fill: (/** @type {number} */ value) => { for (const input of [range, field]) if (Number(input.value) !== value) input.value = String(value); } };
  }

  function put(/** @type {string} */ name, /** @type {string} */ value) {
    const { name: set, settings } = parsed(data);
    const next = { ...settings, [name]: value };
    changed([set, ...Object.entries(facts.usual).flatMap(([key, usual]) => key in next && Number(next[key]) !== usual ? [`${key}=${next[key]}`] : [])].join(" "));
  }

  /** Sends a table, or `painted` points; says whether it is there, and still wanted. */
  async function keep(/** @type {Blob | undefined} */ file, painted = "") {
    if (!file) return false;
    complain("");
    const isWanted = turn(changed, () => data);
    try {
      const told = await jsonOf("api/v1/points", { method: "POST", body: file });
      if (painted) sent.set(told.data, painted);
      if (!isWanted()) return false;
      changed(told.data);
      return true;
    } catch (problem) {
      if (isWanted()) complain(problem instanceof Error ? problem.message : String(problem));
      return false;
    } finally {
      if (sending === painted) sending = "";
    }
  }

  const isSet = () => facts.sets.some(({ name }) => name === parsed(data).name);
  const isSent = () => /^[0-9a-f]{20}$/.test(data);
  const written = () => sending || (sent.get(data) ?? data);
  const isPainted = () => parsed(written()).name === facts.painted;
  const rows = () => written().slice(facts.painted.length).split(";").map((row) => row.trim()).filter(Boolean);
  const there = (/** @type {boolean} */ is) => { if (is) tell("the table is there"); };

  function paintedAs(/** @type {string[]} */ next) {
    const text = `${facts.painted} ${next.join("; ")}`;
    if (new URLSearchParams([["data", text]]).toString().length <= facts.most) { sending = ""; changed(text); return; }
    sending = text; // whoever paints on does so on all of it
    keep(new Blob([next.join("\n")]), text);
  }

  /** The mark of a class: of one that is not painted yet, one that none has. */
  const marked = (/** @type {string} */ kind, /** @type {string[]} */ own) => own.includes(kind) ? own.indexOf(kind) : own.length + classes.filter((one) => !own.includes(one)).indexOf(kind);

  return {
    element,
    isPainting: () => isPainted(),
    /** More that may be chosen: folders of pictures. */
    offer(/** @type {string[]} */ names) {
      others.append(...names.filter((name) => !facts.names.includes(name)).map((name) => chip(name, `${name}/`, "A folder of pictures")));
      for (const one of others.children) one.setAttribute("aria-pressed", String(one.dataset.name === data));
    },
    isPoints: (/** @type {string} */ name) => facts.sets.some((one) => one.name === parsed(name).name) || parsed(name).name === facts.painted || /^[0-9a-f]{20}$/.test(name),
    paint(/** @type {number} */ x, /** @type {number} */ y) { paintedAs([...rows(), `${Number(x.toFixed(2))},${Number(y.toFixed(2))},${classes[chosen]}`]); tell(`${classes[chosen]} at ${x.toFixed(1)}, ${y.toFixed(1)}`); },
    /** Takes the nearest point away. */
    wipe(/** @type {number} */ x, /** @type {number} */ y) {
      const far = (/** @type {string} */ row) => { const [a, b] = row.split(",").map(Number); return Math.hypot(a - x, b - y); };
      const all = rows(), nearest = all.reduce((best, row, k) => far(row) < far(all[best]) ? k : best, 0);
      if (all.length > 2) paintedAs(all.filter((_, k) => k !== nearest));
    },
    update(/** @type {string} */ next, /** @type {string[]} */ own, /** @type {string} */ size) {
      if (next !== data) sending = "";
      data = next;
      const { name, settings } = parsed(data);
      for (const one of [...sets.children, ...others.children]) one.setAttribute("aria-pressed", String(one.dataset.name === (isPainted() ? facts.painted : name) || one.dataset.name === data));
      ofSets.hidden = !isSet();
      ofPainted.hidden = !isPainted();
      ofFolders.hidden = facts.names.includes(data) || isSet() || isPainted() || isSent();
      if (document.activeElement !== side) side.value = size || "0";
      noise.fill(Number(settings.noise ?? facts.usual.noise));
      count.fill(Number(settings.count ?? facts.usual.count));
      classes = isPainted() ? [...new Set([...facts.classes, ...own])] : own;
      brushes.replaceChildren(...classes.map((kind, k) => el("button", { type: "button", "aria-pressed": String(k === chosen), "data-name": `brush-${kind}`, click: () => { chosen = k; for (const [n, one] of [...brushes.children].entries()) one.setAttribute("aria-pressed", String(n === k)); } }, sign(marked(kind, own)), ` ${kind}`)));
    },
  };
}
