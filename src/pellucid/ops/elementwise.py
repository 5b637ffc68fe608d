"""Elementwise arithmetic: one class per function, value and derivative side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.errors import DTypeError
from pellucid.graph import Constant, Tensor, apply, as_tensors, constant
from pellucid.op import FLOATS, NUMBERS, Array, OpSample
from pellucid.operators import operator
from pellucid.ops.broadcasting import OTHER, POSITIVE, SIGNED, Elementwise, Function, binary_samples
from pellucid.ops.comparison import equal, where


@dataclass(frozen=True)
class Add(Elementwise):
    """y = a + b"""

    def reference(self, *arrays: Array) -> Array:
        return arrays[0] + arrays[1]

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return 1, 1

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return tensors[0] + tensors[1]

    @classmethod
    def samples(cls) -> list[OpSample]:
        return binary_samples(add)


@dataclass(frozen=True)
class Subtract(Elementwise):
    """y = a - b"""

    takes = NUMBERS

    def reference(self, *arrays: Array) -> Array:
        return arrays[0] - arrays[1]

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return 1, -1

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return tensors[0] - tensors[1]

    @classmethod
    def samples(cls) -> list[OpSample]:
        return binary_samples(subtract)


@dataclass(frozen=True)
class Multiply(Elementwise):
    """y = a * b"""

    def reference(self, *arrays: Array) -> Array:
        return arrays[0] * arrays[1]

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        a, b = node.inputs
        return b, a

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return tensors[0] * tensors[1]

    @classmethod
    def samples(cls) -> list[OpSample]:
        return binary_samples(multiply)


@dataclass(frozen=True)
class Divide(Elementwise):
    """y = a / b"""

    takes = FLOATS

    def reference(self, *arrays: Array) -> Array:
        return arrays[0] / arrays[1]

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        a, b = node.inputs
        return 1 / b, -a / (b * b)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return tensors[0] / tensors[1]

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(divide, (SIGNED, POSITIVE)), OpSample(divide, (SIGNED, POSITIVE[:1, :1]), "broadcast")]


@dataclass(frozen=True)
class Power(Elementwise):
    """y = a ** b; a^0 does not depend on a; the derivative with regard to b, y log a, is taken as 0 where a <= 0"""

    takes = NUMBERS

    def reference(self, *arrays: Array) -> Array:
        _refuse_fractions(arrays[1].dtype.kind == "i" and bool((arrays[1] < 0).any()))
        return np.power(arrays[0], arrays[1])

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        a, b = node.inputs
        by_base = b * power(a, b - constant(np.ones((), b.dtype)))
        if isinstance(b.op, Constant):
            return where(equal(b, 0), 0, by_base) if (b.op.value == 0).any() else by_base, None
        return where(equal(b, 0), 0, by_base), where(a > 0, node * log(where(a > 0, a, 1)), 0)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        _refuse_fractions(not tensors[1].is_floating_point() and bool((tensors[1] < 0).any()))
        return torch.pow(tensors[0], tensors[1])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [
            OpSample(power, (POSITIVE, OTHER)),
            OpSample(lambda a: a**3, (SIGNED,), "cube"),
            OpSample(lambda a: a**0.5, (POSITIVE,), "root"),
            OpSample(lambda a: 2.0**a, (SIGNED,), "of-two"),
            OpSample(lambda a: a**2, (np.array([0.0, -2.0]),), "square-at-zero", (np.array([0.0, -4.0]),)),
            OpSample(lambda a: a**0, (np.array([0.0, -2.0]),), "nothing", (np.zeros(2),)),
        ]


def _refuse_fractions(negative: bool) -> None:
    if negative:
        raise DTypeError("power: whole numbers to a negative power are fractions; cast them to a floating type first")


@dataclass(frozen=True)
class Negative(Elementwise):
    """y = -x"""

    takes = NUMBERS

    def reference(self, *arrays: Array) -> Array:
        return -arrays[0]

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return (-1,)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return -tensors[0]

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(negative, (SIGNED,))]


@dataclass(frozen=True)
class Exp(Function):
    """y = e^x"""

    numpy = np.exp

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return (node,)


@dataclass(frozen=True)
class Expm1(Function):
    """y = e^x - 1, exact near 0"""

    numpy = np.expm1
    places = (SIGNED, SIGNED * 1e-9)

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return (exp(node.inputs[0]),)


@dataclass(frozen=True)
class Log(Function):
    """y = log x (natural)"""

    numpy = np.log
    places = (POSITIVE,)

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return (1 / node.inputs[0],)


@dataclass(frozen=True)
class Log1p(Function):
    """y = log(1 + x), exact near 0"""

    numpy = np.log1p
    places = (POSITIVE - 0.5, SIGNED * 1e-9)

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return (1 / (1 + node.inputs[0]),)


@dataclass(frozen=True)
class Sqrt(Function):
    """y = sqrt x"""

    numpy = np.sqrt
    places = (POSITIVE,)

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return (0.5 / node,)


@dataclass(frozen=True)
class Absolute(Elementwise):
    """y = |x|; the derivative at 0 is 0"""

    takes = NUMBERS

    def reference(self, *arrays: Array) -> Array:
        return np.abs(arrays[0])

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return (sign(node.inputs[0]),)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.abs(tensors[0])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [
            OpSample(absolute, (SIGNED,)),
            OpSample(absolute, (np.array([0.0, -1.0]),), "at-zero", (np.array([0.0, -1.0]),)),
        ]


@dataclass(frozen=True)
class Sign(Elementwise):
    """y = -1, 0 or 1 as x is negative, zero or positive; its derivative is 0 everywhere"""

    takes = NUMBERS

    def reference(self, *arrays: Array) -> Array:
        return np.sign(arrays[0])

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return (None,)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        (x,) = tensors
        return torch.where(x != x, x, torch.sign(x))  # PyTorch's sign of a NaN is 0

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(sign, (SIGNED,)), OpSample(sign, (np.array([0.0, 2.0]),), "at-zero", (np.zeros(2),))]


@dataclass(frozen=True)
class Erf(Elementwise):
    """y = 2/sqrt(pi) * integral from 0 to x of e^(-t^2) dt"""

    takes = FLOATS

    def reference(self, *arrays: Array) -> Array:
        from scipy.special import erf as scipy_erf

        return np.asarray(scipy_erf(arrays[0]))

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        x = node.inputs[0]
        return (exp(-x * x) * (2 / np.pi**0.5),)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.erf(tensors[0])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(erf, (SIGNED,))]


@operator
def add(a: Any, b: Any) -> Tensor:
    """a + b"""
    return apply(Add(), *as_tensors(a, b))


@operator
def subtract(a: Any, b: Any) -> Tensor:
    """a - b"""
    return apply(Subtract(), *as_tensors(a, b))


@operator
def multiply(a: Any, b: Any) -> Tensor:
    """a * b"""
    return apply(Multiply(), *as_tensors(a, b))


@operator
def divide(a: Any, b: Any) -> Tensor:
    """a / b, for floating tensors"""
    return apply(Divide(), *as_tensors(a, b))


@operator
def power(a: Any, b: Any) -> Tensor:
    """a ** b"""
    return apply(Power(), *as_tensors(a, b))


@operator
def negative(x: Any) -> Tensor:
    """-x"""
    return apply(Negative(), *as_tensors(x))


def exp(x: Any) -> Tensor:
    """e^x"""
    return apply(Exp(), *as_tensors(x))


def expm1(x: Any) -> Tensor:
    """e^x - 1, exact near 0"""
    return apply(Expm1(), *as_tensors(x))


def log(x: Any) -> Tensor:
    """Natural logarithm"""
    return apply(Log(), *as_tensors(x))


def log1p(x: Any) -> Tensor:
    """log(1 + x), exact near 0"""
    return apply(Log1p(), *as_tensors(x))


def sqrt(x: Any) -> Tensor:
    """Square root"""
    return apply(Sqrt(), *as_tensors(x))


@operator
def absolute(x: Any) -> Tensor:
    """|x|; the derivative at 0 is 0"""
    return apply(Absolute(), *as_tensors(x))


def sign(x: Any) -> Tensor:
    """-1, 0 or 1"""
    return apply(Sign(), *as_tensors(x))


def erf(x: Any) -> Tensor:
    """The error function"""
    return apply(Erf(), *as_tensors(x))
