// The page: finds its room, keeps what is looked at in the address, and heeds the keys that every room has.

import { state } from "./state.js";
import { complain, tell } from "./speak.js";

const data = JSON.parse(/** @type {HTMLElement} */ (document.getElementById("data")).textContent ?? "{}");
const place = /** @type {HTMLElement} */ (document.getElementById("room"));
const root = document.documentElement;

function taste() {
  const theme = localStorage.getItem("theme");
  if (theme) root.dataset.theme = theme;
  root.toggleAttribute("data-present", state.first("present_") === "1");
}

function switchTheme() {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  localStorage.setItem("theme", dark ? "light" : "dark");
  taste();
  tell(dark ? "light" : "dark");
}

function switchPresent() {
  const on = state.first("present_") !== "1";
  state.put("present_", on ? "1" : null, { replace: true });
  taste();
  tell(on ? "large" : "usual size");
}

function typing(/** @type {EventTarget | null} */ target) {
  return target instanceof HTMLInputElement && ["text", "number", "search"].includes(target.type);
}

document.getElementById("theme")?.addEventListener("click", switchTheme);
document.getElementById("present")?.addEventListener("click", switchPresent);
document.addEventListener("keydown", (event) => {
  const key = event.key.toLowerCase();
  if ((event.ctrlKey || event.metaKey) && key === "z" && !event.altKey) {
    event.preventDefault();
    if (!(event.shiftKey ? state.redo() : state.undo())) tell(event.shiftKey ? "nothing to do again" : "nothing to undo");
  } else if (!typing(event.target) && !event.ctrlKey && !event.metaKey && !event.altKey) {
    if (key === "t") switchTheme();
    else if (key === "p") switchPresent();
  }
});

addEventListener("error", (event) => complain(`this page stumbled: ${event.message}`));
addEventListener("unhandledrejection", (event) => complain(`this page stumbled: ${event.reason}`));
taste();
const room = await import(`./rooms/${data.room}.js`);
room.mount(place, data);
