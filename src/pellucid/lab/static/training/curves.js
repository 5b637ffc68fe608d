// The curves of a run while it goes on: the loss of every step as it is, measures of epochs, the gradient's norm; other runs over it.

import { chart, LINES } from "../draw/chart.js";
import { el, svg } from "../elements.js";
import { told } from "../numbers.js";
import { tell } from "../speak.js";

/** @typedef {import("./runner.js").State} State */
/** @typedef {import("./runner.js").Curve} Curve */

const AHEAD = "validation_";

/** The columns of rows that are measured in training and on what is held out. */
function measures(/** @type {any[]} */ rows) {
  return Object.keys(rows[0] ?? {}).filter((name) => `${AHEAD}${name}` in rows[0]);
}

function figure(/** @type {HTMLElement} */ place, /** @type {string} */ title) {
  const canvas = el("div"), legend = el("ul", { class: "legend" }), words = el("p", { class: "caption" });
  const element = el("figure", { class: "figure curve", "data-part": `curve-${title.replaceAll(" ", "-")}` }, el("figcaption", {}, title), canvas, legend, words);
  place.append(element);
  let shown = /** @type {any} */ (null), index = -1;
  const drawing = chart(canvas, { tall: 150, moved: (at) => { index = at; numbers(true); } });

  function numbers(/** @type {boolean} */ aloud = false) {
    const first = shown?.series[0];
    const x = index >= 0 ? first?.x[index] : undefined;
    words.textContent = x === undefined ? "" : shown.series.flatMap((/** @type {any} */ one) => {
      const k = one.x.findLastIndex((/** @type {number} */ own) => own <= x);
      return k < 0 ? [] : [`${one.name} ${told(one.y[k])}`];
    }).join(", ") + `, at ${shown.x_label} ${told(x)}`;
    if (aloud && x !== undefined && document.activeElement?.classList.contains("chart")) tell(words.textContent ?? "");
  }

  return {
    element,
    update(/** @type {any[]} */ series, /** @type {string} */ xLabel) {
      shown = { title, x_label: xLabel, y_label: title, series };
      drawing.update(shown);
      let solid = -1;
      legend.replaceChildren(...series.map((one) => {
        if (one.kind !== "dashed") solid += 1;
        const last = one.y[one.y.length - 1];
        const color = LINES[Math.max(0, solid) % LINES.length];
        return el("li", {}, svg("svg", { width: 26, height: 10, "aria-hidden": "true" }, one.kind === "points" ? svg("circle", { cx: 13, cy: 5, r: 4.5, fill: color }) : svg("path", { d: "M1,5H25", stroke: color, "stroke-width": 3, "stroke-dasharray": one.kind === "dashed" ? "6 4" : "none" })),
          ` ${one.name} `, el("b", { "data-name": one.key ?? null, "data-value": last ?? null }, last === undefined ? "" : told(last)));
      }));
      numbers();
    },
  };
}

export function curves(/** @type {HTMLElement} */ place) {
  const empty = el("p", { class: "caption" }, "Here the loss of every step will be drawn, what is measured after each epoch in training and on what is held out, and how large the gradient is.");
  place.append(empty);
  const loss = figure(place, "loss"), measure = figure(place, "measures"), norm = figure(place, "gradient norm");
  return {
    /** `others` are runs that are laid over it, `snapshot` is what is looked back at. */
    update(/** @type {State | null} */ state, /** @type {Curve} */ curve, /** @type {{run: string, curve: Curve, rows: any[]}[]} */ others, /** @type {any} */ snapshot) {
      const rows = state?.rows ?? [];
      empty.hidden = Boolean(state) || others.length > 0;
      for (const one of [loss, measure, norm]) one.element.hidden = !empty.hidden;
      const all = [{ run: state?.run ?? "", curve, rows }, ...others];
      const named = (/** @type {string} */ run, /** @type {string} */ what) => others.length ? `${run}: ${what}` : what;
      const looked = (/** @type {string} */ name) => snapshot && snapshot[name] !== null ? [{ name: `looked at, after ${snapshot.step} steps`, x: [snapshot.step - 1], y: [snapshot[name]], kind: "points", key: `${name}-looked-at` }] : [];
      const lost = state?.state === "diverged" ? state.problem?.step : undefined; // the step whose loss is no number: it has a mark
      loss.update(all.flatMap((one, k) => [
        { name: named(one.run, "each step"), x: k || lost === undefined ? one.curve.step : [...one.curve.step, lost], y: k || lost === undefined ? one.curve.loss : [...one.curve.loss, "NaN"], kind: "line", key: k ? null : "loss" },
        ...(one.rows.length ? [{ name: named(one.run, "held out"), x: one.rows.map((row) => row.step), y: one.rows.map((row) => row[`${AHEAD}loss`]), kind: "dashed", key: k ? null : "validation_loss" }] : []),
      ]).concat(looked("loss")), "step");
      const names = measures(all.find((one) => one.rows.length)?.rows ?? []).filter((name) => name !== "loss");
      measure.update(all.flatMap((one, k) => names.flatMap((name) => one.rows.length && name in one.rows[0] ? [
        { name: named(one.run, `${name}, training`), x: one.rows.map((row) => row.step), y: one.rows.map((row) => row[name]), kind: "line", key: k ? null : name },
        { name: named(one.run, "held out"), x: one.rows.map((row) => row.step), y: one.rows.map((row) => row[`${AHEAD}${name}`]), kind: "dashed", key: k ? null : `${AHEAD}${name}` },
      ] : [])), "step");
      measure.element.hidden = !names.length;
      norm.update(all.map((one, k) => ({ name: named(one.run, "of all parameters"), x: one.curve.step, y: one.curve.gradient_norm, kind: "line", key: k ? null : "gradient_norm" })).concat(looked("gradient_norm")), "step");
      if (all.some((one) => one.rows.length) && !all.some((one) => one.curve.gradient_norm.length)) norm.element.hidden = true; // runs that were not trained here kept none
    },
  };
}
