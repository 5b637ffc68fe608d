"""Pictures per second of the loader alone: batches of 64 in random order, with and without augmentation."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from itertools import count

import pellucid as pl
from common import interleaved
from pellucid.data import Augmentation, DataError, Dataset, Loader, Preprocessing, channel_statistics

BATCH = 64
SIDES = {
    "plain": Augmentation(),
    "mirrored and shifted": Augmentation(flip=True, shift=2),
    "turned too": Augmentation(flip=True, shift=2, rotation=10.0),
    "windows, erased": Augmentation(True, 2, 10.0, zoom=0.2, crop_scale=(0.3, 1.0), erasing=0.3),
    "contrast, brightness": Augmentation(brightness=0.4, contrast=0.4),
}


def main() -> None:
    """Digits, Fashion-MNIST, and CIFAR-10 from the archive named by the argument or PELLUCID_CIFAR10."""
    cifar10 = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PELLUCID_CIFAR10", "")
    for name, source in {"digits": "digits", "fashion-mnist": "fashion-mnist", "cifar10": cifar10}.items():
        if not source:
            print(f"{name:<14} skipped: give its archive as argument or in PELLUCID_CIFAR10")
            continue
        try:
            train = pl.load(source).train
        except DataError as error:
            print(f"{name:<14} skipped: {error}")
            continue
        seconds = interleaved({side: epochs(train, change) for side, change in SIDES.items()}, 3)
        for side, each in seconds.items():
            print(f"{name:<14} {side:<22} {len(train) / each:>10,.0f} pictures/s")


def epochs(dataset: Dataset, augmentation: Augmentation) -> Callable[[], None]:
    """A function that reads the next epoch of `dataset`."""
    preprocessing = Preprocessing(dataset.shape[1:], dataset.shape[0], *channel_statistics(dataset))
    loader, numbers = Loader(dataset, BATCH, preprocessing, True, 0, augmentation), count()

    def run() -> None:
        for _ in loader.epoch(next(numbers)):
            pass

    return run


if __name__ == "__main__":
    main()
