// What is said to those who listen: one line, and problems where they are seen.

const live = /** @type {HTMLElement} */ (document.getElementById("live"));
const problem = /** @type {HTMLElement} */ (document.getElementById("problem"));
const link = /** @type {HTMLElement} */ (document.getElementById("notice"));
let moves = 0, troubled = 0; // changes of what is looked at, and how many there had been when the problem came

/** Signs that are read otherwise than they are spoken. */
const SPOKEN = /** @type {[RegExp, string][]} */ ([[/-(∞|inf\b)/g, "minus infinity"], [/∞|\binf\b/g, "infinity"], [/\bnan\b/gi, "not a number"]]);

export function tell(/** @type {string} */ words) {
  live.textContent = "";
  live.textContent = SPOKEN.reduce((text, [sign, name]) => text.replace(sign, name), words);
}

export function complain(/** @type {string} */ words) {
  troubled = moves;
  if (problem.textContent !== words) problem.textContent = words;
  problem.hidden = !words;
}

/** Something else is looked at. */
export function moved() {
  moves += 1;
}

/** An answer came: what was wrong with something else that was looked at before is over, what is wrong with this stays. */
export function calm() {
  if (moves !== troubled) complain("");
}

/** What is to be known of the page's link, which no answer takes away. */
export function notice(/** @type {string} */ words) {
  if (link.textContent !== words) link.textContent = words;
  link.hidden = !words;
}
