// A picture of one's own: from a file, dropped, or pasted. The server keeps it by its bytes as long as it runs.

import { turn } from "./ask.js";
import { jsonOf } from "./carrier.js";
import { el } from "./elements.js";
import { complain } from "./speak.js";

async function send(/** @type {Blob} */ file) {
  const told = await jsonOf("api/v1/pictures", { method: "POST", body: file });
  return /** @type {string} */ (told.picture);
}

/**
 * A place to choose, drop or paste a picture; `chosen` is called with its name, unless what `now` says is looked at is another by then, or was chosen since. Where a page has several, one of them takes what is pasted.
 */
export function choose(/** @type {(name: string) => void} */ chosen, /** @type {() => unknown} */ now, { paste = true } = {}) {
  const keep = async (/** @type {Blob | null | undefined} */ file) => {
    if (!file) return;
    complain("");
    const isWanted = turn(chosen, now);
    try {
      const name = await send(file);
      if (isWanted()) chosen(name);
    } catch (error) {
      if (isWanted()) complain(error instanceof Error ? error.message : String(error));
    }
  };
  const files = el("input", { type: "file", accept: "image/*,.npy", "aria-label": "A picture of your own", change: () => keep(files.files[0]) });
  if (paste) document.addEventListener("paste", (event) => keep([...(event.clipboardData?.files ?? [])].find((file) => file.type.startsWith("image/"))));
  return el("div", { class: "drop", dragover: (/** @type {DragEvent} */ event) => event.preventDefault(),
    drop: (/** @type {DragEvent} */ event) => { event.preventDefault(); keep(event.dataTransfer?.files[0]); } }, "Drop, paste or choose: ", files);
}
