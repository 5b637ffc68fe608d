// The rooms above every page: folded where the page is narrow, with the network and the picture in use, which go along from room to room.

import { state } from "./state.js";

const KEPT = ["model", "picture"];

/** What was looked at last in this tab. */
function used(/** @type {string} */ name) {
  return state.first(name) ?? sessionStorage.getItem(name) ?? "";
}

export function rail() {
  const header = /** @type {HTMLElement} */ (document.querySelector(".top"));
  const fold = /** @type {HTMLElement} */ (document.getElementById("fold"));
  const place = /** @type {HTMLElement} */ (document.getElementById("in-use"));
  const begun = place.dataset.model ?? "";
  fold.addEventListener("click", () => open(!header.hasAttribute("data-open")));
  header.addEventListener("keydown", (event) => { if (event.key === "Escape" && header.hasAttribute("data-open")) { open(false); fold.focus(); } });
  document.addEventListener("click", (event) => { if (event.target instanceof Node && !header.contains(event.target)) open(false); });
  state.watch(follow);
  follow();

  function open(/** @type {boolean} */ on) {
    header.toggleAttribute("data-open", on);
    fold.setAttribute("aria-expanded", String(on));
  }

  function follow() {
    for (const name of KEPT) {
      const value = state.first(name);
      if (value) sessionStorage.setItem(name, value);
    }
    const now = { model: used("model") || begun, picture: used("picture") };
    for (const [name, value] of Object.entries(now)) {
      const shown = place.querySelector(`[data-name="${name}"]`);
      if (!(shown instanceof HTMLElement) || !(shown.parentElement instanceof HTMLElement)) continue;
      shown.textContent = value.split("/").pop() ?? "";
      shown.title = value;
      shown.parentElement.hidden = !value;
    }
    for (const link of document.querySelectorAll("#rail a")) {
      if (!(link instanceof HTMLAnchorElement)) continue;
      const pairs = (link.dataset.takes ?? "").split(" ").filter((name) => used(name)).map((name) => [name, used(name)]);
      if (state.first("present")) pairs.push(["present", "1"]);
      const room = (link.getAttribute("href") ?? "").split("?")[0];
      link.setAttribute("href", pairs.length ? `${room}?${new URLSearchParams(pairs)}` : room);
    }
  }
}
