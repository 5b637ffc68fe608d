"""scikit-learn's handwritten digits: 1,797 gray pictures of 8x8 pixels (Alpaydin and Kaynak 1998), always at hand."""

from __future__ import annotations

import functools
import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pellucid.data.errors import DataError
from pellucid.data.sample import Array, ArrayDataset, Splits, split


def all_digits() -> ArrayDataset:
    """The 1,797 pictures."""
    table = _table()
    pixels = np.round(table[:, :-1].reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    return ArrayDataset(pixels, table[:, -1].astype(np.int64), [str(i) for i in range(10)], "digits")


def digits(seed: int = 0) -> Splits:
    """70 % to train, 10 % to validate, 20 % to test, each with every class in proportion; fixed by `seed`."""
    train, validation, test = split(all_digits(), (0.7, 0.1, 0.2), ("train", "validation", "test"), seed)
    return Splits(train, validation, test, "digits", {"seed": seed})


@functools.cache
def _table() -> Array:
    """A row for each picture: 64 pixels from 0 to 16, and the class."""
    with gzip.open(brought("data", "digits.csv.gz")) as file:
        return np.loadtxt(file, delimiter=",")


def brought(*path: str) -> Path:
    """A file that scikit-learn brings. It is not imported for it, which takes a second."""
    found = find_spec("sklearn")
    if found is None or found.origin is None:
        raise DataError("scikit-learn, which brings the digits and the sample photographs, is not installed")
    return Path(found.origin).parent.joinpath("datasets", *path)
