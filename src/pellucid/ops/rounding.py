"""Whole numbers near a number (floor, ceiling, rounding, truncation, whose derivative is 0), and what a division leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.flags import flag
from pellucid.graph import Tensor, apply, as_tensors
from pellucid.op import NUMBERS, Array, OpSample, composite
from pellucid.ops.broadcasting import OTHER, SIGNED, Elementwise
from pellucid.ops.comparison import cast, where
from pellucid.ops.elementwise import divide

_STEPS = np.array([-2.5, -2.0, -0.5, 0.5, 1.5, 2.5])


@dataclass(frozen=True)
class Floor(Elementwise):
    """y = the largest whole number that is not above x; its derivative is 0 everywhere"""

    takes = NUMBERS

    def reference(self, *arrays: Array) -> Array:
        return np.floor(arrays[0])

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return (None,)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.floor(tensors[0])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(floor, (SIGNED * 3 + 0.07,)), OpSample(floor, (_STEPS,), "steps", (np.zeros(6),))]


@dataclass(frozen=True)
class Round(Elementwise):
    """y = the whole number nearest to x, of two equally near the even one; its derivative is 0 everywhere, `through` it 1"""

    takes = NUMBERS

    through: bool = False

    def reference(self, *arrays: Array) -> Array:
        return np.rint(arrays[0])

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return (1 if self.through else None,)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.round(tensors[0])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [
            OpSample(round, (SIGNED * 3 + 0.07,)),
            OpSample(round, (_STEPS,), "halves", (np.zeros(6),)),
            OpSample(lambda x: round(x, through=True), (_STEPS,), "through", (np.ones(6),)),
        ]


@dataclass(frozen=True)
class Remainder(Elementwise):
    """y = a - b * floor(a / b): what dividing a by b leaves, with the sign of b"""

    takes = NUMBERS

    def reference(self, *arrays: Array) -> Array:
        return np.mod(arrays[0], arrays[1])

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        a, b = node.inputs
        return 1, -floor(a / b)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        a, b = tensors
        if b.is_floating_point():
            return torch.remainder(a, b)
        nothing = b == 0  # which PyTorch refuses and NumPy gives 0 for
        return torch.where(nothing, 0, torch.remainder(a, torch.where(nothing, 1, b)))

    @classmethod
    def samples(cls) -> list[OpSample]:
        whole = np.array([7, -7, 7, -7, 0]), np.array([2, 2, -2, -2, 3])
        return [OpSample(remainder, (SIGNED * 3 + 0.07, OTHER)), OpSample(remainder, whole, "whole")]


def remainder(a: Any, b: Any) -> Tensor:
    """What dividing a by b leaves, with the sign of b"""
    return apply(Remainder(), *as_tensors(a, b))


def floor(x: Any) -> Tensor:
    """The largest whole number that is not above x"""
    return apply(Floor(), *as_tensors(x))


def round(x: Any, through: bool = False) -> Tensor:
    """The nearest whole number, of two equally near the even one; gradients pass `through` it as if it were not there"""
    through = flag("round", "through", through)
    return apply(Round(through), *as_tensors(x))


def _steps(function: Callable[[Any], Tensor]) -> list[OpSample]:
    return [OpSample(function, (SIGNED * 3 + 0.07,)), OpSample(function, (_STEPS,), "steps", (np.zeros(6),))]


def _ceil_samples() -> list[OpSample]:
    return _steps(ceil)


@composite(_ceil_samples, oracle=lambda torch, x: torch.ceil(x))
def ceil(x: Any) -> Tensor:
    """y = the smallest whole number that is not below x; its derivative is 0 everywhere"""
    (x,) = as_tensors(x)
    return -floor(-x)


def _truncate_samples() -> list[OpSample]:
    return _steps(truncate)


@composite(_truncate_samples, oracle=lambda torch, x: torch.trunc(x))
def truncate(x: Any) -> Tensor:
    """y = x without what stands behind the point: the whole number next to x towards 0; its derivative is 0 everywhere"""
    (x,) = as_tensors(x)
    return where(x < 0, ceil(x), floor(x))


def _whole_samples() -> list[OpSample]:
    return [OpSample(whole_divide, (np.array([7, -7, 7, -7, 0]), np.array([2, 2, -2, -2, 3])))]


@composite(_whole_samples, oracle=lambda torch, a, b: torch.div(a, b, rounding_mode="trunc"))
def whole_divide(a: Any, b: Any) -> Tensor:
    """y = a / b for whole numbers, without what stands behind the point; exact below 2^53"""
    a, b = as_tensors(a, b)
    return cast(truncate(divide(cast(a, "float64"), cast(b, "float64"))), "int64")
