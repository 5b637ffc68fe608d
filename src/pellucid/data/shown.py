"""Data sets as notebooks and consoles show them: how much there is of what, and some examples."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid.data.errors import DataError
from pellucid.pictures import Drawn, Grid, Page, Picture, Tile, Tiles
from pellucid.pictures.tiles import drawable

if TYPE_CHECKING:
    from pellucid.data.sample import Array

EXAMPLES, MOST_CLASSES, MOST_NAMED, SIDE = 12, 30, 8, 96
"""Pictures, rows of a table, names in a line, and pixels of a small picture's side."""


class ShownExamples(Drawn):
    """A data set that shows itself: `name`, `shape`, and `labels` and `classes`, or `targets` and `quantities`."""

    def __str__(self) -> str:
        data: Any = self
        shape = "x".join(map(str, data.shape))
        many = f"{data.name}: {len(data):,} examples {shape}"
        if hasattr(data, "labels"):
            counts = [f"{name} ({count:,})" for name, count in class_counts(data).items()]
            more = f" and {len(counts) - MOST_NAMED} more" if len(counts) > MOST_NAMED else ""
            return f"{many} of {len(counts)} classes: {', '.join(counts[:MOST_NAMED])}{more}"
        return f"{many} with {', '.join(map(str, data.quantities))}" if hasattr(data, "quantities") else many

    def picture(self) -> Page:
        """How many examples of what, and some of them."""
        return Page(str(getattr(self, "name", "data")), (*examples_of(self), *tables({"examples": self})))


def class_counts(data: Any) -> dict[str, int]:
    """How many examples each class has."""
    return dict(zip(data.classes, np.bincount(data.labels, minlength=len(data.classes)).tolist(), strict=True))


def tables(parts: dict[str, Any]) -> Iterable[Grid | str]:
    """How many examples each part has, of each class; or how the numbers to predict are spread."""
    sizes = [f"{len(part):,}" for part in parts.values()]
    first = next(iter(parts.values()))
    if all(hasattr(part, "labels") for part in parts.values()):
        counts = [class_counts(part) for part in parts.values()]
        rows = [[name, *(f"{count.get(name, 0):,}" for count in counts)] for name in first.classes[:MOST_CLASSES]]
        left = len(first.classes) - MOST_CLASSES
        rows += [[f"and {left} more"] + [""] * len(parts)] if left > 0 else []
        yield Grid(["class", *parts], [*rows, ["all", *sizes]], "l" + "r" * len(parts))
        return
    yield Grid(["part", "examples"], [[name, size] for name, size in zip(parts, sizes, strict=True)], "lr")
    if hasattr(first, "quantities"):
        facts = {"least": np.min, "mean": np.mean, "greatest": np.max}
        rows = [
            [str(quantity), *(f"{fact(column):.4g}" for fact in facts.values())]
            for quantity, column in zip(first.quantities[:MOST_CLASSES], first.targets.T, strict=False)
        ]
        yield Grid(["to predict", *facts], rows, "lrrr")


def examples_of(data: Any) -> tuple[Picture | str, ...]:
    """Some examples of a data set, of every class in turn, as small pictures; nothing where they are none."""
    try:
        drawn = [(k, drawable(data.image(k))) for k in _picks(data)]
    except (DataError, OSError) as error:
        return (f"No example can be shown: {error}.",)
    tiles = tuple(Tile(small(image), _caption(data, k)) for k, image in drawn if image is not None)
    return (Tiles("Examples", tiles, 6),) if tiles else ()


def small(image: Array) -> Array:
    """Every so many pixels of a picture (C, H, W), so that its sides are at most `SIDE`."""
    step = -(-max(image.shape[1:]) // SIDE)
    return image[:, ::step, ::step]


def _picks(data: Any) -> list[int]:
    count = min(EXAMPLES, len(data))
    if not hasattr(data, "labels"):
        return np.linspace(0, len(data) - 1, count).astype(int).tolist()
    labels, ranks = np.asarray(data.labels), np.empty(len(data), np.int64)
    for label in np.unique(labels):
        places = np.flatnonzero(labels == label)
        ranks[places] = np.arange(len(places))
    return np.lexsort((labels, ranks))[:count].tolist()


def _caption(data: Any, index: int) -> str:
    if hasattr(data, "labels"):
        return str(data.classes[int(data.labels[index])])
    return ", ".join(q.words(v) for q, v in zip(data.quantities[:2], data.targets[index], strict=False))
