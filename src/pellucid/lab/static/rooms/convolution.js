// Room 6: a kernel over a picture. A cell of the output is pointed at, and its arithmetic stands beside it.

import { el } from "../elements.js";
import { matrix } from "../draw/matrix.js";
import { tools } from "../figure.js";
import { added, factor, rounding, told } from "../numbers.js";
import { choose } from "../pictures.js";
import { player } from "../player.js";
import { question } from "../question.js";
import { tell } from "../speak.js";
import { pace } from "../taste.js";

const PATCH = "#d97706", WINNER = "#059669", LEFT = "#dc26268c", PLAYED = 350;
const NUMBERS = /** @type {[string, number, number, number][]} */ ([["stride", 1, 6, 1], ["padding", 0, 6, 0], ["dilation", 1, 4, 1], ["pool_size", 1, 6, 2]]);

export function mount(/** @type {HTMLElement} */ place, /** @type {any} */ data) {
  const asked = question("convolve", data, { changed: fill, answered: draw });
  const colors = data.facts.colors;
  let shiftDown = 0, shiftRight = 0;

  const picture = el("input", { type: "text", list: "at-hand", id: "picture", "data-asks": "picture", autocomplete: "off", change: () => put("picture", picture.value) });
  const kernels = el("select", { id: "kernel", "data-asks": "kernel", change: () => put("kernel", kernels.value) }, ...data.facts.kernels.map((/** @type {string} */ name) => el("option", { value: name }, name)), el("option", { value: "" }, "my own"));
  const pooling = el("select", { id: "pooling", "data-asks": "pooling", change: () => put("pooling", pooling.value) }, ...data.facts.poolings.map((/** @type {string} */ name) => el("option", { value: name }, name)));
  const handles = el("ul", { class: "handles" });
  const cells = el("div", { class: "kernel", role: "group", "aria-label": "Kernel, editable" });
  const wide = () => asked.found.output[0].length;
  const runs = player({ of: asked, at: () => { const [row, column] = asked.found.at; return row * wide() + column; }, last: () => wide() * asked.found.output.length - 1,
    go: (cell) => at(Math.floor(cell / wide()), cell % wide()), pause: () => pace(PLAYED),
    words: { slider: "Cell of the output", back: "One cell back", forth: "One cell on", end: "To the last cell" } });
  const sentence = el("p", { class: "said mono" });
  const words = el("p");
  const maps = el("div", { class: "maps steady" });
  const shown = {
    input: matrix(maps, { name: "Picture, with padding", colors, most: 40, span: 480 }),
    products: matrix(maps, { name: "Patch × kernel", colors, most: 48 }),
    output: matrix(maps, { name: "Output: point at a cell", colors, most: 44, span: 320, moved: (row, column) => { runs.stop("Paused: you went to a cell."); at(row, column); } }),
    pooled: matrix(maps, { name: "Pooled", colors, most: 44, span: 320 }),
  };
  const kept = tools();
  place.append(
    el("div", { class: "row" }, el("label", { for: "picture" }, "Picture"), picture, el("datalist", { id: "at-hand" }, ...data.facts.pictures.map((/** @type {string} */ value) => el("option", { value }))),
      choose((name) => put("picture", name), () => asked.first("picture"))),
    el("section", { class: "stage", "aria-label": "Picture, kernel and output" }, maps, runs.element, sentence, words, kept.element),
    el("div", { class: "sides" },
      el("section", { class: "stage", "aria-label": "Handles" }, el("h2", {}, "Handles"), handles, el("p", { class: "row" }, el("label", { for: "pooling" }, "Pooling"), pooling)),
      el("section", { class: "stage", "aria-label": "Kernel" }, el("h2", {}, "Kernel"), el("p", { class: "row" }, el("label", { for: "kernel" }, "A known one"), kernels), cells)));
  asked.begin();

  function put(/** @type {string} */ name, /** @type {string | null} */ value) {
    const moved = ["picture", "kernel", "stride", "padding", "dilation"].includes(name); // the cell may not be there any more
    const rest = asked.pairs.filter(([key]) => key !== name && !(moved && key === "at"));
    asked.change(value === null ? rest : [...rest, [name, value]]);
  }

  function at(/** @type {number} */ row, /** @type {number} */ column) { asked.change([...asked.pairs.filter(([key]) => key !== "at"), ["at", `${row},${column}`]], { undoable: false }); }

  function fill() {
    picture.value = asked.first("picture") ?? "";
    const kernel = asked.first("kernel") ?? "sobel-x";
    kernels.value = data.facts.kernels.includes(kernel) ? kernel : "";
    pooling.value = asked.first("pooling") ?? "max";
    [shiftDown, shiftRight] = (asked.first("shift") ?? "0,0").split(",").map(Number);
    if (!handles.children.length) {
      handles.append(...NUMBERS.map(([name, low, high, usual]) => handle(name, low, high, usual, (value) => put(name, value))),
        handle("shift down", -6, 6, 0, (value) => put("shift", `${value},${shiftRight}`)), handle("shift right", -6, 6, 0, (value) => put("shift", `${shiftDown},${value}`)),
        handle("bias", -255, 255, 0, (value) => put("bias", value)));
    }
    const values = { "shift down": shiftDown, "shift right": shiftRight };
    for (const row of handles.children) {
      const name = row.dataset.name ?? "";
      const usual = NUMBERS.find(([known]) => known === name)?.[3] ?? 0;
      const value = name in values ? values[/** @type {keyof typeof values} */ (name)] : Number(asked.first(name) ?? usual);
      for (const input of row.querySelectorAll("input")) if (Number(input.value) !== value) input.value = String(value);
    }
  }

  function handle(/** @type {string} */ name, /** @type {number} */ low, /** @type {number} */ high, /** @type {number} */ value, /** @type {(value: string) => void} */ set) {
    const range = el("input", { type: "range", min: low, max: high, step: 1, value, "aria-label": `${name}, slider`, input: () => set(range.value) });
    const field = el("input", { type: "number", min: low, max: high, step: 1, value, "aria-label": name, input: () => Number.isFinite(field.valueAsNumber) && set(field.value) });
    return el("li", { class: "handle", "data-name": name }, el("span", {}, name.replace("_", " ")), range, field);
  }

  function draw() {
    const one = asked.found;
    const [row, column] = one.at;
    const padded = pad(one.image, one.padding);
    const under = one.kernel.flatMap((/** @type {number[]} */ line, /** @type {number} */ i) => line.map((_, j) => /** @type {[number, number]} */ ([row * one.stride + i * one.dilation, column * one.stride + j * one.dilation])));
    const unused = padded.flatMap((line, i) => line.map((_, j) => /** @type {[number, number]} */ ([i, j])).filter(([i, j]) => i >= padded.length - one.unused[0] || j >= line.length - one.unused[1]));
    const kept_ = /** @type {[number, number][]} */ (one.winners.flat());
    shown.input.update(padded, "gray", [{ cells: unused, color: LEFT, shaded: true }, { cells: under, color: PATCH }]);
    shown.products.update(one.products, "signed");
    shown.output.update(one.output, "signed", [{ cells: kept_, color: WINNER }, { cells: [[row, column]], color: PATCH }], [row, column]);
    shown.pooled.element.hidden = one.pooling === "none";
    if (one.pooling !== "none") shown.pooled.update(one.pooled, "signed");
    const value = one.output[row][column];
    const products = one.products.flat();
    const sums = one.patch.flat().map((/** @type {number} */ patch, /** @type {number} */ k) => `${factor(patch)}×${factor(one.kernel.flat()[k])}`);
    sentence.replaceChildren(`output[${row},${column}] = ${added([...sums.slice(0, 12), ...(sums.length > 12 ? [`… (${sums.length} products)`] : []), told(one.bias)])} = `, el("b", { "data-value": value }, told(value)));
    words.textContent = [
      sums.length > 12 ? "" : rounding(one.missed),
      `${products.length} products, a sum, a bias.`,
      one.unused.some(Boolean) ? `The stride does not divide: ${one.unused[0]} rows and ${one.unused[1]} columns, shaded red, are under no window.` : "",
      one.pooling === "max" ? `Green: the ${one.kept} cells that max pooling keeps of ${one.cells}.` : "",
      one.padding ? `${one.padding} rows and columns of padding around the picture, drawn empty, count as 0.` : "",
    ].filter(Boolean).join(" ");
    kernelCells(one.kernel);
    runs.update(`row ${row}, column ${column}: ${told(value)}`);
    kept.update(asked.answer, asked.pairs);
    if (document.activeElement?.classList.contains("matrix")) tell(`row ${row}, column ${column}: ${told(value)}`);
  }

  function pad(/** @type {number[][]} */ values, /** @type {number} */ count) {
    const empty = (/** @type {number} */ length) => /** @type {null[]} */ (Array(length).fill(null)), side = empty(count);
    const blank = Array.from(side, () => empty(values[0].length + 2 * count));
    return [...blank, ...values.map((line) => [...side, ...line, ...side]), ...blank];
  }

  function kernelCells(/** @type {number[][]} */ kernel) {
    const shape = `${kernel.length}x${kernel[0].length}`;
    if (cells.dataset.shape !== shape) {
      cells.dataset.shape = shape;
      cells.style.gridTemplateColumns = `repeat(${kernel[0].length}, 4.5rem)`;
      cells.replaceChildren(...kernel.flatMap((line, i) => line.map((_, j) => el("input", { type: "number", step: "any", "data-live": true, "aria-label": `kernel row ${i}, column ${j}`, input: write }))));
    }
    kernel.flat().forEach((value, k) => { if (cells.children[k].valueAsNumber !== value) cells.children[k].value = value; });
  }

  function write() {
    const numbers = [...cells.children].map((input) => input.valueAsNumber);
    if (!numbers.every(Number.isFinite)) return;
    const wide = Number(cells.dataset.shape?.split("x")[1]);
    const rows = Array.from({ length: numbers.length / wide }, (_, i) => numbers.slice(i * wide, (i + 1) * wide).join(","));
    put("kernel", rows.length === 1 && wide === 1 ? `${rows[0]},0` : rows.join(";"));
  }
}
