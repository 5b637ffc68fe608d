"""Numbers that a call gave: slopes, margins, rates, shares. Python's and NumPy's are taken, text, bools and NaN are not."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np

from pellucid.errors import GraphError


def real(
    name: str,
    what: str,
    value: Any,
    least: float = -math.inf,
    most: float = math.inf,
    raises: type[Exception] = GraphError,
    infinite: bool = False,
) -> float:
    """A number that a call of `name` gave for `what`, as a float, or an error that `raises`: for what is none, for one outside
    `least` to `most`, and for an infinity, unless `infinite`."""
    number = _number(value)
    if math.isnan(number) or (math.isinf(number) and not infinite):
        wanted = "a number" if infinite else "a finite number"
        raise raises(f"{name}: {what} must be {wanted}, got {value!r:.60}")
    if not least <= number <= most:
        wanted = f"at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
        raise raises(f"{name}: {what} must be {wanted}, got {value!r:.60}")
    return number


def reals(name: str, what: str, values: Iterable[Any], least: float = -math.inf) -> tuple[float, ...]:
    """Several numbers that a call of `name` gave for `what`, each as `real` has it."""
    return tuple(real(name, f"each of {what}", value, least) for value in values)


def share(name: str, what: str, value: Any, raises: type[Exception] = GraphError) -> float:
    """A part of a whole that leaves something of it, in [0, 1), that a call of `name` gave for `what`."""
    if not 0 <= (number := _number(value)) < 1:
        raise raises(f"{name}: {what} must lie in [0, 1), got {value!r:.60}")
    return number


def is_real(value: Any) -> bool:
    """Whether a value is a real number of Python or NumPy, or an array of one without axes; a bool is none."""
    if isinstance(value, np.ndarray):
        return value.ndim == 0 and value.dtype.kind in "iuf"
    return not isinstance(value, bool) and isinstance(value, Real)


def _number(value: Any) -> float:
    """NaN for what is no number, or too large to be one."""
    try:
        return float(value) if is_real(value) else math.nan
    except OverflowError:
        return math.nan
