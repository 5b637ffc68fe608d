"""Images made larger or smaller: repeated, or interpolated between neighbors along one axis after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.errors import ShapeError
from pellucid.graph import Tensor, constant, of_arrays
from pellucid.op import FLOATS, Array, OpSample, composite, require_dtype
from pellucid.ops.linear import matmul
from pellucid.ops.shape import broadcast_to, normalize_axis, reshape, transpose
from pellucid.whole_numbers import wholes


def _wave(*shape: int) -> Array:
    return np.sin(np.arange(float(np.prod(shape))) * 1.7 + 0.3).reshape(shape)


def _repeat_samples() -> list[OpSample]:
    return [OpSample(lambda x: repeat(x, (1, 1, 2, 3)), (_wave(2, 3, 2, 2),))]


@composite(_repeat_samples, oracle=lambda torch, x: x.repeat_interleave(2, 2).repeat_interleave(3, 3))
@of_arrays
def repeat(x: Tensor, times: Sequence[int]) -> Tensor:
    """y[..., i, ...] = x[..., floor(i / t), ...]: every element t times along each axis, t in `times`"""
    times = wholes("repeat", "times", times)
    if len(times) != x.ndim or any(t < 0 for t in times):
        raise ShapeError(f"repeat: {x.name!r} needs {x.ndim} non-negative numbers of times, got {times}")
    split = [n for size in x.shape for n in (size, 1)]
    wide = [n for size, t in zip(x.shape, times, strict=True) for n in (size, t)]
    return reshape(broadcast_to(reshape(x, split), wide), [n * t for n, t in zip(x.shape, times, strict=True)])


def _resample_samples() -> list[OpSample]:
    weights = _wave(5, 3)
    return [
        OpSample(lambda x: resample(x, weights, -1), (_wave(2, 4, 3),)),
        OpSample(lambda x: resample(x, weights, 1), (_wave(2, 3, 4),), "inner"),
    ]


def _resample_oracle(torch: Any, x: Any, label: str = "") -> Any:
    return torch.einsum("oi,bic->boc" if label else "oi,bci->bco", torch.tensor(_wave(5, 3)), x)


@composite(_resample_samples, oracle=_resample_oracle)
@of_arrays
def resample(x: Tensor, weights: Array, axis: int) -> Tensor:
    """y[..., o, ...] = sum over i of weights[o, i] * x[..., i, ...] along `axis`: any interpolation of neighbors"""
    at = normalize_axis("resample", axis, x.ndim)
    if weights.ndim != 2 or weights.shape[1] != x.shape[at]:
        raise ShapeError(f"resample: weights {weights.shape} must be (any, {x.shape[at]}) for axis {at} of {x.name!r}")
    require_dtype("resample", FLOATS, x)
    matrix = np.ascontiguousarray(weights, x.dtype)
    if at == x.ndim - 1:
        return matmul(x, constant(np.ascontiguousarray(matrix.T)))
    if at == x.ndim - 2:
        return matmul(constant(matrix), x)
    last = [a for a in range(x.ndim) if a != at] + [at]
    return transpose(resample(transpose(x, last), weights, -1), [last.index(a) for a in range(x.ndim)])
