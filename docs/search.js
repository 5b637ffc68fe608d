// Search in all pages, without a server: the index is a script beside this one, and comes when it is first asked for.
"use strict";

const box = document.querySelector(".search");
const input = box.querySelector("input");
const list = document.createElement("ul");
let at = -1;

function wordsOf(text) {
  return text.toLowerCase().split(/[^\p{L}\p{N}_.+-]+/u).filter(Boolean);
}

// How well a place answers: every word must begin a word of it. Its title counts more than its text, short ones more.
function score(place, asked) {
  const [, title, , words] = place;
  const name = title.toLowerCase();
  const parts = (place[4] ??= wordsOf(name).flatMap((word) => [word, ...word.split(".")]));
  let sum = 0;
  for (const word of asked) {
    if (name === word) sum += 60;
    else if (name.endsWith(`.${word}`)) sum += 40;
    else if (parts.includes(word)) sum += 20;
    else if (parts.some((part) => part.startsWith(word))) sum += 10;
    else if (words.includes(` ${word} `)) sum += 5;
    else if (words.includes(` ${word}`)) sum += 3;
    else return 0;
  }
  return sum - title.length / 10 - Math.min(1, words.length / 5000);
}

function show() {
  const asked = wordsOf(input.value);
  const found = asked.length && window.PLACES ? window.PLACES.map((place) => [score(place, asked), place]) : [];
  const best = found.filter(([points]) => points > 0).sort((a, b) => b[0] - a[0]).slice(0, 12);
  at = -1;
  list.replaceChildren(...best.map(([, [address, title, page]], number) => {
    const item = document.createElement("li");
    const link = document.createElement("a");
    const where = document.createElement("span");
    item.id = `found-${number}`;
    item.role = "option";
    link.href = address;
    link.tabIndex = -1;
    link.textContent = title;
    where.textContent = page;
    link.append(where);
    item.append(link);
    return item;
  }));
  if (asked.length && window.PLACES && !best.length) list.append(Object.assign(document.createElement("li"), { textContent: "Nothing found" }));
  list.hidden = !list.children.length;
  input.setAttribute("aria-expanded", String(!list.hidden));
}

function choose(number) {
  const links = list.querySelectorAll("a");
  if (!links.length) return;
  at = (number + links.length) % links.length;
  links.forEach((link, n) => link.parentElement.setAttribute("aria-selected", String(n === at)));
  input.setAttribute("aria-activedescendant", `found-${at}`);
  links[at].scrollIntoView({ block: "nearest" });
}

function load() {
  if (document.getElementById("places")) return;
  document.head.append(Object.assign(document.createElement("script"), { id: "places", src: "search-index.js", onload: show }));
}

list.id = "found";
list.role = "listbox";
list.hidden = true;
input.role = "combobox";
input.setAttribute("aria-controls", "found");
input.setAttribute("aria-expanded", "false");
input.autocomplete = "off";
box.append(list);
box.hidden = false;
input.addEventListener("focus", load);
input.addEventListener("input", show);
input.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown") choose(at + 1);
  else if (event.key === "ArrowUp") choose(at < 0 ? -1 : at - 1);
  else if (event.key === "Enter") (list.querySelectorAll("a")[Math.max(at, 0)] ?? list).click();
  else if (event.key === "Escape") { input.value = ""; show(); input.blur(); }
  else return;
  event.preventDefault();
});
document.addEventListener("click", (event) => { if (!box.contains(event.target)) list.hidden = true; });
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, [contenteditable]");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  input.focus();
});
