// The page: finds its room, keeps what is looked at in the address, and heeds the keys that every room has.

import { lesson } from "./parts.js";
import { rail } from "./rail.js";
import { readings } from "./readings.js";
import { complain, tell } from "./speak.js";
import { state } from "./state.js";
import * as taste from "./taste.js";
import { tour } from "./tour.js";

const data = JSON.parse(/** @type {HTMLElement} */ (document.getElementById("data")).textContent ?? "{}");
const place = /** @type {HTMLElement} */ (document.getElementById("room"));

function switchTheme() {
  const dark = taste.isDark();
  taste.choose("theme", dark ? "light" : "dark");
  tell(dark ? "light" : "dark");
}

function showPresent() {
  document.documentElement.toggleAttribute("data-present", state.first("present") === "1");
}

function switchPresent() {
  const on = state.first("present") !== "1";
  state.keep("present", on ? "1" : null);
  tell(on ? "large" : "usual size");
}

function typing(/** @type {EventTarget | null} */ target) {
  return target instanceof HTMLElement && target.matches("input:is([type=text], [type=number], [type=search], :not([type])), select, textarea");
}

lesson();
taste.show();
showPresent();
state.watch(showPresent);
rail();
tour();
document.getElementById("theme")?.addEventListener("click", switchTheme);
document.getElementById("present")?.addEventListener("click", switchPresent);
for (const name of ["speed", "motion"]) {
  const field = document.getElementById(name);
  if (!(field instanceof HTMLSelectElement)) continue;
  field.value = taste.chosen(name);
  field.addEventListener("change", () => taste.choose(name, field.value));
}
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
readings();
if (data.carrier) await (await import(`./carriers/${data.carrier}.js`)).begin(data);
const room = await import(`./rooms/${data.room}.js`);
room.mount(place, data);
