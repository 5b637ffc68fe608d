"""The largest elements along an axis, and picking elements along an axis, each place by an index of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pellucid.errors import DTypeError, ShapeError
from pellucid.flags import flag
from pellucid.graph import Constant, Tensor, apply, as_tensors
from pellucid.op import NUMBERS, Array, Cost, Op, OpSample, Shape, Term, composite, require_dtype, traffic
from pellucid.ops.ranges import Within, within
from pellucid.ops.shape import normalize_axis
from pellucid.whole_numbers import whole

_X = np.sin(np.arange(24.0) * 1.7).reshape(2, 3, 4)


@dataclass(frozen=True)
class TopKIndices(Op):
    """y[..., j, ...] = where along `axis` the j-th largest (or smallest) element of x stands; of equals the first counts first"""

    axis: int
    count: int
    largest: bool = True
    differentiable: ClassVar[bool] = False

    def shape(self, *inputs: Tensor) -> Shape:
        (x,) = inputs
        if not 0 <= self.count <= x.shape[self.axis]:
            raise ShapeError(
                f"top_k: {self.count} elements of axis {self.axis} of {x.name!r} {x.shape} are asked for, "
                f"which has {x.shape[self.axis]}"
            )
        return (*x.shape[: self.axis], self.count, *x.shape[self.axis + 1 :])

    def dtype(self, *inputs: Tensor) -> str:
        return "int64"

    def reference(self, *arrays: Array) -> Array:
        (x,) = arrays
        if self.largest:  # of equals the last comes last in the reversed order, hence the first in the order asked for
            order = x.shape[self.axis] - 1 - np.flip(_ascending(np.flip(x, self.axis), self.axis), self.axis)
        else:
            order = _ascending(x, self.axis)
        return order.take(np.arange(self.count), self.axis)

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        return [Term((), float(self.reference(*arrays)[index]))]

    def cost(self, node: Tensor) -> Cost:
        (x,) = node.inputs
        return Cost(x.size * math.ceil(math.log2(max(2, x.shape[self.axis]))), traffic(node))

    def torch(self, torch: Any, *tensors: Any) -> Any:
        order = torch.sort(tensors[0], dim=self.axis, descending=self.largest, stable=True).indices
        return order.narrow(self.axis, 0, self.count)

    @classmethod
    def samples(cls) -> list[OpSample]:
        ties = np.array([[1.0, 3.0, 3.0, 1.0], [2.0, 2.0, 2.0, 2.0]])
        return [
            OpSample(lambda x: top_k(x, 2, 1)[1], (_X,)),
            OpSample(lambda x: top_k(x, 3)[1], (ties,), "ties"),
            OpSample(lambda x: top_k(x, 3, largest=False)[1], (ties,), "smallest"),
            OpSample(lambda x: top_k(x, 2)[1], (np.array([[-(2**63), 5, 5], [2**63 - 1, 0, -1]]),), "whole"),
            OpSample(lambda x: top_k(x, 2)[1], (np.array([[1.0, np.nan, 2.0]]),), "nan"),
            OpSample(lambda x: top_k(x, 0)[1], (_X,), "none"),
        ]


def _ascending(x: Array, axis: int) -> Array:
    return np.argsort(x, axis=axis, kind="stable")


@dataclass(frozen=True)
class TakeAlong(Op):
    """y[..., j, ...] = x[..., indices[..., j, ...], ...]: along `axis` each place picks by an index of its own"""

    axis: int

    def shape(self, *inputs: Tensor) -> Shape:
        x, indices = inputs
        return _along("take_along", self.axis, x.shape, indices)

    def dtype(self, *inputs: Tensor) -> str:
        return _of_indexed("take_along", *inputs)

    def require(self, node: Tensor, name: str, *arrays: Array) -> None:
        Within(0, arrays[0].shape[self.axis]).require_within(name, node.inputs[1].name, arrays[1])

    def reference(self, *arrays: Array) -> Array:
        x, indices = arrays
        return x[_places(self.axis, indices)]

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        x, indices = node.inputs
        return apply(TakeAlongGradient(self.axis, x.shape), upstream, indices), None

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        x, indices = arrays
        source = (*index[: self.axis], int(indices[index]), *index[self.axis + 1 :])
        return [Term(((0, source),), float(x[source]))]

    def cost(self, node: Tensor) -> Cost:
        return Cost(0, traffic(node))

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.gather(tensors[0], self.axis, tensors[1])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [
            OpSample(lambda x, i: take_along(x, i, 1), (_X, np.array([[[2, 0, 1, 1]], [[0, 0, 2, 1]]]))),
            OpSample(lambda x, i: take_along(x, i, -1), (_X, np.array([[[3, 3]]])), "fewer"),
        ]


@dataclass(frozen=True)
class TakeAlongGradient(Op):
    """y[..., k, ...] = sum of x[..., j, ...] over the j with indices[..., j, ...] = k: the adjoint of take_along"""

    axis: int
    to: Shape

    def shape(self, *inputs: Tensor) -> Shape:
        x, indices = inputs
        if x.shape != indices.shape:
            raise ShapeError(f"take_along's gradient: {x.name!r} {x.shape} wants as many indices, got {indices.shape}")
        _along("take_along's gradient", self.axis, self.to, indices)
        return self.to

    def dtype(self, *inputs: Tensor) -> str:
        require_dtype("take_along's gradient", NUMBERS, inputs[0])
        return _of_indexed("take_along's gradient", *inputs)

    def require(self, node: Tensor, name: str, *arrays: Array) -> None:
        Within(0, self.to[self.axis]).require_within(name, node.inputs[1].name, arrays[1])

    def reference(self, *arrays: Array) -> Array:
        x, indices = arrays
        y = np.zeros(self.to, x.dtype)
        np.add.at(y, _places(self.axis, indices), x)
        return y

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return take_along(upstream, node.inputs[1], self.axis), None

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        x, indices = arrays
        if any(i >= n for a, (i, n) in enumerate(zip(index, x.shape, strict=True)) if a != self.axis):
            return []
        line = (*index[: self.axis], slice(None), *index[self.axis + 1 :])
        hits = np.flatnonzero(indices[line] == index[self.axis])
        sources = [(*index[: self.axis], int(j), *index[self.axis + 1 :]) for j in hits]
        return [Term(((0, source),), float(x[source])) for source in sources]

    def cost(self, node: Tensor) -> Cost:
        return Cost(node.inputs[0].size, traffic(node))

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return tensors[0].new_zeros(self.to).scatter_add(self.axis, tensors[1], tensors[0])

    @classmethod
    def samples(cls) -> list[OpSample]:
        indices = np.array([[[2, 0, 1, 1]], [[0, 0, 2, 1]]]).repeat(3, axis=1)
        return [OpSample(lambda x, i: apply(TakeAlongGradient(1, (2, 5, 4)), x, i), (_X, indices))]


def _places(axis: int, indices: Array) -> tuple[Array, ...]:
    """What indexes an array so that every place of `indices` names an element."""
    grid: list[Array] = list(np.indices(indices.shape, sparse=True))
    grid[axis] = indices
    return tuple(grid)


def _along(name: str, axis: int, shape: Shape, indices: Tensor) -> Shape:
    fits = len(shape) == indices.ndim and all(
        a == axis or i <= n for a, (i, n) in enumerate(zip(indices.shape, shape, strict=True))
    )
    if not fits:
        raise ShapeError(
            f"{name}: indices {indices.name!r} {indices.shape} must have the axes of {shape}, none but axis {axis} longer"
        )
    return indices.shape


def _of_indexed(name: str, x: Tensor, indices: Tensor) -> str:
    if indices.dtype != "int64":
        raise DTypeError(f"{name}: indices {indices.name!r} must be int64, got {indices.dtype}")
    return x.dtype


def take_along(x: Any, indices: Any, axis: int = -1) -> Tensor:
    """Elements of x, each picked along `axis` by its index, counted from 0; one beyond the end is an `OutOfRangeError`

    `indices` has the axes of x, of any length along `axis` and at most as long along the others.
    """
    (x,), (picks,) = as_tensors(x), as_tensors(indices)
    op = TakeAlong(normalize_axis("take_along", axis, x.ndim))
    if isinstance(picks.op, Constant) and picks.dtype == "int64":
        within(picks, 0, x.shape[op.axis], name=f"take_along {x.name!r}")
    return apply(op, x, picks)


def _top_samples() -> list[OpSample]:
    tie = np.array([[1.0, 3.0, 3.0, 1.0]])
    return [
        OpSample(lambda x: top_k(x, 2, 1), (_X,)),
        OpSample(lambda x: top_k(x, 2, largest=False), (_X,), "smallest"),
        OpSample(lambda x: top_k(x, 3), (tie,), "tie", (np.array([[1.0, 1.0, 1.0, 0.0]]),)),
    ]


@composite(
    _top_samples,
    oracle=lambda torch, x, label: torch.topk(x, 3 if label == "tie" else 2, -1 if label else 1, label != "smallest")[
        0
    ],
)
def top_k(x: Any, k: int, axis: int = -1, largest: bool = True) -> tuple[Tensor, Tensor]:
    """The k largest (or smallest) elements of x along `axis` in order, and where they stand (int64); of equals the first first

    The gradient of a value goes to the element that it is. NaN counts as larger than any number.
    """
    largest = flag("top_k", "largest", largest)
    (x,) = as_tensors(x)
    places = apply(TopKIndices(normalize_axis("top_k", axis, x.ndim), whole("top_k", "k", k), bool(largest)), x)
    return take_along(x, places, axis), places
