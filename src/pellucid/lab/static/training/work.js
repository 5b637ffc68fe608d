// What takes longer beside a run: looking for a learning rate, measuring what was learned, other runs laid over this one.

import { turn } from "../ask.js";
import { jsonOf } from "../carrier.js";
import { drawn, el } from "../elements.js";
import { tools } from "../figure.js";
import { eachKept } from "../figures.js";
import { told } from "../numbers.js";
import { complain, tell } from "../speak.js";

/** `begin(body)` starts a job, `cancel(job)` ends one, `took(rate)` hears of a learning rate that was found and is to be taken. */
export function work(/** @type {{begin: (body: any) => void, cancel: (job: string) => void, took: (rate: string) => void, training: () => any, run: () => string | null}} */ { begin, cancel, took, training, run }) {
  let current = /** @type {any} */ (null);
  const rate = el("button", { type: "button", "data-name": "find-rate", click: () => begin({ question: "find-rate", training: training() }) }, "Look for a learning rate");
  const measure = el("button", { type: "button", "data-name": "measure", click: () => run() && begin({ question: "evaluate", run: run() }) }, "Measure it: confusion, most wrong");
  const waiting = el("p", { class: "waiting", role: "status" });
  const stop = el("button", { type: "button", hidden: true, click: () => current && cancel(current.job) }, "Cancel");
  const take = el("button", { type: "button", hidden: true, "data-name": "take-rate", click: () => took(take.dataset.rate ?? "") });
  const shown = el("div", { class: "answer results", hidden: true });
  const words = el("pre", { class: "scroll" }), more = el("details", { hidden: true }, el("summary", {}, "In words"), words);
  const kept = tools();
  kept.element.hidden = true;
  const element = el("div", { "data-live": true }, el("p", { class: "row" }, rate, measure, stop, waiting), el("p", { class: "row" }, take), shown, kept.element, more);

  async function show(/** @type {any} */ job) {
    const isWanted = turn(shown);
    try {
      const found = await jsonOf(`api/v1/jobs/${job.job}/result`);
      if (!isWanted()) return;
      shown.replaceChildren(drawn(found.part ?? ""));
      shown.hidden = kept.element.hidden = !found.part;
      eachKept(shown, { ...found, address: `jobs/${job.job}/result` }, [], kept);
      words.textContent = found.text ?? "";
      const safe = found.answer?.safe;
      take.hidden = typeof safe !== "number";
      if (typeof safe === "number") {
        take.dataset.rate = String(safe);
        take.replaceChildren("Take the rate that it calls safe: ", el("b", { "data-value": safe, "data-name": "safe-rate" }, told(safe)));
      }
      more.hidden = !found.text;
      more.open = !found.part;
      tell("the answer is there");
    } catch (problem) {
      if (isWanted()) complain(problem instanceof Error ? problem.message : String(problem));
    }
  }

  return {
    element,
    update() { measure.disabled = run() === null; },
    /** News of a job. */
    heard(/** @type {any} */ job) {
      current = job;
      const going = ["queued", "working"].includes(job.state);
      stop.hidden = !going;
      waiting.textContent = job.state === "queued" ? `waits, ${job.place} in the queue` : job.state === "working" ? `${job.title || "working"}${job.total ? `, ${job.done} of ${job.total}` : ""}, ${Math.round(job.seconds)} s` : job.state === "cancelled" ? "cancelled" : "";
      if (job.state === "done") show(job);
      if (job.state === "failed") complain([job.problem?.detail ?? job.problem?.title, job.problem?.remedy].filter(Boolean).join("\n"));
    },
  };
}
