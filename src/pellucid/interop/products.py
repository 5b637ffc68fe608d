"""Products of many elements, made of products of two."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pellucid import ops
from pellucid.graph import Tensor


def product(x: Tensor, over: Sequence[int], keepdims: bool) -> Tensor:
    """The product over axes, halving them again and again. Its gradient divides by no factor, so that one may be 0."""
    kept = [a for a in range(x.ndim) if a not in over]
    count = math.prod(x.shape[a] for a in over)
    y = ops.reshape(ops.transpose(x, [*over, *kept]), (count, *(x.shape[a] for a in kept)))
    while count > 1:
        half = count // 2
        paired = y[:half] * y[half : 2 * half]
        y = ops.concat([paired, y[2 * half :]]) if count % 2 else paired
        count -= half
    shape = [1 if a in over else n for a, n in enumerate(x.shape) if keepdims or a not in over]
    return ops.reshape(y, shape)
