"""Optimizers by name: which state each keeps per weight, and the update nodes it adds to the graph."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pellucid import ops
from pellucid.errors import PellucidError, unknown
from pellucid.graph import Parameter, Tensor
from pellucid.nn.initializers import zeros
from pellucid.scopes import scope

Update = Callable[[Tensor, Tensor, tuple[Tensor, ...], Tensor, Tensor, "Optimizer"], tuple[Tensor, ...]]

SHARED = ("weight_decay", "clip_norm", "clip_value")
"""Settings of every optimizer."""


class OptimizerError(PellucidError, ValueError):
    """An optimizer's setting lies outside of its range."""


@dataclass(frozen=True)
class Optimizer:
    """An optimizer's settings. `weight_decay` is added to the gradient, or with AdamW taken from the weight.

    With `clip_norm` a gradient whose norm, over all weights together, is larger is made as short as that; with
    `clip_value` every element of it is brought between that and its negative. 0 leaves it as it is. `decay` is RMSprop's
    share of the old squares, `beta1` and `beta2` are Adam's shares of the old mean and squares, and `epsilon` is added to
    the root of those.
    """

    name: str = "adam"
    weight_decay: float = 0.0
    momentum: float = 0.9
    clip_norm: float = 0.0
    clip_value: float = 0.0
    decay: float = 0.99
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        if self.name not in _RULES:
            raise unknown("optimizer", self.name, _RULES)
        if not 0 <= self.weight_decay < math.inf or not 0 <= self.momentum < 1:
            raise OptimizerError(
                "optimizer: weight_decay must be finite and not negative and momentum lie in [0, 1), "
                f"got {self.weight_decay} and {self.momentum}"
            )
        for name in ("decay", "beta1", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise OptimizerError(f"{name} must lie in [0, 1), got {getattr(self, name)}")
        if not 0 < self.epsilon < math.inf:
            raise OptimizerError(f"epsilon must be a positive number, got {self.epsilon}")
        for name in ("clip_norm", "clip_value"):
            if not 0 <= getattr(self, name) < math.inf:
                raise OptimizerError(f"{name} must be a positive number, or 0 for none, got {getattr(self, name)}")
        if self.clip_norm and self.clip_value:
            raise OptimizerError("clip_norm and clip_value are two ways to clip gradients; give one of them")

    @property
    def default_learning_rate(self) -> float:
        """A rate that works for small networks."""
        return _RULES[self.name][2]

    @property
    def own_settings(self) -> tuple[str, ...]:
        """The settings that its step heeds: its own, and those of all."""
        return (*_RULES[self.name][3], *SHARED)

    def state(self, parameters: Sequence[Parameter]) -> list[tuple[Parameter, ...]]:
        """Fresh state for each parameter, named `optimizer/<what>/<parameter>`."""
        kinds = _RULES[self.name][0]
        return [
            tuple(Parameter(p.shape, zeros(), p.dtype, f"optimizer/{kind}/{p.name}", trainable=False) for kind in kinds)
            for p in parameters
        ]

    def clipped(self, gradients: Sequence[Tensor], norm: Tensor) -> list[Tensor]:
        """Gradients, whose norm over all of them is `norm`, as the weights are changed by (as PyTorch clips them)."""
        if self.clip_norm:
            with scope("clip"):
                share = ops.minimum(self.clip_norm / (norm + 1e-6), 1.0)
                return [gradient * share for gradient in gradients]
        if self.clip_value:
            with scope("clip"):
                return [ops.clip(gradient, -self.clip_value, self.clip_value) for gradient in gradients]
        return list(gradients)

    def updates(
        self,
        parameters: Sequence[Parameter],
        gradients: Sequence[Tensor],
        state: Sequence[tuple[Parameter, ...]],
        learning_rate: Tensor,
        step: Tensor,
        factors: Sequence[float] | None = None,
    ) -> dict[Parameter, Tensor]:
        """New values of parameters and state; `step` is a floating scalar that counts from 1.

        `factors` multiply the learning rate, one for each parameter.
        """
        each = factors or [1.0] * len(parameters)
        rates = {factor: learning_rate if factor == 1 else learning_rate * factor for factor in each}
        new: dict[Parameter, Tensor] = {}
        for parameter, gradient, kept, factor in zip(parameters, gradients, state, each, strict=True):
            with scope(f"update/{parameter.name}"):
                values = _RULES[self.name][1](parameter, gradient, kept, rates[factor], step, self)
            new.update(zip((parameter, *kept), values, strict=True))
        return new


def _sgd(w: Tensor, g: Tensor, s: tuple[Tensor, ...], rate: Tensor, t: Tensor, o: Optimizer) -> tuple[Tensor, ...]:
    new, _ = ops.sgd(w, g, None, rate, weight_decay=o.weight_decay)
    return (new,)


def _momentum(w: Tensor, g: Tensor, s: tuple[Tensor, ...], rate: Tensor, t: Tensor, o: Optimizer) -> tuple[Tensor, ...]:
    return _moving(w, g, s, rate, o, nesterov=False)


def _nesterov(w: Tensor, g: Tensor, s: tuple[Tensor, ...], rate: Tensor, t: Tensor, o: Optimizer) -> tuple[Tensor, ...]:
    return _moving(w, g, s, rate, o, nesterov=True)


def _moving(
    w: Tensor, g: Tensor, s: tuple[Tensor, ...], rate: Tensor, o: Optimizer, nesterov: bool
) -> tuple[Tensor, ...]:
    new, velocity = ops.sgd(w, g, s[0], rate, o.momentum, nesterov, o.weight_decay)
    return (new, s[0] if velocity is None else velocity)


def _rmsprop(w: Tensor, g: Tensor, s: tuple[Tensor, ...], rate: Tensor, t: Tensor, o: Optimizer) -> tuple[Tensor, ...]:
    return ops.rmsprop(w, g, s[0], rate, o.decay, o.epsilon, o.weight_decay)


def _adam(w: Tensor, g: Tensor, s: tuple[Tensor, ...], rate: Tensor, t: Tensor, o: Optimizer) -> tuple[Tensor, ...]:
    return ops.adam(w, g, s[0], s[1], rate, t, o.beta1, o.beta2, o.epsilon, o.weight_decay)


def _adamw(w: Tensor, g: Tensor, s: tuple[Tensor, ...], rate: Tensor, t: Tensor, o: Optimizer) -> tuple[Tensor, ...]:
    return ops.adamw(w, g, s[0], s[1], rate, t, o.beta1, o.beta2, o.epsilon, o.weight_decay)


_RULES: dict[str, tuple[tuple[str, ...], Update, float, tuple[str, ...]]] = {
    "sgd": ((), _sgd, 0.1, ()),
    "momentum": (("velocity",), _momentum, 0.02, ("momentum",)),
    "nesterov": (("velocity",), _nesterov, 0.02, ("momentum",)),
    "rmsprop": (("square",), _rmsprop, 1e-3, ("decay", "epsilon")),
    "adam": (("mean", "square"), _adam, 2e-3, ("beta1", "beta2", "epsilon")),
    "adamw": (("mean", "square"), _adamw, 2e-3, ("beta1", "beta2", "epsilon")),
}
"""By name: what is kept of each weight, the update, a rate that works for small networks, and the settings of its own."""


def names() -> list[str]:
    """Every optimizer by name."""
    return sorted(_RULES)
