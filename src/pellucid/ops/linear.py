"""Matrix products and the fully connected layer made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.errors import ShapeError
from pellucid.graph import Tensor, apply, as_tensors, of_arrays
from pellucid.op import NUMBERS, Array, Cost, Op, OpSample, Products, Shape, Term, broadcast_index, composite, traffic
from pellucid.operators import operator
from pellucid.ops.broadcasting import unbroadcast
from pellucid.ops.shape import reshape, transpose

_A = np.sin(np.arange(6.0)).reshape(2, 3)
_B = np.cos(np.arange(12.0)).reshape(3, 4)


@dataclass(frozen=True)
class Matmul(Op):
    """y[..., i, j] = sum over k of a[..., i, k] * b[..., k, j]"""

    takes = NUMBERS

    def shape(self, *inputs: Tensor) -> Shape:
        a, b = inputs
        if a.shape[-1] != b.shape[-2]:
            raise ShapeError(
                f"matmul: {a.name!r} {a.shape} has {a.shape[-1]} columns, {b.name!r} {b.shape} has {b.shape[-2]} rows; they must be equal"
            )
        try:
            batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        except ValueError:
            raise ShapeError(
                f"matmul: the leading axes of {a.name!r} {a.shape} and {b.name!r} {b.shape} do not broadcast"
            ) from None
        return (*batch, a.shape[-2], b.shape[-1])

    def reference(self, *arrays: Array) -> Array:
        return np.matmul(arrays[0], arrays[1])

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        a, b = node.inputs
        return unbroadcast(upstream @ _swap(b), a), unbroadcast(_swap(a) @ upstream, b)

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> Sequence[Term]:
        a, b = arrays
        *batch, i, j = index
        row = broadcast_index(tuple(batch), a.shape[:-2])
        column = broadcast_index(tuple(batch), b.shape[:-2])
        k = np.arange(a.shape[-1])
        return Products.of(arrays, (*row, i, k), (*column, k, j))

    def cost(self, node: Tensor) -> Cost:
        return Cost(2 * node.size * node.inputs[0].shape[-1], traffic(node))

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.matmul(tensors[0], tensors[1])

    @classmethod
    def samples(cls) -> list[OpSample]:
        stacked = np.stack([_A, _A * 2, _A - 1])
        return [
            OpSample(matmul, (_A, _B)),
            OpSample(matmul, (stacked, _B), "batch-left"),
            OpSample(matmul, (stacked[:, None], np.stack([_B, -_B])), "batch-both"),
            OpSample(matmul, (_A[0], _B), "vector-left"),
            OpSample(matmul, (_A, _B[:, 0]), "vector-right"),
            OpSample(matmul, (_A[0], _B[:, 0]), "vectors"),
        ]


def _swap(x: Tensor) -> Tensor:
    return transpose(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))


@operator
def matmul(a: Any, b: Any) -> Tensor:
    """a @ b by NumPy's rule: vectors count as a row (left) or a column (right), leading axes broadcast"""
    a, b = as_tensors(a, b)
    if not a.ndim or not b.ndim:
        raise ShapeError(
            f"matmul: {a.name!r} {a.shape} and {b.name!r} {b.shape} must have at least one axis; use * for scalars"
        )
    left, right = a.ndim == 1, b.ndim == 1
    y = apply(Matmul(), reshape(a, (1, *a.shape)) if left else a, reshape(b, (*b.shape, 1)) if right else b)
    if right:
        y = reshape(y, y.shape[:-1])
    if left:
        y = reshape(y, (*y.shape[:-2], y.shape[-1]) if not right else y.shape[:-1])
    return y


def _linear_samples() -> list[OpSample]:
    return [OpSample(linear, (_A, _B.T.copy())), OpSample(linear, (_A, _B.T.copy(), _B[0]), "bias")]


@composite(_linear_samples, oracle=lambda torch, *xs: torch.nn.functional.linear(*xs))
@of_arrays
def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """y[n, o] = sum over i of x[n, i] * weight[o, i] + bias[o]"""
    if weight.ndim != 2 or x.ndim < 1 or x.shape[-1] != weight.shape[1]:
        raise ShapeError(
            f"linear: weight {weight.name!r} {weight.shape} wants {weight.shape[-1]} input features, got {x.shape} (from {x.name!r})"
        )
    y = matmul(x, transpose(weight))
    return y if bias is None else y + bias
