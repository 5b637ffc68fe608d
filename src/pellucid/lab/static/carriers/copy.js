// A page that is a copy: answers lie in packs beside it or within it, and what has no answer is disabled and says why.

import { bytesOf, carriedBy } from "../carrier.js";
import { el } from "../elements.js";
import { tell } from "../speak.js";
import { state } from "../state.js";
import { holdings } from "./held.js";
import { leads } from "./links.js";

/** @typedef {[string, string][]} Pairs */

const WHY = "This copy holds some answers, and not this one: start `pellucid lab` for the rest.";
/** What only a running lab can do, in every room. */
const LIVE = "input[type=file], [data-live]:is(button, input, select, textarea), [data-live] :is(button, input, select, textarea)";

/** The text of an element of this page, which is one file; null for a copy in a folder. */
function within(/** @type {string} */ name) {
  return document.getElementById(name)?.textContent ?? null;
}

async function unpacked(/** @type {Uint8Array<ArrayBuffer>} */ packed) {
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
}

function bytes(/** @type {string} */ base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

async function fetched(/** @type {string} */ address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address} of this copy is missing: the server says ${response.status}`);
  return response;
}

/** Carries from now on, for a room's page. */
export async function begin(/** @type {any} */ data) {
  const room = data.copy.room;
  const index = within(`${room}-index`);
  const held = holdings(index === null ? await (await fetched(`answers/${room}/index.json`)).json() : JSON.parse(index));
  /** @type {Map<number, Promise<any[]>>} */
  const packs = new Map();
  const usual = `This is a copy: it holds ${data.copy.count.toLocaleString("en")} answers for this room. What is gray has none here; start \`pellucid lab\` for the rest.`;
  const says = el("p", { role: "status", class: "held" }, usual);
  document.querySelector(".guide")?.after(says);

  async function pack(/** @type {number} */ number) {
    const text = within(`${room}-${number}`);
    return unpacked(text === null ? new Uint8Array(await (await fetched(`answers/${room}/${number}.pack`)).arrayBuffer()) : bytes(text));
  }

  async function answer(/** @type {string} */ address, /** @type {string | undefined} */ method) {
    const [path, query] = address.split("?");
    const name = path.replace(/^api\/v1\//, "");
    const pairs = /** @type {Pairs} */ ([...new URLSearchParams(query)]);
    const found = method && method !== "GET" ? null : held.find(name, pairs) ?? (name.endsWith(".json") ? held.find(name.slice(0, -5), pairs) : null);
    if (!found) return null;
    const [, number, place] = found;
    if (!packs.has(number)) packs.set(number, pack(number));
    const stored = (await packs.get(number) ?? [])[place];
    return typeof stored === "string" ? new TextEncoder().encode(stored) : bytes(stored.base64);
  }

  /** Addresses of answers that were asked for as work, which is done as soon as it is begun. @type {string[]} */
  const jobs = [];

  async function work(/** @type {string} */ asked) {
    const { question, query, form } = JSON.parse(asked);
    const address = `api/v1/${question}.${form}?${new URLSearchParams(query)}`;
    if (!await answer(address, "GET")) return null;
    const job = { job: String(jobs.push(address) - 1), state: "done", place: 0, title: "", done: 1, total: 1, seconds: 0, cancelling: false, problem: null };
    return new TextEncoder().encode(JSON.stringify(job));
  }

  carriedBy(async (address, { method, body }) => {
    const job = address.match(/^api\/v1\/jobs\/(\d+)\/result$/);
    const found = await (method === "POST" && address === "api/v1/jobs" && typeof body === "string" ? work(body) : answer(job ? jobs[Number(job[1])] : address, method));
    const sent = found ?? new TextEncoder().encode(JSON.stringify({ title: "Not in this copy", detail: WHY }));
    return { ok: found !== null, status: found ? 200 : 404, bytes: async () => /** @type {ArrayBuffer} */ (sent.buffer) };
  }, (name, next, before) => {
    const found = held.nearest(name, next, before);
    says.textContent = found?.exact ? usual : found ? "This copy holds some answers: shown is the nearest to what was asked. Start `pellucid lab` for the rest." : WHY;
    return found && found.pairs;
  });
  leads(bytesOf, within(`${room}-index`) !== null);
  disable(held, () => state.pairs().length ? state.pairs() : data.begun);
}

/** Keeps what has no answer disabled, on a page that changes. */
function disable(/** @type {ReturnType<typeof holdings>} */ held, /** @type {() => Pairs} */ now) {
  const off = (/** @type {Element} */ element, /** @type {boolean} */ gone) => {
    if (!gone) return;
    element.setAttribute("title", WHY); // again, as it may have got another name
    if (element.hasAttribute("data-uncopied")) return;
    element.setAttribute("data-uncopied", "");
    if (element instanceof HTMLInputElement || element instanceof HTMLSelectElement || element instanceof HTMLOptionElement) element.disabled = true;
    else element.setAttribute("aria-disabled", "true"); // the keyboard still gets there, and hears why
  };
  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element && event.target.closest("[aria-disabled=true][data-uncopied], a[href^='api/v1/'][aria-disabled]"))) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    tell(WHY);
  }, { capture: true });

  /** A slider has the steps that are held, and none where there are no two. */
  function handle(/** @type {HTMLElement} */ row) {
    const steps = held.along(row.dataset.name ?? "", now());
    const even = steps.length > 2 && steps.every((value, k) => k < 2 || Math.abs(value - steps[k - 1] - (steps[1] - steps[0])) < 1e-9);
    for (const input of row.querySelectorAll("input")) {
      off(input, steps.length < 2 && held.valuesOf(row.dataset.asks ?? (row.dataset.name ?? "").split(" ")[0]).size < 2);
      if (!even || row.hasAttribute("data-log") || input.dataset.steps === String(steps)) continue;
      input.dataset.steps = String(steps);
      const value = input.value;
      [input.min, input.max, input.step] = [String(steps[0]), String(steps[steps.length - 1]), String(steps[1] - steps[0])];
      input.value = value;
    }
  }

  function settle() {
    for (const element of document.querySelectorAll(LIVE)) off(element, true);
    for (const row of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".handle[data-name]"))) handle(row);
    for (const element of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-asks]:not(.handle)"))) {
      const known = held.valuesOf(element.dataset.asks ?? "", element.dataset.with);
      if (element instanceof HTMLSelectElement) for (const option of element.options) off(option, option.value !== element.value && !known.has(option.value));
      else if (element instanceof HTMLInputElement) { off(element, known.size < 2); listed(element, known); }
      else off(element, !known.has(element.dataset.value ?? element.dataset.name ?? ""));
    }
    for (const link of document.querySelectorAll("a[href^='api/v1/']")) {
      const [path, query] = (link.getAttribute("href") ?? "").replace("api/v1/", "").split("?");
      const there = [path, path.replace(/\.json$/, "")].some((name) => held.find(name, /** @type {Pairs} */ ([...new URLSearchParams(query)])));
      if (there) { link.removeAttribute("title"); link.removeAttribute("aria-disabled"); }
      else { link.setAttribute("aria-disabled", "true"); link.setAttribute("title", WHY); }
    }
  }

  /** A field suggests what is held alone. */
  function listed(/** @type {HTMLInputElement} */ field, /** @type {Set<string>} */ known) {
    for (const option of field.list?.options ?? []) if (!known.has(option.value)) option.remove();
  }

  let waiting = 0;
  const soon = () => { waiting ||= requestAnimationFrame(() => { waiting = 0; settle(); }); };
  new MutationObserver(soon).observe(document.body, { childList: true, subtree: true });
  state.watch(soon);
  settle();
}
