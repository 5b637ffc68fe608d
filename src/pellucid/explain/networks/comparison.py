"""`compare`: two networks, or one on two executors: their layers, their weights, and where their activations part."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pellucid.errors import PellucidError
from pellucid.executors import TOLERANCE
from pellucid.explain.networks.alignment import LayerChange, Pair, align, changes, layers
from pellucid.explain.networks.divergence import Divergence, apart
from pellucid.graph import Parameter
from pellucid.inference.fed import Fed, Given, feed, random_example
from pellucid.inference.prepared import Prepared, prepare
from pellucid.inference.ready import Ready
from pellucid.inference.values import Values
from pellucid.interop.matching import match
from pellucid.nn import Module
from pellucid.nn.errors import ModuleError
from pellucid.nn.interface import Shapes, shapes_of
from pellucid.op import Array
from pellucid.pictures import Answer, Chart, Grid, Page, Picture, Series
from pellucid.real_numbers import is_real
from pellucid.text import WIDTH, amount, human_count, shortened, some_of, wrapped


class ComparisonError(PellucidError, ValueError):
    """Two networks cannot be compared as it was asked for."""


@dataclass(frozen=True)
class WeightDistance:
    """How far two parameters are from each other, in float64.

    `relative` is the length of the difference over that of the first (0 if both are zero), `cosine` that of the angle
    between them (None where one is zero), `differing` the number of values that are not the same.
    """

    a: str
    b: str
    size: int
    relative: float
    largest: float
    cosine: float | None
    differing: int


@dataclass(frozen=True)
class NetworkComparison(Answer):
    """What two networks have in common and what not.

    `difference` is the first difference between their graphs, names and values included; `changes` those of layers whatever
    they are called, and `renamed` counts pairs of another name. `mis_shaped` has weights that belong together but differ
    in shape; `doubt` says why weights could not be matched. `divergences` has every pair of layers of the same output
    shape, in order of computation.
    """

    executors: tuple[str, str]
    tolerance: float
    num_layers: tuple[int, int]
    renamed: int
    difference: str
    changes: tuple[LayerChange, ...]
    weights: tuple[WeightDistance, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    mis_shaped: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]
    doubt: str
    divergences: tuple[Divergence, ...]
    not_numbers: tuple[str, ...] = ()
    """Layers of the first network that give NaN in either."""
    outputs: tuple[Divergence, ...] = ()
    """Every pair of outputs of one shape."""
    examples: int = 1
    """How many examples they were run on: one, or each on its own."""
    notes: tuple[str, ...] = ()
    """What else there is to know of the two."""

    @property
    def first(self) -> Divergence | None:
        """The first layer, in order of computation, whose outputs differ by more than the tolerance."""
        return next((d for d in self.divergences if not d.error <= self.tolerance), None)

    @property
    def same(self) -> bool:
        """Whether layers and weights are the same and activations within the tolerance."""
        unequal = any(w.differing for w in self.weights) or self.only_a or self.only_b or self.mis_shaped
        apart = self.first or any(not d.error <= self.tolerance for d in self.outputs)
        return not (self.changes or unequal or apart)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "executors": list(self.executors),
            "same": self.same,
            "layers": list(self.num_layers),
            "renamed": self.renamed,
            "difference": self.difference,
            "changes": [asdict(c) for c in self.changes],
            "weights": [asdict(w) for w in self.weights],
            "only_a": list(self.only_a),
            "only_b": list(self.only_b),
            "mis_shaped": {name: {"a": list(a), "b": list(b)} for name, (a, b) in self.mis_shaped.items()},
            "doubt": self.doubt,
            "tolerance": self.tolerance,
            "first": None if self.first is None else asdict(self.first),
            "divergences": [asdict(d) for d in self.divergences],
            "not_numbers": list(self.not_numbers),
            "outputs": [asdict(d) for d in self.outputs],
            "examples": self.examples,
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        parts = [part for part in self._parts(12) if not isinstance(part, Chart)]
        return "\n\n".join(part.text(WIDTH) if isinstance(part, Grid) else wrapped(str(part)) for part in parts)

    def picture(self) -> Page:
        """The comparison as a page: tables, and the activations' divergence over depth."""
        parts = [part.split("\n") if isinstance(part, str) else [part] for part in self._parts(10_000)]
        return Page("Two networks compared", tuple(part for paragraphs in parts for part in paragraphs))

    def chart(self) -> Chart:
        """The divergence of every layer, in order of computation, with the tolerance."""
        depth = range(1, len(self.divergences) + 1)
        errors = Series("largest difference", depth, [d.error for d in self.divergences])
        limit = Series("tolerance", depth, [self.tolerance] * len(depth), "dashed")
        note = "Over the first network's largest value in each layer; layers that are equal have no point."
        return Chart("Divergence over depth", "layer", "relative difference", (errors, limit), note, y_log=True)

    def _parts(self, most: int) -> list[Picture | str]:
        """Text and tables of at most so many rows, and the chart."""
        parts: list[Picture | str] = [*self.notes, self._structure()]
        if self.changes:
            parts.append(_grid(("first = second", "layer"), [_change(c) for c in self.changes], most, "ll"))
        parts.append(self._weight_words())
        if moved := sorted((w for w in self.weights if w.differing), key=lambda w: -w.relative):
            titles = ("weight", "relative", "largest", "cosine", "differ")
            parts.append(_grid(titles, [_weight(w) for w in moved], most, "lrrrr"))
        parts.append(self._activation_words())
        if shown := [d for d in self.divergences if d.error != 0]:
            start = next((i for i, d in enumerate(shown) if d is self.first), 0)
            rows = [_divergence(d) for d in shown[max(0, start - 1) :]]
            parts.append(_grid(("layer", "difference", "at", "first", "second", "beyond"), rows, most, "lrlrrr"))
        if len(self.outputs) > 1:
            rows = [_divergence(d) for d in self.outputs]
            parts.append(_grid(("output", "difference", "at", "first", "second", "beyond"), rows, most, "lrlrrr"))
        return [*parts, self.chart()] if self.divergences else parts

    def _structure(self) -> str:
        a, b = self.num_layers
        words = f"layers: {a} and {b}, {len(self.changes)} differ" if self.changes else f"layers: the same {a}"
        words += f", {self.renamed} under other names" if self.renamed else ""
        return words + (f"\nfirst difference of the graphs: {self.difference}" if self.difference else "")

    def _weight_words(self) -> str:
        moved = sum(w.differing > 0 for w in self.weights)
        count = len(self.weights)
        words = [f"weights: {count} pairs, " + (f"{moved} differ" if moved else "all equal to the bit")]
        for which, names in (("first", self.only_a), ("second", self.only_b)):
            if names:
                words.append(f"only the {which} has {len(names)}: {some_of(names)}")
        words += [f"{n}: shape {a} and {b}" for n, (a, b) in self.mis_shaped.items()]
        return "\n".join([*words, *([f"not matched: {self.doubt}"] if self.doubt else [])])

    def _activation_words(self) -> str:
        on = "" if self.executors[0] == self.executors[1] else f" on {self.executors[0]} and {self.executors[1]}"
        on += " on two examples" if self.examples > 1 else ""
        if not self.divergences:
            return "activations: not compared, as no two layers have outputs of one shape"
        if self.not_numbers:
            count, start = len(self.not_numbers), self.not_numbers[0]
            on += f": {amount(count, 'layer')} give{'s' if count == 1 else ''} values that are not numbers (NaN), the first is {start}; the others"
        if self.first is None:
            worst = max(d.error for d in self.divergences)
            return f"activations{on}: within {self.tolerance:g} in {amount(len(self.divergences), 'layer')}, at most {worst:z.2g}"
        return f"activations{on}: the first beyond {self.tolerance:g} is {_both(self.first.a, self.first.b)}, by {self.first.error:z.3g}"


def compare(
    a: Module,
    b: Module,
    image: Given | None = None,
    *,
    second: Given | None = None,
    shape: Shapes | None = None,
    tolerance: float = TOLERANCE["float32"],
    executors: tuple[str, str] = ("auto", "auto"),
    seed: int = 0,
) -> NetworkComparison:
    """What differs between two networks in inference, or between one network on two `executors`.

    Layers belong together by name, then by order. So do weights, as `load_weights` matches them. Both networks are run
    on `image`, an example as `trace` takes it (`b` on `second`, where that is given, which may be another picture for the
    same network), or on normal numbers drawn from `seed` of a `shape` (of several inputs
    shapes by name), which a network made by name or from an ONNX file knows itself: the first layer
    where they are apart by more than `tolerance` (relative to the layer's largest value) is where to look.
    """
    require_tolerance(tolerance)
    example = _example(a, b, shape, seed) if image is None else image
    ready = [Ready(net, executor) for net, executor in zip((a, b), executors, strict=True)]
    fed = feed(ready[0], example, "compare")
    examples = fed, feed(ready[1], fed.called_as(b) if second is None else second, "compare")
    one, two = (prepare(r, e) for r, e in zip(ready, examples, strict=True))
    own, other = (layers(p.graph, n.layer_kinds()) for p, n in ((one, a), (two, b)))
    pairs = align(own, other)
    parameters, theirs = (net.named_parameters() for net in (a, b))
    found = match({n: p.shape for n, p in parameters.items()}, {n: p.shape for n, p in theirs.items()})
    fits = {m: t for m, t in found.pairs.items() if parameters[m].shape == theirs[t].shape}
    taken = set(found.pairs.values())
    x, y = (_values(p, e) for p, e in zip((one, two), examples, strict=True))
    values = (
        {one.graph.names[n]: v for n, v in x.known.items()},
        {two.graph.names[n]: v for n, v in y.known.items()},
    )
    return NetworkComparison(
        executors,
        tolerance,
        (len(own), len(other)),
        sum(x is not None and y is not None and x.name != y.name for x, y in pairs),
        one.graph.difference(two.graph),
        changes(pairs),
        tuple(_distance(parameters[m], theirs[t]) for m, t in fits.items()),
        tuple(n for n in parameters if n not in found.pairs),
        tuple(n for n in theirs if n not in taken),
        {m: (parameters[m].shape, theirs[t].shape) for m, t in found.pairs.items() if m not in fits},
        found.doubt,
        tuple(_divergences(pairs, *values, tolerance)),
        tuple(_not_numbers(pairs, *values)),
        tuple(
            _of_outputs(
                {n: x.of(o) for n, o in one.outputs.items()},
                {n: y.of(o) for n, o in two.outputs.items()},
                tolerance,
            )
        ),
        1 if second is None else 2,
    )


def _example(a: Module, b: Module, shape: Shapes | None, seed: int) -> dict[str, Array]:
    """Numbers for the inputs of the first network, of the shapes that are given or that one of the two knows."""
    for net in (a, b):
        if shape is None:
            with contextlib.suppress(ModuleError):
                shape = shapes_of(net, None)
    if shape is None:
        raise ComparisonError(
            "compare: neither network knows the size of its pictures; give an image, or shape=(C, H, W); of several "
            "inputs arrays or shapes by name"
        )
    return random_example(a, shape, seed)


def _values(prepared: Prepared, fed: Fed) -> Values:
    """What every layer gives."""
    values = prepared.forward(fed.feeds(prepared.forward.graph.inputs))
    return Values({**fed.feeds(), **dict(zip(prepared.kept, values, strict=True))})


def require_tolerance(tolerance: float) -> None:
    """Raise `ComparisonError` for a tolerance that nothing can be beyond, or that is no number."""
    if not (is_real(tolerance) and 0 <= tolerance < math.inf):
        raise ComparisonError(f"tolerance: must be a finite number that is not negative, got {tolerance!r:.60}")


def _of_outputs(a: Mapping[str, Array], b: Mapping[str, Array], tolerance: float) -> list[Divergence]:
    """How far the outputs are apart, those of one name or else of one place."""
    named = a.keys() == b.keys()
    pairs = zip(a, a if named else b, strict=False)
    return [apart(x, y, a[x], b[y], tolerance) for x, y in pairs if a[x].shape == b[y].shape and a[x].size]


def _distance(a: Parameter, b: Parameter) -> WeightDistance:
    x, y = (p.value.astype(np.float64).ravel() for p in (a, b))
    difference = y - x
    lengths = np.linalg.norm(x), np.linalg.norm(y)
    apart = float(np.linalg.norm(difference))
    return WeightDistance(
        a.name,
        b.name,
        a.size,
        apart / float(lengths[0]) if lengths[0] else (0.0 if apart == 0 else float("inf")),
        float(np.abs(difference).max(initial=0.0)),
        float(x @ y / (lengths[0] * lengths[1])) if all(lengths) else None,
        int(np.count_nonzero(x != y)),
    )


def _divergences(
    pairs: Sequence[Pair], a: Mapping[str, Array], b: Mapping[str, Array], tolerance: float
) -> list[Divergence]:
    found: list[Divergence] = []
    for first, second in pairs:
        if first is None or second is None or first.output.shape != second.output.shape:
            continue
        if first.name not in a or second.name not in b or not first.output.size:
            continue  # no floating values
        found.append(apart(first.name, second.name, a[first.name], b[second.name], tolerance))
    return found


def _not_numbers(pairs: Sequence[Pair], a: Mapping[str, Array], b: Mapping[str, Array]) -> list[str]:
    def has_nan(values: Array | None) -> bool:
        return values is not None and bool(np.isnan(values).any())

    both = [(x, y) for x, y in pairs if x is not None and y is not None]
    return [x.name for x, y in both if has_nan(a.get(x.name)) or has_nan(b.get(y.name))]


def _grid(titles: Sequence[str], rows: Sequence[Sequence[str]], most: int, align: str) -> Grid:
    shown = [list(row) for row in rows[:most]]
    if len(rows) > most:
        shown.append([f"{len(rows) - most} more", *[""] * (len(titles) - 1)])
    return Grid(titles, shown, align)


def _both(a: str, b: str) -> str:
    return a if a == b else f"{a} = {b}"


def _change(c: LayerChange) -> list[str]:
    return [f"{c.a or 'nothing'} = {c.b or 'nothing'}", shortened(c.what, 48)]


def _weight(w: WeightDistance) -> list[str]:
    cosine = "" if w.cosine is None else f"{w.cosine:z.6f}"
    differ = f"{human_count(w.differing)} of {human_count(w.size)}"
    return [_both(w.a, w.b), f"{w.relative:z.3g}", f"{w.largest:z.3g}", cosine, differ]


def _divergence(d: Divergence) -> list[str]:
    place = f"[{','.join(map(str, d.index))}]"
    return [_both(d.a, d.b), f"{d.error:.2e}", place, f"{d.first:z.3g}", f"{d.second:z.3g}", f"{d.beyond:.1%}"]
