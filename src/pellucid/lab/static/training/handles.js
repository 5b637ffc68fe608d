// The handles of a run: start, pause, one step, rewind, new seed, stop; where it stands; a slider over its snapshots; other runs over it.

import { jsonOf } from "../carrier.js";
import { el } from "../elements.js";
import { told } from "../numbers.js";
import { tell } from "../speak.js";
import { isLiving } from "./runner.js";

/** @typedef {import("./runner.js").State} State */

const ENDED = { finished: "finished", stopped: "stopped", diverged: "stopped at a number that is none", failed: "failed", killed: "ended without a word" };
const steps = (/** @type {number} */ count) => count.toLocaleString("en");

/**
 * `start(more)` begins a run, `steer(body)` tells it something, `again(newSeed)` begins anew, `scrub(step)` looks at a snapshot (null: the newest), `slow()` does
 * one step in slow motion, `overlay(runs)` lays others over it.
 */
export function handles(/** @type {{start: (more?: any) => any, steer: (body: any) => any, again: (newSeed: boolean) => void, scrub: (step: number | null) => void, slow: () => void, overlay: (runs: string[]) => void}} */ { start, steer, again, scrub, slow, overlay }) {
  let now = /** @type {any} */ (null), clock = 0;
  const button = (/** @type {string} */ name, /** @type {string} */ words, /** @type {() => void} */ click, /** @type {string} */ key = "", /** @type {string} */ spoken = words) =>
    el("button", { type: "button", "data-name": name, "aria-label": spoken, title: key ? `${spoken} (${key})` : spoken, "aria-keyshortcuts": key ? { space: "Space" }[key] ?? key : null, click }, words);
  const main = button("start", "▶ Start", press, "space", "Start");
  const one = button("step", "One step", step, ".");
  const slowly = button("slow", "One step, slowly", slow);
  const rewind = button("rewind", "⟲ Rewind", () => again(false), "", "Rewind: the same seed, from the start");
  const seed = button("new-seed", "New seed", () => again(true), "", "New seed: other weights to begin with");
  const stop = button("stop", "■ Stop", () => steer({ do: "stop" }), "", "Stop, with a checkpoint");
  const stands = el("p", { class: "stands" });
  const says = el("p", { class: "said" });
  const slider = el("input", { type: "range", min: 0, max: 0, step: 1, value: 0, "aria-label": "Snapshots, from the first to the newest", "data-name": "snapshots", input: () => go(Number(slider.value)) });
  const where = el("span", { class: "soft" }), live = button("newest", "Newest", () => scrub(null), "", "The newest snapshot");
  const scrubber = el("p", { class: "row scrub" }, el("label", { class: "grow" }, "Look back ", slider), where, live);
  const runs = el("div", { class: "fields" });
  const overlaid = el("details", { "data-part": "other-runs", "data-live": true, toggle: () => overlaid.open && fill() }, el("summary", {}, "Other runs over it"), runs);
  const element = el("div", { class: "bar" }, el("div", { class: "row", role: "group", "data-live": true, "aria-label": "Handles of the run" }, main, one, slowly, rewind, seed, stop), says, stands, scrubber, overlaid);

  function press() {
    const state = now?.state?.state;
    if (state === "running" || state === "starting") steer({ do: "pause" });
    else if (state === "paused") steer({ do: "resume" });
    else if (["stopped", "killed", "failed"].includes(state)) steer({ do: "resume" });
    else start();
  }

  async function step() {
    if (isLiving(now?.state)) steer({ do: "step" });
    else if (await start({ paused: true })) steer({ do: "step" });
  }

  const list = () => /** @type {number[]} */ (now?.state?.snapshots ?? []);
  function go(/** @type {number} */ place) {
    const all = list();
    if (!all.length) return;
    scrub(place >= all.length - 1 ? null : all[Math.max(0, place)]);
    tell(`after ${all[Math.max(0, Math.min(all.length - 1, place))]} steps`);
  }

  async function fill() {
    const { runs: found } = await jsonOf("api/v1/training");
    const chosen = new Set(now?.with ?? []);
    runs.replaceChildren(...found.filter((/** @type {State} */ run) => run.run !== now?.state?.run).slice(0, 30).map((/** @type {State} */ run) => {
      const box = el("input", { type: "checkbox", checked: chosen.has(run.run), change: () => { box.checked ? chosen.add(run.run) : chosen.delete(run.run); overlay([...chosen]); } });
      return el("label", { class: "row" }, box, ` ${run.run} (${run.state}, step ${steps(run.step)})`);
    }));
    if (!runs.children.length) runs.replaceChildren(el("p", { class: "caption" }, "There is no other run yet."));
  }

  /** Where the run stands, and how long ago that was told. */
  function tick() {
    const state = /** @type {State | null} */ (now?.state ?? null);
    clearTimeout(clock);
    if (!state) { stands.textContent = "Nothing is learned yet."; return; }
    const ago = (performance.now() - now.heard) / 1000, running = state.state === "running";
    const ended = ENDED[/** @type {keyof typeof ENDED} */ (state.state)] ?? state.state;
    stands.replaceChildren(el("b", { "data-name": "step-now", "data-value": state.step }, `step ${steps(state.step)}`), `${state.steps ? ` of ${steps(state.steps)}` : ""}, epoch ${state.epoch}${state.epochs ? ` of ${state.epochs}` : ""}`,
      ...(state.loss === null || state.loss === undefined ? [] : [", loss ", el("b", { "data-name": "loss-now", "data-value": state.loss }, told(state.loss))]),
      running ? `, ${ago.toFixed(1)} s ago` : `: ${ended}`, el("span", { class: "soft" }, ` · ${state.run}, seed ${state.seed}`));
    if (running && !document.hidden) clock = window.setTimeout(tick, 100);
  }

  return {
    element, press, step,
    /** Says that a run is being started, which takes a moment: a process of its own. */
    wait(/** @type {boolean} */ on) {
      main.disabled = one.disabled = slowly.disabled = on;
      if (on) stands.textContent = "Starting a process that trains …";
      else if (now) this.update(now);
    },
    /** The snapshot before the one that is looked at. */
    back() { go(Number(slider.value) - 1); },
    update(/** @type {any} */ next) {
      const before = now?.state?.state;
      now = next;
      const state = next.state?.state ?? "none", living = isLiving(next.state);
      const [words, spoken] = state === "running" || state === "starting" ? ["❚❚ Pause", "Pause"] : state === "paused" ? ["▶ Go on", "Go on"] : ["stopped", "killed", "failed"].includes(state) ? ["▶ Resume", "Resume from the last checkpoint"] : state === "none" ? ["▶ Start", "Start"] : ["▶ Start again", "Start again"];
      if (main.textContent !== words) { main.textContent = words; main.setAttribute("aria-label", spoken); main.title = `${spoken} (space)`; }
      main.disabled = state === "stopping" || state === "starting";
      one.disabled = slowly.disabled = state === "stopping" || state === "starting";
      rewind.disabled = !next.state?.asked && !living;
      stop.disabled = !living || state === "stopping";
      seed.textContent = `New seed (now ${next.seed})`;
      says.textContent = next.state ? "" : next.says;
      says.hidden = Boolean(next.state);
      const all = list(), place = next.at === null ? all.length - 1 : all.findLastIndex((step) => step <= Number(next.at));
      scrubber.hidden = all.length < 2;
      slider.max = String(Math.max(0, all.length - 1));
      if (document.activeElement !== slider || next.at === null) slider.value = String(Math.max(0, place));
      slider.setAttribute("aria-valuetext", all.length ? `after ${steps(all[Math.max(0, place)])} steps` : "");
      where.textContent = all.length ? `after ${steps(next.snapshot?.step ?? all[Math.max(0, place)])} steps${next.at === null ? ", the newest" : ""}` : "";
      live.disabled = next.at === null;
      if (before !== undefined && next.state && before !== state) tell(`${state}, step ${next.state.step}`);
      tick();
    },
  };
}
