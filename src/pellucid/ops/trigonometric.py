"""Trigonometric and hyperbolic functions, and their inverses."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from pellucid.graph import Tensor, apply, as_tensors
from pellucid.op import FLOATS, Array, OpSample, composite
from pellucid.ops.broadcasting import SIGNED, Elementwise
from pellucid.ops.elementwise import exp, expm1, log, sqrt

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Sin(Elementwise):
    """y = sin x"""

    takes = FLOATS

    def reference(self, *arrays: Array) -> Array:
        return np.sin(arrays[0])

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return (cos(node.inputs[0]),)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.sin(tensors[0])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(sin, (SIGNED,))]


@dataclass(frozen=True)
class Cos(Elementwise):
    """y = cos x"""

    takes = FLOATS

    def reference(self, *arrays: Array) -> Array:
        return np.cos(arrays[0])

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        return (-sin(node.inputs[0]),)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.cos(tensors[0])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(cos, (SIGNED,))]


@dataclass(frozen=True)
class Atan(Elementwise):
    """y = the angle in (-pi/2, pi/2) whose tangent is x"""

    takes = FLOATS

    def reference(self, *arrays: Array) -> Array:
        return np.arctan(arrays[0])

    def derivatives(self, node: Tensor) -> tuple[Any, ...]:
        x = node.inputs[0]
        return (1 / (1 + x * x),)

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return torch.atan(tensors[0])

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(atan, (SIGNED,))]


def sin(x: Any) -> Tensor:
    """The sine of x radians"""
    return apply(Sin(), *as_tensors(x))


def cos(x: Any) -> Tensor:
    """The cosine of x radians"""
    return apply(Cos(), *as_tensors(x))


def atan(x: Any) -> Tensor:
    """The angle whose tangent is x"""
    return apply(Atan(), *as_tensors(x))


def _checked_on(values: Array) -> Callable[[F], F]:
    """Register a composite of one argument that PyTorch knows under the same name."""

    def register(function: F) -> F:
        name = function.__name__
        return composite(lambda: [OpSample(function, (values,))], lambda torch, x: getattr(torch, name)(x))(function)

    return register


_INSIDE = SIGNED / 2.5


@_checked_on(_INSIDE)
def tan(x: Any) -> Tensor:
    """y = sin x / cos x"""
    (x,) = as_tensors(x)
    return sin(x) / cos(x)


@_checked_on(_INSIDE)
def asin(x: Any) -> Tensor:
    """y = the angle in [-pi/2, pi/2] whose sine is x"""
    (x,) = as_tensors(x)
    return atan(x / sqrt((1.0 - x) * (1.0 + x)))


@_checked_on(_INSIDE)
def acos(x: Any) -> Tensor:
    """y = the angle in [0, pi] whose cosine is x"""
    (x,) = as_tensors(x)
    return math.pi / 2 - asin(x)


@_checked_on(SIGNED)
def sinh(x: Any) -> Tensor:
    """y = (e^x - e^(-x)) / 2"""
    (x,) = as_tensors(x)
    return (expm1(x) - expm1(-x)) * 0.5


@_checked_on(SIGNED)
def cosh(x: Any) -> Tensor:
    """y = (e^x + e^(-x)) / 2"""
    (x,) = as_tensors(x)
    return (exp(x) + exp(-x)) * 0.5


@_checked_on(SIGNED)
def asinh(x: Any) -> Tensor:
    """y = log(x + sqrt(x^2 + 1))"""
    (x,) = as_tensors(x)
    return log(x + sqrt(x * x + 1.0))


@_checked_on(np.abs(SIGNED) + 1.1)
def acosh(x: Any) -> Tensor:
    """y = log(x + sqrt(x^2 - 1))"""
    (x,) = as_tensors(x)
    return log(x + sqrt(x * x - 1.0))


@_checked_on(_INSIDE)
def atanh(x: Any) -> Tensor:
    """y = log((1 + x) / (1 - x)) / 2"""
    (x,) = as_tensors(x)
    return log((1.0 + x) / (1.0 - x)) * 0.5
