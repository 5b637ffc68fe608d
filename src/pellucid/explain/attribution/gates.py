"""Which values are gates: never negative and never large, whatever the picture, so that they only let others through."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pellucid.graph import Constant, Graph, Tensor
from pellucid.inference.values import Values
from pellucid.op import Op
from pellucid.ops.activation import Sigmoid, Tanh
from pellucid.ops.comparison import Cast, Clip, StopGradient
from pellucid.ops.elementwise import Add, Divide, Erf, Multiply, Negative, Subtract
from pellucid.ops.shape import Move
from pellucid.templates import Match

SOFT = ("softmax", "log_softmax", "log_sum_exp")
"""Functions that weigh values against each other."""

_ENDS: dict[type[Op], tuple[float, float]] = {Sigmoid: (0.0, 1.0), Tanh: (-1.0, 1.0), Erf: (-1.0, 1.0)}
_DEEP = 8


class Gates:
    """Tells gates by the ends of what a value can be; `whole` are the functions that a network is made of, by their outputs."""

    def __init__(self, whole: Mapping[Tensor, Match]) -> None:
        self._whole = whole

    def is_gate(self, value: Tensor) -> bool:
        """Whether the value lies between 0 and some number whatever the picture is."""
        low, high = self._ends(value, _DEEP)
        return low >= 0 and high < math.inf

    def _ends(self, node: Tensor, deep: int) -> tuple[float, float]:
        """The least and the largest that the elements of a node can be, as far as it is made of known functions."""
        if node in self._whole and self._whole[node].name == "softmax":
            return 0.0, 1.0
        op = node.op
        if isinstance(op, Clip):
            return op.low, op.high
        if type(op) in _ENDS:
            return _ENDS[type(op)]
        if not deep or node in self._whole:
            return -math.inf, math.inf
        if isinstance(op, Move | Cast | StopGradient) and len(node.inputs) == 1:
            return self._ends(node.inputs[0], deep - 1)
        if isinstance(op, Negative):
            low, high = self._ends(node.inputs[0], deep - 1)
            return -high, -low
        if isinstance(op, Add | Subtract | Multiply | Divide):
            return self._scaled(node, deep)
        return -math.inf, math.inf

    def _scaled(self, node: Tensor, deep: int) -> tuple[float, float]:
        """The ends of a value that one number scales or shifts."""
        first, second = node.inputs
        left, right = _number(first), _number(second)
        if (left is None) == (right is None) or (isinstance(node.op, Divide) and not right):
            return -math.inf, math.inf
        low, high = self._ends(second if right is None else first, deep - 1)
        number = left if right is None else right
        assert number is not None
        if isinstance(node.op, Add):
            return low + number, high + number
        if isinstance(node.op, Subtract):
            return (low - number, high - number) if left is None else (number - high, number - low)
        if not number:
            return 0.0, 0.0
        scale = 1 / number if isinstance(node.op, Divide) else number
        return min(low * scale, high * scale), max(low * scale, high * scale)


def _number(node: Tensor) -> float | None:
    """The value of what is one number for all pictures; None for anything else."""
    if node.size != 1 or not node.dtype.startswith("float") or Graph([node]).inputs:
        return None
    return float(node.op.value.item() if isinstance(node.op, Constant) else Values({}).of(node).item())
