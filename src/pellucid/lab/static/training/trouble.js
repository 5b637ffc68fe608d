// What went wrong with a run: a number that is none with its layer, step, rate and largest gradient; a process that died with its last words.

import { el } from "../elements.js";
import { told } from "../numbers.js";

/** `resume()` goes on from the last checkpoint. */
export function trouble(/** @type {() => void} */ resume) {
  const element = el("section", { class: "trouble", role: "alert", "aria-label": "What went wrong", hidden: true });
  return {
    element,
    update(/** @type {any} */ state, /** @type {any} */ snapshot) {
      const problem = state?.problem;
      element.hidden = !problem;
      if (!problem) { element.replaceChildren(); return; }
      const rows = /** @type {[string, any, string][]} */ ([["layer", problem.where, "where"], ["step", problem.step, "step"], ["learning rate", problem.rate, "rate"],
        ["largest gradient before", problem.gradient ? problem.gradient.norm : undefined, "gradient"]]).filter(([, value]) => value !== undefined && value !== "");
      const key = JSON.stringify([problem, snapshot?.step, state.log]);
      if (element.dataset.key === key) return;
      element.dataset.key = key;
      element.replaceChildren(el("h2", {}, state.state === "diverged" && problem.where ? `${problem.where}: no number any more` : problem.title), el("p", {}, problem.detail),
        el("dl", { class: "facts" }, ...rows.flatMap(([name, value, key]) => [el("dt", {}, name), el("dd", { "data-name": `trouble-${key}`, "data-value": value }, typeof value === "number" ? told(value) : String(value), key === "gradient" ? ` of ${problem.gradient.name}` : "")])),
        ...(problem.remedy ? [el("p", {}, problem.remedy)] : []),
        ...(snapshot ? [el("p", { class: "caption" }, `What stands below is the last good picture, after ${snapshot.step} steps.`)] : []),
        ...(state.log?.length ? [el("details", { open: state.state === "killed" }, el("summary", {}, "Its last words"), el("pre", { class: "scroll" }, state.log.join("\n")))] : []),
        ...(["killed", "stopped", "failed", "diverged"].includes(state.state) ? [el("button", { type: "button", "data-name": "resume", click: resume }, "Resume from the last checkpoint")] : []));
    },
  };
}
