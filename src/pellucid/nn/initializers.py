"""How parameters start: each function gives an initializer `(shape, generator) -> array`.

Fans follow the layouts (O, I) and (O, I, kh, kw): fan_in = I * kh * kw, fan_out = O * kh * kw.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from pellucid.errors import GraphError, unknown
from pellucid.graph import Initializer
from pellucid.op import Array, Shape
from pellucid.real_numbers import real

_GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}


def gain(nonlinearity: str, slope: float = 0.01) -> float:
    """Factor that keeps the variance of activations through `nonlinearity`."""
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + real("gain", "slope", slope) ** 2))
    if nonlinearity not in _GAINS:
        raise unknown("nonlinearity", nonlinearity, [*_GAINS, "leaky_relu"])
    return _GAINS[nonlinearity]


def fans(shape: Shape) -> tuple[int, int]:
    """(fan_in, fan_out): inputs that make one output, and outputs that one input goes to."""
    if len(shape) < 2:
        raise GraphError(f"fans are defined for two axes or more, got shape {shape}")
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def constant(value: float) -> Initializer:
    """Every element `value`."""
    return partial(_constant, real("constant", "value", value, infinite=True))


def zeros() -> Initializer:
    """Every element 0."""
    return constant(0.0)


def ones() -> Initializer:
    """Every element 1."""
    return constant(1.0)


def normal(mean: float = 0.0, std: float = 1.0) -> Initializer:
    """Gaussian."""
    return partial(_normal, real("normal", "mean", mean), real("normal", "std", std, 0))


def uniform(low: float = 0.0, high: float = 1.0) -> Initializer:
    """Uniform in [low, high)."""
    return partial(_between, real("uniform", "low", low), real("uniform", "high", high))


def truncated_normal(std: float = 1.0, bound: float = 2.0) -> Initializer:
    """Gaussian, drawn again where it falls more than `bound` standard deviations away from 0."""
    std, bound = real("truncated_normal", "std", std, 0), real("truncated_normal", "bound", bound, 0, infinite=True)
    if bound == 0:
        raise GraphError("truncated_normal: bound must be above 0, or nothing can be drawn")
    return partial(_truncated_normal, std, bound)


def kaiming_uniform(nonlinearity: str = "relu", slope: float = 0.01) -> Initializer:
    """Uniform in +-gain * sqrt(3 / fan_in) (He et al. 2015)."""
    return partial(_kaiming_uniform, nonlinearity, real("kaiming_uniform", "slope", slope))


def kaiming_normal(nonlinearity: str = "relu", slope: float = 0.01, mode: str = "fan_in") -> Initializer:
    """Gaussian of standard deviation gain / sqrt(fan) (He et al. 2015)."""
    if mode not in ("fan_in", "fan_out"):
        raise unknown("mode", mode, ["fan_in", "fan_out"])
    return partial(_kaiming_normal, nonlinearity, real("kaiming_normal", "slope", slope), mode)


def xavier_uniform(nonlinearity: str = "linear") -> Initializer:
    """Uniform in +-gain * sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    return partial(_xavier_uniform, nonlinearity)


def xavier_normal(nonlinearity: str = "linear") -> Initializer:
    """Gaussian of standard deviation gain * sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    return partial(_xavier_normal, nonlinearity)


def orthogonal(scale: float = 1.0) -> Initializer:
    """Rows (or columns, if fewer) orthonormal, times `scale` (Saxe et al. 2014)."""
    return partial(_orthogonal, real("orthogonal", "scale", scale))


def fan_in_uniform(fan_in: int) -> Initializer:
    """Uniform in +-1 / sqrt(fan_in): PyTorch's start for weights and biases of linear and convolution layers."""
    return partial(_fan_in_uniform, fan_in)


# what the initializers do: functions of the module, so that a network can be pickled


def _constant(value: float, shape: Shape, generator: np.random.Generator) -> Array:
    return np.full(shape, value)


def _normal(mean: float, std: float, shape: Shape, generator: np.random.Generator) -> Array:
    return generator.standard_normal(shape, np.float32) * std + mean


def _between(low: float, high: float, shape: Shape, generator: np.random.Generator) -> Array:
    return generator.random(shape, np.float32) * (high - low) + low


def _truncated_normal(std: float, bound: float, shape: Shape, generator: np.random.Generator) -> Array:
    values = generator.standard_normal(shape)
    outside = np.abs(values) > bound
    while outside.any():
        values[outside] = generator.standard_normal(int(outside.sum()))
        outside = np.abs(values) > bound
    return values * std


def _kaiming_uniform(nonlinearity: str, slope: float, shape: Shape, generator: np.random.Generator) -> Array:
    return _uniform(shape, generator, gain(nonlinearity, slope) * math.sqrt(3 / fans(shape)[0]))


def _kaiming_normal(nonlinearity: str, slope: float, mode: str, shape: Shape, generator: np.random.Generator) -> Array:
    fan = fans(shape)[mode == "fan_out"]
    return generator.standard_normal(shape, np.float32) * (gain(nonlinearity, slope) / math.sqrt(fan))


def _xavier_uniform(nonlinearity: str, shape: Shape, generator: np.random.Generator) -> Array:
    return _uniform(shape, generator, gain(nonlinearity) * math.sqrt(6 / sum(fans(shape))))


def _xavier_normal(nonlinearity: str, shape: Shape, generator: np.random.Generator) -> Array:
    return generator.standard_normal(shape, np.float32) * (gain(nonlinearity) * math.sqrt(2 / sum(fans(shape))))


def _orthogonal(scale: float, shape: Shape, generator: np.random.Generator) -> Array:
    rows, columns = shape[0], math.prod(shape[1:])
    tall = generator.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diag(r))
    return (q if rows >= columns else q.T).reshape(shape) * scale


def _fan_in_uniform(fan_in: int, shape: Shape, generator: np.random.Generator) -> Array:
    return _uniform(shape, generator, 1 / math.sqrt(max(fan_in, 1)))


def _uniform(shape: Shape, generator: np.random.Generator, bound: float) -> Array:
    return generator.random(shape, np.float32) * (2 * bound) - bound
