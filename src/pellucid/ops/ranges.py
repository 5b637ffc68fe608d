"""Whole numbers that must lie in a range: indices and labels, checked when they are known; and labels as ones and zeros."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pellucid.errors import DTypeError, OutOfRangeError
from pellucid.graph import Constant, Tensor, apply, as_tensors, constant
from pellucid.memory import fitting
from pellucid.op import Array, OpSample, Shape, check_extent, composite
from pellucid.ops.comparison import cast, equal, less, where
from pellucid.ops.shape import Move, reshape
from pellucid.whole_numbers import whole

_COUNTED = {"index": "elements", "label": "classes"}


@dataclass(frozen=True)
class Within(Move):
    """y = x, whole numbers that all lie from `low` up to but without `high`, or are `ignored`; else an error"""

    low: int
    high: int
    ignored: int | None = None
    what: str = "index"
    differentiable: ClassVar[bool] = False
    uniform: ClassVar[bool] = True

    def shape(self, *inputs: Tensor) -> Shape:
        return inputs[0].shape

    def dtype(self, *inputs: Tensor) -> str:
        if inputs[0].dtype != "int64":
            raise DTypeError(f"{self.what} {inputs[0].name!r} must be int64, got {inputs[0].dtype}; use pl.cast")
        return "int64"

    def require(self, node: Tensor, name: str, *arrays: Array) -> None:
        self.require_within(name, node.inputs[0].name, arrays[0])

    def require_within(self, name: str, source: str, values: Array) -> None:
        """Raise `OutOfRangeError` for the first of `values` (the value of `source`) that is out of range."""
        if not values.size:
            return
        if np.minimum.reduce(values, None) >= self.low and np.maximum.reduce(values, None) < self.high:
            return
        outside = (values < self.low) | (values >= self.high)
        if self.ignored is not None:
            outside &= values != self.ignored
        if not outside.any():
            return
        at = tuple(map(int, np.argwhere(outside)[0]))
        count = self.high - max(self.low, 0)
        allowed = f", from {self.low} to {self.high - 1}" if count else ""
        raise OutOfRangeError(
            f"{name}: {self.what} {int(values[at])} at {list(at)} of {source!r} is out of range: "
            f"there are {count} {_COUNTED[self.what]}{allowed}"
            + ("; leave out pictures without a class (cross_entropy has ignore_index)" if self.what == "label" else "")
        )

    def reference(self, *arrays: Array) -> Array:
        return arrays[0]

    def source(self, node: Tensor, index: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        return 0, index

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return tensors[0]

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [
            OpSample(lambda x: within(x, -3, 3), (np.array([[2, -3], [0, 1]]),)),
            OpSample(lambda x: within(x, 0, 3, 255), (np.array([2, 255]),), "ignored"),
            OpSample(lambda x: within(x, 0, 0), (np.zeros((0, 2), np.int64),), "empty"),
        ]


def within(
    x: Any, low: int, high: int, ignored: int | None = None, what: str = "index", name: str = "within"
) -> Tensor:
    """x, whole numbers from `low` up to but without `high` (or `ignored`); others are an `OutOfRangeError` when known.

    Known numbers are looked at here and now, those fed or computed whenever a program runs.
    """
    (x,) = as_tensors(x)
    op = Within(low, high, ignored, what)
    op.dtype(x)
    if isinstance(x.op, Constant):
        op.require_within(name, x.name, x.op.value)
        return x
    return apply(op, x, name=f"{name}_{what}")


def from_front(indices: Any, size: int, name: str = "gather") -> Tensor:
    """Indices from -size to size - 1 as those counted from the front: -1 is the last of `size` elements."""
    indices = within(indices, -size, size, name=name)
    if isinstance(indices.op, Constant):
        return constant(np.where(indices.op.value < 0, indices.op.value + size, indices.op.value))
    return where(less(indices, 0), indices + size, indices)


def is_class(name: str, labels: Tensor, num_classes: int, axis: int, ignored: int | None = None) -> Tensor:
    """Whether each of the labels is class k, for k along a new `axis`: bool. False for all k where it is `ignored`."""
    num_classes = whole(name, "num_classes", num_classes, 0)
    labels = within(labels, 0, num_classes, ignored, "label", name)
    if ignored is not None and 0 <= ignored < num_classes:
        labels = where(equal(labels, ignored), -1, labels)
    before, after = labels.shape[:axis], labels.shape[axis:]
    check_extent(name, (num_classes,))
    with fitting(f"{name}: numbering {num_classes} classes", 8 * num_classes, "choose fewer classes"):
        classes = constant(np.arange(num_classes).reshape(num_classes, *(1,) * len(after)))
    return equal(reshape(labels, (*before, 1, *after)), classes)


def _one_hot_samples() -> list[OpSample]:
    return [OpSample(lambda x: one_hot(x, 4, "float64"), (np.array([0, 3, 1]),))]


@composite(_one_hot_samples, oracle=lambda torch, x: torch.nn.functional.one_hot(x, 4).double())
def one_hot(labels: Any, num_classes: int, dtype: str = "float32") -> Tensor:
    """y[..., k] = 1 where labels[...] = k, else 0; a label that is none of the classes is an `OutOfRangeError`"""
    (labels,) = as_tensors(labels)
    return cast(is_class("one_hot", labels, num_classes, labels.ndim), dtype)
