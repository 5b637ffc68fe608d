// A page in a notebook's frame: what it asks goes to the cell around it, and from there to the kernel.

import { bytesOf, carriedBy } from "../carrier.js";
import { links } from "./links.js";

let count = 0;
const own = `${performance.timeOrigin}-${Math.floor(performance.now() * 1000)}`;
/** @type {Map<string, (told: {status: number, bytes: ArrayBuffer}) => void>} */
const waiting = new Map();

/** Carries from now on. */
export function begin() {
  addEventListener("message", ({ data, source }) => {
    if (source !== parent) return;
    waiting.get(data.id)?.(data);
    waiting.delete(data.id);
  });
  carriedBy(async (address, { method, body }) => {
    const id = `${own}-${++count}`;
    const sent = body ? await new Blob([body]).arrayBuffer() : null;
    const { status, bytes } = await new Promise((resolve) => {
      waiting.set(id, resolve);
      parent.postMessage({ id, address, method: method ?? "GET", body: sent }, "*");
    });
    return { ok: status < 400, status, bytes: async () => bytes };
  });
  links(bytesOf, (room, search) => parent.postMessage({ page: room + search }, "*"));
}
