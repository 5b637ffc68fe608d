// Numbers as they are read: four digits that count; what is no number by its name.

export const PENDING = "·";

/** The number in what was sent: NaN and the infinities travel as their names. @returns {number | null} */
export function number(/** @type {unknown} */ sent) {
  return sent === null || sent === undefined ? null : Number(sent);
}

export function told(/** @type {unknown} */ sent, digits = 4) {
  const value = number(sent);
  if (value === null) return PENDING;
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "-∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e6 || size < 1e-4 ? value.toExponential(digits - 1) : String(Number(value.toPrecision(digits)));
}

/** In at most so many letters: rounded as far as that takes, "" where nothing fits. */
export function brief(/** @type {unknown} */ sent, /** @type {number} */ letters) {
  const ways = [4, 3, 2, 1].map((digits) => told(sent, digits));
  return [...ways, Number(sent).toExponential(0)].find((text) => text.length <= letters) ?? "";
}

/** As it is spoken. */
export function spoken(/** @type {unknown} */ sent) {
  const value = number(sent);
  if (value === null) return "not computed yet";
  return told(value).replace("∞", "infinity").replace("-", "minus ").replace("NaN", "not a number");
}
