// What is said to those who listen: one line, and problems where they are seen.

const live = /** @type {HTMLElement} */ (document.getElementById("live"));
const problem = /** @type {HTMLElement} */ (document.getElementById("problem"));
const link = /** @type {HTMLElement} */ (document.getElementById("notice"));
let problems = 0; // that were told up to now

/** Signs that are read otherwise than they are spoken. */
const SPOKEN = /** @type {[RegExp, string][]} */ ([[/-(∞|inf\b)/g, "minus infinity"], [/∞|\binf\b/g, "infinity"], [/\bnan\b/gi, "not a number"]]);

export function tell(/** @type {string} */ words) {
  live.textContent = "";
  live.textContent = SPOKEN.reduce((text, [sign, name]) => text.replace(sign, name), words);
}

export function complain(/** @type {string} */ words) {
  if (words) problems += 1;
  if (problem.textContent !== words) problem.textContent = words;
  problem.hidden = !words;
}

/** To be called when a question is asked; gives what its answer calls: it takes away what was wrong before, never what went wrong since. */
export function asking() {
  const before = problems;
  return () => { if (problems === before) complain(""); };
}

/** What is to be known of the page's link, which no answer takes away. */
export function notice(/** @type {string} */ words) {
  if (link.textContent !== words) link.textContent = words;
  link.hidden = !words;
}
