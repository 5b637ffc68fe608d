"""Primitives that are made of simpler things, written out, so that chains compute them and other passes see what they share."""

from __future__ import annotations

import numpy as np

from pellucid.graph import Input, Tensor, constant
from pellucid.ops.comparison import cast, less, not_equal, where
from pellucid.ops.ranges import Within
from pellucid.ops.reduction import Argmax, Variance, max, mean
from pellucid.walks import Outputs, rewrite

_EXACT = 1 << 22
"""Elements along an axis up to which float32 counts them exactly, with room to spare."""


def decompose(outputs: Outputs) -> Outputs:
    """Variances become means of squares, argmax a maximum over positions.

    The mean that a variance needs is computed anyway. Indices and labels that are fed are looked at when they are fed.
    """

    def rule(node: Tensor, inputs: tuple[Tensor, ...]) -> Tensor | None:
        if isinstance(node.op, Variance):
            return _variance(node, node.op, inputs[0])
        if isinstance(node.op, Argmax) and inputs[0].dtype == "float32" and inputs[0].size:
            return _argmax(node, node.op, inputs[0]) if inputs[0].shape[node.op.axis] < _EXACT else None
        if isinstance(node.op, Within) and isinstance(inputs[0].op, Input):
            return inputs[0]
        return None

    return rewrite(outputs, rule)


def _variance(node: Tensor, op: Variance, x: Tensor) -> Tensor:
    centered = x - mean(x, op.axes, keepdims=True)
    return mean(centered * centered, op.axes, op.keepdims).instead_of(node)


def _argmax(node: Tensor, op: Argmax, x: Tensor) -> Tensor:
    """The position that scores best: earlier before later, the largest before others, and NaN before all (NumPy's rule)."""
    count = x.shape[op.axis]
    shape = tuple(count if a == op.axis else 1 for a in range(x.ndim))
    backwards = constant(np.arange(count - 1, -1, -1, dtype=np.float32).reshape(shape))
    score = where(less(x, max(x, op.axis, keepdims=True)), -1.0, backwards)
    score = where(not_equal(x, x), backwards + float(count), score)
    best = max(score, op.axis, op.keepdims)
    best = where(less(best, float(count)), best, best - float(count))
    return cast(float(count - 1) - best, "int64").instead_of(node)
