"""Roots at 0, where their slope is infinite: lengths and deviations let no gradient through there, as PyTorch has it."""

from __future__ import annotations

from pellucid import ops
from pellucid.graph import Constant, Tensor
from pellucid.ops.activation import Relu
from pellucid.ops.elementwise import Absolute, Divide, Multiply, Sign, Subtract
from pellucid.ops.reduction import Sum


def selected(x: Tensor) -> Tensor:
    """x, which is nowhere negative; where it is 0 nothing flows back, not even of an infinite gradient."""
    return ops.where(ops.equal(x, 0.0), 0.0, x)


def root(x: Tensor, degree: float = 2.0) -> Tensor:
    """The root of x, which is nowhere negative; through it no gradient flows where x is 0, which is one of a length's slopes there."""
    nothing = ops.equal(x, 0.0)
    steep = ops.where(nothing, 1.0, x)
    return ops.where(nothing, 0.0, ops.sqrt(steep) if degree == 2 else ops.power(steep, 1 / degree))


def is_length(x: Tensor) -> bool:
    """Whether x is made so that its root is a length: by cutting off below 0, by an absolute value, or of squares; times what it may be times."""
    if isinstance(x.op, (Multiply, Divide)) and any(isinstance(one.op, (Constant, Sign)) for one in x.inputs):
        return any(is_length(one) for one in x.inputs)
    if isinstance(x.op, Subtract):  # a variance as the mean of squares less the square of the mean
        squares, square = x.inputs
        return _is_square(square) and is_length(squares)
    if isinstance(x.op, Sum):
        return _is_square(x.inputs[0])
    return isinstance(x.op, (Relu, Absolute))


def _is_square(x: Tensor) -> bool:
    return isinstance(x.op, Multiply) and x.inputs[0] is x.inputs[1]
