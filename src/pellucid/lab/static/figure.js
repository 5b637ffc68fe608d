// What every figure can do: be kept as a file, be linked to, be asked for again on the command line or in Python.

import { el } from "./elements.js";
import { notice, tell } from "./speak.js";
import { state } from "./state.js";

const FILES = ["svg", "png", "csv", "json"];

/** Puts words where they can be pasted from, or says them. */
export async function copy(/** @type {string} */ words, /** @type {string} */ what) {
  try {
    await navigator.clipboard.writeText(words);
    tell(`${what} copied`);
  } catch { // as in a frame of another page, which has to allow it
    notice(`The browser does not let this page copy; here is the ${what}:\n${words}`);
    tell(`the ${what} could not be copied, and stands at the top`);
  }
}

/** The link to what is looked at; what it cannot bring along is said. */
async function copyLink() {
  const { link, problem } = state.link();
  if (problem) { notice(problem); tell("there is no link to this"); return; }
  const own = /^[0-9a-f]{20}$/.test(state.first("picture") ?? "");
  await copy(link, "link");
  if (own) {
    const words = "The link is copied. It names your own picture, and does not bring it: it is known as long as this lab runs; elsewhere, send the picture there first.";
    notice(words);
    tell(words);
  }
}

/** Buttons for the figure of an answer. @returns {{element: HTMLElement, update: (answer: any, pairs: [string, string][]) => void}} */
export function tools() {
  let answer = /** @type {any} */ ({});
  const links = FILES.map((ending) => el("a", { download: "" }, ending.toUpperCase()));
  const button = (/** @type {string} */ words, /** @type {() => string} */ what) =>
    el("button", { type: "button", disabled: true, "aria-label": `Copy ${words}`, click: () => copy(what(), words) }, words);
  const copies = [button("command", () => answer.command), button("Python", () => answer.python)]; // of an answer, when there is one
  const element = el("div", { class: "tools", "data-part": "tools", role: "group", "aria-label": "Keep this figure" },
    el("span", {}, el("span", { "aria-hidden": "true" }, "Save as"), ...links),
    el("span", {}, el("span", { "aria-hidden": "true" }, "Copy"), el("button", { type: "button", "aria-label": "Copy link", click: copyLink }, "link"), ...copies),
  );
  return {
    element,
    update(next, pairs) {
      answer = next;
      for (const one of copies) one.disabled = false;
      const name = [next.question, ...pairs.filter(([key]) => key === "figure").map(([, value]) => value)].join("-");
      FILES.forEach((ending, place) => {
        links[place].href = `api/v1/${next.address ?? next.question}.${ending}?${new URLSearchParams(pairs)}`;
        links[place].download = `${name}.${ending}`;
      });
    },
  };
}
