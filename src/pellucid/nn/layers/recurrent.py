"""Recurrent layers: the LSTM, the GRU and the simple RNN, in layers one above the other and in one or both directions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from pellucid import ops
from pellucid.errors import ShapeError
from pellucid.flags import flag
from pellucid.graph import Parameter, Tensor
from pellucid.nn.errors import ModuleError
from pellucid.nn.initializers import uniform
from pellucid.nn.layers.checks import called, positive
from pellucid.nn.module import Module, order_of
from pellucid.nn.randomness import draw_key
from pellucid.ops.cells import Activation, Cell
from pellucid.ops.recurrent import Direction, recurrent
from pellucid.real_numbers import share
from pellucid.scopes import scope
from pellucid.whole_numbers import whole

States = tuple[Tensor, ...]
"""The last state of every direction of every layer, (num_layers * directions, N, H), and of an LSTM also its cell state."""

GATES = {"lstm": "ifco", "gru": "rzh", "rnn": "h"}
"""PyTorch's order of the rows of the weights."""


def torch_cell(kind: str) -> Cell:
    """What PyTorch's layers compute at each step."""
    return Cell(kind, GATES[kind], reset_after=kind == "gru")


def stacked(
    cell: Cell,
    x: Tensor,
    weights: Sequence[Sequence[Sequence[Tensor]]],
    states: Sequence[Tensor] = (),
    between: Callable[[Tensor], Tensor] = lambda x: x,
    activations: tuple[Activation, ...] = (),
) -> tuple[Tensor, States]:
    """Layers one above the other: the states of the last one (T, N, D * H) after each step, and the last states of all.

    x is (T, N, I). `weights` has for each layer and each of its D directions PyTorch's weight_ih, weight_hh and, where
    there are, bias_ih and bias_hh, and the projection. `between` stands before each layer but the first.
    """
    found: list[tuple[Tensor, ...]] = []
    number = 0
    for depth, layer in enumerate(weights):
        directions: list[Direction] = []
        for back, own in enumerate(layer):
            bias, recurrent_bias = own[2:4] if len(own) > 3 else (None, None)
            directions.append(
                Direction(
                    own[0],
                    own[1],
                    bias,
                    recurrent_bias,
                    state=states[0][number] if len(states) > 0 else None,
                    cell_state=states[1][number] if len(states) > 1 else None,
                    projection=own[-1] if len(own) in (3, 5) else None,
                    activations=activations,
                    backwards=bool(back),
                )
            )
            number += 1
        with scope(f"layer{depth}" if len(weights) > 1 else ""):
            y, *last = recurrent(cell, x if depth == 0 else between(x), directions)
            steps, count, batch, size = y.shape
            x = ops.reshape(ops.transpose(y, (0, 2, 1, 3)) if count > 1 else y, (steps, batch, count * size))
        found.append(tuple(t for t in last if t is not None))
    return x, tuple(ops.concat(parts) for parts in zip(*found, strict=True)) if len(found) > 1 else found[0]


class _Recurrent(Module):
    kind = ""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        dtype: str = "float32",
    ) -> None:
        super().__init__()
        bias = flag(type(self).__name__, "bias", bias, ModuleError)
        batch_first = flag(type(self).__name__, "batch_first", batch_first, ModuleError)
        bidirectional = flag(type(self).__name__, "bidirectional", bidirectional, ModuleError)
        name = type(self).__name__
        input_size, hidden_size, num_layers = positive(
            name, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers
        )
        proj_size = whole(name, "proj_size", proj_size, raises=ModuleError)
        dropout = share(name, "dropout", dropout, ModuleError)
        if not 0 <= proj_size < hidden_size:
            raise ModuleError(f"{name}: proj_size must be smaller than hidden_size ({hidden_size}), got {proj_size}")
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout, self.bidirectional = bias, batch_first, dropout, bidirectional
        self.proj_size = proj_size
        start = uniform(-1 / math.sqrt(hidden_size), 1 / math.sqrt(hidden_size))
        for layer in range(num_layers):
            for ending in self._endings:
                for part, shape in self._shapes(layer).items():
                    setattr(self, f"{part}_l{layer}{ending}", Parameter(shape, start, dtype))

    def __call__(self, x: Tensor, hx: Any = None, *cell_state: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        states = hx if isinstance(hx, tuple | list) else () if hx is None else (hx,)
        return super().__call__(x, *states, *cell_state)

    def _shapes(self, layer: int) -> dict[str, tuple[int, ...]]:
        """The shapes of one direction's weights."""
        rows = len(GATES[self.kind]) * self.hidden_size
        below = self.input_size if layer == 0 else self._shown * len(self._endings)
        biases = {"bias_ih": (rows,), "bias_hh": (rows,)} if self.bias else {}
        projection = {"weight_hr": (self.proj_size, self.hidden_size)} if self.proj_size else {}
        return {"weight_ih": (rows, below), "weight_hh": (rows, self._shown), **biases, **projection}

    @property
    def _shown(self) -> int:
        return self.proj_size or self.hidden_size

    @property
    def _endings(self) -> tuple[str, ...]:
        return ("", "_reverse") if self.bidirectional else ("",)

    @property
    def _activations(self) -> tuple[Activation, ...]:
        return ()

    def _weights(self) -> list[list[list[Tensor]]]:
        return [
            [[getattr(self, f"{part}_l{layer}{ending}") for part in self._shapes(layer)] for ending in self._endings]
            for layer in range(self.num_layers)
        ]

    def _run(self, x: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, States]:
        """y and the last states, with the axes where they are asked for; a sequence (T, I) is a batch of one."""
        if x.ndim not in (2, 3) or x.shape[-1] != self.input_size:
            wanted = "(N, T, I)" if self.batch_first else "(T, N, I)"
            raise ShapeError(
                f"{called(self)}: wants {wanted} or (T, I) with I = {self.input_size} features, got {x.shape} (from {x.name!r})"
            )
        single = x.ndim == 2
        if single:
            x, states = ops.reshape(x, (x.shape[0], 1, x.shape[1])), [s[:, None] if s.ndim == 2 else s for s in states]
        elif self.batch_first:
            x = ops.transpose(x, (1, 0, 2))
        for state, size in zip(states, (self._shown, self.hidden_size), strict=False):
            first = (self.num_layers * len(self._endings), x.shape[1], size)
            if state.shape != first:
                raise ShapeError(
                    f"{called(self)}: a first state must have shape {first}, got {state.shape} (from {state.name!r})"
                )
        y, last = stacked(torch_cell(self.kind), x, self._weights(), states, self._dropped, self._activations)
        if single:
            return y[:, 0], tuple(s[:, 0] for s in last)
        return (ops.transpose(y, (1, 0, 2)) if self.batch_first else y), last

    def _dropped(self, x: Tensor) -> Tensor:
        """What goes from one layer to the next."""
        if not self.training or self.dropout == 0:
            return x
        key = draw_key(called(self), order_of(self))
        return ops.dropout(x, self.dropout, key.step, key.seed, key.stream)


class LSTM(_Recurrent):
    """Long short-term memory: c' = f * c + i * g, h' = o * tanh(c') (Hochreiter and Schmidhuber 1997).

    `input_size` is I, `hidden_size` is H. `num_layers` layers stand one above the other, in training with `dropout` of that
    probability before each but the first; where `bidirectional` each reads the sequence in both directions (D = 2, else 1).
    weight_ih_l0 (4H, I), weight_hh_l0 (4H, H) and with `bias` bias_ih_l0 and bias_hh_l0 (4H,) have the rows of the gates i, f,
    of the candidate g and of the gate o; other layers and directions have theirs (`_l1`, `_l0_reverse`), all of `dtype`.
    With `proj_size` P the states are weight_hr_l0 (P, H) times h, of P elements, and weight_hh_l0 is (4H, P).
    x (T, N, I), with `batch_first` (N, T, I), or (T, I) -> y with D * H features, (h, c) with the last states
    (num_layers * D, N, H). First states may be given: `net(x, (h, c))`.

    >>> y, (h, c) = nn.LSTM(8, 16, bidirectional=True, batch_first=True)(pl.input((4, 10, 8)))
    >>> y.shape, h.shape
    ((4, 10, 32), (2, 4, 16))
    """

    kind = "lstm"

    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, States]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._run(x, states)


class _OneState(_Recurrent):
    def forward(self, x: Tensor, *states: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        y, (h,) = self._run(x, states)
        return y, h


class GRU(_OneState):
    """Gated recurrent unit: h' = (1 - z) * tanh(W x + r * (R h)) + z * h (Cho et al. 2014).

    `input_size` is I, `hidden_size` is H. `num_layers` layers stand one above the other, in training with `dropout` of that
    probability before each but the first; where `bidirectional` each reads the sequence in both directions (D = 2, else 1).
    weight_ih_l0 (3H, I), weight_hh_l0 (3H, H) and with `bias` bias_ih_l0 and bias_hh_l0 (3H,) have the rows of the gates r and
    z and of the candidate; other layers and directions have theirs (`_l1`, `_l0_reverse`), all of `dtype`. x (T, N, I), with
    `batch_first` (N, T, I), or (T, I) -> y with D * H features, h with the last states (num_layers * D, N, H). First states
    may be given: `net(x, h)`.

    >>> y, h = nn.GRU(8, 16)(pl.input((10, 4, 8)))
    >>> y.shape, h.shape
    ((10, 4, 16), (1, 4, 16))
    """

    kind = "gru"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        dtype: str = "float32",
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype=dtype)


class RNN(_OneState):
    """Simple recurrent layer: h' = tanh(W x + R h); `nonlinearity` may be "relu" instead of "tanh" (Elman 1990).

    `input_size` is I, `hidden_size` is H. `num_layers` layers stand one above the other, in training with `dropout` of that
    probability before each but the first; where `bidirectional` each reads the sequence in both directions (D = 2, else 1).
    weight_ih_l0 (H, I), weight_hh_l0 (H, H) and with `bias` bias_ih_l0 and bias_hh_l0 (H,); other layers and directions have
    theirs (`_l1`, `_l0_reverse`), all of `dtype`. x (T, N, I), with `batch_first` (N, T, I), or (T, I) -> y with D * H features,
    h with the last states (num_layers * D, N, H). First states may be given: `net(x, h)`.

    >>> y, h = nn.RNN(8, 16, nonlinearity="relu")(pl.input((10, 4, 8)))
    >>> y.shape, h.shape
    ((10, 4, 16), (1, 4, 16))
    """

    kind = "rnn"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        dtype: str = "float32",
    ) -> None:
        super().__init__(input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype=dtype)
        if nonlinearity not in ("tanh", "relu"):
            raise ModuleError(f"RNN: nonlinearity must be tanh or relu, got {nonlinearity!r}")
        self.nonlinearity = nonlinearity

    @property
    def _activations(self) -> tuple[Activation, ...]:
        return (Activation(self.nonlinearity.capitalize()),)
