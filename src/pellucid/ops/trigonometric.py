"""Trigonometric and hyperbolic functions, and their inverses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.graph import Tensor, apply, as_tensors
from pellucid.op import OpSample, composite
from pellucid.ops.broadcasting import SIGNED, Function
from pellucid.ops.elementwise import sqrt

_INSIDE = SIGNED / 2.5


@dataclass(frozen=True)
class Sin(Function):
    """y = sin x"""

    numpy = np.sin

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return (cos(node.inputs[0]),)


@dataclass(frozen=True)
class Cos(Function):
    """y = cos x"""

    numpy = np.cos

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return (-sin(node.inputs[0]),)


@dataclass(frozen=True)
class Atan(Function):
    """y = the angle in (-pi/2, pi/2) whose tangent is x"""

    numpy = np.arctan

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        x = node.inputs[0]
        return (1 / (1 + x * x),)


@dataclass(frozen=True)
class Asin(Function):
    """y = the angle in [-pi/2, pi/2] whose sine is x"""

    numpy = np.arcsin
    places = (_INSIDE,)

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        x = node.inputs[0]
        return (1 / sqrt((1 - x) * (1 + x)),)


@dataclass(frozen=True)
class Acos(Function):
    """y = the angle in [0, pi] whose cosine is x"""

    numpy = np.arccos
    places = (_INSIDE,)

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        x = node.inputs[0]
        return (-1 / sqrt((1 - x) * (1 + x)),)


@dataclass(frozen=True)
class Sinh(Function):
    """y = (e^x - e^(-x)) / 2, exact near 0"""

    numpy = np.sinh
    places = (SIGNED, SIGNED * 1e-9)

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return (cosh(node.inputs[0]),)


@dataclass(frozen=True)
class Cosh(Function):
    """y = (e^x + e^(-x)) / 2"""

    numpy = np.cosh

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return (sinh(node.inputs[0]),)


@dataclass(frozen=True)
class Asinh(Function):
    """y = log(x + sqrt(x^2 + 1)), exact near 0"""

    numpy = np.arcsinh
    places = (SIGNED, SIGNED * 1e-9, SIGNED * 100)

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        x = node.inputs[0]
        return (1 / sqrt(x * x + 1),)


@dataclass(frozen=True)
class Acosh(Function):
    """y = log(x + sqrt(x^2 - 1))"""

    numpy = np.arccosh
    places = (np.abs(SIGNED) + 1.1,)

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        x = node.inputs[0]
        return (1 / (sqrt(x - 1) * sqrt(x + 1)),)


@dataclass(frozen=True)
class Atanh(Function):
    """y = log((1 + x) / (1 - x)) / 2, exact near 0"""

    numpy = np.arctanh
    places = (_INSIDE, SIGNED * 1e-9)

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        x = node.inputs[0]
        return (1 / ((1 - x) * (1 + x)),)


def sin(x: Any) -> Tensor:
    """The sine of x radians"""
    return apply(Sin(), *as_tensors(x))


def cos(x: Any) -> Tensor:
    """The cosine of x radians"""
    return apply(Cos(), *as_tensors(x))


def atan(x: Any) -> Tensor:
    """The angle whose tangent is x"""
    return apply(Atan(), *as_tensors(x))


@composite(lambda: [OpSample(tan, (_INSIDE,))], lambda torch, x: torch.tan(x))
def tan(x: Any) -> Tensor:
    """y = sin x / cos x"""
    (x,) = as_tensors(x)
    return sin(x) / cos(x)


def sinh(x: Any) -> Tensor:
    """(e^x - e^(-x)) / 2"""
    return apply(Sinh(), *as_tensors(x))


def cosh(x: Any) -> Tensor:
    """(e^x + e^(-x)) / 2"""
    return apply(Cosh(), *as_tensors(x))


def asin(x: Any) -> Tensor:
    """The angle in [-pi/2, pi/2] whose sine is x"""
    return apply(Asin(), *as_tensors(x))


def acos(x: Any) -> Tensor:
    """The angle in [0, pi] whose cosine is x"""
    return apply(Acos(), *as_tensors(x))


def asinh(x: Any) -> Tensor:
    """log(x + sqrt(x^2 + 1)), of which sinh is x"""
    return apply(Asinh(), *as_tensors(x))


def acosh(x: Any) -> Tensor:
    """log(x + sqrt(x^2 - 1)), of which cosh is x"""
    return apply(Acosh(), *as_tensors(x))


def atanh(x: Any) -> Tensor:
    """log((1 + x) / (1 - x)) / 2, of which tanh is x"""
    return apply(Atanh(), *as_tensors(x))
