// The rooms above every page: folded where the page is narrow, with the network and the picture in use, which go along from room to room.

import { keep, read } from "./keep.js";
import { state } from "./state.js";

/** What goes along, as addresses call it, and as it is called here. */
const KEPT = { model: "model", run_: "run", picture: "picture" };
let refresh = () => {};

/** What a room took by itself is in use too. */
export function use(/** @type {Record<string, string>} */ values) {
  for (const [name, value] of Object.entries(values)) if (value) keep("sessionStorage", name, value);
  refresh();
}

/** What was looked at last in this tab. */
function used(/** @type {string} */ name) {
  return state.first(name) ?? read("sessionStorage", name) ?? "";
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
  refresh = follow;
  follow();

  /** Whether a room gets what is in use: a picture of a run's own data only with its network. */
  function goes(/** @type {HTMLAnchorElement} */ link, /** @type {string} */ name) {
    const value = used(name);
    if (!value || name !== "picture" || (link.dataset.takes ?? "").split(" ").includes("model")) return value !== "";
    const known = (place.dataset.pictures ?? "").split(" ");
    return known.some((one) => value === one || value.startsWith(`${one}[`)) || /^[0-9a-f]{20}$/.test(value);
  }

  function open(/** @type {boolean} */ on) {
    header.toggleAttribute("data-open", on);
    fold.setAttribute("aria-expanded", String(on));
  }

  function follow() {
    for (const [name, called] of Object.entries(KEPT)) {
      const said = state.first(name);
      if (said) keep("sessionStorage", name, said);
      const value = used(name) || (name === "model" ? begun : "");
      const shown = place.querySelector(`[data-name="${called}"]`);
      if (!(shown instanceof HTMLElement) || !(shown.parentElement instanceof HTMLElement)) continue;
      shown.textContent = value.split("/").pop() ?? "";
      shown.title = value;
      shown.parentElement.hidden = !value;
    }
    for (const link of document.querySelectorAll("#rail a")) {
      if (!(link instanceof HTMLAnchorElement)) continue;
      const pairs = (link.dataset.takes ?? "").split(" ").filter((name) => goes(link, name)).map((name) => [name, used(name)]);
      if (state.first("present")) pairs.push(["present", "1"]);
      const room = (link.getAttribute("href") ?? "").split("?")[0];
      link.setAttribute("href", pairs.length ? `${room}?${new URLSearchParams(pairs)}` : room);
    }
  }
}
