"""`compare_maps`: a layer of two traces map by map: of two pictures, of two checkpoints of one run, of two networks built alike."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pellucid.executors import TOLERANCE
from pellucid.explain.networks.alignment import GraphLayer, align
from pellucid.explain.networks.comparison import ComparisonError, require_tolerance
from pellucid.explain.networks.divergence import Divergence, apart, distances
from pellucid.explain.trace.drawn_values import as_maps
from pellucid.explain.trace.tracing import Activation, Trace
from pellucid.flags import flag
from pellucid.graph import Tensor
from pellucid.op import Array
from pellucid.pictures import Answer, Chart, Grid, Maps, Page, Picture, Series
from pellucid.pictures.colors import limits
from pellucid.text import amount

SHOWN = 16
"""Maps in a picture."""


@dataclass(frozen=True)
class MapComparison(Answer):
    """What a layer gives in one trace and in another, or with `gradient` the gradients there: `first` and `second` (K, H, W).

    `layer` and `other` are its names in the two; `difference` is second - first, in float64.
    """

    layer: str
    other: str
    first: Array
    second: Array
    gradient: bool
    divergence: Divergence
    notes: tuple[str, ...] = ()
    """What else there is to know of the two."""

    @cached_property
    def difference(self) -> Array:
        """What is to be added to the first for the second."""
        with np.errstate(invalid="ignore"):
            return self.second.astype(np.float64) - self.first.astype(np.float64)

    @cached_property
    def largest(self) -> Array:
        """(K,) the largest absolute difference in each map, infinity where one of two values is no number."""
        return map_distances(self.first, self.second)

    @cached_property
    def order(self) -> Array:
        """The numbers of the maps, those that differ most first."""
        return np.argsort(-self.largest, kind="stable")

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: the values of both, and how far each map is from its twin."""
        return {
            "layer": self.layer,
            "other": self.other,
            "gradient": self.gradient,
            "shape": list(self.first.shape),
            "divergence": asdict(self.divergence),
            "largest": self.largest.tolist(),
            "first": self.first.tolist(),
            "second": self.second.tolist(),
            "notes": list(self.notes),
        }

    @property
    def title(self) -> str:
        """What is compared."""
        names = self.layer if self.layer == self.other else f"{self.layer} and {self.other}"
        return f"gradient at {names}" if self.gradient else names

    def __str__(self) -> str:
        shape, found = "x".join(map(str, self.first.shape)), self.divergence
        notes = "".join(f"{note}\n" for note in self.notes)
        if not found.error:
            return f"{notes}{self.title}: {shape}, the same in both"
        differing = int((self.largest > 0).sum())
        place = ",".join(map(str, found.index))
        most = ", ".join(map(str, self.order[: min(differing, 8)]))
        return (
            f"{notes}{self.title}: {shape}, at most {found.error:.3g} of the first's largest value apart, at [{place}]: "
            f"{found.first:z.4g} and {found.second:z.4g}\n"
            f"{differing} of {amount(len(self.first), 'map')} differ, most in {most}"
        )

    def picture(self) -> Page:
        """The maps that differ most: of the first, of the second, and their difference."""
        chosen = self.order[:SHOWN]
        rows = [[str(k), f"{self.largest[k]:.4g}"] for k in chosen]
        table = Grid(["map", "largest difference"], rows, "rr")
        return Page("One layer, twice", (*str(self).split("\n"), *self._drawn(chosen), table))

    def _drawn(self, chosen: Array) -> list[Picture]:
        if self.first.size == len(self.first):
            units = range(len(self.first))
            pair = [Series(n, units, v.ravel().tolist()) for n, v in (("first", self.first), ("second", self.second))]
            bars = Series("", units, self.difference.ravel().tolist(), "bars")
            return [
                Chart(self.title, "unit", "value", tuple(pair)),
                Chart(f"second - first, {self.title}", "unit", "difference", (bars,)),
            ]
        both = np.concatenate([self.first, self.second])
        signed, total = self.gradient or bool((both < 0).any()), len(self.first)
        captions = tuple(map(str, chosen))

        def maps(title: str, values: Array, signed: bool, ends: tuple[float, float]) -> Maps:
            shown = f"{title}, {self.title}"
            return Maps(shown, values[chosen], signed=signed, captions=captions, ends=ends, total=total)

        ends = limits(both, signed)
        return [
            maps("first", self.first, signed, ends),
            maps("second", self.second, signed, ends),
            maps("second - first", self.difference, True, limits(self.difference, True)),
        ]


def layer_twins(a: Trace, b: Trace) -> list[tuple[str | None, str | None]]:
    """Every layer of both traces with its twin, the inputs too: by name, then by order and kind; None where it has none."""
    pairs = align(_layers(a), _layers(b))
    return [(x.name if x else None, y.name if y else None) for x, y in pairs]


def divergences(a: Trace, b: Trace, tolerance: float = TOLERANCE["float32"]) -> list[Divergence]:
    """How far the twins of one shape are apart, in order of computation; see `compare`."""
    require_tolerance(tolerance)
    found: list[Divergence] = []
    for x, y in layer_twins(a, b):
        if x is not None and y is not None and a[x].value.shape == b[y].value.shape and a[x].value.size:
            found.append(_divergence(a[x], b[y], False, tolerance))
    return found


def compare_maps(
    a: Trace, b: Trace, layer: str, *, gradient: bool = False, tolerance: float = TOLERANCE["float32"]
) -> MapComparison:
    """What `layer` gives in two traces, map by map, or with `gradient` the gradients of their scores there.

    The traces are of one network on two pictures, of two checkpoints of one run, or of two networks that are built alike:
    the layer's twin in `b` is the one of its name, or else of its place. Raises `ComparisonError` where there is none, or one
    of another shape.
    """
    gradient = flag("compare_maps", "gradient", gradient, ComparisonError)
    require_tolerance(tolerance)
    own = a[layer]
    twin = next((y for x, y in layer_twins(a, b) if x == own.name), own.name if own.name in b else None)
    if twin is None:
        raise ComparisonError(f"{layer}: the second network has no layer that belongs to it")
    other = b[twin]
    if own.shape != other.shape or not own.value.size:
        shapes = " and ".join("x".join(map(str, one.shape)) or "a number" for one in (own, other))
        raise ComparisonError(f"{layer}: has maps of {shapes} in the two, which cannot be compared one by one")
    first, second = (as_maps(o.channels_first(o.gradient if gradient else o.value)) for o in (own, other))
    return MapComparison(own.name, other.name, first, second, gradient, _divergence(own, other, gradient, tolerance))


def map_distances(first: Array, second: Array) -> Array:
    """(K,) the largest absolute difference between maps (K, H, W) and those of another, infinity where one alone is NaN."""
    return distances(first, second).max((1, 2))


def _divergence(a: Activation, b: Activation, gradient: bool, tolerance: float) -> Divergence:
    def values(one: Activation) -> Array:
        traced = one.trace
        return traced.gradients.of(traced.gradient_node(one.node)) if gradient else traced.activations.of(one.node)

    return apart(a.name, b.name, values(a), values(b), tolerance)


def _layers(traced: Trace) -> list[GraphLayer]:
    names = traced.graph.names

    def layer(node: Tensor) -> GraphLayer:
        return GraphLayer(names[node], node.op.kind, node, (node,))

    return [layer(node) for node in traced.kept]
