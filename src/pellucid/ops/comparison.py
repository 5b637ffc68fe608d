"""Choosing between elements: maximum and minimum, comparisons, where, clip; and casts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pellucid.errors import DTypeError, GraphError
from pellucid.flags import flag
from pellucid.graph import Tensor, apply, as_tensors, constant
from pellucid.op import NUMBERS, Array, OpSample, Term, beside, broadcast_index, check_dtype
from pellucid.operators import operator
from pellucid.ops.broadcasting import OTHER, SIGNED, Elementwise, binary_samples, unbroadcast


class _Comparison(Elementwise, registered=False):
    differentiable: ClassVar[bool] = False

    def dtype(self, *inputs: Tensor) -> str:
        super().dtype(*inputs)
        return "bool"

    @classmethod
    def alike(cls) -> slice:
        return slice(None)


@dataclass(frozen=True)
class Maximum(Elementwise):
    """y = max(a, b); where a = b each gets half of the gradient"""

    def reference(self, *arrays: Array) -> Array:
        return np.maximum(arrays[0], arrays[1])

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        a, b = node.inputs
        return _won(a > b, upstream, a, b), _won(a < b, upstream, b, a)

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        return _winner(index, arrays, arrays[0] >= arrays[1])

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.maximum(tensors[0], tensors[1])

    @classmethod
    def samples(cls) -> list[OpSample]:
        tie = np.array([1.0, 2.0]), np.array([1.0, 0.0])
        return [*binary_samples(maximum), OpSample(maximum, tie, "tie", (np.array([0.5, 1.0]), np.array([0.5, 0.0])))]


def _winner(index: tuple[int, ...], arrays: tuple[Array, ...], condition: Array, first: int = 0) -> list[Term]:
    """The element of input `first` where the condition holds at `index`, else that of the input after it."""
    number = first if condition[broadcast_index(index, condition.shape)] else first + 1
    at = broadcast_index(index, arrays[number].shape)
    return [Term(((number, at),), float(arrays[number][at]))]


@dataclass(frozen=True)
class Minimum(Elementwise):
    """y = min(a, b); where a = b each gets half of the gradient"""

    def reference(self, *arrays: Array) -> Array:
        return np.minimum(arrays[0], arrays[1])

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        a, b = node.inputs
        return _won(a < b, upstream, a, b), _won(a > b, upstream, b, a)

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        return _winner(index, arrays, arrays[0] <= arrays[1])

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.minimum(tensors[0], tensors[1])

    @classmethod
    def samples(cls) -> list[OpSample]:
        tie = np.array([1.0, 2.0]), np.array([1.0, 0.0])
        return [*binary_samples(minimum), OpSample(minimum, tie, "tie", (np.array([0.5, 0.0]), np.array([0.5, 1.0])))]


def _won(wins: Tensor, upstream: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """What goes down to `a` of a choice between a and b: all where it wins, half of it where they are equal."""
    return unbroadcast(where(wins, upstream, where(equal(a, b), upstream * 0.5, 0.0)), a)


@dataclass(frozen=True)
class Where(Elementwise):
    """y = a where the condition holds, else b"""

    def dtype(self, *inputs: Tensor) -> str:
        if inputs[0].dtype != "bool":
            raise DTypeError(f"where: the condition {inputs[0].name!r} must be bool, got {inputs[0].dtype}")
        return super().dtype(*inputs[1:])

    @classmethod
    def alike(cls) -> slice:
        return slice(1, None)

    def reference(self, *arrays: Array) -> Array:
        return np.where(arrays[0], arrays[1], arrays[2])

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        condition, a, b = node.inputs
        zero = constant(np.zeros((), upstream.dtype))
        to_a, to_b = where(condition, upstream, zero), where(condition, zero, upstream)
        return None, unbroadcast(to_a, a), unbroadcast(to_b, b)

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        return _winner(index, arrays, arrays[0], first=1)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.where(*tensors)

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [
            OpSample(where, (SIGNED > 0, SIGNED, OTHER)),
            OpSample(where, (SIGNED > 0, SIGNED, np.array(2.0)), "broadcast"),
        ]


@dataclass(frozen=True)
class Less(_Comparison):
    """y = a < b"""

    def reference(self, *arrays: Array) -> Array:
        return np.less(arrays[0], arrays[1])

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.lt(tensors[0], tensors[1])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(less, (SIGNED, OTHER)), OpSample(greater, (SIGNED, OTHER), "greater")]


@dataclass(frozen=True)
class LessEqual(_Comparison):
    """y = a <= b"""

    def reference(self, *arrays: Array) -> Array:
        return np.less_equal(arrays[0], arrays[1])

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.le(tensors[0], tensors[1])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [
            OpSample(less_equal, (SIGNED, np.where(SIGNED > 0, SIGNED, OTHER))),
            OpSample(greater_equal, (SIGNED, np.where(SIGNED > 0, SIGNED, OTHER)), "greater"),
        ]


@dataclass(frozen=True)
class Equal(_Comparison):
    """y = (a = b)"""

    def reference(self, *arrays: Array) -> Array:
        return np.equal(arrays[0], arrays[1])

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.eq(tensors[0], tensors[1])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(equal, (np.array([1, 2, 3]), np.array([1, 0, 3])))]


@dataclass(frozen=True)
class NotEqual(_Comparison):
    """y = (a != b)"""

    def reference(self, *arrays: Array) -> Array:
        return np.not_equal(arrays[0], arrays[1])

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.ne(tensors[0], tensors[1])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(not_equal, (np.array([1, 2, 3]), np.array([1, 0, 3])))]


@dataclass(frozen=True)
class Clip(Elementwise):
    """y = min(max(x, low), high); the derivative at low and at high is 1, or 0 where the range is `open`"""

    takes = NUMBERS

    low: float
    high: float
    open: bool = False

    def reference(self, *arrays: Array) -> Array:
        return np.clip(arrays[0], self.low, self.high)

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        x = node.inputs[0]
        # strictly between its ends y is x: asked of y, nothing has to keep x
        above, below = (node > self.low, node < self.high) if self.open else (x >= self.low, x <= self.high)
        return (where(above, where(below, upstream, 0.0), 0.0),)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.clamp(tensors[0], self.low, self.high)

    @classmethod
    def samples(cls) -> list[OpSample]:
        edges = np.array([-1.0, 0.5, 1.0, 2.0])
        return [
            OpSample(lambda x: clip(x, -1, 1), (SIGNED,)),
            OpSample(lambda x: clip(x, -1, 1), (edges,), "at-edges", (np.array([1.0, 1.0, 1.0, 0.0]),)),
            OpSample(lambda x: clip(x, -1, 1, open=True), (edges,), "open", (np.array([0.0, 1.0, 0.0, 0.0]),)),
        ]


@dataclass(frozen=True)
class Cast(Elementwise):
    """y = x as another element type"""

    to: str

    def dtype(self, *inputs: Tensor) -> str:
        return self.to

    def reference(self, *arrays: Array) -> Array:
        return arrays[0].astype(self.to)

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        x = node.inputs[0]
        both_float = x.dtype.startswith("float") and self.to.startswith("float")
        return (cast(upstream, x.dtype) if both_float else None,)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return tensors[0].to(getattr(torch, self.to))

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [
            OpSample(lambda x: cast(x, "float64"), (np.array([True, False]),), "bool"),
            OpSample(lambda x: cast(x, "int64"), (np.array([2.0, -1.0]),), "to-int", (np.zeros(2),)),
        ]


@dataclass(frozen=True)
class StopGradient(Elementwise):
    """y = x, through which no gradient flows"""

    def reference(self, *arrays: Array) -> Array:
        return arrays[0]

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return (None,)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return tensors[0].detach()

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(stop_gradient, (SIGNED,), "", (np.zeros_like(SIGNED),))]


def maximum(a: Any, b: Any) -> Tensor:
    """The larger of a and b, element by element; ties share the gradient equally"""
    return apply(Maximum(), *as_tensors(a, b))


def minimum(a: Any, b: Any) -> Tensor:
    """The smaller of a and b, element by element; ties share the gradient equally"""
    return apply(Minimum(), *as_tensors(a, b))


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """a where the bool `condition` holds, else b"""
    (mask,) = as_tensors(condition)
    return apply(Where(), mask, *as_tensors(a, b))


@operator
def less(a: Any, b: Any) -> Tensor:
    """a < b"""
    return apply(Less(), *as_tensors(a, b))


@operator
def less_equal(a: Any, b: Any) -> Tensor:
    """a <= b"""
    return apply(LessEqual(), *as_tensors(a, b))


@operator
def greater(a: Any, b: Any) -> Tensor:
    """a > b"""
    return apply(Less(), *reversed(as_tensors(a, b)), name="greater")


@operator
def greater_equal(a: Any, b: Any) -> Tensor:
    """a >= b"""
    return apply(LessEqual(), *reversed(as_tensors(a, b)), name="greater_equal")


@operator
def equal(a: Any, b: Any) -> Tensor:
    """a == b"""
    return apply(Equal(), *as_tensors(a, b))


@operator
def not_equal(a: Any, b: Any) -> Tensor:
    """a != b"""
    return apply(NotEqual(), *as_tensors(a, b))


def clip(x: Any, low: float, high: float, open: bool = False) -> Tensor:
    """x kept within [low, high]; the derivative at low and at high is 1, or 0 where the range is `open`"""
    open = flag("clip", "open", open)
    (x,) = as_tensors(x)
    low, high = (beside("clip", what, value, x.dtype) for what, value in (("low", low), ("high", high)))
    if not low <= high:
        raise GraphError(f"clip: low must not exceed high, got low={low}, high={high}")
    return apply(Clip(low, high, open), x)


@operator
def cast(x: Any, dtype: str) -> Tensor:
    """x as another element type: float32, float64, int64 or bool"""
    (x,) = as_tensors(x)
    return x if x.dtype == check_dtype("cast", dtype) else apply(Cast(dtype), x)


def stop_gradient(x: Any) -> Tensor:
    """x, through which no gradient flows"""
    return apply(StopGradient(), *as_tensors(x))
