// What is said to those who listen: one line, and problems where they are seen.

const live = /** @type {HTMLElement} */ (document.getElementById("live"));
const problem = /** @type {HTMLElement} */ (document.getElementById("problem"));

export function tell(/** @type {string} */ words) {
  live.textContent = "";
  live.textContent = words;
}

export function complain(/** @type {string} */ words) {
  if (problem.textContent !== words) problem.textContent = words;
  problem.hidden = !words;
}
