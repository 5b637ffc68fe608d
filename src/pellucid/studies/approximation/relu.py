"""Piecewise-linear interpolation as a ReLU network: one hidden layer in one dimension, three in two.

In one dimension every knot is a hidden unit, weighted by the change of slope there. In two dimensions a sum of hats, one
for each corner of a triangulation; a hat needs a minimum of planes, hence more layers (He, Li, Xu and Zheng 2018).
"""

from __future__ import annotations

import numpy as np

from pellucid import nn, ops
from pellucid.graph import Tensor
from pellucid.op import Array
from pellucid.studies.approximation.networks import Built, Maker, one_hidden_layer
from pellucid.studies.approximation.target import TargetFunction, mesh


def relu(target: TargetFunction) -> Maker:
    """Networks of `size` intervals along each axis."""
    return lambda size: _line(target, size) if target.dimension == 1 else _plane(target, size)


def _line(target: TargetFunction, size: int) -> Built:
    (knots,) = axes = target.axes(size)
    values = target(knots[:, None])
    slopes = np.diff(values) / np.diff(knots)
    changes = np.diff(slopes, prepend=0.0)
    net = one_hidden_layer(np.ones((size, 1)), -knots[:-1], nn.ReLU(), changes, values[0])
    return Built(net, size, *_bound(target, axes), cells=size)


def _bound(target: TargetFunction, axes: list[Array]) -> tuple[float | None, str]:
    errors = target.interpolation_errors(axes)
    if errors is None:
        return None, target.why_unproven()
    if target.drawn is not None:
        known = "the drawing's slope on every cell"
    else:
        known = (
            "the Lipschitz constant given" if target.formula is None else "bounds of the formula's slope on every cell"
        )
    return float(errors.max()), f"proven for linear interpolation between {len(axes[0])} knots an axis, by {known}"


class Hats(nn.Module):
    """The sum of value_v * relu(1 - max(u, v, 0) + min(u, v, 0)) over corners, u and v counted in cells from each corner.

    max(u, v, 0) = relu(u + relu(v - u)), and -min(u, v, 0) = relu(-u + relu(u - v)). `straight` carries x and y on,
    `diagonals` has v - u and u - v for every diagonal of the grid; the third layer's weights are 1 and -1.
    """

    def __init__(self, low: Array, width: Array, values: Array) -> None:
        super().__init__()
        cells = values.shape[0] - 1
        corners = mesh([np.arange(cells + 1.0)] * 2)
        offsets = np.arange(-cells, cells + 1.0)
        count, half = len(corners), len(offsets)
        self.straight = nn.Linear(2, 1, dtype="float64")
        self.diagonals = nn.Linear(2, 2 * half, dtype="float64")
        self.above = nn.Linear(1 + 2 * half, count, dtype="float64")
        self.below = nn.Linear(1 + 2 * half, count, dtype="float64")
        self.tents = nn.ReLU()
        self.output = nn.Linear(count, 1, bias=False, dtype="float64")
        scale, start = 1 / width, low / width
        along = np.array([-scale[0], scale[1]])
        shift = start[0] - start[1] - offsets
        above, below = np.zeros((2, count, 1 + 2 * half))
        diagonal = (corners[:, 1] - corners[:, 0]).astype(int) + cells
        rows = np.arange(count)
        above[:, 0], below[:, 0] = 1, -1
        above[rows, 1 + diagonal] = below[rows, 1 + half + diagonal] = 1
        state = {
            "straight.weight": np.array([[scale[0], 0.0]]),
            "straight.bias": -start[:1],
            "diagonals.weight": np.concatenate([np.tile(along, (half, 1)), np.tile(-along, (half, 1))]),
            "diagonals.bias": np.concatenate([shift, -shift]),
            "above.weight": above,
            "above.bias": -corners[:, 0],
            "below.weight": below,
            "below.bias": corners[:, 0],
            "output.weight": values.reshape(1, -1),
        }
        self.load_state_dict(state)

    def forward(self, x: Tensor) -> Tensor:
        carried = ops.concat([ops.relu(self.straight(x)), ops.relu(self.diagonals(x))], 1)
        return self.output(self.tents(1.0 - ops.relu(self.above(carried)) - ops.relu(self.below(carried))))


def _plane(target: TargetFunction, size: int) -> Built:
    axes = target.axes(size)
    values = target(mesh(axes)).reshape(size + 1, size + 1)
    low, high = np.array(target.box).T
    net = Hats(low, (high - low) / size, values)
    bound, why = _bound(target, axes)
    units = net.straight.out_features + net.diagonals.out_features + 3 * net.output.in_features
    return Built(net, units, bound, f"{why}; three hidden layers, since a hat is a minimum of planes", size, "tents")
