// The tour's strip and the text of a room: their links set what is looked at, the step's place is shown, Esc leaves.

import { isStill } from "./taste.js";
import { tell } from "./speak.js";
import { state } from "./state.js";

const strip = /** @type {HTMLElement} */ (document.getElementById("tour"));

function step() {
  const at = state.first("tour_");
  return at === null ? null : /** @type {HTMLElement | null} */ (strip.querySelector(`[data-step="${CSS.escape(at)}"]`));
}

function show() {
  const here = step();
  strip.hidden = here === null;
  for (const one of strip.children) /** @type {HTMLElement} */ (one).hidden = one !== here;
}

/** Marks what the step is about, as soon as it is there. */
function point() {
  document.querySelectorAll("[data-pointed]").forEach((element) => element.removeAttribute("data-pointed"));
  const wanted = step()?.dataset.focus;
  if (!wanted) return;
  const find = () => {
    const found = [...document.querySelectorAll(wanted)].find((element) => element.getClientRects().length); // one that is seen
    if (!found) return false;
    found.setAttribute("data-pointed", "");
    const { top, bottom } = found.getBoundingClientRect();
    if (top < 0 || bottom > innerHeight) found.scrollIntoView({ block: bottom - top > innerHeight ? "start" : "center", behavior: isStill() ? "auto" : "smooth" });
    return true;
  };
  if (find()) return;
  const watcher = new MutationObserver(() => { if (find()) watcher.disconnect(); });
  watcher.observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["hidden"] });
}

export function leave() {
  state.keep("tour_", null);
  tell("the tour is left");
}

/** A link to a place in this room is gone to without a new page. */
function follow(/** @type {MouseEvent} */ event) {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link || event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || !link.closest("#tour, .guide")) return;
  const to = new URL(link.href);
  if (to.pathname !== location.pathname) return;
  event.preventDefault();
  const at = to.searchParams.get("tour_");
  state.go([...to.searchParams]);
  if (at !== null) {
    tell(step()?.querySelector("p")?.textContent ?? "");
    /** @type {HTMLElement | null | undefined} */ (step()?.querySelector("[rel=next]"))?.focus();
  } else tell("shown");
}

export function tour() {
  strip.addEventListener("click", (event) => { if (event.target instanceof Element && event.target.closest("button")) leave(); });
  document.addEventListener("click", follow);
  document.addEventListener("keydown", (event) => {
    if (strip.hidden || document.querySelector(".top[data-open]") || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") { event.stopImmediatePropagation(); leave(); return; }
    if (event.target instanceof HTMLElement && event.target.matches("input, select, textarea")) return;
    const way = { n: "next", b: "prev" }[event.key];
    if (way) /** @type {HTMLElement | null | undefined} */ (step()?.querySelector(`[rel=${way}]`))?.click();
  }, { capture: true });
  let last = state.first("tour_");
  state.watch(() => {
    show();
    if (state.first("tour_") !== last) point();
    last = state.first("tour_");
  });
  show();
  point();
}
