"""scikit-learn's handwritten digits: 1,797 gray pictures of 8x8 pixels (Alpaydin and Kaynak 1998), always at hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.data.sample import ArrayDataset, Splits, split


def all_digits() -> ArrayDataset:
    """The 1,797 pictures."""
    from sklearn.datasets import load_digits

    bunch: Any = load_digits()
    pixels = np.round(np.asarray(bunch.images) * (255 / 16)).astype(np.uint8)
    return ArrayDataset(pixels[:, None], np.asarray(bunch.target), [str(i) for i in range(10)], "digits")


def digits(seed: int = 0) -> Splits:
    """70 % to train, 10 % to validate, 20 % to test, each with every class in proportion; fixed by `seed`."""
    train, validation, test = split(all_digits(), (0.7, 0.1, 0.2), ("train", "validation", "test"), seed)
    return Splits(train, validation, test, "digits", {"seed": seed})
