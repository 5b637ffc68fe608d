"""How far what two layers give is apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pellucid.op import Array


@dataclass(frozen=True)
class Divergence:
    """How far the outputs of two layers are apart.

    `error` is the largest difference over the first's largest absolute value, as an executor's tolerance is defined; at
    `index` (without the batch axis) it is largest, where the values are `first` and `second`. `beyond` is the share of
    elements whose own difference is beyond the tolerance.
    """

    a: str
    b: str
    error: float
    index: tuple[int, ...]
    first: float
    second: float
    beyond: float


def apart(a: str, b: str, first: Array, second: Array, tolerance: float) -> Divergence:
    """How far two arrays of one shape are apart."""
    x, y = first.astype(np.float64), second.astype(np.float64)
    gaps = distances(x, y)
    size = float(np.abs(x[np.isfinite(x)]).max(initial=0.0))
    place = tuple(int(i) for i in np.unravel_index(int(gaps.argmax()), gaps.shape))
    relative = gaps / size if size else np.where(gaps == 0, 0.0, np.inf)
    shown = place[1:] if x.shape[:1] == (1,) else place
    beyond = float((relative > tolerance).mean())
    return Divergence(a, b, float(relative[place]), shown, float(x[place]), float(y[place]), beyond)


def distances(first: Array, second: Array) -> Array:
    """How far each two numbers are apart, in float64: 0 where both are NaN, infinity where one alone is."""
    x, y = first.astype(np.float64), second.astype(np.float64)
    with np.errstate(invalid="ignore"):
        found = np.asarray(np.abs(y - x))
    odd = np.isnan(found)
    if odd.any():
        same = (x == y) | (np.isnan(x) & np.isnan(y))
        found = np.where(odd, np.where(same, 0.0, np.inf), found)
    return found
