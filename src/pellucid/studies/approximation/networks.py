"""Networks with chosen weights, and running them on many points through the engine."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pellucid import nn
from pellucid.executors import compile
from pellucid.graph import Graph, Tensor, input
from pellucid.op import Array

Maker = Callable[[int], "Built"]
"""A construction for a target: the network of a given size."""


@dataclass(frozen=True)
class Part:
    """A minimum of affine functions: of a point s, of points t (T, dimension), with weight (T, dimension) and bias (T,)."""

    point: Array
    others: Array
    weight: Array
    bias: Array

    def values(self, points: Array) -> Array:
        """Every affine function (N, T) at points (N, dimension)."""
        return points @ self.weight.T + self.bias


@dataclass(frozen=True)
class Built:
    """A network, its hidden units, and a proven bound of its error with the reason (or why there is none).

    `cells` is how many pieces it has along an axis; `share_of` the node whose elements times the weights of `net.output`
    make up the output, if there is one; `parts` what a maximum is taken of, if one is.
    """

    net: nn.Module
    units: int
    bound: float | None
    why: str
    cells: int = 0
    share_of: str = "activation"
    parts: tuple[Part, ...] = ()


def one_hidden_layer(
    weight: Array, bias: Array, activation: nn.Module, output: Array, constant: float
) -> nn.Sequential:
    """output . activation(weight x + bias) + constant; weight (units, dimension), bias and output (units,)."""
    units, dimension = weight.shape
    net = nn.Sequential(
        hidden=nn.Linear(dimension, units, dtype="float64"),
        activation=activation,
        output=nn.Linear(units, 1, dtype="float64"),
    )
    state = {
        "hidden.weight": weight,
        "hidden.bias": bias,
        "output.weight": output[None],
        "output.bias": np.array([constant]),
    }
    net.load_state_dict(state)
    return net


def values_of(net: nn.Module, points: Array, node: str = "") -> Array:
    """The network's output (N,), or the value of a node (N, ...), at points (N, dimension), computed in batches."""
    rows = min(len(points), _rows(net, points.shape[1]))
    graph = Graph([net(input((rows, points.shape[1]), "float64", "x"))])
    wanted: Tensor = graph[node] if node else graph.outputs[0]
    program = compile([wanted])
    parts: list[Array] = []
    for start in range(0, len(points), rows):
        part = points[start : start + rows]
        filled = np.concatenate([part, np.repeat(part[-1:], rows - len(part), 0)])
        parts.append(program({"x": filled})[0][: len(part)])
    together = np.concatenate(parts)
    return together if node else together[:, 0]


def _rows(net: nn.Module, dimension: int) -> int:
    """Points at once, such that the widest layer's value takes about 32 MiB."""
    graph = Graph([net(input((2, dimension), "float64", "x"))])
    widest = max(math.prod(n.shape[1:]) for n in graph.nodes if n.shape[:1] == (2,))
    return max(16, 2**22 // widest)
