"""Which weight of a file belongs to which parameter of a network: by name, by name behind a prefix, or by structure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pellucid.op import Shape

T = TypeVar("T")

COUNTER = "num_batches_tracked"
"""What PyTorch's batch norm counts and nothing here needs."""


@dataclass(frozen=True)
class NamedWeights:
    """The weights that stand under one path, by their last name."""

    path: str
    shapes: Mapping[str, Shape]

    @property
    def kind(self) -> tuple[tuple[str, int], ...]:
        """Which weights there are and how many axes they have."""
        return tuple(sorted((name, len(shape)) for name, shape in self.shapes.items()))

    @property
    def signature(self) -> tuple[tuple[str, Shape], ...]:
        """The kind, with sizes."""
        return tuple(sorted(self.shapes.items()))

    def full(self, name: str) -> str:
        """The whole name of one of the weights."""
        return f"{self.path}.{name}" if self.path else name


@dataclass(frozen=True)
class Matching:
    """Pairs (name in the file, name in the network), and why there are not more of them."""

    pairs: dict[str, str]
    doubt: str = ""


def layers(shapes: Mapping[str, Shape]) -> list[NamedWeights]:
    """The weights grouped by path, in order of first appearance."""
    grouped: dict[str, dict[str, Shape]] = {}
    for name, shape in shapes.items():
        path, _, last = name.rpartition(".")
        grouped.setdefault(path, {})[last] = shape
    return [NamedWeights(path, members) for path, members in grouped.items()]


def without_seeming_order(values: Mapping[str, T], types: Sequence[object]) -> dict[str, T]:
    """The values by name, sorted where the writer of a file has sorted them by element type and then by name.

    That is what safetensors does: an order of types and names that says nothing of the order of layers.
    """
    names = list(values)
    first = list(dict.fromkeys(types))
    places = sorted(range(len(names)), key=lambda at: (first.index(types[at]), names[at]))
    return dict(sorted(values.items())) if places == [*range(len(names))] else dict(values)


def match(theirs: Mapping[str, Shape], ours: Mapping[str, Shape]) -> Matching:
    """The pairs of names that belong together.

    Where all names of one side are there on the other, names decide. Else a prefix before all of the network's names,
    else the order of definition: the layers must agree one by one in kind, and in shape but for the first and the
    last. What could be meant in two ways is not matched, and `doubt` says so.
    """
    same = {name: name for name in theirs if name in ours}
    if len(same) in (len(theirs), len(ours)):
        return Matching(same)
    prefixed = _behind_prefix(theirs, ours)
    if prefixed is not None:
        return prefixed
    return _in_order(layers(theirs), layers(ours), same, theirs, ours)


def _behind_prefix(theirs: Mapping[str, Shape], ours: Mapping[str, Shape]) -> Matching | None:
    start = next(iter(ours))
    last = layers(ours)[-1].path
    needed = [name for name in ours if name.rpartition(".")[0] != last] or list(ours)
    found: list[str] = []
    for name in theirs:
        prefix = name[: len(name) - len(start)]
        if name == prefix + start and prefix.endswith(".") and all(theirs.get(prefix + n) == ours[n] for n in needed):
            found.append(prefix)
    if len(found) > 1:
        return Matching({}, f"the weights stand behind {' and behind '.join(map(repr, found))}; give those of one")
    if not found:
        return None
    return Matching({found[0] + name: name for name in ours if found[0] + name in theirs})


def _in_order(
    theirs: Sequence[NamedWeights],
    ours: Sequence[NamedWeights],
    same: Mapping[str, str],
    their_shapes: Mapping[str, Shape],
    our_shapes: Mapping[str, Shape],
) -> Matching:
    named = dict(same)
    if len(theirs) != len(ours):
        return Matching(named, f"the file has {len(theirs)} layers with weights, the network {len(ours)}")
    for number, (a, b) in enumerate(zip(theirs, ours, strict=True)):
        inner = 0 < number < len(ours) - 1
        if a.kind != b.kind or (inner and a.signature != b.signature):
            return Matching(named, f"layer {number + 1} is {_shown(a)} in the file and {_shown(b)} in the network")
    if all(a.signature != b.signature for a, b in zip(theirs, ours, strict=True)):
        return Matching(named, "no layer has the same shapes")
    names = list(their_shapes)
    repeated = [s for s, count in Counter(layer.signature for layer in ours).items() if count > 1]
    if names == sorted(names) and repeated and len(ours) > 1:
        return Matching(
            named,
            "the file is sorted by name, so that it does not say in which order its layers follow each other",
        )
    pairs = {a.full(n): b.full(n) for a, b in zip(theirs, ours, strict=True) for n in a.shapes}
    for name in same:
        if pairs[name] != name and their_shapes[name] == our_shapes[name]:
            return Matching(
                {},
                f"{name!r} is a name in both, but by order it would be {pairs[name]!r}; rename the weights that are given",
            )
    return Matching(pairs)


def _shown(layer: NamedWeights) -> str:
    return f"{layer.path!r} ({', '.join(f'{n} {tuple(s)}' for n, s in layer.shapes.items())})"
