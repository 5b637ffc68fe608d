// The answers that a copy holds, found by what was asked; where one is missing, the nearest along a scale. No number is made here.

/** @typedef {[string, string][]} Pairs */
/** @typedef {[Pairs, number, number]} Entry what was asked, the pack that has its answer, and the place in it */
/** @typedef {{count: number, scales: string[], usual: Record<string, Record<string, string>>, found: Record<string, Entry[]>}} Index */

const NUMBER = "-?(?:\\d+\\.?\\d*|\\.\\d+)(?:e[+-]?\\d+)?";
const NUMBERS = new RegExp(`^([A-Za-z_]\\w*=)?(${NUMBER}(?:,${NUMBER})*)$`, "i");

/** `w0=2.50` as its name and its numbers; null for what is no number. */
function scaled(/** @type {string} */ text) {
  const found = NUMBERS.exec(text);
  return found && { prefix: found[1] ?? "", numbers: found[2].split(",").map(Number) };
}

/** A text as it is compared: 2.50 is 2.5. */
function plain(/** @type {string} */ text) {
  const found = scaled(text);
  return found ? found.prefix + found.numbers.map(String).join(",") : text;
}

/** How far apart two texts are, along a scale; infinite where they are not on one. */
function distance(/** @type {string} */ one, /** @type {string} */ other) {
  const [a, b] = [scaled(one), scaled(other)];
  if (!a || !b || a.prefix !== b.prefix || a.numbers.length !== b.numbers.length) return Infinity;
  return Math.hypot(...a.numbers.map((value, k) => value - b.numbers[k]));
}

/** The pairs of one that the other has not. */
function without(/** @type {Pairs} */ one, /** @type {Pairs} */ other) {
  const rest = other.map((pair) => pair.join("\n"));
  return one.filter((pair) => {
    const at = rest.indexOf(pair.join("\n"));
    if (at >= 0) rest.splice(at, 1);
    return at < 0;
  });
}

export function holdings(/** @type {Index} */ index) {
  const byKey = /** @type {Map<string, Entry>} */ (new Map());
  const entries = /** @type {Record<string, {pairs: Pairs, told: Pairs}[]>} */ ({});
  const values = /** @type {Map<string, Set<string>>} */ (new Map());

  /** As it is compared: what is usual is left out. */
  function asked(/** @type {string} */ name, /** @type {Pairs} */ pairs) {
    const usual = index.usual[name.split(".")[0]] ?? {};
    return /** @type {Pairs} */ (pairs.map(([key, value]) => [key, plain(value)]).filter(([key, value]) => plain(usual[key] ?? "") !== value || !(key in usual)));
  }

  function keyOf(/** @type {string} */ name, /** @type {Pairs} */ pairs) {
    return JSON.stringify([name, asked(name, pairs).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0)]);
  }

  for (const [name, list] of Object.entries(index.found)) {
    entries[name] = list.map(([pairs]) => ({ pairs, told: asked(name, pairs) }));
    for (const entry of list) {
      byKey.set(keyOf(name, entry[0]), entry);
    }
  }

  /** Of a handle, in their order, as texts. */
  function numbers(/** @type {string} */ handle, /** @type {Pairs[]} */ some) {
    const found = some.flat().flatMap(([key, value]) => key === handle ? [value] : index.scales.includes(key) && value.startsWith(`${handle}=`) ? [value.slice(handle.length + 1)] : []);
    return [...new Set(found.map(Number))].filter(Number.isFinite).sort((a, b) => a - b).map(String);
  }

  const held = {
    /** Where an answer is, null where it is not held. */
    find: (/** @type {string} */ name, /** @type {Pairs} */ pairs) => byKey.get(keyOf(name, pairs)) ?? null,

    /** The texts that are held of a parameter, whatever else was asked but for pairs such as `layer=conv1&what=value`. */
    valuesOf: (/** @type {string} */ key, pair = "") => {
      const known = values.get(`${key} ${pair}`) ?? new Set();
      if (!known.size) {
        const fixed = [...new URLSearchParams(pair)];
        for (const { pairs } of Object.values(entries).flat()) {
          if (!fixed.every(([name, text]) => pairs.some(([own, value]) => own === name && value === text))) continue;
          for (const [own, value] of pairs) if (own === key) known.add(value);
        }
        values.set(`${key} ${pair}`, known);
      }
      return known;
    },

    /** The numbers along a handle, in their order: of a parameter, or of a value that is named (w0=2); those of the question at hand, if there are several. */
    along(/** @type {string} */ handle, /** @type {Pairs} */ now) {
      const fixed = now.filter(([key]) => !index.scales.includes(key)).map(([key, value]) => `${key}=${value}`);
      const known = `along ${handle} ${fixed}`;
      if (!values.has(known)) {
        const all = Object.values(entries).flat().map(({ pairs }) => pairs);
        const alike = all.filter((pairs) => fixed.every((pair) => pairs.some(([key, value]) => `${key}=${value}` === pair)));
        const some = numbers(handle, alike);
        values.set(known, new Set(some.length > 1 ? some : numbers(handle, all)));
      }
      return [...values.get(known) ?? []].map(Number);
    },

    /**
     * What is held of a question that is `next` where it was `before`: itself, else what has all that is new in it, numbers along a scale
     * as near as may be, and most of the rest; null where there is none. `exact` says whether all that was asked is in it.
     * @returns {{pairs: Pairs, exact: boolean} | null}
     */
    nearest(/** @type {string} */ name, /** @type {Pairs} */ next, /** @type {Pairs} */ before) {
      if (held.find(name, next)) return { pairs: next, exact: true };
      const [wanted, was] = [asked(name, next), asked(name, before)];
      const added = without(wanted, was), removed = without(was, wanted);
      const usual = index.usual[name] ?? {};
      let best = /** @type {{pairs: Pairs, exact: boolean} | null} */ (null), far = Infinity, other = Infinity;
      for (const { pairs, told } of entries[name] ?? []) {
        if (!added.length && removed.some(([key, value]) => told.some((pair) => pair[0] === key && pair[1] === value))) continue;
        const there = [...told, ...Object.entries(usual).filter(([key]) => !told.some((pair) => pair[0] === key))];
        const steps = added.map(([key, value]) => Math.min(Infinity, ...there.filter((pair) => pair[0] === key)
          .map((pair) => pair[1] === value ? 0 : index.scales.includes(key) ? distance(pair[1], value) : Infinity)));
        const sum = steps.reduce((all, one) => all + one, 0);
        const lost = without(wanted, told).length, rest = without(told, wanted).length + lost;
        if (sum < far || sum === far && sum < Infinity && rest < other) [best, far, other] = [{ pairs, exact: lost === 0 }, sum, rest];
      }
      return best;
    },
  };
  return held;
}
