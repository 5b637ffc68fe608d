"""Boxes moved by what a network says of them: a ridge regression for each class, from maps of a region to offsets of its box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pellucid.plain import Array

NEAR = 0.6
"""A region that overlaps an object by more teaches how to move (Girshick et al. 2014, appendix C)."""
RIDGE = 1000.0
LEAST = 1e-3
"""Added to the variances of offsets, of which there may be none."""


@dataclass(frozen=True)
class Whitening:
    """Offsets (N, 4) as numbers of mean 0 that do not depend on one another: `mean` (4,), and `way` (4, 4) forth and `back`."""

    mean: Array
    way: Array
    back: Array

    @classmethod
    def of(cls, offsets: Array) -> Whitening:
        """That of given offsets."""
        mean = offsets.mean(0)
        spread = (offsets - mean).T @ (offsets - mean) / len(offsets)
        sizes, axes = np.linalg.eigh(spread)
        roots = np.sqrt(np.maximum(sizes, 0) + LEAST)
        return cls(mean, axes / roots @ axes.T, axes * roots @ axes.T)

    def white(self, offsets: Array) -> Array:
        """Offsets whitened."""
        return (offsets - self.mean) @ self.way

    def colored(self, white: Array) -> Array:
        """The inverse of `white`."""
        return white @ self.back + self.mean


def ridge(features: Array, goals: Array, penalty: float = RIDGE) -> Array:
    """Weights (D, G) that make (features @ weights - goals)^2 + penalty weights^2 least: the smaller of both systems is solved."""
    from scipy.linalg import solve

    count, numbers = features.shape
    if count < numbers:
        inner = features @ features.T + penalty * np.eye(count)
        return features.T @ solve(inner, goals, assume_a="pos")
    return solve(features.T @ features + penalty * np.eye(numbers), features.T @ goals, assume_a="pos")


def learned(maps: Array, offsets: Array, scale: float) -> Array:
    """Weights float64 (M + 1, 4) from maps (N, M) times `scale` and a constant 1 to offsets (N, 4); zeros, no move, without examples."""
    if not len(maps):
        return np.zeros((maps.shape[1] + 1, 4))
    given = with_one(maps, scale)
    whitening = Whitening.of(offsets)
    weights = ridge(given, whitening.white(offsets)) @ whitening.back
    weights[-1] += whitening.mean
    return weights


def with_one(maps: Array, scale: float) -> Array:
    """Maps scaled, and a constant 1 behind them, float64 (N, M + 1)."""
    return np.concatenate([maps.astype(np.float64) * scale, np.ones((len(maps), 1))], 1)
