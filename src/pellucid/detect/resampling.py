"""How much a precision depends on which pictures it was measured on: the pictures are drawn anew, many times (bootstrap)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pellucid.data.sample import generator
from pellucid.detect.average_precision import RIGHT, UNCOUNTED, Matches
from pellucid.plain import Array

ENDS = (0.025, 0.975)
"""Of what was drawn an interval leaves out so much on each side."""
AT_ONCE = 100
"""Draws that are computed together."""


def draws_of(pictures: int, count: int, seed: int = 0) -> Array:
    """How many times each of `pictures` comes up in each of `count` draws of as many, with putting back: int64 (count, pictures)."""
    random = generator(seed, 2)
    drawn = [np.bincount(random.integers(0, pictures, pictures), minlength=pictures) for _ in range(count)]
    return np.array(drawn, np.int64).reshape(count, pictures)


def precisions(matches: Matches, draws: Array, metric: str = "voc2007") -> Array:
    """The average precision of a class in each of `draws` (D, pictures): float64 (D,), NaN where it has no object.

    What `average_precision` of `matches.curve(draw)` gives, for all draws together: a curve rises at right detections alone, so
    that only these are looked at, with how many others were told before each.
    """
    counted = matches.verdicts != UNCOUNTED
    right = matches.verdicts[counted] == RIGHT
    picture = matches.picture[counted]
    stage = np.cumsum(right) - right  # how many right ones came before
    held = picture[right]
    told = np.zeros((len(held), draws.shape[1]))
    seen = stage < len(held)
    np.add.at(told, (stage[seen], picture[seen]), 1.0)
    found = [_precisions(part, part[:, held], told, matches.objects, metric) for part in _parts(draws)]
    return np.concatenate([np.zeros(0), *found])


def _parts(draws: Array) -> list[Array]:
    return [draws[start : start + AT_ONCE].astype(np.float64) for start in range(0, len(draws), AT_ONCE)]


def _precisions(draws: Array, right: Array, told: Array, objects: Array, metric: str) -> Array:
    """Of some draws (D, P): `right` (D, R) how often each right detection counts, `told` (R, P) what is told up to each from the last on."""
    positives = draws @ objects
    hits = np.cumsum(right, 1)
    every = np.cumsum(draws @ told.T, 1)
    precision = np.divide(hits, every, out=np.zeros(hits.shape), where=every > 0)
    recall = np.divide(hits, positives[:, None], out=np.zeros(hits.shape), where=positives[:, None] > 0)
    best = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    if metric == "voc2007":
        levels = [np.where(recall >= k / 10 - 1e-9, precision, 0.0).max(1, initial=0.0) for k in range(11)]
        average = np.mean(levels, 0)
    else:
        average = (np.diff(recall, axis=1, prepend=0.0) * best).sum(1)
    return np.where(positives > 0, average, np.nan)


def means_of(matches: Sequence[Matches], draws: Array, metric: str = "voc2007") -> Array:
    """The mean over the classes that a draw has objects of, float64 (D,); NaN where it has none of any."""
    return over_classes([precisions(one, draws, metric) for one in matches], len(draws))


def over_classes(each: Sequence[Array], draws: int) -> Array:
    """The mean of what `precisions` gave for several classes, float64 (D,): of those that a draw has objects of."""
    values = np.array(each).reshape(len(each), draws)
    there = np.isfinite(values)
    count = there.sum(0)
    total = np.where(there, values, 0.0).sum(0)
    return np.divide(total, count, out=np.full(draws, np.nan), where=count > 0)


def interval_of(values: Array) -> tuple[float, float]:
    """Where 95 of 100 values lie; NaN where there is none."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.quantile(finite, ENDS)
    return float(low), float(high)
