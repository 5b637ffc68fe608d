"""Ops that reduce axes: sum, mean, max, argmax, log-sum-exp, and softmax, which is made of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np

from pellucid.errors import ShapeError, unknown
from pellucid.flags import flag
from pellucid.graph import Tensor, apply, as_tensors, constant, of_arrays
from pellucid.op import (
    FLOATS,
    NUMBERS,
    Array,
    Cost,
    Op,
    OpSample,
    Products,
    Shape,
    Term,
    composite,
    require_dtype,
    traffic,
)
from pellucid.operators import operator
from pellucid.ops.comparison import cast, equal, stop_gradient, where
from pellucid.ops.elementwise import absolute, exp, log
from pellucid.ops.shape import broadcast_to, normalize_axes, normalize_axis, reshape

F = TypeVar("F", bound=Callable[..., Any])

_X = np.sin(np.arange(24.0) * 1.7).reshape(2, 3, 4)


class _Reduction(Op, registered=False):
    axes: tuple[int, ...]
    keepdims: bool

    def shape(self, *inputs: Tensor) -> Shape:
        kept = enumerate(inputs[0].shape)
        return tuple(1 if a in self.axes else n for a, n in kept if self.keepdims or a not in self.axes)

    def expand(self, reduced: Tensor, like: Tensor) -> Tensor:
        """A reduced tensor with the reduced axes back as axes of size 1."""
        return reshape(reduced, tuple(1 if a in self.axes else n for a, n in enumerate(like.shape)))

    def region(self, index: tuple[int, ...], shape: Shape) -> list[tuple[int, ...]]:
        """Indices of the input elements that go into output element `index`."""
        rest = iter(index)
        choices: list[Sequence[int]] = []
        for axis, size in enumerate(shape):
            if axis in self.axes:
                choices.append(range(size))
                if self.keepdims:
                    next(rest)
            else:
                choices.append([next(rest)])
        return list(itertools.product(*choices))

    def cost(self, node: Tensor) -> Cost:
        return Cost(node.inputs[0].size, traffic(node))


@dataclass(frozen=True)
class Sum(_Reduction):
    """y = sum of x over `axes`"""

    axes: tuple[int, ...]
    keepdims: bool = False

    def reference(self, *arrays: Array) -> Array:
        return np.sum(arrays[0], axis=self.axes, keepdims=self.keepdims, dtype=arrays[0].dtype)

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        x = node.inputs[0]
        return (broadcast_to(self.expand(upstream, x), x.shape),)

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> Sequence[Term]:
        x = arrays[0]
        places = np.array(self.region(index, x.shape), int).reshape(-1, x.ndim).T
        return Products.of(arrays, tuple(places)) if x.ndim else [Term(((0, ()),), float(x))]

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.sum(tensors[0], dim=self.axes, keepdim=self.keepdims) if self.axes else tensors[0]

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [
            OpSample(sum, (_X,)),
            OpSample(lambda x: sum(x, (0, 2)), (_X,), "axes"),
            OpSample(lambda x: sum(x, -1, keepdims=True), (_X,), "keepdims"),
        ]


@dataclass(frozen=True)
class Max(_Reduction):
    """y = max of x over `axes`; tied elements share the gradient equally, or with `ties` "first" the first gets it"""

    axes: tuple[int, ...]
    keepdims: bool = False
    ties: str = "share"

    def shape(self, *inputs: Tensor) -> Shape:
        if self.ties == "first" and len(self.axes) != 1:
            raise ShapeError(f"max: the first of equals is that along one axis, got axes {self.axes}; reshape it")
        if any(inputs[0].shape[a] == 0 for a in self.axes):
            raise ShapeError(
                f"max: {inputs[0].name!r} of shape {inputs[0].shape} has no elements along axes {self.axes}"
            )
        return super().shape(*inputs)

    def reference(self, *arrays: Array) -> Array:
        return np.max(arrays[0], axis=self.axes, keepdims=self.keepdims)

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        x = node.inputs[0]
        if self.ties == "first":
            (axis,) = self.axes
            places = np.arange(x.shape[axis]).reshape([-1 if a == axis else 1 for a in range(x.ndim)])
            return (where(equal(argmax(x, axis, True), constant(places)), self.expand(upstream, x), 0.0),)
        winners = cast(equal(x, self.expand(node, x)), x.dtype)
        share = self.expand(upstream, x) / sum(winners, self.axes, keepdims=True)
        return (winners * share,)

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        winner = max_index(arrays[0], self.region(index, arrays[0].shape))
        return [Term(((0, winner),), float(arrays[0][winner]))]

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.amax(tensors[0], dim=self.axes, keepdim=self.keepdims) if self.axes else tensors[0]

    @classmethod
    def samples(cls) -> list[OpSample]:
        tie = np.array([[1.0, 3.0, 3.0], [2.0, 0.0, 1.0]])
        return [
            OpSample(max, (_X,)),
            OpSample(lambda x: max(x, (1, 2), keepdims=True), (_X,), "axes"),
            OpSample(lambda x: max(x, 1), (tie,), "tie", (np.array([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]]),)),
            OpSample(
                lambda x: max(x, 1, ties="first"), (tie,), "first", (np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]),)
            ),
        ]


def max_index(array: Array, candidates: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The first of `candidates` at which `array` is largest."""
    values = [array[i] for i in candidates]
    return candidates[int(np.argmax(values))]


@dataclass(frozen=True)
class Argmax(_Reduction):
    """y = index of the largest element of x along `axis` (the first of equals)"""

    torch_takes = NUMBERS

    axis: int
    keepdims: bool = False
    differentiable: ClassVar[bool] = False

    @property
    def axes(self) -> tuple[int, ...]:  # type: ignore[override]
        return (self.axis,)

    def dtype(self, *inputs: Tensor) -> str:
        return "int64"

    def reference(self, *arrays: Array) -> Array:
        return np.argmax(arrays[0], axis=self.axis, keepdims=self.keepdims)

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        winner = max_index(arrays[0], self.region(index, arrays[0].shape))
        return [Term(((0, winner),), float(winner[self.axis]))]

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.argmax(tensors[0], dim=self.axis, keepdim=self.keepdims)

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(lambda x: argmax(x, 1), (_X,)), OpSample(lambda x: argmax(x, -1, True), (_X,), "keepdims")]


@dataclass(frozen=True)
class Variance(_Reduction):
    """y = mean of (x - mean x)^2 over `axes`; NaN where there are no elements

    A primitive because its gradient knows that the mean has no part in it, which halves the work of a batch norm.
    """

    takes = FLOATS

    axes: tuple[int, ...]
    keepdims: bool = False

    def count(self, x: Array | Tensor) -> int:
        """Number of elements that go into one output element."""
        return math.prod(x.shape[a] for a in self.axes)

    def reference(self, *arrays: Array) -> Array:
        if not self.count(arrays[0]):
            return np.sum(arrays[0], axis=self.axes, keepdims=self.keepdims) * np.nan
        return np.var(arrays[0], axis=self.axes, keepdims=self.keepdims)

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        x = node.inputs[0]
        return ((x - mean(x, self.axes, keepdims=True)) * (self.expand(upstream, x) * (2 / (self.count(x) or 1))),)

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        region = self.region(index, arrays[0].shape)
        center = np.mean([arrays[0][i] for i in region])
        return [Term(((0, i), (0, i)), float((arrays[0][i] - center) ** 2) / len(region)) for i in region]

    def cost(self, node: Tensor) -> Cost:
        return Cost(4 * node.inputs[0].size, traffic(node))

    def torch(self, torch: Any, *tensors: Any) -> Any:
        if not self.axes:
            return torch.zeros_like(tensors[0])
        if not self.count(tensors[0]) or not tensors[0].numel():
            return torch.sum(tensors[0], dim=self.axes, keepdim=self.keepdims) * math.nan
        return torch.var(tensors[0], dim=self.axes, correction=0, keepdim=self.keepdims)

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(lambda x: variance(x, (0, 2)), (_X,)), OpSample(lambda x: variance(x, 1, True), (_X,), "keep")]


@operator
@of_arrays
def sum(x: Tensor, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """Sum of x over `axis` (all axes by default); of bools, how many are true"""
    keepdims = flag("sum", "keepdims", keepdims)
    numbers = cast(x, "int64") if x.dtype == "bool" else x
    return apply(Sum(normalize_axes("sum", axis, x.ndim), keepdims), numbers)


@operator
@of_arrays
def max(x: Tensor, axis: int | Sequence[int] | None = None, keepdims: bool = False, ties: str = "share") -> Tensor:
    """Maximum of x over `axis` (all axes by default); ties share the gradient equally, or the "first" gets it"""
    keepdims = flag("max", "keepdims", keepdims)
    if ties not in ("share", "first"):
        raise unknown("rule for ties", ties, ["share", "first"])
    return apply(Max(normalize_axes("max", axis, x.ndim), keepdims, ties), x)


@of_arrays
def argmax(x: Tensor, axis: int = -1, keepdims: bool = False) -> Tensor:
    """Index of the largest element along `axis` (the first of equals), int64"""
    keepdims = flag("argmax", "keepdims", keepdims)
    return apply(Argmax(normalize_axis("argmax", axis, x.ndim), keepdims), x)


def _mean_samples() -> list[OpSample]:
    return [OpSample(mean, (_X,)), OpSample(lambda x: mean(x, (0, 2)), (_X,), "axes")]


@operator
@composite(_mean_samples)
@of_arrays
def mean(x: Tensor, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """y = sum of x over `axis`, divided by the number of elements summed: NaN where there are none"""
    keepdims = flag("mean", "keepdims", keepdims)
    axes = normalize_axes("mean", axis, x.ndim)
    count = math.prod(x.shape[a] for a in axes)
    return sum(x, axes, keepdims) * (1 / count if count else math.nan)


@of_arrays
def variance(x: Tensor, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """y = mean of (x - mean x)^2 over `axis` (biased), of floating tensors: NaN where there are no elements"""
    keepdims = flag("variance", "keepdims", keepdims)
    return apply(Variance(normalize_axes("variance", axis, x.ndim), keepdims), x)


def _along_last_axis(oracle: Callable[..., Any]) -> Callable[[F], F]:
    """Register a composite that works along the last axis, with a sample whose exponentials would overflow."""

    def register(function: F) -> F:
        def samples() -> list[OpSample]:
            huge = np.array([[1000.0, 1001.0], [-1000.0, -1001.0]])
            return [OpSample(lambda x: function(x, -1), (_X,)), OpSample(lambda x: function(x, -1), (huge,), "huge")]

        return composite(samples, oracle)(function)

    return register


def backwards(x: Tensor) -> Tensor:
    """x in the other order, the largest as the smallest, and back again: -x, or of whole numbers -1 - x, as the least has no negative"""
    return -x if x.dtype.startswith("float") else -1 - x


@_along_last_axis(lambda torch, x: torch.logsumexp(x, -1))
def log_sum_exp(x: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Tensor:
    """y = log sum of e^x over `axis`, computed as m + log sum e^(x - m) with m = max x, or m = 0 where that is infinite"""
    keepdims = flag("log_sum_exp", "keepdims", keepdims)
    (x,) = as_tensors(x)
    require_dtype("log_sum_exp", FLOATS, x)
    peak = stop_gradient(max(x, axis, keepdims=True))
    peak = where(equal(absolute(peak), math.inf), 0.0, peak)
    y = log(sum(exp(x - peak), axis, keepdims=True)) + peak
    return y if keepdims else reshape(y, sum(x, axis).shape)


@_along_last_axis(lambda torch, x: torch.softmax(x, -1))
def softmax(x: Any, axis: int = -1) -> Tensor:
    """y = e^x / sum of e^x along `axis`"""
    (x,) = as_tensors(x)
    require_dtype("softmax", FLOATS, x)
    if not x.size:
        return x
    raised = exp(x - stop_gradient(max(x, axis, keepdims=True)))
    return raised / sum(raised, axis, keepdims=True)


@_along_last_axis(lambda torch, x: torch.log_softmax(x, -1))
def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """y = x - log sum of e^x along `axis`"""
    (x,) = as_tensors(x)
    require_dtype("log_softmax", FLOATS, x)
    if not x.size:
        return x
    below = x - stop_gradient(max(x, axis, keepdims=True))  # small where y is, which a large sum would round
    return below - log(sum(exp(below), axis, keepdims=True))
