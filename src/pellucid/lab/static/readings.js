// Every number can be read in full: by pointing at it, by a tap, and by v, which goes from number to number.

import * as card from "./card.js";
import { spoken } from "./numbers.js";
import { tell } from "./speak.js";

const NUMBERS = "#room [data-value], #room canvas[tabindex='-1']";

/** What a number is called: by itself, or by the head of its column. */
function nameOf(/** @type {Element} */ number) {
  const own = number.getAttribute("data-name");
  if (own) return own;
  const place = number.closest("td");
  const head = place?.closest("table")?.tHead?.rows[0]?.cells[place.cellIndex]?.textContent;
  const row = place?.parentElement?.firstElementChild;
  return [row && row !== place ? row.textContent : "", head].filter(Boolean).join(", ") || number.closest("[aria-label]")?.getAttribute("aria-label") || "number";
}

function show(/** @type {Element} */ number) {
  card.show(number, (one) => one.hasAttribute("data-value") ? [[nameOf(one), one.getAttribute("data-value")]] : []);
}

/** The number that an event is about, but those of boxes and circles, which their figures tell. */
function numberOf(/** @type {Event} */ event) {
  const found = event.target instanceof Element ? event.target.closest("#room [data-value]") : null;
  return found && !found.closest(".box, circle") ? found : null;
}

/** The next number in the order of the page, or the one before. */
function walk(/** @type {number} */ by) {
  const all = /** @type {HTMLElement[]} */ ([...document.querySelectorAll(NUMBERS)]).filter((one) => one.getClientRects().length && !one.closest(".box, circle"));
  const here = document.activeElement ?? document.body;
  const after = all.findIndex((one) => here.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING);
  const at = all.indexOf(/** @type {HTMLElement} */ (here));
  const next = all[at >= 0 ? at + by : by > 0 ? after : (after < 0 ? all.length : after) - 1];
  if (!next) { tell("no more numbers"); return; }
  if (next.tabIndex < 0) next.tabIndex = -1;
  next.focus();
  if (!next.hasAttribute("data-value")) return;
  show(next);
  tell(`${nameOf(next)}: ${spoken(next.getAttribute("data-value"))}`);
}

export function readings() {
  document.addEventListener("pointerover", (event) => {
    const number = numberOf(event);
    if (number && event.pointerType === "mouse") show(number);
  });
  document.addEventListener("pointerout", (event) => event.pointerType === "mouse" && numberOf(event) && card.leave());
  document.addEventListener("click", (event) => {
    const number = numberOf(event);
    if (number) show(number);
  });
  document.addEventListener("keydown", (event) => {
    const writing = event.target instanceof HTMLElement && event.target.matches("input:not([type=range]), select, textarea");
    if (event.key.toLowerCase() === "v" && !writing && !event.ctrlKey && !event.metaKey && !event.altKey) walk(event.shiftKey ? -1 : 1);
  });
}
