"""The study of convolution on photographs: `python benchmarks/why_convolution.py cifar10.zip`, 32x32 in class folders."""

from __future__ import annotations

import sys

import numpy as np

import pellucid as pl
from pellucid.data import Dataset, Splits, Subset


def main() -> None:
    """Train on 10,000 pictures for 6 epochs and print the study, measured on 2,000 test pictures."""
    data = pl.load(sys.argv[1], image_size=32) if len(sys.argv) > 1 else pl.load("fashion-mnist")
    few = Splits(data.train, some(data.validation, 1000), some(data.test, 2000), data.source)
    print(pl.why_convolution(few, epochs=6, limit=10_000))


def some(data: Dataset, count: int) -> Dataset:
    """`count` pictures drawn at random."""
    return Subset(data, np.sort(np.random.default_rng(0).permutation(len(data))[:count]), f"{data.name}[{count}]")


if __name__ == "__main__":
    main()
