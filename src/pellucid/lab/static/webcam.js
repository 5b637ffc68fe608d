// A camera as a picture of one's own: at most ten pictures a second, the newest counts, and it ends when nobody looks.

import { jsonOf } from "./carrier.js";
import { el } from "./elements.js";
import { tell } from "./speak.js";

const APART = 100, SIDE = 640, HIDDEN = "The camera stopped, as this page was hidden.", CHOSEN = "The camera stopped, as another picture was chosen.";

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
  let own = /** @type {string | null} */ (null); // the picture that was looked at when the camera came, then the newest of its own
  document.addEventListener("visibilitychange", () => { if (document.hidden && stream) stop(HIDDEN); });
  addEventListener("pagehide", () => stop(""));

  /** Whether another picture was chosen. */
  const left = () => Boolean(now()) && now() !== own;

  async function start() {
    if (!isSecureContext || !navigator.mediaDevices) {
      words.textContent = "A browser gives the camera only to pages of this machine (localhost, 127.0.0.1) or over https: open the lab on the machine itself, or through a tunnel (ssh -L).";
      return;
    }
    const mine = ++turn;
    own = now();
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
    const was = stream, last = canvas.width && taken && !left();
    for (const track of was?.getTracks() ?? []) track.stop();
    stream = null;
    video.srcObject = null;
    video.hidden = true;
    button.setAttribute("aria-pressed", "false");
    button.textContent = "Camera";
    words.textContent = why;
    if (was && last) send(true);
  }

  function tick(/** @type {number} */ time) {
    if (!stream) return;
    if (left()) { stop(CHOSEN); return; }
    requestAnimationFrame(tick);
    if (busy || time - taken < APART || !video.videoWidth || !ready()) return;
    taken = time;
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
      if (mine !== turn || now() !== before) return;
      own = told.picture;
      shown(told.picture, last);
    } catch (error) {
      if (mine === turn) { if (last) words.textContent = error instanceof Error ? error.message : String(error); else stop(error instanceof Error ? error.message : String(error)); }
    } finally {
      busy = false;
    }
  }

  return element;
}
