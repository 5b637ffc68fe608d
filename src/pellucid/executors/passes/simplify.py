"""Prune what changes nothing, compute what is constant, and merge what is computed twice."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.graph import Constant, Parameter, Tensor, apply, constant
from pellucid.op import broadcast_shape
from pellucid.ops.comparison import Cast, StopGradient
from pellucid.ops.elementwise import Add, Divide, Multiply, Subtract
from pellucid.ops.linear import Matmul
from pellucid.ops.shape import BroadcastTo, Reshape, Transpose
from pellucid.walks import Outputs, evaluate, rebuilt, rewrite, users

LARGEST_FOLDED = 4096
"""Elements of the largest constant that is computed ahead."""


def simplify(outputs: Outputs) -> Outputs:
    """Prune what changes nothing, compute what is constant, and merge what is computed twice."""
    seen: dict[Any, Tensor] = {}

    def rule(node: Tensor, inputs: tuple[Tensor, ...]) -> Tensor | None:
        new = _simpler(node, inputs)
        if isinstance(new, Parameter) or not (new.inputs or isinstance(new.op, Constant)):
            return new
        return seen.setdefault((new.op, tuple(map(id, new.inputs))), new)

    return rewrite(outputs, rule)


def _simpler(node: Tensor, inputs: tuple[Tensor, ...]) -> Tensor:
    op = node.op
    if inputs and all(isinstance(i.op, Constant) for i in inputs) and node.size <= LARGEST_FOLDED:
        value = evaluate(node, [i.op.value for i in inputs if isinstance(i.op, Constant)])
        return constant(np.asarray(value, node.dtype), node.dtype, node.name)
    if isinstance(op, StopGradient):
        return inputs[0]
    if isinstance(op, Reshape | BroadcastTo | Cast) and (inputs[0].shape, inputs[0].dtype) == (node.shape, node.dtype):
        return inputs[0]
    if isinstance(op, Reshape) and isinstance(inputs[0].op, Reshape):
        return _simpler(node, inputs[0].inputs)
    if isinstance(op, Transpose):
        if op.axes == tuple(range(node.ndim)):
            return inputs[0]
        if isinstance(inputs[0].op, Transpose):
            axes = tuple(inputs[0].op.axes[a] for a in op.axes)
            both = node.made_of(Transpose(axes), inputs[0].inputs)
            return _simpler(both, both.inputs)
    if op.elementwise:
        inputs = _without_broadcasts(node, inputs)
    if isinstance(op, Multiply | Divide) and _is(inputs[1], 1) and inputs[0].shape == node.shape:
        return inputs[0]
    if isinstance(op, Multiply) and _is(inputs[0], 1) and inputs[1].shape == node.shape:
        return inputs[1]
    if isinstance(op, Add | Subtract) and _is(inputs[1], 0) and inputs[0].shape == node.shape:
        return inputs[0]
    return rebuilt(node, inputs)


def _without_broadcasts(node: Tensor, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Inputs that arithmetic broadcasts anyway need not be broadcast before."""
    kept = list(inputs)
    for position, value in enumerate(inputs):
        if isinstance(value.op, BroadcastTo):
            bare = [*kept[:position], value.inputs[0], *kept[position + 1 :]]
            if broadcast_shape(node.op.kind, bare) == node.shape:
                kept = bare
    return tuple(kept)


def _is(value: Tensor, number: float) -> bool:
    if not isinstance(value.op, Constant) or not value.size:
        return False
    numbers = value.op.value
    return bool(numbers.item(0) == number and (numbers == number).all())


def swap_products(outputs: Outputs) -> Outputs:
    """(a b)^T is b^T a^T: the gradient of a weight is then made in the weight's own order."""
    readers = users(outputs)

    def rule(node: Tensor, inputs: tuple[Tensor, ...]) -> Tensor | None:
        if (
            not isinstance(node.op, Transpose)
            or not isinstance(inputs[0].op, Matmul)
            or len(readers[node.inputs[0]]) > 1
        ):
            return None
        rank = node.ndim
        swap = (*range(rank - 2), rank - 1, rank - 2)
        if node.op.axes != swap or any(i.ndim != rank for i in inputs[0].inputs):
            return None
        a, b = inputs[0].inputs
        swapped = apply(Transpose(swap), b), apply(Transpose(swap), a)
        return node.made_of(Matmul(), swapped)

    return rewrite(outputs, rule)
