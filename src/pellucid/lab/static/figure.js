// What every figure can do: be kept as a file, be linked to, be asked for again on the command line or in Python.

import { el } from "./elements.js";
import { tell } from "./speak.js";

const FILES = ["svg", "png", "csv", "json"];

async function copy(/** @type {string} */ words, /** @type {string} */ what) {
  await navigator.clipboard.writeText(words);
  tell(`${what} copied`);
}

/** Buttons for the figure of an answer. @returns {{element: HTMLElement, update: (answer: any, pairs: [string, string][]) => void}} */
export function tools() {
  let answer = /** @type {any} */ ({});
  const links = FILES.map((ending) => el("a", { download: "" }, ending.toUpperCase()));
  const button = (/** @type {string} */ words, /** @type {() => string} */ what) =>
    el("button", { type: "button", click: () => copy(what(), words) }, `Copy ${words}`);
  const element = el("div", { class: "tools", role: "group", "aria-label": "Keep this figure" },
    ...links,
    button("link", () => location.href),
    button("command", () => answer.command ?? ""),
    button("Python", () => answer.python ?? ""),
  );
  return {
    element,
    update(next, pairs) {
      answer = next;
      FILES.forEach((ending, place) => {
        links[place].href = `api/v1/${next.question}.${ending}?${new URLSearchParams(pairs)}`;
        links[place].download = `${next.question}.${ending}`;
      });
    },
  };
}
