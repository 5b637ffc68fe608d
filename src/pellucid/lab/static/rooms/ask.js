// Every question there is: its parameters as fields, its answer as the command line draws it.

import { ask } from "../ask.js";
import { jsonOf } from "../carrier.js";
import { drawn, el } from "../elements.js";
import { tools } from "../figure.js";
import { eachKept } from "../figures.js";
import { bar, worked } from "../job.js";
import { choose } from "../pictures.js";
import { complain, tell } from "../speak.js";
import { state } from "../state.js";

/** What each figure's own tools say, and no field has to. */
const OF_FIGURES = "figure";

/** @typedef {{name: string, type: string, says: string, required: boolean, default: any, choices: string[]}} Parameter */
/** @typedef {{address: string, says: string, group: string, long: boolean, parameters: Parameter[]}} Question */

export async function mount(/** @type {HTMLElement} */ place, /** @type {any} */ data) {
  const questions = new Map(/** @type {Question[]} */ (data.facts.questions).map((one) => [one.address.split("/").pop() ?? "", { ...one, parameters: one.parameters.filter(({ name }) => name !== OF_FIGURES) }]));
  const known = await jsonOf("api/v1/networks");
  const groups = [...new Set([...questions.values()].map((one) => one.group))];
  const names = el("select", { id: "question", "data-live": true, change: () => state.set([["question_", names.value]], { push: true }) },
    ...groups.map((group) => el("optgroup", { label: group }, ...[...questions].filter(([, one]) => one.group === group).map(([name]) => el("option", { value: name }, name)))));
  const says = el("p", { class: "said" });
  const form = el("form", { class: "fields", submit: (/** @type {Event} */ event) => { event.preventDefault(); send(); } });
  const button = el("button", { type: "submit", "data-live": true, form: "asked" }, "Ask");
  const waiting = el("p", { role: "status", class: "row" });
  let ending = new AbortController();
  const far = bar(() => ending.abort());
  const shown = el("div", { class: "answer" });
  const words = el("pre", { class: "scroll" });
  const kept = tools();
  form.id = "asked";
  place.append(
    el("div", { class: "asking" },
      el("section", { class: "stage", "aria-label": "The question" }, el("p", { class: "row", hidden: questions.size === 1 }, el("label", { for: "question" }, "Question"), names), says, form, el("p", { class: "row" }, button, waiting)),
      el("section", { class: "stage", "aria-label": "The answer" }, far.element, shown, el("details", {}, el("summary", {}, "In words"), words), kept.element)));
  let turn = 0;
  state.watch(follow);
  follow();

  function pairs() {
    const found = state.pairs();
    return found.some(([key]) => key === "question_" || !key.endsWith("_")) ? found : /** @type {[string, string][]} */ (data.begun);
  }

  function current() {
    const name = pairs().find(([key]) => key === "question_")?.[1] ?? "";
    return questions.has(name) ? name : [...questions.keys()][0];
  }

  function follow() {
    const name = current(), wanted = pairs().find(([key]) => key === "question_")?.[1] ?? name;
    const question = /** @type {Question} */ (questions.get(name));
    names.value = name;
    complain(wanted === name ? "" : `No question is called ${wanted}\nChoose one of the list`, "question");
    says.textContent = question.says;
    if (form.dataset.question !== name) {
      form.dataset.question = name;
      form.replaceChildren(...question.parameters.map(field));
    }
    for (const input of form.elements) if (input.name) fill(input, pairs().filter(([key]) => key === input.name).map(([, value]) => value), question);
    const asked = pairs().filter(([key]) => !key.endsWith("_"));
    if (wanted !== name) rest("");
    else if (question.parameters.every((one) => !one.required || asked.some(([key]) => key === one.name))) answer(name, asked);
    else rest("Fill in what is marked with *, then ask.");
  }

  /** Nothing is asked: what was asked before is over. */
  function rest(/** @type {string} */ says) {
    turn += 1;
    ending.abort();
    far.update(null);
    shown.removeAttribute("aria-busy");
    shown.replaceChildren(el("p", {}, says));
    waiting.textContent = words.textContent = "";
  }

  function field(/** @type {Parameter} */ one) {
    const id = `field-${one.name}`;
    const usual = Array.isArray(one.default) ? one.default.join(", ") : one.default === null || one.default === undefined ? "" : String(one.default);
    const list = one.type === "model" ? known.networks : one.type === "detector" ? known.detectors : one.type === "picture" ? [...known.at_hand, ...known.pictures] : one.choices;
    const control = one.type === "true or false"
      ? el("input", { type: "checkbox", id, name: one.name })
      : el("input", { type: "text", id, name: one.name, placeholder: usual, list: list.length ? `${id}-list` : null, required: one.required, "aria-describedby": `${id}-says`, autocomplete: "off" });
    return el("div", { class: "field" },
      el("label", { for: id }, one.name.replaceAll("_", " "), one.required ? " *" : ""), control,
      ...(list.length ? [el("datalist", { id: `${id}-list` }, ...list.map((/** @type {string} */ value) => el("option", { value })))] : []),
      ...(one.type === "picture" ? [choose((name) => { control.value = name; tell("the picture is there"); }, () => control.value)] : []),
      el("p", { id: `${id}-says` }, one.says));
  }

  function fill(/** @type {HTMLInputElement} */ input, /** @type {string[]} */ values, /** @type {Question} */ question) {
    if (input.type === "checkbox") input.checked = values[0] === "true" || (!values.length && question.parameters.find((one) => one.name === input.name)?.default === true);
    else input.value = values.join(" ; ");
  }

  function send() {
    const name = current();
    const question = /** @type {Question} */ (questions.get(name));
    const asked = question.parameters.flatMap((one) => {
      const input = form.elements.namedItem(one.name);
      if (input.type === "checkbox") return input.checked === (one.default === true) ? [] : [[one.name, String(input.checked)]];
      const texts = one.type === "texts" ? input.value.split(";") : [input.value];
      return texts.map((/** @type {string} */ text) => text.trim()).filter(Boolean).map((/** @type {string} */ text) => [one.name, text]);
    });
    const before = JSON.stringify(pairs());
    const next = /** @type {[string, string][]} */ ([...(questions.size > 1 ? [["question_", name]] : []), ...asked, ...state.pairs().filter(([key]) => key.endsWith("_") && key !== "question_")]);
    if (JSON.stringify(next) === before) follow();
    else state.set(next, { push: true });
  }

  /** Of what takes long by a job, unless the page is a copy, which has answers alone. */
  async function found(/** @type {string} */ name, /** @type {[string, string][]} */ asked, /** @type {AbortSignal} */ mine) {
    if (!questions.get(name)?.long || data.copy) return ask(`${name}.drawn`, asked);
    return worked({ question: name, query: asked, form: "drawn" }, (job) => { if (!mine.aborted) far.update(job); }, mine);
  }

  async function answer(/** @type {string} */ name, /** @type {[string, string][]} */ asked) {
    const mine = ++turn;
    ending.abort();
    ending = new AbortController();
    const began = performance.now();
    const clock = questions.get(name)?.long ? 0 : window.setInterval(() => { waiting.textContent = `working, ${((performance.now() - began) / 1000).toFixed(0)} s`; }, 1000);
    shown.setAttribute("aria-busy", "true");
    complain("");
    try {
      const answer = await found(name, asked, ending.signal);
      if (mine !== turn) return;
      if (answer === null) { tell("the work was ended"); return; }
      shown.replaceChildren(drawn(answer.part));
      words.textContent = answer.text;
      eachKept(shown, answer, asked, kept);
      tell("the answer is there");
    } catch (error) {
      if (mine === turn) complain(error instanceof Error ? error.message : String(error));
    } finally {
      clearInterval(clock);
      if (mine === turn) { waiting.textContent = ""; far.update(null); shown.removeAttribute("aria-busy"); }
    }
  }
}
