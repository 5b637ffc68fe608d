"""Whole numbers that a call gave: sizes, axes, labels, positions. Python's and NumPy's are taken, fractions and bools are not."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from pellucid.errors import ShapeError


def index_of(value: SupportsIndex) -> int:
    """A whole number of Python or NumPy as an int; a `TypeError` for what is none, a fraction or a bool."""
    if isinstance(value, bool):
        raise TypeError("a bool is no whole number")
    return int(operator.index(value))


def one_or_several(value: Any) -> tuple[Any, ...]:
    """What a call gave for one number or several, as a tuple."""
    return tuple(value) if isinstance(value, Iterable) and getattr(value, "ndim", 1) else (value,)


def whole(
    name: str, what: str, value: SupportsIndex, least: int | None = None, raises: type[Exception] = ShapeError
) -> int:
    """A whole number that a call of `name` gave for `what`, as an int, or an error that `raises`: also for one below `least`."""
    try:
        number = index_of(value)
    except TypeError:
        raise raises(f"{name}: {what} must be a whole number, got {value!r:.60}") from None
    if least is not None and number < least:
        raise raises(f"{name}: {what} must be at least {least}, got {number}")
    return number


def wholes(name: str, what: str, values: Sequence[SupportsIndex]) -> tuple[int, ...]:
    """Several whole numbers that a call of `name` gave for `what`, as ints, or a `ShapeError`."""
    try:
        return tuple(index_of(value) for value in values)
    except TypeError:
        raise ShapeError(f"{name}: {what} must be whole numbers, got {values!r:.60}") from None


def whole_numbers(name: str, what: str, values: npt.ArrayLike, raises: type[Exception]) -> npt.NDArray[np.int64]:
    """Labels or positions that a call of `name` gave, as int64; an error that `raises` where one has a fraction or is no number."""
    array = np.asarray(values)
    with np.errstate(invalid="ignore"):
        numbers = array.astype(np.int64) if array.dtype.kind in "iubf" or not array.size else None
    if numbers is None:
        raise raises(f"{name}: {what} must be whole numbers, got {array.dtype}")
    if (odd := array[array != numbers]).size:
        raise raises(f"{name}: {what} must be whole numbers, got {odd[0]}")
    return numbers
