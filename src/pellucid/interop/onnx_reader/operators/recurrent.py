"""Recurrent layers: LSTM, GRU and RNN."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from pellucid import ops
from pellucid.graph import Tensor
from pellucid.interop.onnx_reader.operators.registry import Call, operator
from pellucid.ops.cells import ACTIVATIONS, NUM_GATES, NUMBERS, USUAL, Activation, Cell
from pellucid.ops.recurrent import Direction, recurrent

_GATES = {"lstm": "iofc", "gru": "zrh", "rnn": "h"}
"""The order in which the rows of the weights stand."""
_DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}


@operator("LSTM", weights=(1, 2, 3, 7), settings=(4,))
def lstm(
    call: Call,
    x: Tensor,
    weight: Tensor,
    recurrent_weight: Tensor,
    bias: Tensor | None = None,
    lengths: Tensor | None = None,
    state: Tensor | None = None,
    cell_state: Tensor | None = None,
    peepholes: Tensor | None = None,
) -> tuple[Tensor | None, ...]:
    """The states of an LSTM after each step, its last state and its last cell state"""
    parts = {"state": state, "cell_state": cell_state, "peepholes": peepholes}
    return _recurrent(call, x, weight, recurrent_weight, bias, lengths, parts)


@operator("GRU", "RNN", weights=(1, 2, 3), settings=(4,))
def gru(
    call: Call,
    x: Tensor,
    weight: Tensor,
    recurrent_weight: Tensor,
    bias: Tensor | None = None,
    lengths: Tensor | None = None,
    state: Tensor | None = None,
) -> tuple[Tensor | None, ...]:
    """The states of a GRU or a simple recurrent layer after each step, and its last state"""
    return _recurrent(call, x, weight, recurrent_weight, bias, lengths, {"state": state})


def _recurrent(
    call: Call,
    x: Tensor,
    weight: Tensor,
    recurrent_weight: Tensor,
    bias: Tensor | None,
    lengths: Tensor | None,
    parts: dict[str, Tensor | None],
) -> tuple[Tensor | None, ...]:
    kind = call.node.kind.lower()
    backwards = _DIRECTIONS.get(call["direction"])
    if backwards is None:
        raise call.error(f"direction must be one of {', '.join(_DIRECTIONS)}, got {call['direction']!r}")
    if any(t.ndim != 3 or t.shape[0] != len(backwards) for t in (weight, recurrent_weight)):
        raise call.error(
            f"{call['direction']} wants weights of {len(backwards)} directions, got {weight.shape} and {recurrent_weight.shape}"
        )
    rows = NUM_GATES[kind] * recurrent_weight.shape[2]
    hidden = call["hidden_size"]
    if hidden is not None and hidden != recurrent_weight.shape[2]:
        raise call.error(f"hidden_size is {hidden}, its recurrent weight is {recurrent_weight.shape}")
    if bias is not None and bias.shape != (len(backwards), 2 * rows):
        raise call.error(f"its bias must have shape {(len(backwards), 2 * rows)}, got {bias.shape}")
    batch_first = bool(call["layout"])
    if batch_first:
        x = ops.transpose(x, (1, 0, 2))
        parts = {n: ops.transpose(t, (1, 0, 2)) if t is not None and t.ndim == 3 else t for n, t in parts.items()}
    for name, tensor in parts.items():
        if tensor is not None and tensor.shape[:1] != (len(backwards),):
            raise call.error(f"its {name.replace('_', ' ')} must be of {len(backwards)} directions, got {tensor.shape}")
    clip = call["clip"] or math.inf
    coupled, reset_after = (bool(call.node.attributes.get(n)) for n in ("input_forget", "linear_before_reset"))
    cell = Cell(kind, _GATES[kind], float(clip), coupled, reset_after)
    directions = [
        Direction(
            _one(weight, number),
            _one(recurrent_weight, number),
            None if bias is None else _one(bias, number)[:rows],
            None if bias is None else _one(bias, number)[rows:],
            activations=functions,
            backwards=back,
            **{name: None if tensor is None else _one(tensor, number) for name, tensor in parts.items()},
        )
        for number, (functions, back) in enumerate(zip(_activations(call, len(backwards)), backwards, strict=True))
    ]
    y, *last = recurrent(cell, x, directions, lengths)
    if batch_first:
        y = ops.transpose(y, (2, 0, 1, 3))
        last = [t if t is None else ops.transpose(t, (1, 0, 2)) for t in last]
    return (y, *last)


def _one(tensor: Tensor, number: int) -> Tensor:
    """What belongs to one direction."""
    return tensor[number] if tensor.shape[0] > 1 else ops.reshape(tensor, tensor.shape[1:])


def _activations(call: Call, directions: int) -> list[tuple[Activation, ...]]:
    """The activations of each direction; those that take numbers take the next that are given."""
    usual = tuple(activation.name for activation in USUAL[call.node.kind.lower()])
    names = tuple(call["activations"] or usual * directions)
    if call.node.kind == "RNN":
        names = names[:directions]  # its default names those of two directions
    if len(names) != len(usual) * directions:
        raise call.error(f"wants {len(usual) * directions} activations, got {', '.join(names)}")
    given = {name.lower(): name for name in ACTIVATIONS}
    if unknown := [name for name in names if name.lower() not in given]:
        raise call.error(f"there is no activation {unknown[0]!r}; there are {', '.join(ACTIVATIONS)}")
    alphas, betas = (iter(call[f"activation_{which}"] or ()) for which in ("alpha", "beta"))
    own = [given[name.lower()] for name in names]
    made = [Activation(name, *_numbers(name, alphas, betas)) for name in own]
    return [tuple(made[at : at + len(usual)]) for at in range(0, len(made), len(usual))]


def _numbers(name: str, alphas: Iterator[float], betas: Iterator[float]) -> tuple[float, float]:
    """Alpha and beta of an activation, float32 as in the file: the next ones, else the usual; 0 where it has none."""
    alpha, beta = NUMBERS.get(name, (None, None))
    given = (0.0 if usual is None else next(values, usual) for usual, values in ((alpha, alphas), (beta, betas)))
    first, second = (float(np.float32(number)) for number in given)
    return first, second
