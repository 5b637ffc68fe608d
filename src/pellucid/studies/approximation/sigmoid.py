"""Sums of sigmoids: steep steps in one dimension, waves in many directions in two. One hidden layer both.

Cybenko 1989 (Approximation by superpositions of a sigmoidal function) proves that they suffice for any continuous f.
"""

from __future__ import annotations

import math

import numpy as np

from pellucid import nn
from pellucid.op import Array
from pellucid.studies.approximation.errors import ApproximationError
from pellucid.studies.approximation.networks import Built, Maker, one_hidden_layer
from pellucid.studies.approximation.target import TargetFunction, mesh

STEEPNESS = 12.0
"""Steepness times the distance of steps: half a step away a sigmoid is within exp(-6) = 0.0025 of 0 or 1."""
WIDEST = 48
"""Directions of waves, at most: above, the least-squares problem takes minutes."""


def sigmoid(target: TargetFunction) -> Maker:
    """Networks of `size` steps; or of `size` directions with as many waves each."""
    return lambda size: _steps(target, size) if target.dimension == 1 else _waves(target, size)


def _steps(target: TargetFunction, size: int) -> Built:
    """f at the first cell's middle, then a step to the next middle's value at every edge between two of size + 1 cells.

    Between two middles the network is a mean of their values, weighted towards the nearer: off by L h / 2 at most. Other
    steps leave less than 2 L h e^(-kh/2) / (1 - e^(-kh)).
    """
    axes = target.axes(size + 1)
    edges = axes[0][1:-1]
    width = axes[0][1] - axes[0][0]
    values = target((axes[0][:-1] + width / 2)[:, None])
    steepness = STEEPNESS / width
    net = one_hidden_layer(np.full((size, 1), steepness), -steepness * edges, nn.Sigmoid(), np.diff(values), values[0])
    local = target.cell_lipschitz(axes)
    if local is None:
        return Built(net, size, None, target.why_unproven(), size)
    around = np.maximum(local[:-1], local[1:])
    tail = 2 * math.exp(-STEEPNESS / 2) / (1 - math.exp(-STEEPNESS))
    bound = float((around.max() / 2 + tail * local.max()) * width)
    return Built(
        net,
        size,
        bound,
        f"proven for steps of width {width:z.4g} and steepness {steepness:z.4g}: L h / 2 and the tails",
        size,
    )


def _waves(target: TargetFunction, size: int) -> Built:
    """sigmoid(k (direction . x - offset)) for evenly spaced directions and offsets; the output weights by least squares."""
    if size > WIDEST:
        raise ApproximationError(f"sigmoid: {WIDEST * WIDEST} waves in {WIDEST} directions are the most that are tried")
    low, high = np.array(target.box).T
    middle, half = (low + high) / 2, (high - low) / 2
    angles = (np.arange(size) + 0.5) * math.pi / size
    directions = np.stack([np.cos(angles), np.sin(angles)], 1)
    reach = np.abs(directions).sum(1)
    offsets = reach[:, None] * (2 * (np.arange(size) + 0.5) / size - 1)
    steepness = size / reach[:, None]
    weight = (steepness[:, :, None] * directions[:, None]).repeat(size, 1).reshape(-1, 2) / half
    bias = -(steepness * offsets).ravel() - weight @ middle
    points = mesh(target.axes(max(40, 2 * size)))
    hidden = 1 / (1 + np.exp(-(points @ weight.T + bias)))
    features = np.concatenate([hidden, np.ones((len(points), 1))], 1)
    solution: Array = np.linalg.lstsq(features, target(points), rcond=1e-10)[0]
    net = one_hidden_layer(weight, bias, nn.Sigmoid(), solution[:-1], solution[-1])
    return Built(net, len(weight), None, "the output weights are a least-squares fit; the error is measured")
