"""Tensors whose length depends on values, as after NonMaxSuppression: what has how much of it, and how operators pass it on.

Such a tensor has room for all that could be there; along one axis the first `count` places are. Operators compute on all
places; what would mix used places with others is told apart here, and an operator that is not listed is refused by name.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from pellucid import ops
from pellucid.graph import Constant, Tensor, constant
from pellucid.interop.errors import OnnxError
from pellucid.interop.onnx_reader.counts import Form, bounds, form_of
from pellucid.interop.onnx_reader.operators.registry import Call, Handler
from pellucid.op import Array
from pellucid.ops.ranges import within
from pellucid.ops.selection import counted
from pellucid.scopes import qualified


@dataclass(frozen=True)
class Ragged:
    """A tensor of which along `axis` the first `count` places are used: one int64, known when a program runs."""

    tensor: Tensor
    axis: int
    count: Tensor

    def at(self, tensor: Tensor, axis: int) -> Ragged:
        """Another tensor with as many places used along an axis of its own."""
        return Ragged(tensor, axis, self.count)


@dataclass(frozen=True)
class RaggedSite:
    """Where an operator meets lengths that depend on values: its inputs, and which of them are ragged, by number."""

    call: Call
    handler: Handler
    inputs: tuple[Tensor | None, ...]
    held: Mapping[int, Ragged]
    lengths: Lengths

    def run(self, *inputs: Tensor | None) -> list[Tensor | Ragged | None]:
        """The operator's outputs on whole tensors."""
        made = self.handler.function(self.call, *inputs)
        return [*made] if isinstance(made, tuple | list) else [made]

    def tensor(self, number: int) -> Tensor:
        """An input that must not be left out."""
        found = self.inputs[number] if number < len(self.inputs) else None
        if found is None:
            raise self.call.error(f"its input {number} must not be left out")
        return found

    def with_input(self, number: int, tensor: Tensor) -> tuple[Tensor | None, ...]:
        """The inputs with another one in a place."""
        return (*self.inputs[:number], tensor, *self.inputs[number + 1 :])

    def sole(self, number: int = 0) -> Ragged:
        """The only ragged input, which must be input `number`."""
        if list(self.held) != [number]:
            raise self.refused("in that place")
        return self.held[number]

    def in_entered(self, numbers: Tensor) -> Tensor:
        """Whole numbers that may be errors, 0 in a graph that is not entered."""
        for taken in self.lengths.entered:
            numbers = ops.where(count_of(taken), numbers, 0)
        return numbers

    def none(self, number: Tensor, what: str) -> Tensor:
        """A number that is an error when a program runs, unless it is 0; `what` names it."""
        return within(self.in_entered(number).named(qualified(what)), 0, 1, name=self.call.node.name)

    def refused(self, where: str) -> OnnxError:
        """The error for a length that this operator cannot pass on."""
        names = ", ".join(f"{self.call.node.inputs[n]!r} (axis {r.axis})" for n, r in self.held.items())
        return self.call.error(
            f"how much there is of {names or 'what it gives'} depends on values; {self.call.node.kind} cannot be computed "
            f"of such a length {where}"
        )


Outputs = list[Tensor | Ragged | None]
Rule = Callable[[RaggedSite], Outputs]


@dataclass
class Lengths:
    """What is ragged among the values of a file, while its graph is being built."""

    known: dict[Tensor, Ragged] = field(default_factory=dict[Tensor, Ragged])
    most: dict[Tensor, int] = field(default_factory=dict[Tensor, int])
    """How large each count can be."""
    forms: dict[Tensor, Form] = field(default_factory=dict[Tensor, Form])
    """Each count as a sum."""
    entered: tuple[Tensor, ...] = ()
    """Of each graph inside of a node that is being built, whether it is run: elsewhere nothing that it picks is an error."""

    @contextmanager
    def inside(self, taken: Tensor | None) -> Generator[None]:
        """Build a graph that is run always, or where `taken` holds."""
        around = self.entered
        self.entered = around if taken is None else (*around, taken)
        try:
            yield
        finally:
            self.entered = around

    def outputs(self, call: Call, handler: Handler, inputs: Sequence[Tensor | None]) -> list[Tensor | Ragged | None]:
        """What an operator gives, with the lengths of its outputs where these depend on values."""
        from pellucid.interop.onnx_reader.lengths import RULES, SIZED

        held = {n: self.known[t] for n, t in enumerate(inputs) if t is not None and t in self.known}
        site = RaggedSite(call, handler, tuple(inputs), held, self)
        kind = call.node.kind
        if held or (kind in SIZED and self._is_sized(handler, inputs)):
            if kind not in RULES:
                raise site.refused("(select, reshape, join, compare or compute elements, or gather by it)")
            try:
                return RULES[kind](site)
            except OnnxError:
                if held:
                    raise
        return site.run(*inputs)  # which says what of its sizes is no constant

    def _is_sized(self, handler: Handler, inputs: Sequence[Tensor | None]) -> bool:
        """Whether a number that shapes the output depends on values."""
        given = (inputs[n] for n in handler.settings if n < len(inputs))
        return any(t is not None and not isinstance(t.op, Constant) for t in given)

    def keep(self, finished: Tensor, length: Ragged, inputs: Sequence[Tensor | None]) -> Tensor:
        """Remember the length of an operator's output; where the length is known after all, it is that of the tensor."""
        form = form_of(length.count, self.forms)
        if form.keys() <= {None} and finished not in self.known:
            used = (*(slice(None),) * length.axis, slice(max(0, form.get(None, 0))))
            return constant(finished.op.value[used]) if isinstance(finished.op, Constant) else finished[used]
        self.forms[length.count] = form
        known = self.known.get(finished)
        same = known is not None and known.axis == length.axis and known.count is length.count
        if any(finished is i for i in inputs) and not same:  # the input is used whole, or to another length
            finished = counted(finished, length.count, length.axis)
        self.known[finished] = length.at(finished, length.axis)
        self.most[length.count] = finished.shape[length.axis]
        return finished

    def like(self, tensor: Tensor, other: Tensor) -> Tensor:
        """Another tensor of the same shape, which has the length that `tensor` has."""
        if tensor in self.known:
            self.known[other] = self.known[tensor].at(other, self.known[tensor].axis)
        return other

    def chosen(self, holds: Tensor, a: Tensor, b: Tensor, grows: bool = False) -> Tensor | None:
        """a where it holds, else b, where one of them is ragged, or `grows`, and no other axis differs; else None."""
        if a.ndim != b.ndim or a.dtype != b.dtype:
            return None
        axes = {self.known[t].axis for t in (a, b) if t in self.known}
        if not axes and grows:
            axes = {axis for axis, (m, n) in enumerate(zip(a.shape, b.shape, strict=True)) if m != n}
        if len(axes) != 1:
            return None
        (axis,) = axes
        if any(m != n for k, (m, n) in enumerate(zip(a.shape, b.shape, strict=True)) if k != axis):
            return None
        room = max(a.shape[axis], b.shape[axis])
        counts = (self.known[t].count if t in self.known else constant(t.shape[axis]) for t in (a, b))
        widths = ([(0, room - t.shape[axis] if k == axis else 0) for k in range(t.ndim)] for t in (a, b))
        wide = (ops.pad(t, w) if any(after for _, after in w) else t for t, w in zip((a, b), widths, strict=True))
        y, count = ops.where(holds, *wide), ops.where(holds, *(ops.reshape(c, ()) for c in counts))
        return self.keep(y, Ragged(y, axis, count), ())

    def alike(self, rows: Sequence[Tensor]) -> Sequence[Tensor]:
        """Tensors that a file says to be of one shape: where it cannot be seen that they are equally long, as the shortest."""
        held = [self.known[row] for row in rows if row in self.known]
        if len(held) < len(rows) or len({(r.axis, r.tensor.shape) for r in held}) > 1:
            return rows
        if all(same_count(held[0].count, r.count) for r in held):
            return rows
        least = functools.reduce(ops.minimum, (count_of(r.count) for r in held))
        return [self.keep(row, Ragged(row, r.axis, least), (row,)) for row, r in zip(rows, held, strict=True)]

    def whole(self, output: Tensor) -> Tensor:
        """An output of the network, of which a program gives the places that are used."""
        length = self.known.get(output)
        return output if length is None else counted(output, length.count, length.axis).instead_of(output)

    def upper(self, tensor: Tensor) -> Array | None:
        """How large the numbers of a tensor can be, where it is made of counts; None where that is not known."""
        found = bounds(tensor, self.most)
        return None if found is None else found[1]


def same_count(a: Tensor, b: Tensor) -> bool:
    """Whether two counts are computed in the same way from the same nodes."""
    waiting, seen = [(a, b)], set[tuple[Tensor, Tensor]]()
    while waiting:
        pair = left, right = waiting.pop()
        if left is right or pair in seen:
            continue
        seen.add(pair)
        if not left.inputs and not isinstance(left.op, Constant):
            return False
        if left.op != right.op or len(left.inputs) != len(right.inputs):
            return False
        waiting.extend(zip(left.inputs, right.inputs, strict=True))
    return True


def count_of(value: int | Tensor) -> Tensor:
    """A count as one number without axes."""
    return constant(value) if isinstance(value, int) else ops.reshape(value, ())


def all_at(site: RaggedSite, made: Outputs, axis: int) -> Outputs:
    """Outputs of which as much is there as of the ragged input, along one axis."""
    length = next(iter(site.held.values()))
    return [length.at(o, axis) if isinstance(o, Tensor) else o for o in made]


def lowest(x: Tensor, sign: int = 1) -> float:
    """A number that no element is below (for sign -1 none above)."""
    if x.dtype.startswith("float"):
        return -math.inf * sign
    if x.dtype == "bool":
        return sign < 0
    return np.iinfo(np.int64).min if sign > 0 else np.iinfo(np.int64).max
