// One run of the server's as a page follows it: what it was last told of it, its curve, one stream of events, closed while the tab is hidden.

import { turn } from "../ask.js";
import { fitting, jsonOf } from "../carrier.js";

/** @typedef {{run: string, state: string, step: number, steps: number, epoch: number, epochs: number, loss: any, gradient_norm: any, learning_rate: any, seconds: number, at: number | null, rows: any[], snapshots: number[], stages: number | null, seed: number, problem: any, log?: string[], asked?: any, network: string}} State */
/** @typedef {Record<"step" | "loss" | "gradient_norm" | "learning_rate", any[]>} Curve */

/** Milliseconds between two questions for news. */
const PAUSE = 400;
const LIVING = ["starting", "running", "paused", "stopping"];

export const isLiving = (/** @type {State | null} */ state) => state !== null && LIVING.includes(state.state);
const send = (/** @type {string} */ address, /** @type {string} */ method, /** @type {any} */ body) => jsonOf(address, { method, body: JSON.stringify(body) });
const blank = () => /** @type {Curve} */ ({ step: [], loss: [], gradient_norm: [], learning_rate: [] });

/** A run as a copy has it: the snapshots that were kept, and nothing that goes on. */
function held(/** @type {State} */ found) {
  const snapshots = found.snapshots.filter((step) => fitting(`runs/${found.run}/snapshots/${step}`, [], []));
  return { ...found, snapshots, state: isLiving(found) ? "stopped" : found.state };
}

/**
 * `changed` is called when there is news of the run, `worked` with a job that has news, `failed` with what went wrong, be it of the `run` that is to be looked at; a `still` page, which is a copy, hears of none;
 * one that `asks`, as in a notebook where nothing is streamed, asks for news again and again.
 */
export function runner(/** @type {{still: boolean, asks: boolean, changed: () => void, worked: (job: any) => void, failed: (problem: Error, of?: string) => void}} */ { still, asks, changed, worked, failed }) {
  let source = /** @type {EventSource | null} */ (null), clock = 0;
  let fresh = true, pausedByUs = false;
  let jobs = /** @type {string[]} */ ([]), wanted = /** @type {string | null} */ (null); // the run that is looked at, or will be when it is there

  const one = {
    /** @type {State | null} */
    state: null,
    curve: blank(),
    /** When the last news came, by this page's clock. */
    heard: 0,
    /** Whether the run is one to play with, which waits while nobody looks. */
    toy: () => /** @type {boolean} */ (false),

    /** Starts a run, or `again` an earlier one; says whether it is looked at. One that is no longer what `of` says, or is left before it is there, ends. */
    start: (/** @type {any} */ body, /** @type {() => any} */ of) => {
      const isWanted = turn("run", of);
      return carefully(async () => {
        const found = await send("api/v1/runs", "POST", body);
        if (isWanted()) take(found, true);
        else await send(`api/v1/runs/${encodeURIComponent(found.run)}`, "PATCH", { do: "stop" });
        return isWanted();
      }, isWanted);
    },
    /** Pause, resume, step, stop. */
    steer: (/** @type {any} */ body) => carefully(async () => {
      if (!one.state) return;
      const before = isLiving(one.state), known = one.heard, found = await send(`api/v1/runs/${encodeURIComponent(one.state.run)}`, "PATCH", body);
      if (one.state?.run !== found.run || before && (!isLiving(one.state) || one.heard !== known)) return; // it was left, or ended, or went on meanwhile, which is the newer news
      take(found, !before);
    }),
    /** Looks at a run that there is, or at none. */
    look: (/** @type {string | null} */ name) => {
      if (wanted === name) return;
      wanted = name;
      const isWanted = turn("run");
      if (name === null) { leave(); changed(); return; }
      carefully(async () => {
        const found = await jsonOf(`api/v1/runs/${encodeURIComponent(name)}`);
        if (!isWanted()) return;
        take(still ? held(found) : found, true);
        if (still || !isLiving(found)) {
          const { runs } = await jsonOf(`api/v1/curves?${new URLSearchParams({ runs: name })}`);
          if (isWanted()) { one.curve = runs[0].curve; changed(); }
        }
      }, isWanted, "run").then((done) => { if (!done && isWanted()) wanted = one.state?.run ?? null; }); // asked again with whatever is looked at next
    },
    /** Work that takes long, beside the run. */
    work: (/** @type {any} */ body) => carefully(async () => {
      const job = await send("api/v1/jobs", "POST", body);
      jobs = [...jobs.slice(-3), job.job];
      worked(job);
      listen();
    }),
    cancel: (/** @type {string} */ job) => carefully(async () => { worked(await send(`api/v1/jobs/${job}`, "DELETE", {})); }),
  };

  /** Whether the work was done; what goes wrong with what is no longer wanted is not told. */
  async function carefully(/** @type {() => Promise<boolean | void>} */ work, isWanted = () => true, of = "") {
    try {
      return await work() !== false;
    } catch (problem) {
      if (isWanted()) failed(problem instanceof Error ? problem : new Error(String(problem)), of);
      return false;
    }
  }

  function take(/** @type {any} */ state, /** @type {boolean} */ anew) {
    const other = one.state?.run !== state.run;
    if (other || anew) one.curve = blank();
    one.state = other ? state : { ...one.state, ...state };
    one.heard = performance.now();
    wanted = state.run;
    if (other || anew) listen();
    changed();
  }

  function leave() {
    one.state = null;
    one.curve = blank();
    listen();
  }

  /** Opens the stream of what is followed, in the place of the one before. */
  function listen() {
    source?.close();
    source = null;
    const runs = one.state && isLiving(one.state) ? [one.state.run] : [];
    clearTimeout(clock);
    if (still || document.hidden || !(runs.length || jobs.length)) return;
    fresh = true;
    if (asks) { clock = window.setTimeout(inquire, PAUSE); return; }
    source = new EventSource(`api/v1/events?${new URLSearchParams({ ...(runs.length ? { runs: runs.join(",") } : {}), ...(jobs.length ? { jobs: jobs.join(",") } : {}) })}`);
    source.addEventListener("run", (event) => heard(JSON.parse(event.data)));
    source.addEventListener("job", (event) => heardJob(JSON.parse(event.data)));
    source.addEventListener("end", () => { source?.close(); source = null; });
  }

  function heardJob(/** @type {any} */ job) {
    if (["done", "failed", "cancelled"].includes(job.state)) jobs = jobs.filter((known) => known !== job.job);
    worked(job);
    rest();
  }

  /** What a stream would say, asked for. */
  async function inquire() {
    const name = one.state && isLiving(one.state) ? one.state.run : null;
    await carefully(async () => {
      if (name !== null) {
        const found = await jsonOf(`api/v1/runs/${encodeURIComponent(name)}`);
        const { runs } = await jsonOf(`api/v1/curves?${new URLSearchParams({ runs: name })}`);
        fresh = true;
        heard({ ...found, points: runs[0].curve, from: 0 });
      }
      for (const job of jobs) heardJob(await jsonOf(`api/v1/jobs/${job}`));
    });
    listen();
  }

  function heard(/** @type {any} */ { points, missed, from, ...state }) {
    if (state.run !== one.state?.run) return;
    const stays = fresh ? 0 : one.curve.step.findIndex((step) => step >= from);
    if (stays >= 0) for (const values of Object.values(one.curve)) values.length = stays; // a run that goes on from a checkpoint does some steps again
    fresh = false;
    if (points) for (const name of /** @type {(keyof Curve)[]} */ (Object.keys(one.curve))) one.curve[name].push(...points[name]);
    thin();
    one.state = { ...one.state, ...state };
    one.heard = performance.now();
    changed();
    rest();
  }

  /** Keeps at most so many points: of a long run every other one goes, but for those that are no numbers. */
  function thin() {
    const { step, loss } = one.curve;
    if (step.length <= 3000) return;
    const stays = step.map((_, k) => k % 2 === 0 || k > step.length - 200 || !Number.isFinite(Number(loss[k])));
    for (const name of /** @type {(keyof Curve)[]} */ (Object.keys(one.curve))) one.curve[name] = one.curve[name].filter((_, k) => stays[k]);
  }

  /** Closes the stream when nothing that is followed lives on: a page at rest asks for nothing. */
  function rest() {
    if (!isLiving(one.state) && !jobs.length) { source?.close(); source = null; }
  }

  if (!still) document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      pausedByUs = one.state?.state === "running" && one.toy();
      if (pausedByUs) one.steer({ do: "pause" });
    } else if (pausedByUs) {
      pausedByUs = false;
      one.steer({ do: "resume" });
    }
    listen();
  });

  return one;
}
