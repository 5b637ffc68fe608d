"""One step of each optimizer: from weight, gradient and state to their new values, as nodes of the graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.flags import flag
from pellucid.graph import Tensor, as_tensors
from pellucid.op import OpSample, composite
from pellucid.ops.elementwise import power, sqrt

_W = np.array([[0.5, -1.0], [2.0, 0.3]])
_G = np.array([[0.1, 0.4], [-0.2, 0.9]])
_S = np.array([[0.2, 0.1], [0.4, 0.3]])


def _sgd_samples() -> list[OpSample]:
    return [
        OpSample(lambda w, g: sgd(w, g, None, 0.1)[0], (_W, _G)),
        OpSample(lambda w, g, v: sgd(w, g, v, 0.1, momentum=0.9)[0], (_W, _G, _S), "momentum"),
        OpSample(lambda w, g, v: sgd(w, g, v, 0.1, 0.9, True, 0.01)[0], (_W, _G, _S), "nesterov-decay"),
    ]


def _sgd_oracle(torch: Any, w: Any, g: Any, v: Any = None, label: str = "") -> Any:
    if v is None:
        return w - 0.1 * g
    if label == "momentum":
        return w - 0.1 * (0.9 * v + g)
    decayed = g + 0.01 * w
    return w - 0.1 * (decayed + 0.9 * (0.9 * v + decayed))


@composite(_sgd_samples, oracle=_sgd_oracle)
def sgd(
    weight: Tensor,
    gradient: Tensor,
    velocity: Tensor | None,
    learning_rate: Any,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> tuple[Tensor, Tensor | None]:
    """g <- g + d w; v <- m v + g; w <- w - a v (Nesterov: w - a (g + m v)); gives the new (weight, velocity)"""
    nesterov = flag("sgd", "nesterov", nesterov)
    if weight_decay:
        gradient = gradient + weight * weight_decay
    if not momentum or velocity is None:
        return weight - gradient * learning_rate, None
    velocity = velocity * momentum + gradient
    step = gradient + velocity * momentum if nesterov else velocity
    return weight - step * learning_rate, velocity


def _rmsprop_samples() -> list[OpSample]:
    return [OpSample(lambda w, g, s: rmsprop(w, g, s, 0.1)[0], (_W, _G, _S))]


@composite(
    _rmsprop_samples,
    oracle=lambda torch, w, g, s: w - 0.1 * g / (torch.sqrt(0.99 * s + 0.01 * g * g) + 1e-8),
)
def rmsprop(
    weight: Tensor,
    gradient: Tensor,
    square: Tensor,
    learning_rate: Any,
    decay: float = 0.99,
    epsilon: float = 1e-8,
    weight_decay: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """s <- r s + (1 - r) g^2; w <- w - a g / (sqrt s + e); gives the new (weight, square) (Tieleman and Hinton 2012)"""
    if weight_decay:
        gradient = gradient + weight * weight_decay
    square = square * decay + gradient * gradient * (1 - decay)
    return weight - gradient * learning_rate / (sqrt(square) + epsilon), square


def _adam_samples() -> list[OpSample]:
    return [
        OpSample(lambda w, g, m, s: adam(w, g, m, s, 0.1, _step(w))[0], (_W, _G, _G * 0.5, _S)),
        OpSample(lambda w, g, m, s: adam(w, g, m, s, 0.1, _step(w), weight_decay=0.1)[0], (_W, _G, _G, _S), "decay"),
    ]


def _step(w: Tensor) -> Tensor:
    (step,) = as_tensors(np.array(3.0, w.dtype))
    return step


def _adam_oracle(torch: Any, w: Any, g: Any, m: Any, s: Any, label: str = "") -> Any:
    if label == "decay":
        g = g + 0.1 * w
    m, s = 0.9 * m + 0.1 * g, 0.999 * s + 0.001 * g * g
    return w - 0.1 * (m / (1 - 0.9**3)) / (torch.sqrt(s / (1 - 0.999**3)) + 1e-8)


@composite(_adam_samples, oracle=_adam_oracle)
def adam(
    weight: Tensor,
    gradient: Tensor,
    mean: Tensor,
    square: Tensor,
    learning_rate: Any,
    step: Tensor,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    weight_decay: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """m <- b1 m + (1-b1) g; s <- b2 s + (1-b2) g^2; w <- w - a m^ / (sqrt s^ + e), with m^ = m/(1-b1^t), s^ = s/(1-b2^t)

    `step` t is a floating scalar that counts from 1. Gives the new (weight, mean, square) (Kingma and Ba 2015).
    """
    if weight_decay:
        gradient = gradient + weight * weight_decay
    mean = mean * beta1 + gradient * (1 - beta1)
    square = square * beta2 + gradient * gradient * (1 - beta2)
    rate = learning_rate / (1 - power(beta1, step))
    return weight - mean * rate / (sqrt(square / (1 - power(beta2, step))) + epsilon), mean, square


def _adamw_samples() -> list[OpSample]:
    return [OpSample(lambda w, g, m, s: adamw(w, g, m, s, 0.1, _step(w))[0], (_W, _G, _G * 0.5, _S))]


@composite(_adamw_samples, oracle=lambda torch, w, g, m, s: _adam_oracle(torch, w, g, m, s) - 0.1 * 0.01 * w)
def adamw(
    weight: Tensor,
    gradient: Tensor,
    mean: Tensor,
    square: Tensor,
    learning_rate: Any,
    step: Tensor,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    weight_decay: float = 0.01,
) -> tuple[Tensor, Tensor, Tensor]:
    """Adam's step, and w <- w - a d w apart from it (Loshchilov and Hutter 2019); gives the new (weight, mean, square)"""
    new, mean, square = adam(weight, gradient, mean, square, learning_rate, step, beta1, beta2, epsilon)
    return new - weight * (learning_rate * weight_decay), mean, square
