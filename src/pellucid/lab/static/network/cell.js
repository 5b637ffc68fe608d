// One number, term by term: what is read times the weights, the products and their sum, the function that is applied, what it sees.

import { matrix } from "../draw/matrix.js";
import { el } from "../elements.js";
import { rounding, told } from "../numbers.js";

/** @typedef {{layer: string, map: number, cell: string}} Place */

/** `went(place)` is called with the place of a factor that is chosen, `begun(at, value)` with a weight that is to be another. */
export function cell(/** @type {any} */ colors, /** @type {(place: Place, gradient: boolean) => void} */ went, /** @type {((at: string, value: unknown) => void) | null} */ begun = null) {
  const sentence = el("p", { class: "said mono" });
  const facts = el("dl", { class: "facts" });
  const channels = el("div", { class: "channels" });
  const terms = el("div", { class: "scroll terms", role: "region", "aria-label": "Terms", tabindex: 0 });
  const element = el("div", {}, sentence, facts, channels, terms);

  const number = (/** @type {unknown} */ value, /** @type {string} */ name = "") => el("b", { "data-value": value, "data-name": name || null, title: String(value) }, told(value));

  function factor(/** @type {any} */ one) {
    const name = `${one.inverse ? "1 / " : ""}${one.name}${one.index.length ? `[${one.index}]` : ""}`;
    const label = begun && !one.place && one.edit ? el("button", { type: "button", class: "link", "data-live": true, "aria-label": `Edit ${one.edit}`, click: () => begun(one.edit, one.value) }, name) : one.place ? el("button", { type: "button", class: "link", "data-asks": "map", "data-value": one.place.map, "data-with": String(new URLSearchParams({ layer: one.place.layer, what: one.name.startsWith("grad/") ? "gradient" : "value" })), click: () => went(one.place, one.name.startsWith("grad/")) }, name) : el("span", {}, name);
    return el("span", { class: "factor" }, label, " ", el("span", { class: "soft", "data-value": one.value }, told(one.value)));
  }

  return {
    element,
    update(/** @type {any} */ found) {
      const one = found.answer;
      const own = one.activation && one.activation.name === one.name ? one.activation : null;
      sentence.replaceChildren(`${found.at.startsWith(one.name) ? found.at : `${one.name}[${one.index}]`} = `,
        ...(own ? [`${own.function}(`, number(own.given), ") = "] : []), number(one.value, "value"),
        el("span", { class: "soft" }, found.count ? `, from ${found.count} ${found.count === 1 ? "term" : "terms"} that add up to ` : ""), ...(found.count ? [number(one.sum, "sum")] : []));
      const rows = /** @type {[string, (Node | string)[]][]} */ ([]);
      if (one.operation) rows.push(["operation", [one.operation]]);
      if (one.activation) rows.push([own ? "function" : "next", [`${one.activation.function}(`, number(one.activation.given), ") = ", number(one.activation.value, own ? "" : "next"), ", derivative ", number(one.activation.derivative)]]);
      if (one.probability !== null && one.probability !== undefined) rows.push(["probability", [number(one.probability, "probability")]]);
      if (found.gradient !== null && one.operation) rows.push(["gradient of the score", [number(found.gradient, "gradient")]]);
      for (const seen of Object.values(one.fields ?? {})) rows.push([seen.exact ? "sees" : "sees at most", [seen.words]]);
      const feeds = Object.entries(one.feeds ?? {});
      if (feeds.length) rows.push(["is read by", [feeds.map(([name, count]) => `${count} of ${name}`).join(", ")]]);
      if (found.rounding) rows.push(["rounding", [number(found.rounding, "rounding"), " between the sum in double precision and what the network computed"]]);
      facts.replaceChildren(...rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, ...value)]));
      channels.replaceChildren();
      for (const patch of found.patches) {
        channels.append(el("h4", {}, patch.channels.length < patch.total ? `Channel by channel: the ${patch.channels.length} strongest of ${patch.total}` : `Channel by channel`));
        for (const channel of patch.channels) {
          const row = el("div", { class: "maps products" });
          const draw = (/** @type {string} */ name, /** @type {any[][]} */ values, /** @type {boolean} */ signed) => matrix(row, { name, colors, most: 48, span: 150 }).update(values.map((line) => line.map((value) => Number(value ?? NaN))), signed ? "signed" : "rising");
          const negative = channel.values.flat().some((/** @type {number} */ value) => value < 0);
          draw(`${patch.read}, ${channel.channel}`, channel.values, negative);
          row.append(el("span", { class: "sign" }, "×"));
          draw(patch.weight, channel.weights, true);
          row.append(el("span", { class: "sign" }, "="));
          draw("products", channel.products, true);
          row.append(el("span", { class: "sign" }, "Σ ", number(channel.sum, `channel ${channel.channel}`)));
          channels.append(row);
        }
      }
      const lines = one.terms.map((/** @type {any} */ term) => el("tr", {}, el("td", {}, ...term.factors.flatMap((/** @type {any} */ f, /** @type {number} */ k) => k ? [" × ", factor(f)] : [factor(f)])), el("td", { class: "number", "data-value": term.value }, told(term.value))));
      const more = found.count - one.terms.length;
      if (more > 0) lines.push(el("tr", {}, el("td", {}, `${more} more terms`), el("td", { class: "number", "data-value": found.rest }, told(found.rest))));
      lines.push(el("tr", {}, el("th", { scope: "row" }, "sum"), el("td", { class: "number", "data-value": one.sum }, told(one.sum))));
      const miss = rounding(found.missed);
      if (miss) lines.push(el("tr", {}, el("td", { class: "caption", colspan: 2 }, miss)));
      terms.replaceChildren(el("table", {}, el("caption", {}, more > 0 ? `The ${one.terms.length} strongest of ${found.count} terms` : "All terms, the strongest first"), el("tbody", {}, ...lines)));
      terms.hidden = !found.count;
    },
  };
}
