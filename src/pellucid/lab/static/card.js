// The card beside what is pointed at, focused or tapped: numbers in full. It belongs to a place and follows what changes there; it can be
// pointed at itself, Esc closes it, and k keeps it until it is closed.

import { el } from "./elements.js";

/** @typedef {{left: number, top: number, bottom: number}} Place */
/** @typedef {(owner: Element) => [string, unknown][]} Rows */
/** @typedef {{owner: Element, path: number[], rows: Rows, place: (owner: Element) => Place, element: HTMLElement, kept: boolean}} Card */

const GRACE = 300;
const room = /** @type {HTMLElement} */ (document.getElementById("room"));
/** @type {Card[]} */
let cards = [];
let leaving = 0;
const changes = new MutationObserver(() => cards.forEach(follow));

/** The card that comes and goes. */
const passing = () => cards.find((card) => !card.kept);

/** Where an element stands in the room, for what takes its place when the room is drawn again. */
function pathTo(/** @type {Element} */ element) {
  const path = [];
  for (let at = element; at !== room && at.parentElement; at = at.parentElement) path.unshift([...at.parentElement.children].indexOf(at));
  return path;
}

function close(/** @type {Card} */ card) {
  card.element.remove();
  cards = cards.filter((one) => one !== card);
  if (!cards.length) changes.disconnect();
}

/** Shows what holds now at the card's place, or closes the card of what is there no more. */
function follow(/** @type {Card} */ card) {
  if (!card.owner.isConnected) {
    const next = card.path.reduce((/** @type {Element | undefined} */ at, child) => at?.children[child], room);
    if (next?.tagName !== card.owner.tagName) { close(card); return; }
    card.owner = next;
  }
  const rows = card.owner.getClientRects().length ? card.rows(card.owner) : [];
  if (!rows.length) { close(card); return; }
  /** @type {HTMLElement} */ (card.element.firstElementChild).replaceChildren(
    ...rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", { "data-value": value }, String(value))]));
  const { left, top, bottom } = card.place(card.owner);
  const { offsetWidth, offsetHeight, style } = card.element;
  style.left = `${Math.max(8, Math.min(left + scrollX, scrollX + document.documentElement.clientWidth - offsetWidth - 8))}px`;
  style.top = `${scrollY + (bottom + offsetHeight + 8 < innerHeight ? bottom + 6 : Math.max(8, top - offsetHeight - 6))}px`;
}

function keep(/** @type {Card} */ card) {
  if (card.kept) { close(card); return; }
  card.kept = true;
  card.element.querySelector("button")?.setAttribute("aria-pressed", "true");
}

/** Shows rows of names and values beside an element, or at a place in it. */
export function show(/** @type {Element} */ owner, /** @type {Rows} */ rows, place = (/** @type {Element} */ one) => /** @type {Place} */ (one.getBoundingClientRect())) {
  clearTimeout(leaving);
  const old = passing();
  if (old?.owner === owner) {
    Object.assign(old, { rows, place });
    follow(old);
    return;
  }
  if (old) close(old);
  if (cards.some((card) => card.owner === owner && card.place === place)) return;
  const card = /** @type {Card} */ ({ owner, path: pathTo(owner), rows, place, kept: false });
  card.element = el("div", { class: "card", role: "group", "aria-label": "In full", mouseenter: () => clearTimeout(leaving), mouseleave: leave },
    el("dl"), el("button", { type: "button", title: "Keep this card (k)", "aria-pressed": "false", click: () => keep(card) }, "Keep"));
  if (!cards.length) changes.observe(room, { subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ["data-value", "aria-label"] });
  cards.push(card);
  document.body.append(card.element);
  follow(card);
}

/** Closes the card that comes and goes, at once. */
export function hide() {
  const card = passing();
  if (card) close(card);
}

/** Closes it unless the pointer is soon on it: between what it is about and the card is a gap. */
export function leave() {
  clearTimeout(leaving);
  leaving = window.setTimeout(hide, GRACE);
}

document.addEventListener("keydown", (event) => {
  const writing = event.target instanceof HTMLElement && event.target.matches("input:not([type=range]), select, textarea");
  if (event.key === "Escape" && cards.length) {
    const figure = cards.some((card) => card.owner === document.activeElement && card.owner.matches("canvas, .box"));
    cards.forEach(close);
    if (!figure) event.stopImmediatePropagation(); // the key is for the card, unless its figure heeds it too
  }
  if (event.key === "k" && !writing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const card = passing() ?? cards[cards.length - 1];
    if (card) keep(card);
  }
});
