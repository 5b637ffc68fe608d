"""Data cut into folds: each example is held out once, while the others are learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pellucid.data.errors import DataError
from pellucid.data.numbered import NumberSubset
from pellucid.data.sample import Array, Parts, Subset, generator

HELD_BACK = 0.15
"""Share of what a fold learns from that chooses its best epoch."""


class Joined:
    """Data sets of one kind, one after another."""

    def __init__(self, parts: Sequence[Any], name: str) -> None:
        self._parts, self.name, self.shape = tuple(parts), name, parts[0].shape
        self._starts = np.cumsum([0, *map(len, parts)])
        self.skipped = tuple(dict.fromkeys(line for part in parts for line in part.skipped))
        if hasattr(parts[0], "labels"):
            self.labels, self.classes = np.concatenate([part.labels for part in parts]), parts[0].classes
        else:
            self.targets, self.quantities = np.concatenate([part.targets for part in parts]), parts[0].quantities

    def __len__(self) -> int:
        return int(self._starts[-1])

    def _place(self, index: int) -> tuple[Any, int]:
        number = int(np.searchsorted(self._starts, index, "right")) - 1
        return self._parts[number], int(index - self._starts[number])

    def images(self, indices: Array) -> Array:
        numbers = np.searchsorted(self._starts, indices, "right") - 1
        found: Array | None = None
        for number in np.unique(numbers):
            places = np.flatnonzero(numbers == number)
            some = self._parts[number].images(indices[places] - self._starts[number])
            found = np.empty((len(indices), *some.shape[1:]), some.dtype) if found is None else found
            found[places] = some
        return self._parts[0].images(indices) if found is None else found

    def image(self, index: int) -> Array:
        part, place = self._place(index)
        return part.image(place)

    def label(self, index: int) -> int:
        return int(self.labels[index])

    def __getitem__(self, index: int) -> Any:
        part, place = self._place(index)
        return part[place]


def folds_of(data: Parts, folds: int, seed: int = 0) -> list[Parts]:
    """All examples of `data` in `folds` parts with (nearly) as many of every class; for each the parts to train with.

    The fold is the test; of the rest 15 % choose the best epoch. Raises `DataError` for too few examples.
    """
    whole = Joined(list(data.parts().values()), data.source or "data")
    labels = whole.labels if hasattr(whole, "labels") else np.zeros(len(whole), np.int64)
    smallest = int(np.bincount(labels)[np.unique(labels)].min())
    if not 2 <= folds <= smallest:
        what = "examples of the rarest class" if hasattr(whole, "labels") else "examples"
        raise DataError(f"folds must lie in [2, {smallest}], the number of {what} of {whole.name}, got {folds}")
    fold, back = np.empty(len(whole), np.int64), np.zeros(len(whole), bool)
    first = 0
    for label in np.unique(labels):
        members = generator(seed, 6, int(label)).permutation(np.flatnonzero(labels == label))
        fold[members] = (first + np.arange(len(members))) % folds
        first += len(members)  # so that what is left over of small classes is not all in the first folds
    found: list[Parts] = []
    for number in range(folds):
        back[:] = False
        for label in np.unique(labels):
            rest = np.flatnonzero((fold != number) & (labels == label))
            count = min(len(rest) - 1, max(1, round(HELD_BACK * len(rest))))
            back[generator(seed, 7, number, int(label)).permutation(rest)[:count]] = True
        chosen = {"train": (fold != number) & ~back, "validation": back, "test": fold == number}
        if not all(places.any() for places in chosen.values()):
            raise DataError(f"{whole.name}: {len(whole)} examples are too few for {folds} folds; take fewer")
        kind: Any = Subset if hasattr(whole, "labels") else NumberSubset
        parts = {
            name: kind(whole, np.flatnonzero(places), f"{whole.name}/fold {number + 1}/{name}")
            for name, places in chosen.items()
        }
        found.append(replace(data, **parts))
    return found
