"""By how much one system is better than another, within each draw of the pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from pellucid.detect.comparison.table import ComparedSystem, Difference
from pellucid.detect.comparison.working import Measuring
from pellucid.detect.resampling import draws_of, interval_of, over_classes, precisions
from pellucid.plain import Array

Samples = Mapping[str, Array]
"""The precision of each class in each draw, by name."""


def _samples(one: ComparedSystem, draws: Array, metric: str) -> Samples:
    return {of.name: precisions(of.matches, draws, metric) for of in one.evaluation.classes}


def differences_of(compared: Sequence[ComparedSystem], setting: Measuring, pictures: int) -> tuple[Difference, ...]:
    """Of each pair of systems, the later one over the earlier one."""
    draws = draws_of(pictures, setting.draws, setting.seed)
    sampled = [(one, _samples(one, draws, setting.metric)) for one in compared]
    found = (_difference(*later, *earlier) for earlier, later in combinations(sampled, 2))
    return tuple(one for one in found if one is not None)


def _difference(one: ComparedSystem, mine: Samples, other: ComparedSystem, theirs: Samples) -> Difference | None:
    """By how much one is better than another, over the classes that both know; None where there are none."""
    averages = [{c.name: c.average_precision for c in each.evaluation.classes} for each in (one, other)]
    shared = [name for name in mine if name in theirs]
    told = [[value for name in shared if (value := by[name]) is not None] for by in averages]
    if not told[0]:
        return None
    count = len(mine[shared[0]])
    means = [over_classes([by[name] for name in shared], count) for by in (mine, theirs)]
    difference = float(np.mean(told[0]) - np.mean(told[1]))
    return Difference(one.name, other.name, difference, interval_of(means[0] - means[1]), len(told[0]))
