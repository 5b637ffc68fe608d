// Numbers as they are read: four digits that count; what is no number by its name.

export const PENDING = "·";

/** The number in what was sent: NaN and the infinities travel as their names. @returns {number | null} */
export function number(/** @type {unknown} */ sent) {
  return sent === null || sent === undefined ? null : Number(sent);
}

/** The smallest and the largest of many numbers, however many there are: a call takes only so many arguments. @returns {[number, number]} */
export function extent(/** @type {number[]} */ values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return [low, high];
}

/** Of a number so many digits that count. */
function rounded(/** @type {unknown} */ sent, /** @type {number} */ digits) {
  const value = number(sent);
  if (value === null) return PENDING;
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "-∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e6 || size < 1e-4 ? value.toExponential(digits - 1) : String(Number(value.toPrecision(digits)));
}

export function told(/** @type {unknown} */ sent) { // of one value alone: it is mapped over lists
  return rounded(sent, 4);
}

/** In at most so many letters: rounded as far as that takes, "" where nothing fits. */
export function brief(/** @type {unknown} */ sent, /** @type {number} */ letters) {
  const ways = [4, 3, 2, 1].map((digits) => rounded(sent, digits));
  return [...ways, Number(sent).toExponential(0)].find((text) => text.length <= letters) ?? "";
}

/** As it is spoken. */
export function spoken(/** @type {unknown} */ sent) {
  const value = number(sent);
  if (value === null) return "not computed yet";
  return told(value).replace("∞", "infinity").replace("-", "minus ").replace("NaN", "not a number");
}

/** A number as a factor: what is negative in brackets. */
export function factor(/** @type {unknown} */ sent) {
  const text = told(sent);
  return text.startsWith("-") ? `(${text})` : text;
}

/** Terms as a sum: 2 - 3 for 2 and -3. */
export function added(/** @type {string[]} */ terms) {
  return terms.map((text, k) => !k ? text : text.startsWith("-") ? ` - ${text.slice(1)}` : ` + ${text}`).join("");
}

/** Where the numbers that are shown do not add up, by how much, in words; "" where they do. */
export function rounding(/** @type {unknown} */ missed) {
  return missed ? `As shown, rounded to four digits, the terms miss the sum by ${told(missed)}.` : "";
}
