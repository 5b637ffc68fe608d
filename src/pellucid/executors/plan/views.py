"""Ops that move nothing: they look at the memory of their operand in another way."""

from __future__ import annotations

import numpy as np

from pellucid.graph import Tensor
from pellucid.op import Array
from pellucid.ops.indexing import Slice
from pellucid.ops.shape import BroadcastTo, Flip, Reshape, Transpose

VIEWS = (Reshape, Transpose, BroadcastTo, Slice, Flip)


def viewed(node: Tensor, array: Array) -> Array | None:
    """What the op does to shape and strides, done to an array that is never read; None if it would have to copy."""
    match node.op:
        case Reshape():
            try:
                return np.reshape(array, node.shape, copy=False)
            except ValueError:
                return None
        case BroadcastTo():
            return np.broadcast_to(array, node.shape)
        case Flip():
            return np.flip(array, node.op.axes)
        case _:
            return node.op.reference(array)
