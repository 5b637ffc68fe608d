"""Recurrent layers, and sums of products over named axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pellucid import ops
from pellucid.graph import Tensor
from pellucid.interop.torch_module.aten.registry import aten, require
from pellucid.nn.layers.recurrent import stacked, torch_cell
from pellucid.op import Shape
from pellucid.ops.cells import Activation


@aten("einsum.default")
def einsum(equation: str, operands: Sequence[Tensor], path: Any = None) -> Tensor:
    return ops.einsum(equation, *operands)


@aten("lstm.input", random=True)
def lstm(x: Tensor, states: Sequence[Tensor], parameters: Sequence[Tensor], *settings: Any, **named: Any) -> Any:
    """(y, the last states, the last cell states)"""
    return _layers("lstm", x, states, parameters, (), *settings, **named)


@aten("gru.input", random=True)
def gru(x: Tensor, state: Tensor, parameters: Sequence[Tensor], *settings: Any, **named: Any) -> Any:
    """(y, the last states)"""
    return _layers("gru", x, [state], parameters, (), *settings, **named)


@aten("rnn_tanh.input", random=True)
def rnn_tanh(x: Tensor, state: Tensor, parameters: Sequence[Tensor], *settings: Any, **named: Any) -> Any:
    """(y, the last states)"""
    return _layers("rnn", x, [state], parameters, (Activation("Tanh"),), *settings, **named)


@aten("rnn_relu.input", random=True)
def rnn_relu(x: Tensor, state: Tensor, parameters: Sequence[Tensor], *settings: Any, **named: Any) -> Any:
    """(y, the last states)"""
    return _layers("rnn", x, [state], parameters, (Activation("Relu"),), *settings, **named)


def _layers(
    kind: str,
    x: Tensor,
    states: Sequence[Tensor],
    parameters: Sequence[Tensor],
    activations: tuple[Activation, ...],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
    draw: Callable[[Shape], Tensor],
) -> tuple[Tensor, ...]:
    directions = 2 if bidirectional else 1
    each = len(parameters) // (num_layers * directions)
    groups = [parameters[at : at + each] for at in range(0, len(parameters), each)]
    weights = [groups[at : at + directions] for at in range(0, len(groups), directions)]
    require(each in ((4, 5) if has_biases else (2, 3)), f"{kind} with {each} weights for each direction")

    def dropped(x: Tensor) -> Tensor:
        kept = draw(x.shape) >= dropout
        return ops.where(kept, x * (1 / (1 - dropout)), 0.0)

    between = dropped if train and dropout > 0 else lambda x: x
    x = ops.transpose(x, (1, 0, 2)) if batch_first else x
    y, last = stacked(torch_cell(kind), x, weights, states, between, activations)
    return (ops.transpose(y, (1, 0, 2)) if batch_first else y, *last)
