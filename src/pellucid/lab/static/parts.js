// A lesson's link: what it hides (hide=) and freezes (lock=), by the names of the page's parts, whenever they appear.

import { tell } from "./speak.js";
import { state } from "./state.js";

/** What of a page has a name: as its data-part says, else its id, else its data-name, else the words that it is spoken by. */
const NAMED = "[data-part], section, form, fieldset, details, figure, nav, canvas, button, input, select, textarea, a, .handle, .tools, .chips, .drop";
const STOPPED = ["pointerdown", "mousedown", "touchstart", "click", "dblclick", "keydown", "beforeinput", "input", "change", "paste", "drop", "wheel", "submit"];
const PASSES = ["Tab", "Escape", "Shift", "Control", "Alt", "Meta"];

/** `Play or pause (space)` -> `play-or-pause`. */
function slug(/** @type {string} */ words) {
  return words.replace(/\(.*?\)/g, "").toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");
}

/** The name of a part, which it keeps from the first time it is asked for. */
export function nameOf(/** @type {Element} */ element) {
  if (!element.hasAttribute("data-part")) {
    const own = element.id || element.getAttribute("data-name") || element.getAttribute("aria-label") || (element.matches("button, a") ? element.textContent : "") || "";
    element.setAttribute("data-part", slug(own));
  }
  return element.getAttribute("data-part") ?? "";
}

function asked(/** @type {string} */ name) {
  return new Set(state.all(name).flatMap((text) => text.split(",")).map((one) => one.trim()).filter(Boolean));
}

const shows = (/** @type {Set<string>} */ names, /** @type {Element} */ element) => names.has(nameOf(element));

function settle(/** @type {ParentNode} */ place) {
  const [gone, frozen] = [asked("hide"), asked("lock")];
  const found = [...place.querySelectorAll(NAMED)];
  if (place instanceof Element && place.matches(NAMED)) found.push(place);
  for (const element of found) {
    element.toggleAttribute("data-gone", shows(gone, element));
    const locked = shows(frozen, element);
    if (locked !== element.hasAttribute("data-frozen")) {
      element.toggleAttribute("data-frozen", locked);
      for (const one of [element, ...element.querySelectorAll("button, input, select, textarea, [tabindex]")]) {
        if (locked) one.setAttribute("aria-disabled", "true");
        else one.removeAttribute("aria-disabled");
      }
    }
  }
}

function isFrozen(/** @type {EventTarget | null} */ target) {
  return target instanceof Element && target.closest("[data-frozen]") !== null;
}

/** Whether a key is that of a control that is hidden or frozen (aria-keyshortcuts). */
function isSilenced(/** @type {KeyboardEvent} */ event) {
  const key = event.key === " " ? "Space" : event.key;
  const where = ":is([data-frozen], [data-gone])";
  return [...document.querySelectorAll(`${where}[aria-keyshortcuts], ${where} [aria-keyshortcuts]`)]
    .some((element) => (element.getAttribute("aria-keyshortcuts") ?? "").split(" ").includes(key));
}

function stop(/** @type {Event} */ event) {
  if (event instanceof KeyboardEvent) {
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    if (PASSES.includes(event.key) || !plain || !(isFrozen(event.target) || isSilenced(event))) return;
  } else if (!isFrozen(event.target)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (["pointerdown", "keydown"].includes(event.type)) tell("locked in this lesson");
}

/** Heeds the link from now on; a page without hide and lock is not watched. */
export function lesson() {
  const names = () => [...asked("hide"), "/", ...asked("lock")].join(",");
  let last = "/", watched = false;
  const follow = () => {
    if (names() === last) return;
    last = names();
    settle(document.body);
    if (watched) return;
    watched = true;
    for (const type of STOPPED) document.addEventListener(type, stop, { capture: true, passive: false });
    new MutationObserver((changes) => {
      for (const change of changes) for (const node of change.addedNodes) {
        if (!(node instanceof Element)) continue;
        settle(node);
        if (isFrozen(node)) for (const one of [node, ...node.querySelectorAll("button, input, select, textarea")]) one.setAttribute("aria-disabled", "true");
      }
    }).observe(document.body, { childList: true, subtree: true });
  };
  state.watch(follow);
  follow();
}
