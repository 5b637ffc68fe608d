"""Recurrent layers, unrolled: each step of the sequence is a group of ordinary nodes, such as `lstm1/step3/forget`.

What a number came from is then followed through time as through layers, and gradients go back the same way. One
product with the weights of the input serves all steps, one product with those of the state all gates of a step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pellucid.errors import DTypeError, ShapeError
from pellucid.graph import Call, Constant, Tensor, apply, constant
from pellucid.ops.cells import NUM_GATES, USUAL, Activation, Cell
from pellucid.ops.comparison import Less, Where, clip
from pellucid.ops.elementwise import Add, Multiply, Subtract
from pellucid.ops.indexing import Pad, Slice
from pellucid.ops.linear import Matmul, linear
from pellucid.ops.shape import Concat, Move, Reshape, Transpose, broadcast_to, reshape
from pellucid.scopes import qualified, scope


@dataclass(frozen=True, eq=False)
class Direction:
    """The weights of one direction for inputs of I features, H hidden units and G gates, and how it starts.

    `weight` (G * H, I), `recurrent_weight` (G * H, H), `bias` and `recurrent_bias` (G * H,), `peepholes` (3 * H,) for the
    input, output and forget gate of an LSTM, the first `state` and `cell_state` (N, H), which are 0 where left out. With a
    `projection` (P, H) the states of an LSTM have P elements instead, and `recurrent_weight` is (G * H, P).
    """

    weight: Tensor
    recurrent_weight: Tensor
    bias: Tensor | None = None
    recurrent_bias: Tensor | None = None
    peepholes: Tensor | None = None
    state: Tensor | None = None
    cell_state: Tensor | None = None
    projection: Tensor | None = None
    activations: tuple[Activation, ...] = ()
    """Those of the cell's kind in `USUAL` where left out."""
    backwards: bool = False

    @property
    def sizes(self) -> tuple[int, int]:
        """The number of hidden units, and that of the elements of a state."""
        shown = self.recurrent_weight.shape[-1]
        return (shown if self.projection is None else self.projection.shape[-1]), shown

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
    directions = [_from_nothing(d) for d in directions]
    if lengths is not None and isinstance(lengths.op, Constant) and (lengths.op.value >= x.shape[0]).all():
        lengths = None
    runs: list[_Run] = []
    for direction in directions:
        with scope(("reverse" if direction.backwards else "forward") if len(directions) > 1 else ""):
            runs.append(_Run(cell, x, direction, lengths))
    tensors = {f"{n}/{name}": t for n, d in enumerate(directions) for name, t in d.tensors().items()}
    given = {"x": x, **tensors, **({} if lengths is None else {"lengths": lengths})}
    settings = RecurrentSettings(cell, tuple((d.activations or USUAL[cell.kind], d.backwards) for d in directions))
    call = Call("recurrent", given, settings)
    steps, batch = x.shape[:2]
    hidden, shown = directions[0].sizes
    every = [apply(Reshape((steps, 1, batch, shown)), run.sequence()) for run in runs]
    last = [apply(Reshape((1, batch, shown)), run.last_state) for run in runs]
    y, y_h = _joined(every, 1, "states"), _joined(last, 0, "last_state")
    if cell.kind != "lstm":
        return y.output_of(call, 0), y_h.output_of(call, 1), None
    cells = [apply(Reshape((1, batch, hidden)), run.last_cell_state) for run in runs]
    y_c = _joined(cells, 0, "last_cell_state")
    return y.output_of(call, 0), y_h.output_of(call, 1), y_c.output_of(call, 2)


def _from_nothing(direction: Direction) -> Direction:
    """The same direction, without first states that are 0 anyway."""
    return replace(direction, **{n: None for n in ("state", "cell_state") if _is_zero(getattr(direction, n))})


def _is_zero(value: Tensor | None) -> bool:
    """Whether a tensor is known to be 0 everywhere."""
    while value is not None and isinstance(value.op, Move) and len(value.inputs) == 1:
        if isinstance(value.op, Pad) and value.op.value:
            return False
        (value,) = value.inputs
    return value is not None and isinstance(value.op, Constant) and not value.op.value.any()


def _joined(parts: Sequence[Tensor], axis: int, name: str) -> Tensor:
    return apply(Concat(axis), *parts, name=name) if len(parts) > 1 else parts[0]


def _check(cell: Cell, x: Tensor, direction: Direction, lengths: Tensor | None) -> None:
    """Raise unless the shapes and types fit together."""
    if x.ndim != 3 or not x.shape[0]:
        raise ShapeError(
            f"{cell.kind}: wants a sequence (T, N, I) of at least one step, got {x.shape} (from {x.name!r})"
        )
    _, batch, features = x.shape
    hidden, shown = direction.sizes
    rows = NUM_GATES[cell.kind] * hidden
    wanted = {
        "weight": (rows, features), "recurrent_weight": (rows, shown), "bias": (rows,), "recurrent_bias": (rows,),
        "peepholes": (3 * hidden,), "state": (batch, shown), "cell_state": (batch, hidden), "projection": (shown, hidden),
    }  # fmt: skip
    for name, value in direction.tensors().items():
        if value.shape != wanted[name]:
            raise ShapeError(
                f"{cell.kind}: {name.replace('_', ' ')} {value.name!r} must have shape {wanted[name]} for an input {x.shape} "
                f"and {hidden} hidden units, got {value.shape}"
            )
        if value.dtype != x.dtype:
            raise DTypeError(
                f"{cell.kind}: {value.name!r} is {value.dtype}, the input {x.name!r} is {x.dtype}; use pl.cast"
            )
    if lengths is not None and (lengths.shape != (batch,) or lengths.dtype != "int64"):
        raise ShapeError(
            f"{cell.kind}: the lengths {lengths.name!r} must be int64 of shape ({batch},), got {lengths.dtype}{lengths.shape}"
        )


class _Run:
    """One direction: the way through the sequence, the state after each step, and what is left at the end."""

    def __init__(self, cell: Cell, x: Tensor, given: Direction, lengths: Tensor | None) -> None:
        self.cell, self.given, self.lengths = cell, given, lengths
        self.steps, self.batch, features = x.shape
        self.hidden, self.shown = given.sizes
        self.activations: tuple[Activation, ...] = given.activations or USUAL[cell.kind]
        self.state, self.cell_state = given.state, given.cell_state
        self.dtype = x.dtype
        self.one, self.zero = constant(1.0, x.dtype, "one"), constant(0.0, x.dtype, "zero")
        bias, self.recurrent_bias = given.bias, given.recurrent_bias
        if self.recurrent_bias is not None and not cell.reset_after:  # one bias for all
            bias = self.recurrent_bias if bias is None else bias + self.recurrent_bias
            self.recurrent_bias = None
        with scope("input"):
            self.projected = linear(reshape(x, (self.steps * self.batch, features)), given.weight, bias)
        self.recurrent_weight = apply(Transpose((1, 0)), given.recurrent_weight, name="recurrent_weight")
        self.projection = None
        if given.projection is not None:
            self.projection = apply(Transpose((1, 0)), given.projection, name="projection")
        self.peepholes: dict[str, Tensor] = {}
        if given.peepholes is not None:
            names = {"i": "input_peephole", "o": "output_peephole", "f": "forget_peephole"}
            for k, (gate, name) in enumerate(names.items()):
                self.peepholes[gate] = _columns(given.peepholes, k * self.hidden, (k + 1) * self.hidden, name)
        self.outputs: dict[int, Tensor] = {}
        order = range(self.steps)
        for step in reversed(order) if given.backwards else order:
            with scope(f"step{step}"):
                self._step(step)
        self.last_state = self._unless_empty(self.state, given.state, self.shown)
        self.last_cell_state = self._unless_empty(self.cell_state, given.cell_state, self.hidden)

    def sequence(self) -> Tensor:
        """The states after all steps (T * N, H)."""
        return apply(Concat(0), *(self.outputs[t] for t in range(self.steps)), name="sequence")

    def _zeros(self, size: int) -> Tensor:
        return broadcast_to(self.zero, (self.batch, size))

    def _unless_empty(self, last: Tensor | None, first: Tensor | None, size: int) -> Tensor:
        """The last state; zeros for sequences without steps."""
        if last is None:
            return self._zeros(size)
        counts = self._counts(0)
        if first is None or counts is True:
            return last
        return self._zeros(size) if counts is False else apply(Where(), counts, last, self.zero)

    def _step(self, step: int) -> None:
        counts = self._counts(step)
        if counts is False:
            self.outputs[step] = self._zeros(self.shown)
            return
        before = self.state, self.cell_state
        start = step * self.batch
        projected = _rows(self.projected, start, start + self.batch)
        _STEPS[self.cell.kind](self, projected)
        assert self.state is not None
        self.outputs[step] = self.state
        if isinstance(counts, Tensor):
            self.outputs[step] = apply(Where(), counts, self.state, self.zero, name="counted")
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
        return apply(Where(), counts, new, self.zero if old is None else old, name=name)

    def product(self, state: Tensor, gates: str) -> Tensor:
        """The state times the recurrent weights of some gates that stand side by side."""
        weight = self.recurrent_weight
        if gates != self.cell.gates:
            first, _ = self.cell.columns(gates[0], self.hidden)
            weight = _columns(weight, first, first + len(gates) * self.hidden, "weight")
        return apply(Matmul(), state, weight, name="from_state")

    def part(self, sums: Tensor, gate: str, name: str) -> Tensor:
        """What belongs to one gate of what was computed for all."""
        return _columns(sums, *self.cell.columns(gate, self.hidden), name=name)

    def joined(self, from_input: Tensor, from_state: Tensor, gate: str, name: str) -> Tensor:
        """A gate's sum of what comes from the input and from the state."""
        own, back = (
            self.part(x, gate, f"{name}/{end}") for x, end in ((from_input, "from_input"), (from_state, "from_state"))
        )
        return apply(Add(), own, back, name=f"{name}/sums")

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
    i = run.activated(0, run.seeing(run.part(sums, "i", "input/sums"), "i", c), "input")
    g = run.activated(1, run.part(sums, "c", "candidate/sums"), "candidate")
    new = apply(Multiply(), i, g, name="added")
    if c is not None:
        if cell.coupled:
            f = apply(Subtract(), run.one, i, name="forget")
        else:
            f = run.activated(0, run.seeing(run.part(sums, "f", "forget/sums"), "f", c), "forget")
        new = apply(Add(), apply(Multiply(), f, c, name="remembered"), new, name="cell")
    o = run.activated(0, run.seeing(run.part(sums, "o", "output/sums"), "o", new), "output")
    run.state = apply(Multiply(), o, run.activations[2](new), name="hidden")
    if run.projection is not None:
        run.state = apply(Matmul(), run.state, run.projection, name="projected")
    run.cell_state = new


def _gru_step(run: _Run, sums: Tensor) -> None:
    """h' = (1 - z) * n + z * h, with the update gate z, the reset gate r and the candidate n (Cho et al. 2014)"""
    h, cell = run.state, run.cell
    if h is None and run.recurrent_bias is None:
        z = run.activated(0, run.part(sums, "z", "update/sums"), "update")
        n = run.activated(1, run.part(sums, "h", "candidate/sums"), "candidate")
        run.state = apply(Multiply(), apply(Subtract(), run.one, z, name="open"), n, name="hidden")
        return
    if cell.reset_after:
        before = _plus(None if h is None else run.product(h, cell.gates), run.recurrent_bias)
        r, z = (
            run.activated(0, run.joined(sums, before, gate, name), name)
            for gate, name in (("r", "reset"), ("z", "update"))
        )
        reset = apply(Multiply(), r, run.part(before, "h", "candidate/from_state"), name="reset_state")
        own = run.part(sums, "h", "candidate/from_input")
        n = run.activated(1, apply(Add(), own, reset, name="candidate/sums"), "candidate")
    else:
        assert h is not None
        both = cell.gates.replace("h", "")
        first, _ = cell.columns(both[0], run.hidden)
        gates = apply(
            Add(), run.product(h, both), _columns(sums, first, first + 2 * run.hidden, "gates/from_input"), name="gates"
        )
        r, z = (
            run.activated(0, _columns(gates, at * run.hidden, (at + 1) * run.hidden, f"{name}/sums"), name)
            for at, name in ((both.index("r"), "reset"), (both.index("z"), "update"))
        )
        again = run.product(apply(Multiply(), r, h, name="reset_state"), "h")
        n = run.activated(
            1, apply(Add(), again, run.part(sums, "h", "candidate/from_input"), name="candidate/sums"), "candidate"
        )
    new = apply(Multiply(), apply(Subtract(), run.one, z, name="open"), n, name="added")
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


def _columns(x: Tensor, start: int, stop: int, name: str) -> Tensor:
    before = (0,) * (x.ndim - 1)
    return apply(Slice((*before, start), (*x.shape[:-1], stop), (1,) * x.ndim), x, name=name)
