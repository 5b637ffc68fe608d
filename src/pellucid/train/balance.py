"""Classes of unequal size: the weight of each in the loss."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from pellucid.errors import unknown
from pellucid.op import Array
from pellucid.plain import PlainError, parse_json, read
from pellucid.train.config import TrainError

BALANCED = "balanced"
_LEAST, _MOST = float(np.finfo(np.float32).smallest_subnormal), float(np.finfo(np.float32).max)


def weights_text(weights: Mapping[Any, Any]) -> str:
    """Weights by class as one text: `cat=2,dog=1`, or JSON where a name would be read wrongly; numbers are names as they are written.

    Raises `TrainError` for what is no number.
    """
    named: list[tuple[str, float]] = []
    for name, weight in weights.items():
        plain = weight.item() if isinstance(weight, np.generic) else weight
        if isinstance(plain, bool) or not isinstance(plain, int | float):
            raise TrainError(
                f"class_weights: the weight of {str(name)!r} must be a positive number, got {weight!r:.60}"
            )
        named.append((str(name), plain))
    if any(set(name) & set(",={") or name != name.strip() for name, _ in named):
        return json.dumps(dict(named))
    return ",".join(f"{name}={weight}" for name, weight in named)


def parsed_weights(text: str) -> dict[str, float]:
    """The inverse of `weights_text`. Raises `TrainError` for what is no text of names with positive numbers."""
    found: dict[str, float] = {}
    if text.startswith("{"):
        try:
            found = read(dict[str, float], parse_json(text), "class_weights")
        except PlainError as error:
            raise TrainError(str(error)) from error
    else:
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, equals, number = part.rpartition("=")
            if (name := name.strip()) in found:
                raise TrainError(f"class_weights: {name!r} is given twice, {found[name]:g} and {number}; give it once")
            try:
                found[name] = float(number)
            except ValueError:
                equals = ""
            if not equals:
                raise TrainError(f"class_weights: expected balanced, or NAME=NUMBER with commas between, got {part!r}")
    for name, weight in found.items():
        if not _LEAST <= weight <= _MOST:
            raise TrainError(
                f"class_weights: the weight of {name!r} must be a positive number that float32 holds, got {weight}"
            )
    return found


def class_weights(text: str, classes: tuple[str, ...], labels: Array) -> tuple[float, ...]:
    """A weight for each class; none where nothing is asked for.

    `balanced` are N / (K n_k) for n_k of N training pictures of one of the K classes that have any (King and Zeng 2001);
    a class that is not named, or has no picture, has weight 1.
    """
    if not text:
        return ()
    if text == BALANCED:
        counts = np.bincount(labels, minlength=len(classes))
        share = len(labels) / ((counts > 0).sum() * np.maximum(counts, 1))
        return tuple(np.where(counts > 0, share, 1.0).tolist())
    found = parsed_weights(text)
    for name in found:
        if name not in classes:
            raise unknown("class of class_weights", name, classes)
    return tuple(found.get(name, 1.0) for name in classes)
