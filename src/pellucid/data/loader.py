"""From samples to batches: order and augmentation are functions of (seed, epoch, index) alone."""

from __future__ import annotations

import math
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

import numpy as np

from pellucid.data.augmentation import Augmentation, augment
from pellucid.data.errors import DataError
from pellucid.data.mixing import Mix, Mixing
from pellucid.data.sample import (
    Array,
    Inputs,
    Labeled,
    Normalizing,
    generator,
    require_classes,
    require_images,
)
from pellucid.errors import unknown

SAMPLINGS = ("shuffle", "balanced")
"""How an epoch goes through the pictures: each once, or every class equally often."""
AHEAD = 2  # groups of batches
GROUP_BYTES, GROUP_BATCHES = 4 * 2**20, 16
"""Small batches are made several at once: as many as these bytes of float32 images hold, but not more than that."""


@dataclass(frozen=True)
class Batch:
    """Inputs made ready, float32 (N, ...); what is to be learned of them (N, ...); positions in the data set, int64 (N,)."""

    images: Array
    targets: Array
    indices: Array

    @property
    def labels(self) -> Array:
        """The targets of a data set with classes, int64 (N,); of mixed ones see `Mix.targets`."""
        return self.targets


@dataclass(frozen=True)
class _Plan:
    """What an epoch does: positions in order, int64 (N,), and the change at each place of it, float32 (N, 5), if any."""

    epoch: int
    order: Array
    changes: Array | None


class Loader:
    """Batches of a data set, prepared ahead while the last one is being used; without `preprocessing` as they are.

    Their targets are rows of `targets` (N, ...); without these the data set's labels, or nothing where it has none.
    Where `sampling` is balanced, a shuffled epoch has as many pictures of every class: some several times, or not all.
    With `mixing` inputs and targets are mixed within each batch.
    With `drop_last` an epoch leaves out the pictures, others each time if shuffled, that would make a smaller last batch.
    """

    def __init__(
        self,
        dataset: Inputs,
        batch_size: int,
        preprocessing: Normalizing | None,
        shuffle: bool = False,
        seed: int = 0,
        augmentation: Augmentation | None = None,
        drop_last: bool = False,
        targets: Array | None = None,
        sampling: str = "shuffle",
        mixing: Mixing | None = None,
    ) -> None:
        if batch_size < 1:
            raise DataError(f"batch_size must be at least 1, got {batch_size}")
        require_images(dataset)
        if batch_size > len(dataset) and shuffle:
            raise DataError(f"a batch of {batch_size} is larger than {dataset.name}, which has {len(dataset)} images")
        self._targets = _labels(dataset) if targets is None else targets
        if len(self._targets) != len(dataset):
            raise DataError(f"{dataset.name}: {len(dataset)} examples have {len(self._targets)} targets")
        self.dataset, self.batch_size, self.preprocessing = dataset, batch_size, preprocessing
        if sampling not in SAMPLINGS:
            raise unknown("sampling", sampling, SAMPLINGS)
        self.balanced = sampling == "balanced"
        self.shuffle, self.seed, self.augmentation = shuffle, seed, augmentation or Augmentation()
        self.mixing = mixing or Mixing()
        self.mixing.require_mixable(dataset.name, tuple(dataset.shape), self._targets)
        whole, rest = divmod(len(dataset), batch_size)
        rest *= not drop_last
        self.sizes = (batch_size,) * (whole > 0) + (rest,) * (rest > 0)
        """How many pictures its batches have: at most two sizes, that of all but the last and that of the last."""
        self._count = whole + (rest > 0)
        self._last_plan: _Plan | None = None

    def __len__(self) -> int:
        return self._count

    def order(self, epoch: int) -> Array:
        """Positions in the order in which this epoch visits them."""
        return self._plan(epoch).order

    def batch(self, epoch: int, number: int) -> Batch:
        """Batch `number` of an epoch."""
        return next(iter(self._make(self._plan(epoch), range(number, number + 1))))

    def _plan(self, epoch: int) -> _Plan:
        if self._last_plan is None or self._last_plan.epoch != epoch:
            count = len(self.dataset)
            order = self._order(generator(self.seed, 2, epoch)) if self.shuffle else np.arange(count)
            order.flags.writeable = False  # batches show parts of it
            changes = None
            if self.augmentation.active:
                changes = self.augmentation.draw(count, generator(self.seed, 3, epoch), self._size)
                changes = changes if self.balanced else changes[order]
            self._last_plan = _Plan(epoch, order, changes)
        return self._last_plan

    @property
    def _size(self) -> tuple[int, int]:
        rows, columns = self.dataset.shape[-2:]
        return rows, columns

    def _fill(self, dtype: np.dtype[Any]) -> Array | None:
        """What a box of a picture is wiped out with: the mean of each channel."""
        mean = getattr(self.preprocessing, "mean", None)
        if mean is None:
            return None
        return np.rint(np.array(mean) * 255).astype(dtype) if dtype == np.uint8 else np.array(mean, dtype)

    def _order(self, random: np.random.Generator) -> Array:
        if not self.balanced:
            return random.permutation(len(self.dataset))
        classes = [np.flatnonzero(self._targets == label) for label in np.unique(self._targets)]
        share, rest = divmod(len(self.dataset), len(classes))
        more = random.permutation(len(classes)) < rest
        chosen = [
            np.concatenate([random.permutation(members) for _ in range(-(-(share + one) // len(members)))])[
                : share + one
            ]
            for members, one in zip(classes, more, strict=True)
            if share + one
        ]
        return random.permutation(np.concatenate(chosen))

    def _make(self, plan: _Plan, numbers: range) -> list[Batch]:
        size = self.batch_size
        places = slice(numbers.start * size, numbers.stop * size)
        indices = plan.order[places]
        pictures = self.dataset.images(indices)
        if plan.changes is not None:
            pictures = augment(pictures, plan.changes[places], self._fill(pictures.dtype))
        parts = [slice(start, start + size) for start in range(0, len(indices), size)]
        mixes = self._mixes(plan.epoch, numbers, [len(indices[part]) for part in parts])
        if mixes:
            pictures = np.concatenate([mix.pasted(pictures[part]) for mix, part in zip(mixes, parts, strict=True)])
        images = pictures if self.preprocessing is None else self.preprocessing.normalize(pictures)
        targets = self._targets[indices]
        if mixes:
            images = np.concatenate([mix.blended(images[part]) for mix, part in zip(mixes, parts, strict=True)])
            targets = np.concatenate([mix.targets(targets[part]) for mix, part in zip(mixes, parts, strict=True)])
        return [Batch(images[part], targets[part], indices[part]) for part in parts]

    def _mixes(self, epoch: int, numbers: range, sizes: list[int]) -> list[Mix]:
        """How each of these batches is mixed, if they are."""
        if not self.mixing.active:
            return []
        return [
            self.mixing.draw(size, generator(self.seed, 8, epoch, number), tuple(self.dataset.shape))
            for number, size in zip(numbers, sizes, strict=True)
        ]

    def epoch(self, epoch: int, start: int = 0) -> Batches:
        """The batches of an epoch from number `start` on; the first are being prepared when this returns. Close them."""
        plan = self._plan(epoch)
        batch_bytes = 4 * self.batch_size * math.prod(self.dataset.shape)
        step = min(max(1, GROUP_BYTES // batch_bytes), GROUP_BATCHES)
        groups = [range(first, min(first + step, len(self))) for first in range(start, len(self), step)]
        return Batches(lambda numbers: self._make(plan, numbers), groups)


def _labels(dataset: Inputs) -> Array:
    """The labels of a data set that has classes; nothing (N, 0) of one that has not."""
    if not hasattr(dataset, "labels"):
        return np.empty((len(dataset), 0), np.int64)
    labeled = cast(Labeled, dataset)
    require_classes(labeled.name, labeled.labels, labeled.classes)
    return labeled.labels


class Batches(Iterator[Batch]):
    """Batches one after another, the next ones being prepared in a thread of its own. Closed at the end, or by `close`.

    `make` gives the batches of a group of numbers: one call, one wake-up and one turn of Python for them all.
    """

    def __init__(self, make: Callable[[range], list[Batch]], groups: Iterable[range]) -> None:
        self._make, self._groups = make, iter(groups)
        self._worker = ThreadPoolExecutor(1, "pellucid-loader")
        self._end = weakref.finalize(self, self._worker.shutdown, cancel_futures=True)  # also of an abandoned epoch
        self._ahead = deque(self._worker.submit(make, group) for group in islice(self._groups, AHEAD))
        self._ready: deque[Batch] = deque()

    def __next__(self) -> Batch:
        if self._ready:
            return self._ready.popleft()
        if not self._ahead:
            self.close()
            raise StopIteration
        try:
            self._ready.extend(self._ahead.popleft().result())
        except BaseException:
            self.close()
            raise
        self._ahead.extend(self._worker.submit(self._make, group) for group in islice(self._groups, 1))
        return self._ready.popleft()

    def close(self) -> None:
        """Stop preparing; what is left is never made."""
        self._groups = iter(())
        self._ahead.clear()
        self._ready.clear()
        self._end()


def channel_statistics(dataset: Inputs, limit: int = 10_000) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel over (up to `limit`, evenly spread) pictures scaled to [0, 1]."""
    require_images(dataset)
    picks = np.unique(np.linspace(0, len(dataset) - 1, min(limit, len(dataset))).astype(int))
    channels, height, width = dataset.shape[0], dataset.shape[1], dataset.shape[2]
    step = max(1, 2**18 // (height * width))
    counts = np.zeros((channels, 256), np.int64)  # how often each value occurs
    for start in range(0, len(picks), step):
        images = dataset.images(picks[start : start + step])
        for channel in range(channels):
            counts[channel] += np.bincount(images[:, channel].ravel(), minlength=256)
    shares, values = counts / counts.sum(1, keepdims=True), np.arange(256) / 255
    mean = shares @ values
    std = np.sqrt(np.maximum(shares @ values**2 - mean**2, 1e-6))
    return tuple(float(m) for m in mean), tuple(float(s) for s in std)
