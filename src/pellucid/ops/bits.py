"""Whole numbers as rows of bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pellucid.errors import DTypeError, unknown
from pellucid.graph import Tensor, apply, as_tensors
from pellucid.op import Array, OpSample
from pellucid.ops.broadcasting import Elementwise

_KINDS = ("and", "or", "xor", "left", "right")


@dataclass(frozen=True)
class Bitwise(Elementwise):
    """y = a and, or, xor b, bit by bit; or a shifted by b bits to the left or to the right"""

    how: str
    differentiable: ClassVar[bool] = False

    def dtype(self, *inputs: Tensor) -> str:
        if wrong := [i for i in inputs if i.dtype != "int64"]:
            raise DTypeError(f"bitwise {self.how}: {wrong[0].name!r} must be int64, got {wrong[0].dtype}; use pl.cast")
        return "int64"

    def reference(self, *arrays: Array) -> Array:
        a, b = arrays
        if self.how in ("left", "right"):
            inside = (b >= 0) & (b < 64)
            if self.how == "left":
                return np.where(inside, np.left_shift(a, np.where(inside, b, 0)), 0)
            return np.right_shift(a, np.where(inside, b, 63))
        return {"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor}[self.how](a, b)

    @classmethod
    def samples(cls) -> list[OpSample]:
        a, b = np.array([[5, -3, 12], [0, 255, 1]]), np.array([3, 1, 70])
        return [OpSample(lambda a, b, how=how: bitwise(how, a, b), (a, b), how) for how in _KINDS]


def bitwise(how: str, a: Any, b: Any) -> Tensor:
    """a and, or, xor b, bit by bit; or a shifted by b bits to the "left" or "right", keeping its sign

    Other than 0 to 63 bits move all of it out.
    """
    if how not in _KINDS:
        raise unknown("bitwise operation", how, _KINDS)
    return apply(Bitwise(how), *as_tensors(a, b))
