"""The latent support vector machine: what is made small, with its slope, and how (Felzenszwalb et al. 2010, section 5; release 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.plain import Array

SHARPNESS = 1000.0
"""How near the penalty, a soft maximum over components, is to the largest of theirs."""
MOST_STEPS, RESTARTS = 1000, 10
"""Steps of a fit, and how often it begins anew, at most."""
TOLERANCE = 1e-6
"""Relative fall of the objective below which a fit ends."""


@dataclass(frozen=True)
class Penalized:
    """Weights of all pairs as one vector: `sizes` of each, by how much squares count (`penalties`), and `bounds`."""

    sizes: tuple[int, ...]
    penalties: Array
    bounds: Sequence[tuple[float | None, float | None]]

    def split(self, weights: Array) -> list[Array]:
        """The weights of each pair."""
        return np.split(weights, np.cumsum(self.sizes)[:-1])

    def value(self, weights: Array) -> tuple[float, Array]:
        """A soft maximum over pairs of half their squared norms, and its slope."""
        norms = np.array([part.sum() / 2 for part in self.split(self.penalties * weights**2)])
        most = norms.max()
        shares = np.exp(SHARPNESS * (norms - most))
        value = float(most + np.log(shares.sum()) / SHARPNESS)
        each = np.repeat(shares / shares.sum(), self.sizes)
        return value, each * self.penalties * weights


class LatentObjective:
    """Penalty plus `cost` times the sum of hinges max(0, 1 - sign * score), each times its `counts`.

    An example is seen in one way or several, rows of `features[pair]` (N, weights) that belong to the example `owners[pair]` (N,); its score is
    that of the best way. `offsets[pair]` (N,), where given, are added to the scores.
    """

    def __init__(
        self,
        penalized: Penalized,
        features: Sequence[Array],
        owners: Sequence[Array],
        signs: Array,
        counts: Array,
        cost: float,
        offsets: Sequence[Array] | None = None,
    ) -> None:
        self.penalized, self.features, self.signs, self.counts, self.cost = penalized, features, signs, counts, cost
        self.owners = np.concatenate(owners)
        self.offsets = np.zeros(len(self.owners)) if offsets is None else np.concatenate(offsets)
        self.order = np.argsort(self.owners, kind="stable")
        self.starts = np.flatnonzero(np.diff(self.owners[self.order], prepend=-1))
        self.ends = np.cumsum([len(each) for each in features])[:-1]

    def scores(self, weights: Array) -> tuple[Array, Array]:
        """Of each example, and the row (among those of all pairs) that has it."""
        parts = self.penalized.split(weights)
        ways = np.concatenate([f @ w.astype(f.dtype) for f, w in zip(self.features, parts, strict=True)])
        ways = ways.astype(np.float64) + self.offsets
        sorted_ways = ways[self.order]
        best = np.maximum.reduceat(sorted_ways, self.starts) if len(self.starts) else np.zeros(0)
        there = np.flatnonzero(sorted_ways == np.repeat(best, np.diff(self.starts, append=len(ways))))
        owners = self.owners[self.order[there]]
        first = np.flatnonzero(np.diff(owners, prepend=-1))
        return best, self.order[there[first]]

    def hinges(self, scores: Array) -> Array:
        """What each example adds, before its count and the cost."""
        return np.maximum(0.0, 1.0 - self.signs * scores)

    def __call__(self, weights: Array) -> tuple[float, Array]:
        """The objective and its slope at weights."""
        value, slope = self.penalized.value(weights)
        scores, rows = self.scores(weights)
        hinges = self.hinges(scores)
        pull = np.zeros(len(self.owners))
        pull[rows] = np.where(hinges > 0, -self.cost * self.counts * self.signs, 0.0)
        for part, (features, pulls) in zip(
            self.penalized.split(slope), zip(self.features, np.split(pull, self.ends), strict=True), strict=True
        ):
            active = np.flatnonzero(pulls)
            part += pulls[active].astype(features.dtype) @ features[active]
        return value + self.cost * float(self.counts @ hinges), slope

    def least(self, weights: Array) -> Array:
        """Weights that make it small, from given ones on: L-BFGS within the bounds.

        Hinges have corners, at which a search along a line may find no way on: while that leaves more than weights which say -1 of
        everything would, it begins anew and searches longer.
        """
        from scipy.optimize import minimize

        nothing = 2 * self.cost * float(self.counts[self.signs > 0].sum())
        settings: dict[str, Any] = {"maxiter": MOST_STEPS, "ftol": TOLERANCE, "gtol": 0.0}
        for _ in range(1 + RESTARTS):
            found = minimize(self, weights, jac=True, method="L-BFGS-B", bounds=self.penalized.bounds, options=settings)
            weights = np.asarray(found.x, np.float64)
            if found.fun <= nothing:
                break
            settings |= {"maxls": 50, "maxcor": 20}
        return weights
