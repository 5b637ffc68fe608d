"""From samples to batches: order and augmentation are functions of (seed, epoch, index) alone."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pellucid.data.errors import DataError
from pellucid.data.image import Preprocessing
from pellucid.data.sample import Array, Dataset, generator


@dataclass(frozen=True)
class Batch:
    """Pictures made ready: images float32 (N, C, H, W), labels int64 (N,), positions in the data set int64 (N,)."""

    images: Array
    labels: Array
    indices: Array


@dataclass(frozen=True)
class Augmentation:
    """Random changes that keep the label: mirror image, shift by up to `shift` pixels, turn by up to `rotation` degrees."""

    flip: bool = False
    shift: int = 0
    rotation: float = 0.0

    def __post_init__(self) -> None:
        if self.shift < 0 or not 0 <= self.rotation <= 180:
            raise DataError(f"augmentation: shift must not be negative and rotation lie in [0, 180], got {self}")

    @property
    def active(self) -> bool:
        return self.flip or self.shift > 0 or self.rotation > 0


def augment(image: Array, augmentation: Augmentation, random: np.random.Generator) -> Array:
    """`image` uint8 (C, H, W) changed at random; what comes in from outside repeats the edge."""
    mirrored, down, across, turn = random.random(4)
    if augmentation.flip and mirrored < 0.5:
        image = image[:, :, ::-1]
    _, height, width = image.shape
    if augmentation.rotation:
        angle = np.deg2rad((2 * turn - 1) * augmentation.rotation)
        rows, columns = np.mgrid[:height, :width]
        y, x = rows - (height - 1) / 2, columns - (width - 1) / 2
        from_row = np.cos(angle) * y - np.sin(angle) * x + (height - 1) / 2
        from_column = np.sin(angle) * y + np.cos(angle) * x + (width - 1) / 2
        image = _bilinear(image, np.clip(from_row, 0, height - 1), np.clip(from_column, 0, width - 1))
    if augmentation.shift:
        span = 2 * augmentation.shift + 1
        top, left = int(down * span), int(across * span)
        s = augmentation.shift
        image = np.pad(image, ((0, 0), (s, s), (s, s)), mode="edge")[:, top : top + height, left : left + width]
    return image


def _bilinear(image: Array, rows: Array, columns: Array) -> Array:
    r0, c0 = np.floor(rows).astype(int), np.floor(columns).astype(int)
    r1, c1 = np.minimum(r0 + 1, image.shape[1] - 1), np.minimum(c0 + 1, image.shape[2] - 1)
    a, b = rows - r0, columns - c0
    upper = image[:, r0, c0] * (1 - b) + image[:, r0, c1] * b
    lower = image[:, r1, c0] * (1 - b) + image[:, r1, c1] * b
    return np.round(upper * (1 - a) + lower * a).astype(np.uint8)


class Loader:
    """Batches of a data set, prepared one ahead while the last one is being used."""

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        preprocessing: Preprocessing,
        shuffle: bool = False,
        seed: int = 0,
        augmentation: Augmentation | None = None,
    ) -> None:
        if batch_size < 1:
            raise DataError(f"batch_size must be at least 1, got {batch_size}")
        if batch_size > len(dataset) and shuffle:
            raise DataError(f"a batch of {batch_size} is larger than {dataset.name}, which has {len(dataset)} images")
        self.dataset, self.batch_size, self.preprocessing = dataset, batch_size, preprocessing
        self.shuffle, self.seed, self.augmentation = shuffle, seed, augmentation or Augmentation()

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def order(self, epoch: int) -> Array:
        """Positions in the order in which this epoch visits them."""
        if not self.shuffle:
            return np.arange(len(self.dataset))
        return generator(self.seed, 2, epoch).permutation(len(self.dataset))

    def batch(self, epoch: int, number: int) -> Batch:
        """Batch `number` of an epoch."""
        indices = self.order(epoch)[number * self.batch_size : (number + 1) * self.batch_size]
        return self._make(epoch, indices)

    def _make(self, epoch: int, indices: Array) -> Batch:
        pictures: list[Array] = []
        for index in indices:
            picture = self.dataset.image(int(index))
            if self.augmentation.active:
                picture = augment(picture, self.augmentation, generator(self.seed, 3, epoch, int(index)))
            pictures.append(picture)
        labels = np.array([self.dataset.label(int(i)) for i in indices], np.int64)
        return Batch(self.preprocessing.normalize(np.stack(pictures)), labels, indices.astype(np.int64))

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from number `start` on, the next one being prepared in a thread of its own."""
        order = self.order(epoch)
        ready: queue.Queue[Batch | BaseException | None] = queue.Queue(maxsize=2)
        stopped = threading.Event()

        def put(item: Batch | BaseException | None) -> None:
            while not stopped.is_set():
                try:
                    ready.put(item, timeout=0.05)
                    return
                except queue.Full:
                    continue

        def work() -> None:
            try:
                for number in range(start, len(self)):
                    if stopped.is_set():
                        return
                    put(self._make(epoch, order[number * self.batch_size : (number + 1) * self.batch_size]))
                put(None)
            except (DataError, OSError, MemoryError, ValueError) as error:
                put(error)

        worker = threading.Thread(target=work, name="pellucid-loader", daemon=True)
        worker.start()
        try:
            while True:
                item = ready.get()
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            stopped.set()
            worker.join()


def channel_statistics(dataset: Dataset, limit: int = 10_000) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel over (up to `limit`, evenly spread) pictures scaled to [0, 1]."""
    picks = np.unique(np.linspace(0, len(dataset) - 1, min(limit, len(dataset))).astype(int))
    channels = dataset.shape[0]
    total, squares, count = np.zeros(channels), np.zeros(channels), 0
    for index in picks:
        values = dataset.image(int(index)).reshape(channels, -1) / 255.0
        total += values.sum(axis=1)
        squares += (values**2).sum(axis=1)
        count += values.shape[1]
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 1e-6))
    return tuple(float(m) for m in mean), tuple(float(s) for s in std)
