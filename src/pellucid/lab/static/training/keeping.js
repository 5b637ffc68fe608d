// What a snapshot can be kept as: the plane as it is drawn, all of its numbers, and where the network can be looked into.

import { el } from "../elements.js";

/** @typedef {import("./runner.js").State} State */

export function snapshotTools(/** @type {() => HTMLCanvasElement} */ canvas) {
  const numbers = el("a", { download: "" }, "Snapshot as JSON");
  const look = el("a", {}, "Look into this network");
  const picture = el("button", { type: "button", click: save }, "Plane as PNG");
  const element = el("p", { class: "tools", role: "group", "aria-label": "Keep this snapshot", hidden: true }, picture, numbers, look);

  function save() {
    canvas().toBlob((blob) => {
      if (!blob) return;
      const link = el("a", { href: URL.createObjectURL(blob), download: "plane.png" });
      link.click();
      URL.revokeObjectURL(link.href);
    });
  }

  return {
    element,
    update(/** @type {State | null} */ state, /** @type {any} */ snapshot, /** @type {boolean} */ plane) {
      element.hidden = !state || !snapshot;
      if (!state || !snapshot) return;
      picture.hidden = !plane;
      numbers.href = `api/v1/runs/${encodeURIComponent(state.run)}/snapshots/${snapshot.step}`;
      numbers.download = `${state.run}-${snapshot.step}.json`;
      look.hidden = plane; // the room of networks is for pictures
      look.href = `network?${new URLSearchParams({ model: state.network })}`;
    },
  };
}
