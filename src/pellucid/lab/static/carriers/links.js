// Where links lead on a page without its server: figures are made files here, and rooms of a page that is one file lie behind its hash.

import { complain } from "../speak.js";

function save(/** @type {ArrayBuffer} */ raw, /** @type {string} */ name) {
  const url = URL.createObjectURL(new Blob([raw]));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

/** `bytesOf` gives what is at an address of the API; `lead` goes to a room with what is looked at. */
export function links(/** @type {(address: string) => Promise<ArrayBuffer>} */ bytesOf, /** @type {((room: string, search: string) => void) | null} */ lead) {
  document.addEventListener("click", (event) => {
    const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
    if (!(link instanceof HTMLAnchorElement) || link.href.startsWith("blob:")) return;
    const address = link.getAttribute("href") ?? "";
    if (address.startsWith("api/v1/")) {
      event.preventDefault();
      bytesOf(address).then((raw) => save(raw, link.download), (problem) => complain(problem.message));
    } else if (lead && address.startsWith("#")) {
      event.preventDefault();
      document.getElementById(address.slice(1))?.focus();
    } else if (lead && /^[a-z][a-z-]*(\?.*)?$/.test(address)) {
      event.preventDefault();
      event.stopPropagation();
      const [room, query = ""] = address.split("?");
      lead(room, query ? `?${query}` : "");
    }
  }, { capture: true });
}

/** The same for a copy, which is in one file or in a folder. */
export function leads(/** @type {(address: string) => Promise<ArrayBuffer>} */ bytesOf, /** @type {boolean} */ alone) {
  if (!alone) { links(bytesOf, null); return; }
  addEventListener("hashchange", () => location.reload());
  links(bytesOf, (room, search) => { location.href = `${location.pathname}${search}#${room}`; });
}
