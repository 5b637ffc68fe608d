"""What a step of a recurrent layer computes, whatever its weights: the cell with its gates, and activations by name."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from pellucid.errors import unknown
from pellucid.graph import Tensor, apply
from pellucid.ops.activation import Sigmoid, Tanh, elu, leaky_relu, relu, softplus
from pellucid.ops.comparison import clip, where
from pellucid.ops.elementwise import absolute

ACTIVATIONS: dict[str, Callable[[Tensor, float, float], Tensor]] = {
    "Affine": lambda x, alpha, beta: x * alpha + beta,
    "Elu": lambda x, alpha, beta: elu(x, alpha),
    "HardSigmoid": lambda x, alpha, beta: clip(x * alpha + beta, 0.0, 1.0),
    "LeakyRelu": lambda x, alpha, beta: leaky_relu(x, alpha),
    "Relu": lambda x, alpha, beta: relu(x),
    "ScaledTanh": lambda x, alpha, beta: apply(Tanh(), x * beta) * alpha,
    "Sigmoid": lambda x, alpha, beta: apply(Sigmoid(), x),
    "Softplus": lambda x, alpha, beta: softplus(x),
    "Softsign": lambda x, alpha, beta: x / (absolute(x) + 1.0),
    "Tanh": lambda x, alpha, beta: apply(Tanh(), x),
    "ThresholdedRelu": lambda x, alpha, beta: where(x > alpha, x, 0.0),
}
"""By ONNX's names, functions of x and of the numbers alpha and beta, which most of them do not heed."""

NUMBERS: dict[str, tuple[float | None, float | None]] = {
    "Affine": (1.0, 0.0),
    "Elu": (1.0, None),
    "HardSigmoid": (0.2, 0.5),
    "LeakyRelu": (0.01, None),
    "ScaledTanh": (1.0, 1.0),
    "ThresholdedRelu": (1.0, None),
}
"""The usual alpha and beta of activations that have them."""

NUM_GATES = {"lstm": 4, "gru": 3, "rnn": 1}


@dataclass(frozen=True)
class Activation:
    """A function of `ACTIVATIONS` with its numbers."""

    name: str
    alpha: float = 0.0
    beta: float = 0.0

    def __call__(self, x: Tensor) -> Tensor:
        if self.name not in ACTIVATIONS:
            raise unknown("activation of a recurrent layer", self.name, ACTIVATIONS)
        return ACTIVATIONS[self.name](x, self.alpha, self.beta)


SIGMOID, TANH = Activation("Sigmoid"), Activation("Tanh")
USUAL: dict[str, tuple[Activation, ...]] = {"lstm": (SIGMOID, TANH, TANH), "gru": (SIGMOID, TANH), "rnn": (TANH,)}
"""The activations of gates, of candidates and, of an LSTM, of the cell."""


@dataclass(frozen=True)
class Cell:
    """What all steps of a recurrent layer do, whatever their weights.

    `gates` is the order in which the weights' rows stand: of an LSTM `i` input, `o` output, `f` forget, `c` candidate; of a
    GRU `z` update, `r` reset, `h` candidate; of an RNN `h`. What goes into an activation is kept within +-`clip`.
    `coupled`: an LSTM whose forget gate is 1 - the input gate. `reset_after`: a GRU that resets the product of state and
    weights, not the state.
    """

    kind: str
    gates: str
    clip: float = math.inf
    coupled: bool = False
    reset_after: bool = False

    def columns(self, gate: str, size: int) -> tuple[int, int]:
        """The first column of a gate in the product for all gates, and the one behind its last."""
        at = self.gates.index(gate) * size
        return at, at + size
