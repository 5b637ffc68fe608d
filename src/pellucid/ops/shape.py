"""Ops that move elements without computing: reshape, transpose, broadcast, concat, flip."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pellucid.errors import ShapeError
from pellucid.graph import Tensor, apply, as_tensors, of_arrays
from pellucid.op import Array, Cost, Op, OpSample, Shape, Term, broadcast_index, check_shape, traffic
from pellucid.operators import operator
from pellucid.ops.broadcasting import unbroadcast
from pellucid.whole_numbers import one_or_several, whole, wholes

_X = np.arange(24.0).reshape(2, 3, 4) / 7 - 1.3


def normalize_axis(name: str, axis: int, ndim: int) -> int:
    """`axis` counted from the front, or a `ShapeError`."""
    axis = whole(name, "axis", axis)
    if not -ndim <= axis < ndim:
        raise ShapeError(f"{name}: axis {axis} does not exist in a tensor of {ndim} axes")
    return axis % ndim


def normalize_axes(name: str, axis: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """Axes counted from the front in ascending order (None: all), or a `ShapeError`."""
    if axis is None:
        return tuple(range(ndim))
    axes = sorted(normalize_axis(name, a, ndim) for a in one_or_several(axis))
    if len(set(axes)) != len(axes):
        raise ShapeError(f"{name}: an axis is named twice in {axis}")
    return tuple(axes)


class Move(Op, registered=False):
    """Every output element is one input element (or a fixed value)."""

    uniform: ClassVar[bool] = False
    """Whether all are elements of the only input, so that `source` also takes arrays of indices, axis by axis."""

    def cost(self, node: Tensor) -> Cost:
        return Cost(0, traffic(node))

    def source(self, node: Tensor, index: tuple[int, ...]) -> tuple[int, tuple[int, ...]] | None:
        """Input number and index of the element that stands at `index`, or None for a fixed value."""
        raise NotImplementedError

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        source = self.source(node, index)
        if source is None:
            return []
        return [Term((source,), float(arrays[source[0]][source[1]]))]


@dataclass(frozen=True)
class Reshape(Move):
    """y has the elements of x in row-major order under another shape"""

    to: Shape
    uniform: ClassVar[bool] = True

    def shape(self, *inputs: Tensor) -> Shape:
        if math.prod(self.to) != inputs[0].size:
            raise ShapeError(f"reshape: {inputs[0].name!r} of shape {inputs[0].shape} cannot become {self.to}")
        return self.to

    def reference(self, *arrays: Array) -> Array:
        return arrays[0].reshape(self.to)

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return (reshape(upstream, node.inputs[0].shape),)

    def source(self, node: Tensor, index: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        flat = np.ravel_multi_index(index, node.shape) if index else np.int64(0)
        places: tuple[Any, ...] = np.unravel_index(flat, node.inputs[0].shape)
        return 0, tuple(places) if np.ndim(flat) else tuple(map(int, places))

    def cost(self, node: Tensor) -> Cost:
        return Cost(0, 0)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return tensors[0].reshape(self.to)

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [
            OpSample(lambda x: reshape(x, (4, 6)), (_X,)),
            OpSample(lambda x: reshape(x, (2, -1)), (_X,), "infer"),
            OpSample(lambda x: reshape(x, (x.shape[0], -1)), (_X,), "rows"),
        ]


@dataclass(frozen=True)
class Transpose(Move):
    """y[i_a, i_b, ...] = x[..., i, ...] with the axes in the order `axes`"""

    axes: tuple[int, ...]
    uniform: ClassVar[bool] = True

    def shape(self, *inputs: Tensor) -> Shape:
        if sorted(self.axes) != list(range(inputs[0].ndim)):
            raise ShapeError(f"transpose: {self.axes} does not reorder the {inputs[0].ndim} axes of {inputs[0].name!r}")
        return tuple(inputs[0].shape[a] for a in self.axes)

    def reference(self, *arrays: Array) -> Array:
        return arrays[0].transpose(self.axes)

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return (transpose(upstream, [self.axes.index(a) for a in range(len(self.axes))]),)

    def source(self, node: Tensor, index: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        return 0, tuple(index[self.axes.index(a)] for a in range(len(self.axes)))

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return tensors[0].permute(self.axes)

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(transpose, (_X,)), OpSample(lambda x: transpose(x, (1, 2, 0)), (_X,), "rotate")]


@dataclass(frozen=True)
class BroadcastTo(Move):
    """y repeats x along new axes and along axes of size 1"""

    to: Shape
    uniform: ClassVar[bool] = True

    def shape(self, *inputs: Tensor) -> Shape:
        x = inputs[0]
        padded = (1,) * (len(self.to) - x.ndim) + x.shape
        if len(padded) != len(self.to) or any(a not in (1, b) for a, b in zip(padded, self.to, strict=True)):
            raise ShapeError(f"broadcast_to: {x.name!r} of shape {x.shape} does not broadcast to {self.to}")
        return self.to

    def reference(self, *arrays: Array) -> Array:
        return np.ascontiguousarray(np.broadcast_to(arrays[0], self.to))

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return (unbroadcast(upstream, node.inputs[0]),)

    def source(self, node: Tensor, index: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        return 0, broadcast_index(index, node.inputs[0].shape)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return tensors[0].broadcast_to(self.to).contiguous()

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [
            OpSample(lambda x: broadcast_to(x, (5, 2, 3, 4)), (_X,)),
            OpSample(lambda x: broadcast_to(x, (2, 3, 4)), (_X[:, :1],), "axis"),
        ]


@dataclass(frozen=True)
class Concat(Move):
    """y is the inputs one after another along `axis`"""

    axis: int

    def shape(self, *inputs: Tensor) -> Shape:
        first = inputs[0].shape
        for other in inputs[1:]:
            same = len(other.shape) == len(first)
            if not same or any(
                a != b for i, (a, b) in enumerate(zip(first, other.shape, strict=True)) if i != self.axis
            ):
                have = ", ".join(f"{i.name!r} {i.shape}" for i in inputs)
                raise ShapeError(f"concat: shapes may differ along axis {self.axis} only, got {have}")
        return (*first[: self.axis], sum(i.shape[self.axis] for i in inputs), *first[self.axis + 1 :])

    def reference(self, *arrays: Array) -> Array:
        return np.concatenate(arrays, axis=self.axis)

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        parts: list[Tensor] = []
        at = 0
        for value in node.inputs:
            stop = at + value.shape[self.axis]
            parts.append(upstream[(slice(None),) * self.axis + (slice(at, stop),)])
            at = stop
        return tuple(parts)

    def source(self, node: Tensor, index: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        position = index[self.axis]
        for number, value in enumerate(node.inputs):
            if position < value.shape[self.axis]:
                return number, (*index[: self.axis], position, *index[self.axis + 1 :])
            position -= value.shape[self.axis]
        raise IndexError(f"{node.name}: index {index} lies outside of {node.shape}")

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.cat(tensors, dim=self.axis)

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(lambda a, b, c: concat([a, b, c], axis=1), (_X, _X[:, :2] * 2, _X[:, 1:] - 1))]


@dataclass(frozen=True)
class Flip(Move):
    """y[..., i, ...] = x[..., n - 1 - i, ...] along `axes`"""

    axes: tuple[int, ...]
    uniform: ClassVar[bool] = True

    def shape(self, *inputs: Tensor) -> Shape:
        return inputs[0].shape

    def reference(self, *arrays: Array) -> Array:
        return np.ascontiguousarray(np.flip(arrays[0], self.axes))

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return (flip(upstream, self.axes),)

    def source(self, node: Tensor, index: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        return 0, tuple(node.shape[a] - 1 - i if a in self.axes else i for a, i in enumerate(index))

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.flip(tensors[0], self.axes)

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(lambda x: flip(x, (0, 2)), (_X,)), OpSample(lambda x: x[:, ::-2], (_X,), "negative-step")]


@operator
@of_arrays
def reshape(x: Tensor, shape: Sequence[int]) -> Tensor:
    """x's elements in row-major order under another shape; one -1 is worked out"""
    to = list(wholes("reshape", "shape", shape))
    if to.count(-1) > 1:
        raise ShapeError(f"reshape: only one dimension can be worked out, got {tuple(shape)}")
    if -1 in to:
        kept = sum(1 for _ in itertools.takewhile(lambda sizes: sizes[0] == sizes[1], zip(x.shape, to, strict=False)))
        size, rest = (
            math.prod(x.shape[kept:]),
            -math.prod(to[kept:]),
        )  # a batch of 0 that is kept leaves the others known
        if rest == 0 or size % rest:
            raise ShapeError(f"reshape: {x.name!r} of shape {x.shape} cannot become {tuple(shape)}")
        to[to.index(-1)] = size // rest
    to = check_shape("reshape", to)
    return x if to == x.shape else apply(Reshape(to), x)


@operator
@of_arrays
def transpose(x: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    """x with its axes in another order (reversed by default)"""
    order = (
        tuple(reversed(range(x.ndim))) if axes is None else tuple(normalize_axis("transpose", a, x.ndim) for a in axes)
    )
    return apply(Transpose(order), x)


def broadcast_to(x: Any, shape: Sequence[int]) -> Tensor:
    """x repeated to `shape` by NumPy's rule"""
    (x,) = as_tensors(x)
    to = check_shape("broadcast_to", shape)
    return x if to == x.shape else apply(BroadcastTo(to), x)


def concat(inputs: Sequence[Tensor], axis: int = 0) -> Tensor:
    """The inputs one after another along `axis`"""
    some = as_tensors(*one_or_several(inputs))
    if not some:
        raise ShapeError("concat: needs at least one tensor, got none")
    return apply(Concat(normalize_axis("concat", axis, some[0].ndim)), *some)


@of_arrays
def flip(x: Tensor, axes: int | Sequence[int]) -> Tensor:
    """x with the order of elements reversed along `axes`"""
    return apply(Flip(normalize_axes("flip", axes, x.ndim)), x)


@of_arrays
def flatten(x: Tensor, start_axis: int = 1) -> Tensor:
    """x with all axes from `start_axis` on made one"""
    start = x.ndim if start_axis == x.ndim else normalize_axis("flatten", start_axis, x.ndim)
    return reshape(x, (*x.shape[:start], math.prod(x.shape[start:])))
