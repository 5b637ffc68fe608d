// What is said to those who listen: one line, and problems where they are seen.

const live = /** @type {HTMLElement} */ (document.getElementById("live"));
const problem = /** @type {HTMLElement} */ (document.getElementById("problem"));
const link = /** @type {HTMLElement} */ (document.getElementById("notice"));
let moves = 0, troubled = 0; // changes of what is looked at, and how many there had been when the page's problem came
/** @type {Map<string, string>} What is wrong with each question that a page asks, and with the page by no name. */
const problems = new Map();

/** Signs that are read otherwise than they are spoken. */
const SPOKEN = /** @type {[RegExp, string][]} */ ([[/-(∞|inf\b)/g, "minus infinity"], [/∞|\binf\b/g, "infinity"], [/\bnan\b/gi, "not a number"]]);

export function tell(/** @type {string} */ words) {
  live.textContent = "";
  live.textContent = SPOKEN.reduce((text, [sign, name]) => text.replace(sign, name), words);
}

/** Says what is wrong with a question of the page, or with the page; "" takes it back, and nothing else. */
export function complain(/** @type {string} */ words, of = "") {
  if (!of) troubled = moves;
  if (words) problems.set(of, words);
  else problems.delete(of);
  const all = [...new Set(problems.values())].join("\n");
  if (problem.textContent !== all) problem.textContent = all;
  problem.hidden = !all;
}

/** Something else is looked at. */
export function moved() {
  moves += 1;
}

/** An answer came: nothing is wrong with its question any more, nor with the page as it was looked at before; what is wrong with other questions, or with this look, stays. */
export function calm(of = "") {
  if (of) complain("", of);
  if (moves !== troubled) complain("");
}

/** What is to be known of the page's link, which no answer takes away. */
export function notice(/** @type {string} */ words) {
  if (link.textContent !== words) link.textContent = words;
  link.hidden = !words;
}
