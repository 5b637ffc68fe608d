"""Recurrent layers, unrolled: each step of the sequence is a group of ordinary nodes, such as `lstm1/step3/forget`.

What a number came from is then followed through time as through layers, and gradients go back the same way. One
product with the weights of the input serves all steps, one product with those of the state all gates of a step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.errors import DTypeError, ShapeError, unknown
from pellucid.graph import Call, Constant, Tensor, apply, constant
from pellucid.op import OpSample, composite
from pellucid.ops.activation import Sigmoid, Tanh, elu, leaky_relu, relu, softplus
from pellucid.ops.comparison import Less, Where, clip, where
from pellucid.ops.elementwise import Add, Multiply, Subtract, absolute
from pellucid.ops.indexing import Slice
from pellucid.ops.linear import Matmul, linear
from pellucid.ops.shape import Concat, Reshape, Transpose, broadcast_to, reshape, transpose
from pellucid.scopes import qualified, scope

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
USUAL = {"lstm": (SIGMOID, TANH, TANH), "gru": (SIGMOID, TANH), "rnn": (TANH,)}
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


@dataclass(frozen=True, eq=False)
class Direction:
    """The weights of one direction for inputs of I features, H hidden units and G gates, and how it starts.

    `weight` (G * H, I), `recurrent_weight` (G * H, H), `bias` and `recurrent_bias` (G * H,), `peepholes` (3 * H,) for the
    input, output and forget gate of an LSTM, the first `state` and `cell_state` (N, H), which are 0 where left out.
    """

    weight: Tensor
    recurrent_weight: Tensor
    bias: Tensor | None = None
    recurrent_bias: Tensor | None = None
    peepholes: Tensor | None = None
    state: Tensor | None = None
    cell_state: Tensor | None = None
    activations: tuple[Activation, ...] = ()
    backwards: bool = False

    def tensors(self) -> dict[str, Tensor]:
        """What it has, by name."""
        return {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}


@dataclass(frozen=True)
class RecurrentSettings:
    """Everything that a recurrent layer is told besides tensors: of each direction its activations and whether it runs backwards."""

    cell: Cell
    directions: tuple[tuple[tuple[Activation, ...], bool], ...]


def recurrent(
    cell: Cell, x: Tensor, directions: Sequence[Direction], lengths: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """The states of D directions after each step (T, D, N, H), and the last state and cell state (D, N, H) of each.

    x is (T, N, I). `lengths` (N,), int64, says how many steps of each sequence count: after them the states are 0, and the
    last ones stay; of a sequence without steps these are 0 too. A direction that runs backwards starts at the last step
    that counts. Only an LSTM has a cell state.
    """
    for direction in directions:
        _check(cell, x, direction, lengths)
    runs: list[_Run] = []
    for direction in directions:
        with scope(("reverse" if direction.backwards else "forward") if len(directions) > 1 else ""):
            runs.append(_Run(cell, x, direction, lengths))
    tensors = {f"{n}/{name}": t for n, d in enumerate(directions) for name, t in d.tensors().items()}
    given = {"x": x, **tensors, **({} if lengths is None else {"lengths": lengths})}
    settings = RecurrentSettings(cell, tuple((d.activations or USUAL[cell.kind], d.backwards) for d in directions))
    call = Call("recurrent", given, settings)
    steps, batch = x.shape[:2]
    hidden = directions[0].recurrent_weight.shape[1]
    every = [apply(Reshape((steps, 1, batch, hidden)), run.sequence()) for run in runs]
    last = [apply(Reshape((1, batch, hidden)), run.last_state) for run in runs]
    y, y_h = _joined(every, 1, "states"), _joined(last, 0, "last_state")
    if cell.kind != "lstm":
        return y.output_of(call, 0), y_h.output_of(call, 1), None
    cells = [apply(Reshape((1, batch, hidden)), run.last_cell_state) for run in runs]
    y_c = _joined(cells, 0, "last_cell_state")
    return y.output_of(call, 0), y_h.output_of(call, 1), y_c.output_of(call, 2)


def _joined(parts: Sequence[Tensor], axis: int, name: str) -> Tensor:
    return apply(Concat(axis), *parts, name=name) if len(parts) > 1 else parts[0]


def _check(cell: Cell, x: Tensor, direction: Direction, lengths: Tensor | None) -> None:
    """Raise unless the shapes and types fit together."""
    if x.ndim != 3 or not x.shape[0]:
        raise ShapeError(f"{cell.kind}: wants a sequence (T, N, I) of at least one step, got {x.shape} (from {x.name!r})")
    steps, batch, features = x.shape
    hidden = direction.recurrent_weight.shape[-1]
    rows = NUM_GATES[cell.kind] * hidden
    wanted = {
        "weight": (rows, features), "recurrent_weight": (rows, hidden), "bias": (rows,), "recurrent_bias": (rows,),
        "peepholes": (3 * hidden,), "state": (batch, hidden), "cell_state": (batch, hidden),
    }  # fmt: skip
    for name, value in direction.tensors().items():
        if value.shape != wanted[name]:
            raise ShapeError(
                f"{cell.kind}: {name.replace('_', ' ')} {value.name!r} must have shape {wanted[name]} for an input {x.shape} "
                f"and {hidden} hidden units, got {value.shape}"
            )
        if value.dtype != x.dtype:
            raise DTypeError(f"{cell.kind}: {value.name!r} is {value.dtype}, the input {x.name!r} is {x.dtype}; use pl.cast")
    if lengths is not None and (lengths.shape != (batch,) or lengths.dtype != "int64"):
        raise ShapeError(
            f"{cell.kind}: the lengths {lengths.name!r} must be int64 of shape ({batch},), got {lengths.dtype}{lengths.shape}"
        )


class _Run:
    """One direction: the way through the sequence, the state after each step, and what is left at the end."""

    def __init__(self, cell: Cell, x: Tensor, given: Direction, lengths: Tensor | None) -> None:
        self.cell, self.given, self.lengths = cell, given, lengths
        self.steps, self.batch, features = x.shape
        self.hidden = given.recurrent_weight.shape[1]
        self.activations = given.activations or USUAL[cell.kind]
        self.state, self.cell_state = given.state, given.cell_state
        self.dtype = x.dtype
        bias, self.recurrent_bias = given.bias, given.recurrent_bias
        if self.recurrent_bias is not None and not cell.reset_after:  # one bias for all
            bias = self.recurrent_bias if bias is None else bias + self.recurrent_bias
            self.recurrent_bias = None
        with scope("input"):
            self.projected = linear(reshape(x, (self.steps * self.batch, features)), given.weight, bias)
        self.recurrent_weight = apply(Transpose((1, 0)), given.recurrent_weight, name="recurrent_weight")
        self.peepholes: dict[str, Tensor] = {}
        if given.peepholes is not None:
            parts = (_columns(given.peepholes, k * self.hidden, (k + 1) * self.hidden) for k in range(3))
            self.peepholes = dict(zip("iof", parts, strict=True))
        self.outputs: dict[int, Tensor] = {}
        order = range(self.steps)
        for step in reversed(order) if given.backwards else order:
            with scope(f"step{step}"):
                self._step(step)
        self.last_state = self._unless_empty(self.state, given.state)
        self.last_cell_state = self._unless_empty(self.cell_state, given.cell_state)

    def sequence(self) -> Tensor:
        """The states after all steps (T * N, H)."""
        return apply(Concat(0), *(self.outputs[t] for t in range(self.steps)), name="sequence")

    def _zeros(self) -> Tensor:
        return broadcast_to(constant(0.0, self.dtype), (self.batch, self.hidden))

    def _unless_empty(self, last: Tensor | None, first: Tensor | None) -> Tensor:
        """The last state; zeros for sequences without steps."""
        if last is None:
            return self._zeros()
        counts = self._counts(0)
        if first is None or counts is True:
            return last
        return self._zeros() if counts is False else apply(Where(), counts, last, constant(0.0, self.dtype))

    def _step(self, step: int) -> None:
        counts = self._counts(step)
        if counts is False:
            self.outputs[step] = self._zeros()
            return
        before = self.state, self.cell_state
        start = step * self.batch
        projected = _rows(self.projected, start, start + self.batch)
        _STEPS[self.cell.kind](self, projected)
        assert self.state is not None
        self.outputs[step] = self.state
        if isinstance(counts, Tensor):
            self.outputs[step] = apply(Where(), counts, self.state, constant(0.0, self.dtype), name="counted")
            self.state = self._kept(counts, self.state, before[0], "kept_hidden")
            self.cell_state = self._kept(counts, self.cell_state, before[1], "kept_cell")

    def _counts(self, step: int) -> Tensor | bool:
        """Of which sequences a step counts (N, 1): of all, of none, or what is known when the program runs."""
        if self.lengths is None:
            return True
        if isinstance(self.lengths.op, Constant):
            mask = self.lengths.op.value > step
            return bool(mask.all()) if mask.all() or not mask.any() else constant(mask[:, None], name="counts")
        column = reshape(self.lengths, (self.batch, 1))
        return apply(Less(), constant(step, "int64"), column, name="counts")

    def _kept(self, counts: Tensor, new: Tensor | None, old: Tensor | None, name: str) -> Tensor | None:
        """The new state of the sequences whose step counts, the old one of the others."""
        if new is None:
            return None
        return apply(Where(), counts, new, constant(0.0, self.dtype) if old is None else old, name=name)

    def product(self, state: Tensor, gates: str) -> Tensor:
        """The state times the recurrent weights of some gates that stand side by side."""
        weight = self.recurrent_weight
        if gates != self.cell.gates:
            first, _ = self.cell.columns(gates[0], self.hidden)
            weight = _columns(weight, first, first + len(gates) * self.hidden)
        return apply(Matmul(), state, weight, name="from_state")

    def part(self, sums: Tensor, gate: str) -> Tensor:
        """What belongs to one gate of what was computed for all."""
        return _columns(sums, *self.cell.columns(gate, self.hidden))

    def activated(self, number: int, sums: Tensor, name: str) -> Tensor:
        """An activation of the cell, on what is kept within the cell's clip."""
        with scope(name):
            if self.cell.clip < math.inf:
                sums = clip(sums, -self.cell.clip, self.cell.clip)
            y = self.activations[number](sums)
        return y.named(qualified(name))

    def seeing(self, sums: Tensor, gate: str, cell_state: Tensor | None) -> Tensor:
        """A gate's sum with what it sees of the cell through its peephole."""
        peephole = self.peepholes.get(gate)
        return sums if peephole is None or cell_state is None else sums + peephole * cell_state


def _lstm_step(run: _Run, sums: Tensor) -> None:
    """c' = f * c + i * g, h' = o * tanh(c'), with gates i, f and o and the candidate g (Hochreiter and Schmidhuber 1997)"""
    c, cell = run.cell_state, run.cell
    if run.state is not None:
        sums = apply(Add(), run.product(run.state, cell.gates), sums, name="sums")
    i = run.activated(0, run.seeing(run.part(sums, "i"), "i", c), "input")
    g = run.activated(1, run.part(sums, "c"), "candidate")
    new = apply(Multiply(), i, g, name="added")
    if c is not None:
        if cell.coupled:
            f = apply(Subtract(), constant(1.0, run.dtype), i, name="forget")
        else:
            f = run.activated(0, run.seeing(run.part(sums, "f"), "f", c), "forget")
        new = apply(Add(), apply(Multiply(), f, c, name="remembered"), new, name="cell")
    o = run.activated(0, run.seeing(run.part(sums, "o"), "o", new), "output")
    shown = run.activations[2](new)
    run.state = apply(Multiply(), o, shown, name="hidden")
    run.cell_state = new


def _gru_step(run: _Run, sums: Tensor) -> None:
    """h' = (1 - z) * n + z * h, with the update gate z, the reset gate r and the candidate n (Cho et al. 2014)"""
    h, cell = run.state, run.cell
    one = constant(1.0, run.dtype)
    if h is None and run.recurrent_bias is None:
        z = run.activated(0, run.part(sums, "z"), "update")
        n = run.activated(1, run.part(sums, "h"), "candidate")
        run.state = apply(Multiply(), apply(Subtract(), one, z, name="open"), n, name="hidden")
        return
    if cell.reset_after:
        before = _plus(None if h is None else run.product(h, cell.gates), run.recurrent_bias)
        r, z = (
            run.activated(0, apply(Add(), run.part(sums, gate), run.part(before, gate), name=f"{name}/sums"), name)
            for gate, name in (("r", "reset"), ("z", "update"))
        )
        reset = apply(Multiply(), r, run.part(before, "h"), name="reset_state")
        n = run.activated(1, apply(Add(), run.part(sums, "h"), reset, name="candidate/sums"), "candidate")
    else:
        assert h is not None
        both = cell.gates.replace("h", "")
        first, _ = cell.columns(both[0], run.hidden)
        gates = apply(Add(), run.product(h, both), _columns(sums, first, first + 2 * run.hidden), name="sums")
        r, z = (
            run.activated(0, _columns(gates, at * run.hidden, (at + 1) * run.hidden), name)
            for at, name in ((both.index("r"), "reset"), (both.index("z"), "update"))
        )
        again = run.product(apply(Multiply(), r, h, name="reset_state"), "h")
        n = run.activated(1, apply(Add(), again, run.part(sums, "h"), name="candidate/sums"), "candidate")
    new = apply(Multiply(), apply(Subtract(), one, z, name="open"), n, name="added")
    run.state = new if h is None else apply(Add(), new, apply(Multiply(), z, h, name="remembered"), name="hidden")


def _rnn_step(run: _Run, sums: Tensor) -> None:
    """h' = tanh(W x + R h) (Elman 1990)"""
    if run.state is not None:
        sums = apply(Add(), run.product(run.state, "h"), sums, name="sums")
    run.state = run.activated(0, sums, "hidden")


_STEPS: dict[str, Callable[[_Run, Tensor], None]] = {"lstm": _lstm_step, "gru": _gru_step, "rnn": _rnn_step}


def _plus(product: Tensor | None, bias: Tensor | None) -> Tensor:
    parts = [part for part in (product, bias) if part is not None]
    return parts[0] if len(parts) == 1 else apply(Add(), *parts, name="biased")


def _rows(x: Tensor, start: int, stop: int) -> Tensor:
    if (start, stop) == (0, x.shape[0]):
        return x
    return apply(Slice((start, 0), (stop, x.shape[1]), (1, 1)), x, name="from_input")


def _columns(x: Tensor, start: int, stop: int) -> Tensor:
    before = (0,) * (x.ndim - 1)
    return apply(Slice((*before, start), (*x.shape[:-1], stop), (1,) * x.ndim), x, name="part")
