// The card beside what is pointed at, focused or tapped; Esc closes it, and it can be pointed at itself.

import { el } from "./elements.js";

/** @type {HTMLElement | null} */
let open = null;

/** Shows rows of names and values beside an element. */
export function show(/** @type {Element} */ beside, /** @type {[string, string][]} */ rows) {
  hide();
  const list = el("dl");
  for (const [name, value] of rows) list.append(el("dt", {}, name), el("dd", { "data-value": value }, value));
  open = el("div", { class: "card", role: "tooltip", mouseleave: hide }, list);
  document.body.append(/** @type {HTMLElement} */ (open));
  const place = beside.getBoundingClientRect();
  const { offsetWidth, offsetHeight } = /** @type {HTMLElement} */ (open);
  const left = Math.max(8, Math.min(place.left + scrollX, scrollX + innerWidth - offsetWidth - 8));
  const below = place.bottom + offsetHeight + 8 < innerHeight;
  /** @type {HTMLElement} */ (open).style.left = `${left}px`;
  /** @type {HTMLElement} */ (open).style.top = `${scrollY + (below ? place.bottom + 6 : place.top - offsetHeight - 6)}px`;
}

export function hide() {
  open?.remove();
  open = null;
}

document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
