// A cell of a notebook: the lab's page in a frame, whose questions the kernel answers. This alone runs in the notebook's own page.

/** @param {{model: any, el: HTMLElement}} given */
function render({ model, el }) {
  const view = `${performance.now()}-${Math.random()}`; // the model has several, where its cell is shown more than once
  const frame = document.createElement("iframe");
  frame.title = "Pellucid lab";
  frame.style.cssText = `width: 100%; height: ${model.get("height")}px; border: 0;`;
  frame.allow = "clipboard-write";
  frame.srcdoc = model.get("page");
  el.append(frame);

  /** What the page asks, sent to the kernel. */
  function asked(/** @type {MessageEvent} */ event) {
    if (event.source !== frame.contentWindow) return;
    const { body, ...content } = event.data;
    model.send({ ...content, view }, undefined, body ? [body] : []);
  }

  /** What the kernel answers, given to the page; another page takes its place. */
  function told(/** @type {any} */ content, /** @type {DataView[]} */ buffers) {
    if (content.view !== view) return;
    const [raw] = buffers;
    const bytes = new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength).slice();
    if (content.page) frame.srcdoc = new TextDecoder().decode(bytes);
    else frame.contentWindow?.postMessage({ ...content, bytes: bytes.buffer }, "*");
  }

  window.addEventListener("message", asked);
  model.on("msg:custom", told);
  return () => {
    window.removeEventListener("message", asked);
    model.off("msg:custom", told);
  };
}

export default { render };
