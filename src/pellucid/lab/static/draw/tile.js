// Maps as small pictures: bytes from the server, a color for each. What is no finite number (255) is hatched.

/** @typedef {{shape: number[], low: number, high: number, bytes: string}} Packed */
/** @typedef {{rising: string[], signed: string[], gray: string[]}} Colors */

/** @type {WeakMap<string[], Uint32Array>} */
const tables = new WeakMap();

/** Colors as pixels. */
export function table(/** @type {string[]} */ colors) {
  const known = tables.get(colors);
  if (known) return known;
  const made = new Uint32Array(256);
  colors.forEach((color, k) => {
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
    made[k] = (0xff << 24 | b << 16 | g << 8 | r) >>> 0;
  });
  tables.set(colors, made);
  return made;
}

const MISSING = 255;
/** The two grays of a hatching, as a canvas has them. */
const LIGHT = 0xffebe7e5, DARK = 0xff806b63;
/** Pixels that a hatched map has at least along its side: stripes are to be seen in each of its cells. */
const FINE = 96;

/** The color of a byte, at a pixel of the canvas. */
const shade = (/** @type {Uint32Array} */ shades, /** @type {number} */ value, /** @type {number} */ x, /** @type {number} */ y) => value !== MISSING ? shades[value] : (x + y) % 4 < 2 ? LIGHT : DARK;

/** The same hatching for what is drawn otherwise. @returns {CanvasPattern} */
export function hatching(/** @type {CanvasRenderingContext2D} */ ink) {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 8;
  const stripes = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")), image = stripes.createImageData(8, 8);
  const pixels = new Uint32Array(image.data.buffer);
  for (let k = 0; k < 64; k++) pixels[k] = ((k % 8) + (k >> 3)) % 8 < 4 ? LIGHT : DARK;
  stripes.putImageData(image, 0, 0);
  return /** @type {CanvasPattern} */ (ink.createPattern(canvas, "repeat"));
}

export function bytes(/** @type {string} */ base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/** Draws one map of bytes on a canvas, a pixel for each, or several where some are hatched. */
export function paint(/** @type {HTMLCanvasElement} */ canvas, /** @type {Uint8Array} */ values, /** @type {number} */ rows, /** @type {number} */ columns, /** @type {boolean} */ signed, /** @type {Colors} */ colors) {
  const times = values.includes(MISSING) ? Math.ceil(FINE / Math.max(rows, columns)) : 1;
  canvas.width = columns * times;
  canvas.height = rows * times;
  const ink = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = ink.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  const shades = table(signed ? colors.signed : colors.rising);
  for (let k = 0, y = 0; y < canvas.height; y++) {
    const row = Math.floor(y / times) * columns;
    for (let x = 0; x < canvas.width; x++, k++) pixels[k] = shade(shades, values[row + Math.floor(x / times)], x, y);
  }
  ink.putImageData(image, 0, 0);
}

/** Draws a picture of bytes on a canvas, of one plane (rows, columns) in the colors' own, of three (3, rows, columns) as red, green and blue; of other many the first. */
export function paintPicture(/** @type {HTMLCanvasElement} */ canvas, /** @type {Uint8Array} */ values, /** @type {number[]} */ shape, /** @type {Colors} */ colors) {
  const [rows, columns] = shape.slice(-2), size = rows * columns;
  if (shape.length < 3 || shape[0] !== 3) { paint(canvas, values.subarray(0, size), rows, columns, false, colors); return; }
  canvas.width = columns;
  canvas.height = rows;
  const ink = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")), image = ink.createImageData(columns, rows), most = MISSING - 1;
  for (let k = 0; k < size; k++) image.data.set([0, 1, 2].map((plane) => values[plane * size + k] * 255 / most).concat(255), 4 * k);
  ink.putImageData(image, 0, 0);
}

/** Pixels of a box of a stack at least, and the part of one that is between two. */
const BOX = 16, BETWEEN = 3 / 44;

/** Draws maps below each other on one canvas, each in a square box: a page scrolls past one canvas sooner than past many. */
export function stack(/** @type {HTMLCanvasElement} */ canvas, /** @type {{values: Uint8Array, rows: number, columns: number}[]} */ maps, /** @type {boolean} */ signed, /** @type {Colors} */ colors) {
  const { rows, columns } = maps[0], side = Math.max(rows, columns), times = Math.ceil(BOX / side), box = side * times, step = box + Math.round(box * BETWEEN);
  canvas.width = box;
  canvas.height = maps.length * step - (step - box);
  const ink = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = ink.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  const shades = table(signed ? colors.signed : colors.rising);
  const top = (box - rows * times) >> 1, left = (box - columns * times) >> 1;
  maps.forEach(({ values }, n) => {
    for (let y = 0; y < rows * times; y++) {
      const from = (n * step + top + y) * box + left, row = Math.floor(y / times) * columns;
      for (let x = 0; x < columns * times; x++) pixels[from + x] = shade(shades, values[row + Math.floor(x / times)], x, y);
    }
  });
  ink.putImageData(image, 0, 0);
}

/** Cuts an answer with many maps (n, rows, columns) into one each. */
export function cut(/** @type {Packed} */ packed) {
  const [count, rows, columns] = packed.shape;
  const all = bytes(packed.bytes);
  return Array.from({ length: count }, (_, k) => ({ values: all.subarray(k * rows * columns, (k + 1) * rows * columns), rows, columns }));
}

/** The scale in words. */
export function scale(/** @type {Packed} */ packed, /** @type {(value: unknown) => string} */ told) {
  return Number(packed.low) < 0 ? `blue ${told(packed.low)}, white 0, red ${told(packed.high)}` : `dark ${told(packed.low)}, light ${told(packed.high)}`;
}
