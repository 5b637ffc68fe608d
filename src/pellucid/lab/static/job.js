// Work that takes long: it has a place in the server's queue, says how far it is, and ends when nobody waits for it any more.

import { jsonOf, Problem } from "./carrier.js";
import { el } from "./elements.js";

/** @typedef {{job: string, state: string, place: number, title: string, done: number, total: number, seconds: number, cancelling: boolean, problem: any}} Job */

const OVER = ["done", "failed", "cancelled"];
const FIRST = 150, SLOWEST = 1000; // milliseconds between two looks, which are fewer the longer it takes

/**
 * What a job gives, and null for one that was ended. `asked` is what `POST api/v1/jobs` takes; `told` hears how far it is; `signal` ends it.
 * @returns {Promise<any>}
 */
export async function worked(/** @type {any} */ asked, /** @type {(job: Job) => void} */ told, /** @type {AbortSignal} */ signal) {
  /** @type {Job} */
  let job = await jsonOf("api/v1/jobs", { method: "POST", body: JSON.stringify(asked) });
  const address = `api/v1/jobs/${job.job}`;
  const end = () => { jsonOf(address, { method: "DELETE", keepalive: true }).catch(() => { /* it is over, or the server is */ }); };
  signal.addEventListener("abort", end, { once: true });
  addEventListener("pagehide", end, { once: true });
  try {
    if (signal.aborted) end();
    for (let pause = FIRST; !OVER.includes(job.state); pause = Math.min(SLOWEST, pause * 1.2)) {
      told(job);
      await new Promise((resolve) => { setTimeout(resolve, pause); });
      job = await jsonOf(address);
    }
  } finally {
    signal.removeEventListener("abort", end);
    removeEventListener("pagehide", end);
  }
  if (job.state === "failed") throw new Problem(job.problem);
  return job.state === "done" ? jsonOf(`${address}/result`) : null;
}

/** A bar that says how far a job is, with a button that ends it. */
export function bar(/** @type {() => void} */ cancel) {
  const meter = el("progress", { "aria-label": "how far the work is" });
  const words = el("span", { role: "status" });
  const button = el("button", { type: "button", click: cancel }, "Cancel");
  const element = el("span", { class: "row working", hidden: true }, meter, words, button);
  return {
    element,
    update(/** @type {Job | null} */ job) {
      element.hidden = job === null;
      if (job === null) return;
      const known = job.state === "working" && job.total > 0;
      if (known) { meter.max = job.total; meter.value = job.done; } else meter.removeAttribute("value");
      button.disabled = job.cancelling;
      const before = job.place === 1 ? "one job before it" : `${job.place} jobs before it`;
      words.textContent = job.cancelling ? "ending" : job.state === "queued" ? `waiting, ${before}`
        : [known ? `${job.title || "working"}: ${job.done} of ${job.total}` : job.title || "working", `${job.seconds.toFixed(0)} s`].join(", ");
    },
  };
}
