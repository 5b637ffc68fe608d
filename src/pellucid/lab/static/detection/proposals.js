// The stage that comes before a detector's network, or is its first: where an object may be, on a picture of the reader's own.

import { jsonOf } from "../carrier.js";
import { el } from "../elements.js";
import { choose as choosePicture } from "../pictures.js";
import { tell } from "../speak.js";
import { state } from "../state.js";
import { asked } from "./asked.js";

const FEW = "500", SEARCH = "selective search";

export function proposals(/** @type {any} */ data) {
  const begins = new Map(/** @type {[string, string][]} */ (data.copy?.look ?? []));
  const picture = el("input", { type: "text", id: "proposals-picture", list: "proposals-at-hand", autocomplete: "off", "data-asks": "picture" });
  const by = el("select", { id: "proposals-by", change: keep, "data-live": true }, el("option", { value: "" }, SEARCH));
  const most = el("input", { type: "number", id: "proposals-most", min: 1, max: 10000, change: keep, "data-live": true });
  const size = el("input", { type: "number", id: "proposals-size", min: 64, max: 4096, placeholder: "500", change: keep, "data-live": true });
  const sized = el("span", { class: "labeled" }, el("label", { for: "proposals-size" }, "searched at"), size, "pixels");
  const found = asked("proposals", (answer) => tell(answer.text.split(",")[0]));
  jsonOf("api/v1/networks").then((known) => {
    by.append(...known.proposing.map((/** @type {string} */ name) => el("option", { value: name }, `the network of ${name}`)));
    state.watch(follow);
    follow();
  }, () => { /* a copy holds no detectors */ });
  return el("section", { class: "stage", "aria-label": "Proposals", "data-part": "proposals" }, el("h2", {}, "Where may an object be? Proposals on a picture"),
    el("p", {}, "R-CNN and Fast R-CNN do not look at every window of a picture, but at some 2,000 proposals. Selective search finds them before any class is known: the picture is cut into even parts, and the two neighbors that are most alike are merged until one is left. A box around every region on the way is a proposal. Faster R-CNN has its own network propose."),
    el("form", { class: "row", submit: (/** @type {Event} */ event) => { event.preventDefault(); send(); } }, el("span", { class: "labeled" }, el("label", { for: "proposals-picture" }, "Picture"), picture), el("datalist", { id: "proposals-at-hand" }, ...data.facts.pictures.map((/** @type {string} */ value) => el("option", { value }))),
      el("span", { class: "labeled" }, el("label", { for: "proposals-by" }, "by"), by), el("span", { class: "labeled" }, el("label", { for: "proposals-most" }, "at most"), most), sized, el("button", { type: "submit" }, "Find proposals")),
    choosePicture((name) => { picture.value = name; send(); }, () => picture.value), ...found.elements);

  function keep() { write(state.first("picture_") ?? "", false); }
  function send() { write(picture.value, true); }

  function write(/** @type {string} */ name, /** @type {boolean} */ push) {
    const fields = { picture_: name, by_: by.value, most_: most.value || FEW, search_size_: size.value };
    const given = /** @type {[string, string][]} */ (Object.entries(fields).filter(([, value]) => value));
    state.set([...state.pairs().filter(([key]) => !(key in fields)), ...given], { push });
  }

  function follow() {
    const said = (/** @type {string} */ name) => state.first(name) ?? begins.get(name) ?? "";
    if (said("picture_") || !picture.value) picture.value = said("picture_") || data.facts.pictures[0]; // what is typed stays until it is asked
    by.value = said("by_");
    most.value = said("most_") || FEW;
    size.value = said("search_size_");
    sized.hidden = Boolean(by.value); // a network sees the picture at a size of its own
    const fields = { picture: said("picture_"), run: by.value, most: most.value, search_size: by.value ? "" : size.value };
    found.ask(fields.picture ? /** @type {[string, string][]} */ (Object.entries(fields).filter(([, value]) => value)) : null);
  }
}
