// A camera as a picture of one's own: at most ten pictures a second, the newest counts, and it ends when nobody looks.

import { jsonOf } from "./carrier.js";
import { el } from "./elements.js";
import { tell } from "./speak.js";

const APART = 100, SIDE = 640, HIDDEN = "The camera stopped, as this page was hidden.";

/** Why the browser gives no camera, in words. */
function reason(/** @type {unknown} */ error) {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") return "The camera was denied. Allow it for this address in the browser (the sign beside the address), then press Camera again; a picture from a file works without.";
  if (name === "NotFoundError" || name === "OverconstrainedError") return "There is no camera on this machine, or none that the browser finds. A picture from a file works without.";
  if (name === "NotReadableError" || name === "AbortError") return "The camera is there but gives no picture: another program may be using it. Close that, then press Camera again.";
  return `The camera cannot be used: ${error instanceof Error ? error.message : String(error)}`;
}

/** `shown(name, last)` is called with each picture that was sent, unless another one than `now` was chosen meanwhile; `ready()` says whether the one before is looked at already. */
export function webcam(/** @type {(name: string, last: boolean) => void} */ shown, /** @type {() => boolean} */ ready, /** @type {() => string} */ now) {
  const button = el("button", { type: "button", "data-live": true, "aria-pressed": "false", click: () => stream ? stop("") : start() }, "Camera");
  const words = el("span", { class: "caption", role: "status" });
  const video = el("video", { muted: true, playsinline: true, hidden: true, "aria-label": "What the camera sees" });
  const element = el("span", { class: "row camera" }, button, video, words);
  const canvas = document.createElement("canvas");
  let stream = /** @type {MediaStream | null} */ (null), taken = 0, busy = false, turn = 0;
  document.addEventListener("visibilitychange", () => { if (document.hidden && stream) stop(HIDDEN); });
  addEventListener("pagehide", () => stop(""));

  async function start() {
    if (!isSecureContext || !navigator.mediaDevices) {
      words.textContent = "A browser gives the camera only to pages of this machine (localhost, 127.0.0.1) or over https: open the lab on the machine itself, or through a tunnel (ssh -L).";
      return;
    }
    const mine = ++turn;
    words.textContent = "The browser asks whether the camera may be used.";
    try {
      const found = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: SIDE } }, audio: false });
      if (mine !== turn) { for (const track of found.getTracks()) track.stop(); return; }
      stream = found;
      if (document.hidden) { stop(HIDDEN); return; }
      found.getVideoTracks()[0]?.addEventListener("ended", () => stop("The camera was switched off."));
      video.srcObject = found;
      video.hidden = false;
      await video.play();
      if (mine !== turn) return;
      button.setAttribute("aria-pressed", "true");
      button.textContent = "Stop the camera";
      words.textContent = "Live, at most ten pictures a second. They stay on this machine.";
      tell("the camera is on");
      requestAnimationFrame(tick);
    } catch (error) {
      if (mine === turn) stop(reason(error)); // what ended it meanwhile has said why
    }
  }

  function stop(/** @type {string} */ why) {
    turn++;
    const was = stream;
    for (const track of was?.getTracks() ?? []) track.stop();
    stream = null;
    video.srcObject = null;
    video.hidden = true;
    button.setAttribute("aria-pressed", "false");
    button.textContent = "Camera";
    words.textContent = why;
    if (was && canvas.width && taken) send(true);
  }

  function tick(/** @type {number} */ now) {
    if (!stream) return;
    requestAnimationFrame(tick);
    if (busy || now - taken < APART || !video.videoWidth || !ready()) return;
    taken = now;
    const share = Math.min(1, SIDE / Math.max(video.videoWidth, video.videoHeight));
    canvas.width = Math.round(video.videoWidth * share);
    canvas.height = Math.round(video.videoHeight * share);
    canvas.getContext("2d")?.drawImage(video, 0, 0, canvas.width, canvas.height);
    send(false);
  }

  /** The last one is kept as a picture that was chosen, so that a link to it lasts. */
  async function send(/** @type {boolean} */ last) {
    busy = true;
    const mine = turn, before = now();
    try {
      const blob = await new Promise((made) => canvas.toBlob(made, "image/jpeg", 0.9));
      const told = await jsonOf(`api/v1/pictures${last ? "" : "?passing=true"}`, { method: "POST", body: /** @type {Blob} */ (blob) });
      if (mine === turn && now() === before) shown(told.picture, last);
    } catch (error) {
      if (mine === turn) { if (last) words.textContent = error instanceof Error ? error.message : String(error); else stop(error instanceof Error ? error.message : String(error)); }
    }
    busy = false;
  }

  return element;
}
