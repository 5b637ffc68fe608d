// Elements made in one call; an attribute that is null is left out, one that is a function is listened to.

/** @typedef {Record<string, any>} Attributes */

const SVG = "http://www.w3.org/2000/svg";

function filled(/** @type {Element} */ made, /** @type {Attributes} */ attributes, /** @type {(Node | string)[]} */ children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children);
  return made;
}

/** @returns {any} */
export function el(/** @type {string} */ tag, /** @type {Attributes} */ attributes = {}, /** @type {(Node | string)[]} */ ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** What the server drew, to be put into a page. */
export function drawn(/** @type {string} */ part) {
  const made = document.createElement("template");
  made.innerHTML = part;
  return made.content;
}

/** @returns {any} */
export function svg(/** @type {string} */ tag, /** @type {Attributes} */ attributes = {}, /** @type {(Node | string)[]} */ ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}
