// Room 8: a network learns. Data, layers and settings on one side; on the other what it has learned so far, and the run's handles.

import { latest, turn } from "../ask.js";
import { jsonOf } from "../carrier.js";
import { el } from "../elements.js";
import { tools } from "../figure.js";
import { told } from "../numbers.js";
import { calm, complain, tell } from "../speak.js";
import { state } from "../state.js";
import { builder } from "../training/builder.js";
import { curves } from "../training/curves.js";
import { chooser } from "../training/data.js";
import { examples } from "../training/examples.js";
import { handles } from "../training/handles.js";
import { layers } from "../training/layers.js";
import { plane } from "../training/plane.js";
import { isLiving, runner } from "../training/runner.js";
import { settings } from "../training/settings.js";
import { snapshotTools } from "../training/keeping.js";
import { stages } from "../training/stages.js";
import { trouble } from "../training/trouble.js";
import { work } from "../training/work.js";

/** @typedef {[string, string][]} Pairs */

/** What there is of a run whose data cannot be had here. */
const UNKNOWN = { parts: {}, classes: [], network: null, plane: null, examples: null, notes: ["What this run learned from is not known here."] };

export function mount(/** @type {HTMLElement} */ place, /** @type {any} */ data) {
  const facts = data.facts, usual = new Map(/** @type {Pairs} */ ([...data.begun, ...(data.copy?.look ?? [])]));
  let beginning = /** @type {any} */ (data.first.answer ? data.first : null); // what there is before anything is learned
  let snapshot = /** @type {any} */ (null);
  let history = /** @type {any} */ (null); // the question that keeps the curves of a run, up to what is looked at
  let asked = "", seen = "", drawnOf = "", laid = "", shownStages = /** @type {number | null} */ (null), others = /** @type {any[]} */ ([]);

  const run = runner({ still: Boolean(data.copy), asks: data.carrier === "kernel", changed: news, worked: (job) => helpers.heard(job), failed: (problem, of) => complain(problem.message, of) });
  const choose = chooser(facts.data, (name) => begin({ data: name, ...(points(name) === points(first("data")) ? {} : points(name) ? facts.starts.points : facts.starts.pictures) }), (side) => begin({ size_: side }));
  const build = builder({ kinds: facts.kinds, models: facts.models }, (network) => begin({ network }));
  const settle = settings(facts, (next) => begin(next), (pace) => { look("pace_", pace); if (isLiving(run.state)) run.steer({ do: "pace", pace: Number(pace) }); });
  const bar = handles({ start, steer: (body) => run.steer(body), again, scrub, overlay, slow });
  const area = el("div", { class: "look-at" });
  const map = plane(area, { painting: choose.isPainting, painted: choose.paint, wiped: choose.wipe });
  const pictures = examples(area, facts.colors);
  const kept = tools(), keeping = snapshotTools(() => map.canvas);
  const lines = el("div", { class: "curves" });
  const drawn = curves(lines);
  const inside = layers(facts.colors), slowly = stages({ next: slow }), bad = trouble(() => run.steer({ do: "resume" }));
  const helpers = work({ begin: (body) => run.work(body), cancel: (job) => run.cancel(job), took: (rate) => begin({ learning_rate: rate }), training: body, run: () => run.state?.run ?? null });
  const note = el("p", { class: "caption" });
  run.toy = () => points(first("data"));

  place.append(el("div", { class: "training" },
    el("div", { class: "course" },
      el("section", { class: "stage", "aria-label": "The run" }, bar.element, bad.element,
        el("div", { class: "watch" }, area, lines), note, keeping.element, kept.element),
      slowly.element,
      el("section", { class: "stage", "aria-label": "Inside the layers", hidden: true }, el("h2", {}, "Inside the layers"), inside.element),
      el("section", { class: "stage", "aria-label": "Look closer" }, el("h2", {}, "Look closer"), helpers.element)),
    el("div", { class: "setup" },
      el("section", { class: "stage", "aria-label": "Data" }, el("h2", {}, "Data"), choose.element),
      el("section", { class: "stage", "aria-label": "Network" }, el("h2", {}, "Network"), build.element),
      el("section", { class: "stage", "aria-label": "Settings", "data-part": "learning" }, el("h2", {}, "Learning"), settle.element))));
  const insideSection = /** @type {HTMLElement} */ (place.querySelector("[aria-label='Inside the layers']"));
  document.addEventListener("keydown", keys);
  state.watch(follow);
  follow();
  draw();
  if (!data.copy) jsonOf("api/v1/training").then((found) => choose.offer(found.folders ?? []), (problem) => complain(problem.message));

  /** What the address says, else what the room begins with: in a copy, the run that it is about. */
  function first(/** @type {string} */ name) { return state.first(name) ?? usual.get(name) ?? facts.usual_settings[name] ?? ""; }

  function points(/** @type {string} */ name) { return choose.isPoints(name); }

  /** Another beginning: the run that was watched is left, and ends if it still goes on. */
  function begin(/** @type {Record<string, string>} */ next) {
    const own = state.pairs().filter(([key]) => !["run_", "at_"].includes(key) && !(key in next));
    const begun = own.some(([key]) => !key.endsWith("_")) ? own : [...data.begun.filter((/** @type {[string, string]} */ [key]) => !(key in next)), ...own];
    if (isLiving(run.state)) run.steer({ do: "stop" });
    state.set([...begun, ...Object.entries(next)]);
  }

  function look(/** @type {string} */ name, /** @type {string | null} */ value) { state.put(name, value, { replace: true }); }

  /** What a run that is being started is of: how fast it goes can be changed meanwhile. */
  function setup() { return JSON.stringify({ ...body(), pace: 0 }); }

  /** The run as it is asked for. */
  function body(/** @type {any} */ more = {}) {
    const numbers = Object.fromEntries(facts.settings.map((/** @type {any} */ one) => [one.setting, one.type === "text" ? first(one.name) : Number(first(one.name))]));
    const side = Number(first("size_"));
    return { data: { name: first("data") }, network: { model: first("network") }, settings: { ...numbers, ...(side ? { image_size: side } : {}) }, seed: Number(first("seed")), pace: Number(first("pace_")), ...more };
  }

  async function start(/** @type {any} */ more = {}) {
    complain("");
    shownStages = null;
    bar.wait(true);
    const begun = await run.start(body(more), setup);
    bar.wait(false);
    if (!begun) return false;
    look("run_", run.state?.run ?? null);
    look("at_", null);
    return true;
  }

  /** The same once more, from its start; or with another seed. */
  async function again(/** @type {boolean} */ newSeed) {
    if (!newSeed) {
      if (run.state && await run.start({ again: run.state.run, paused: true, pace: Number(first("pace_")) }, setup)) { look("run_", run.state?.run ?? null); look("at_", null); }
      return;
    }
    begin({ seed: String(Number(first("seed")) + 1) });
    tell(`seed ${first("seed")}: other weights to begin with`);
  }

  async function slow() {
    if (!isLiving(run.state) && !await start({ paused: true })) return;
    run.steer({ do: "step", stages: true });
  }

  function scrub(/** @type {number | null} */ step) { look("at_", step === null ? null : String(step)); }

  function overlay(/** @type {string[]} */ runs) { look("with_", runs.join(",") || null); }

  function keys(/** @type {KeyboardEvent} */ event) {
    const target = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || (target instanceof HTMLElement && target.closest("input, select, textarea, button, summary, a, [role=application]"))) return;
    if (event.key === " ") { event.preventDefault(); bar.press(); }
    else if (event.key === ".") bar.step();
    else if (event.key === ",") bar.back();
  }

  /** Asks for what the address says, where it says something else than before. */
  function follow() {
    const pairs = /** @type {Pairs} */ (["data", "network", ...(points(first("data")) ? ["seed"] : ["size_"])].map((name) => [name === "size_" ? "image_size" : name, first(name)]).filter(([, value]) => value));
    const key = JSON.stringify(pairs);
    build.begin(first("network"));
    const question = points(first("data")) ? "decision-plane" : "training/look";
    if (key !== asked) {
      const begun = asked === "" && beginning && points(first("data"));
      asked = key;
      const isWanted = turn("data");
      if (!begun) latest(question, pairs, (found) => { beginning = found; calm("data"); build.update(found.answer?.network ?? found.network); draw(); }, (problem) => {
        const isOfLayers = /layer|network|model|parameters/i.test(problem.message);
        complain(isOfLayers ? "" : problem.message, "data");
        if (isOfLayers) build.refuse(problem.message);
      }, isWanted);
    }
    choose.update(first("data"), (beginning?.answer ?? beginning)?.classes ?? facts.data.classes, first("size_"));
    settle.update(first);
    const name = first("run_") || null;
    const other = (run.state?.run ?? null) !== name;
    if (other) {
      snapshot = history = null;
      seen = drawnOf = "";
      for (const of of ["snapshot", "stages"]) complain("", of);
    }
    if (name === null) complain("", "run");
    run.look(name);
    if (!other) news();
    lay();
    draw();
  }

  /** Runs that are laid over this one. */
  async function lay() {
    const names = (state.first("with_") ?? "").split(",").filter((name) => name && name !== run.state?.run);
    if (names.join() === laid) return;
    laid = names.join();
    const isWanted = turn("over");
    try {
      const found = names.length ? (await jsonOf(`api/v1/curves?${new URLSearchParams({ runs: laid })}`)).runs : [];
      if (!isWanted()) return;
      calm("over");
      others = found;
      news();
    } catch (problem) {
      if (!isWanted()) return;
      laid = others.map((one) => one.run).join();
      complain(problem instanceof Error ? problem.message : String(problem), "over");
    }
  }

  /** The run whose numbers are looked at. */
  function looked() { return run.state?.run; }

  /** There is news of the run: its snapshot is asked for, the one that is looked at or the newest. */
  function news() {
    const now = run.state;
    if (now && (first("run_") || now.run) === now.run) {
      complain("", "run");
      const at = state.first("at_") ?? (now.snapshots?.length ? String(now.snapshots[now.snapshots.length - 1]) : null);
      if (at !== null && `${now.run} ${at}` !== seen) {
        const wanted = `${now.run} ${at}`;
        seen = wanted;
        latest(`runs/${encodeURIComponent(now.run)}/snapshots/${at}`, [], (found) => { calm("snapshot"); snapshot = found; draw(); }, (problem) => complain(problem.message, "snapshot"), turn("snapshot", looked));
      }
      const drawn = /** @type {Pairs} */ ([["runs", now.network], ...others.map((one) => ["runs", one.network]), ...(state.first("at_") === null ? [] : [["until", state.first("at_")]])]), key = JSON.stringify([drawn, now.step]);
      if (now.step && !["starting", "running"].includes(now.state) && drawnOf !== key) {
        drawnOf = key;
        latest("learning-curves", drawn, (found) => { history = found; draw(); }, () => { /* what was there before stays */ }, turn("curves", looked));
      }
      if (now.stages !== null && now.stages !== undefined && now.stages !== shownStages) {
        shownStages = now.stages;
        latest(`runs/${encodeURIComponent(now.run)}/stages`, [], (found) => { calm("stages"); slowly.update(found); }, (problem) => complain(problem.message, "stages"), turn("stages", looked));
      }
    } else snapshot = null;
    draw();
  }

  function draw() {
    if (!beginning && !run.state) return;
    const found = beginning?.answer ?? beginning ?? UNKNOWN;
    const taken = run.state && snapshot?.run === run.state.run ? snapshot : null;
    if (!run.state) slowly.update(null);
    if (found.network) build.update(found.network);
    choose.update(first("data"), found.classes, first("size_"));
    map.element.hidden = !found.plane;
    pictures.element.hidden = Boolean(found.plane);
    if (found.plane) map.update(taken?.plane ?? found.plane, found.parts, taken ? `The plane after ${taken.step} steps` : "The plane before it has learned anything");
    else pictures.update(found, taken);
    const counts = Object.entries(found.parts).map(([name, part]) => `${name} ${/** @type {any} */ (part).count}`).join(", ");
    note.textContent = [...(beginning ? [`${found.classes.length} classes; ${counts} examples.`] : []), ...(found.notes ?? []).map((/** @type {string} */ one) => /[.!?]$/.test(one) ? one : `${one}.`), ...(found.plane && !taken ? [`Before it has learned anything: loss ${told(found.loss)}, ${told(100 * found.accuracy)} % right on the ${found.part} part.`] : [])].join(" ");
    drawn.update(run.state, run.curve, others, state.first("at_") === null ? null : taken);
    bar.update({ state: run.state, heard: run.heard, at: state.first("at_"), snapshot: taken, with: (state.first("with_") ?? "").split(",").filter(Boolean), seed: first("seed"), says: beginning ? sentence(found) : "" });
    bad.update(run.state, taken);
    settle.update(first);
    insideSection.hidden = !taken;
    if (taken) inside.update(taken);
    helpers.update();
    keeping.update(run.state, taken, Boolean(found.plane));
    const answer = run.state ? history : beginning?.question ? beginning : null;
    kept.element.hidden = !answer;
    if (answer) kept.update(answer, Object.entries(answer.asked).flatMap(([key, value]) => [value].flat().map((one) => /** @type {[string, string]} */ ([key, String(one)]))));
  }

  /** What pressing Start does. */
  function sentence(/** @type {any} */ found) {
    const count = found.parts.train?.count ?? 0, batch = Number(first("batch_size"));
    return `Start shows the network ${count.toLocaleString("en")} ${found.plane ? "points" : "pictures"}, ${Math.min(batch, count)} at a time: each time it compares its answers with the true classes, and moves its ${found.network.parameters.toLocaleString("en")} parameters a little so that the loss falls.${found.plane ? ` Watch the ${found.classes.length === 2 ? "two " : ""}colors separate the points.` : ""}`;
  }
}
