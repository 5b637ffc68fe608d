// What a test looks at on a page of the lab: colors of texts, sizes of letters, what may be focused. Nothing of it is shipped.

window.looks = (() => {
  const shown = (e) => {
    const box = e.getBoundingClientRect();
    return box.width > 1 && box.height > 1 && e.checkVisibility({ visibilityProperty: true }) && !e.closest(".spoken, .skip");
  };
  const parts = (color) => { const [r, g, b, a = 1] = color.match(/[\d.]+/g).map(Number); return [r, g, b, a]; };
  const over = (top, below) => top.slice(0, 3).map((v, k) => v * top[3] + below[k] * (1 - top[3]));

  function ground(e) {
    const layers = [];
    const box = e.closest("svg .box");
    if (box) layers.push(parts(getComputedStyle(box.querySelector("rect")).fill));
    for (let at = e; at; at = at.parentElement) if (!(at instanceof SVGElement)) layers.push(parts(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  }
  const opacity = (e) => { let all = 1; for (let at = e; at; at = at.parentElement) all *= Number(getComputedStyle(at).opacity); return all; };

  /** Each text with its color, what is behind it, and the size of its letters in pixels of the screen. */
  function texts() {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const e = node.parentElement, words = node.textContent.trim();
      if (!words || !shown(e) || e.closest("script, datalist, option, :disabled, noscript")) continue;
      const style = getComputedStyle(e), inside = e.ownerSVGElement;
      const haloed = inside && style.paintOrder.startsWith("stroke") && parseFloat(style.strokeWidth) >= 2; // letters on a photograph
      const back = haloed ? parts(style.stroke).slice(0, 3) : ground(e), ink = parts(inside ? style.fill : style.color);
      const scale = inside ? Math.hypot(e.getScreenCTM().a, e.getScreenCTM().b) : 1;
      found.push({ words: words.slice(0, 40), ink: over([...ink.slice(0, 3), ink[3] * opacity(e)], back), ground: back, size: parseFloat(style.fontSize) * scale, bold: Number(style.fontWeight) >= 600, graphic: e.classList.contains("pending") || words === "·", pixels: Boolean(inside), foreign: Boolean(inside && !inside.classList.contains("drawn")) });
    }
    return found;
  }

  /** Figures that cannot be kept, nor asked for again. */
  const bare = () => [...[...document.querySelectorAll(".answer [data-figure]")].filter((e) => shown(e) && !e.querySelector(".tools") && e.closest(".answer").querySelectorAll("[data-figure]").length > 1).map((e) => e.outerHTML.slice(0, 120)), ...[...document.querySelectorAll("#room :is(svg.drawn, .heat svg, .answer svg, canvas.matrix, canvas.plane, .strip, .tiles)")].filter(shown).filter((e) => !e.closest(".stage, figure[data-method]")?.querySelector(".tools")).map((e) => e.outerHTML.slice(0, 120))];

  /** Lines of charts: their colors and what is behind them. */
  const lines = () => [...document.querySelectorAll("#room svg .line")].filter(shown).map((e) => ({ ink: parts(getComputedStyle(e).stroke).slice(0, 3), ground: ground(e) }));

  const CONTROLS = "a[href], button, input, select, textarea, summary, [tabindex]";
  const name = (e) => e.getAttribute("aria-label") || e.labels?.[0]?.textContent?.trim() || e.textContent?.trim().slice(0, 40) || e.id || e.outerHTML.slice(0, 60);
  /** What the tab key is to reach: a radio group and a group with a roving place count once. */
  const controls = () => [...document.querySelectorAll(CONTROLS)].filter((e) => e.tabIndex >= 0 && !e.disabled && shown(e) && e.type !== "radio").map(name);
  /** What has the focus, and whether that is seen. */
  function focused() {
    const e = document.activeElement;
    if (!e || e === document.body) return null;
    const style = getComputedStyle(e), rect = e.querySelector?.("rect");
    const ring = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2) || (rect && e instanceof SVGElement && parseFloat(getComputedStyle(rect).strokeWidth) >= 3);
    return { name: name(e), tag: e.tagName.toLowerCase(), type: e.type ?? "", ring, shown: e.matches(".skip") || shown(e) };
  }
  /** What moves: elements with a transition or an animation. */
  const moving = () => [...document.querySelectorAll("body *")].filter((e) => { const s = getComputedStyle(e); return s.animationName !== "none" || s.transitionDuration.split(",").some((d) => parseFloat(d) > 0.01); }).map((e) => e.outerHTML.slice(0, 80));
  /** Every number on the page. */
  const numbers = () => [...document.querySelectorAll("[data-value]")].map((e) => e.getAttribute("data-value"));
  /** What the page says and holds, to compare before and after. */
  const state = () => [...[...document.querySelectorAll("#room [data-value]")].map((e) => e.getAttribute("data-value")), ...[...document.querySelectorAll("#room input:not([type=file]), #room select")].map((e) => e.type === "checkbox" ? e.checked : e.value)].join("|");
  const wide = () => [document.documentElement.scrollWidth, ...[...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll, .half, .heat, nav, .strip, svg, [hidden], .skip, .spoken")).map((e) => e.outerHTML.slice(0, 90))];
  return { texts, bare, lines, controls, focused, moving, numbers, state, wide };
})();
