"""Ops that move nothing: they look at the memory of their operand in another way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.executors.plan.buffers import PLAIN
from pellucid.executors.plan.builder import Builder
from pellucid.executors.plan.chains import is_number
from pellucid.executors.plan.kernels.family import Family
from pellucid.graph import Tensor
from pellucid.op import Array, Op
from pellucid.ops.indexing import Slice
from pellucid.ops.shape import BroadcastTo, Flip, Reshape, Transpose


def _view(to: Builder, node: Tensor, op: Op) -> bool:
    (source,) = node.inputs
    if is_number(source):
        to.place_leaf(source)
    view = to.values[source]
    if view.blocked:
        view = to.whole(source, PLAIN, view.buffer.dtype)
    array = _VIEWED[type(op)](node, op, view.array)
    if array is None:
        view = to.whole(source, PLAIN, view.buffer.dtype)
        array = _VIEWED[type(op)](node, op, view.array)
    assert array is not None
    to.values[node] = view.of(array)
    return True


def _reshaped(node: Tensor, op: Any, array: Array) -> Array | None:
    try:
        return np.reshape(array, node.shape, copy=False)
    except ValueError:
        return None


_VIEWED: dict[type[Op], Callable[[Tensor, Any, Array], Array | None]] = {
    Reshape: _reshaped,
    BroadcastTo: lambda node, op, array: np.broadcast_to(array, node.shape),
    Flip: lambda node, op, array: np.flip(array, op.axes),
    Transpose: lambda node, op, array: op.reference(array),
    Slice: lambda node, op, array: op.reference(array),
}
"""What the op does to shape and strides, done to an array that is never read; None if it would have to copy."""

LOWERINGS: Family = dict.fromkeys(_VIEWED, _view)
