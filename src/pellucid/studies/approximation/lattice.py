"""Maxima of minima of affine functions, built as Stone's theorem for lattices proves it (Kakutani 1941; Stone 1948).

x and y separate points, so with constants, sums and scalings there is an affine function through the values at any two
points s and t. The minimum over enough t stays below f + tolerance everywhere and keeps f(s); the maximum over enough s
of these comes above f - tolerance. Compactness says that finitely many suffice; here the worst place is taken next.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pellucid import nn, ops
from pellucid.graph import Tensor
from pellucid.op import Array
from pellucid.studies.approximation.errors import ApproximationError
from pellucid.studies.approximation.networks import Built, Maker, Part
from pellucid.studies.approximation.target import TargetFunction, mesh

NODES = 4000, 64
"""Intervals of the grid, along each axis, on which the worst place is looked for."""
CLOSE = 0.5
"""Share of the tolerance that a minimum may stay above f."""


class Lattice(nn.Module):
    """max over s of min over t of (weight[s,t] . x + bias[s,t]): a maxout layer of the negated pieces, and a maximum."""

    def __init__(self, weight: Array, bias: Array) -> None:
        super().__init__()
        parts, pieces, dimension = weight.shape
        self.minima = nn.Maxout(dimension, parts, pieces, dtype="float64")
        state = {"minima.pieces.weight": -weight.reshape(-1, dimension), "minima.pieces.bias": -bias.ravel()}
        self.load_state_dict(state)

    def forward(self, x: Tensor) -> Tensor:
        return ops.max(ops.negative(self.minima(x)).named("lattice/min"), 1, keepdims=True)


class Closure:
    """The parts found so far, the worst place of their maximum first."""

    def __init__(self, target: TargetFunction, tolerance: float) -> None:
        self.target, self.tolerance = target, tolerance
        axes = target.axes(NODES[target.dimension - 1])
        self.nodes = mesh(axes)
        self.wanted = target(self.nodes)
        self.reach = math.hypot(*(a[1] - a[0] for a in axes)) / 2
        grid = self.wanted.reshape([len(a) for a in axes])
        slopes: list[Array] = [np.gradient(grid, axis, axis=k) for k, axis in enumerate(axes)]
        self.derivatives = np.stack(slopes, -1).reshape(-1, target.dimension)
        self.parts: list[Part] = []
        self.reached = np.full(len(self.nodes), -np.inf)

    def first(self, size: int) -> list[Part]:
        """The first `size` parts, or as many as there are before the maximum meets f at every node."""
        while len(self.parts) < size:
            worst = int(np.argmax(self.wanted - self.reached)) if self.parts else int(np.argmax(self.wanted))
            if self.reached[worst] >= self.wanted[worst]:
                break
            part = self.part(worst)
            self.parts.append(part)
            self.reached = np.maximum(self.reached, part.values(self.nodes).min(1))
        return self.parts[:size]

    def part(self, s: int) -> Part:
        """Affine functions through f at node s and at further nodes, until their minimum is nowhere far above f."""
        away = self.nodes - self.nodes[s]
        squares = (away**2).sum(1)
        others: list[int] = [int(np.argsort(squares, kind="stable")[1])]
        slopes = [self.slope(s, others[0])]
        low = self.wanted[s] + away @ slopes[0]
        while (above := low - self.wanted)[worst := int(np.argmax(above))] > CLOSE * self.tolerance:
            others.append(worst)
            slopes.append(self.slope(s, worst))
            low = np.minimum(low, self.wanted[s] + away @ slopes[-1])
        weight = np.stack(slopes)
        return Part(self.nodes[s], self.nodes[others], weight, self.wanted[s] - weight @ self.nodes[s])

    def slope(self, s: int, t: int) -> Array:
        """The slope of an affine function through both values: that of f at s, changed along t - s only."""
        step = self.nodes[t] - self.nodes[s]
        start = self.derivatives[s]
        return start + step * ((self.wanted[t] - self.wanted[s] - start @ step) / (step @ step))


def lattice_of(parts: Sequence[Part]) -> Lattice:
    """The network of the maximum of parts; a part of fewer affine functions has some twice."""
    pieces = max(len(p.bias) for p in parts)
    weight = np.stack([np.resize(p.weight, (pieces, p.weight.shape[1])) for p in parts])
    return Lattice(weight, np.stack([np.resize(p.bias, pieces) for p in parts]))


def lattice(target: TargetFunction, tolerance: float, *, fewer: bool = False) -> Maker:
    """Networks of the maximum of `size` minima; of all that there are, with `fewer`, where half as many meet f already."""
    closure = Closure(target, tolerance)
    lipschitz = target.lipschitz()

    def make(size: int) -> Built:
        parts = tuple(closure.first(size))
        if not fewer and 2 * len(parts) <= size:  # half as many were all there are, and were not close enough
            raise ApproximationError(
                f"lattice: {len(parts)} minima meet f at all of {len(closure.nodes):,} nodes, between which nothing is looked for"
            )
        net = lattice_of(parts)
        units = sum(len(p.bias) for p in parts)
        if lipschitz is None:
            return Built(net, units, None, target.why_unproven(), share_of="", parts=parts)
        reached = np.max([p.values(closure.nodes).min(1) for p in parts], axis=0)
        steepest = max(float(np.linalg.norm(p.weight, axis=1).max()) for p in parts)
        bound = float(np.abs(reached - closure.wanted).max()) + (lipschitz + steepest) * closure.reach
        why = f"proven by the error on {len(closure.nodes):,} nodes, and the slopes of f and of the pieces between them"
        return Built(net, units, bound, why, share_of="", parts=parts)

    return make
