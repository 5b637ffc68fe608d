"""Which nodes have a part in one place of an output: a head for large boxes has none in a small one's."""

from __future__ import annotations

import numpy as np

from pellucid.graph import Tensor, input
from pellucid.inference.scores import ScoreGraph
from pellucid.inference.target import Target
from pellucid.inference.values import Values
from pellucid.op import Array, Shape
from pellucid.ops.convolution import Conv2d
from pellucid.ops.reduction import Max, Sum, Variance
from pellucid.ops.shape import Move


def reached(graph: ScoreGraph, target: Target) -> dict[Tensor, Array]:
    """The nodes that `target` depends on, with true for each of their elements that it may depend on.

    That is followed element by element as far as nodes move elements, sum over axes or go place by place; of any other node
    each element counts as made of all of its inputs.
    """
    wanted: dict[Tensor, Array] = {graph.score: target.upstream(graph.score) != 0}
    found: dict[Tensor, Array] = {}
    for node in reversed(graph.graph.nodes):
        elements = wanted.pop(node, None)
        if elements is None or not elements.any():
            continue
        found[node] = elements
        for value, part in zip(node.inputs, _parts(node, elements), strict=True):
            wanted[value] = part | wanted[value] if value in wanted else part
    return found


def _parts(node: Tensor, elements: Array) -> list[Array]:
    """The elements of each input that `elements` of a node, true where they count, are made of."""
    if isinstance(node.op, Move) and not elements.all():
        upstream = input(node.shape, node.inputs[0].dtype, "elements")
        values = Values({upstream: elements.astype(upstream.dtype)})
        handed = node.op.gradient(node, upstream)
        return [_none(i) if g is None else values.of(g) != 0 for i, g in zip(node.inputs, handed, strict=True)]
    if elements.all():
        return [np.broadcast_to(True, i.shape) for i in node.inputs]
    if node.op.elementwise:
        return [_shrunk(elements, i.shape) for i in node.inputs]
    if isinstance(node.op, Sum | Max | Variance):
        (value,) = node.inputs
        kept = elements.reshape([1 if a in node.op.axes else n for a, n in enumerate(value.shape)])
        return [np.broadcast_to(kept, value.shape)]
    if (
        isinstance(node.op, Conv2d)
        and node.inputs[1].shape[2:] == (1, 1)
        and node.shape[2:] == node.inputs[0].shape[2:]
    ):
        x, weight = node.inputs
        return [np.broadcast_to(elements.any(1, keepdims=True), x.shape), np.broadcast_to(True, weight.shape)]
    return [np.broadcast_to(True, i.shape) for i in node.inputs]


def _none(value: Tensor) -> Array:
    return np.zeros(value.shape, bool)


def _shrunk(elements: Array, shape: Shape) -> Array:
    """Which elements of `shape` are broadcast to one of `elements`."""
    added = elements.ndim - len(shape)
    repeated = tuple(a for a, n in enumerate(elements.shape) if a < added or (shape[a - added] == 1 and n > 1))
    return np.asarray(elements.any(repeated, keepdims=True)).reshape(shape)
