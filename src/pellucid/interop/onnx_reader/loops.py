"""`Loop`, `Scan` and `SequenceMap`: the body is written as often as it runs, one trip behind the other.

How often that is must be known when the graph is built, or have a bound: then every trip that may happen is written, and
what a trip gives is taken where it happens. So a loop is made of the ops that its body is made of, gradients included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pellucid import ops
from pellucid.graph import Constant, Input, Tensor, constant, topological
from pellucid.interop.errors import NotConstantError, how_to_fix
from pellucid.interop.onnx_reader.branches import Entrance
from pellucid.interop.onnx_reader.model import Body, Node, Typed
from pellucid.interop.onnx_reader.operators.registry import Call
from pellucid.interop.onnx_reader.ragged import Lengths, Ragged, count_of
from pellucid.interop.onnx_reader.sequences import Held, Items, Maker, described, stack, tensor_of
from pellucid.interop.onnx_reader.values import dtype_of

Given = Tensor | Ragged | Items | None
"""What a loop gives."""


def varying(body: Body) -> list[Node]:
    """The nodes of a body whose values differ from trip to trip: the others are computed once."""
    seen = {value.name for value in body.inputs}
    found: list[Node] = []
    for node in body.nodes:
        if node.kind in _ANEW or not seen.isdisjoint(node.reads()):
            found.append(node)
            seen.update(node.outputs)
    return found


_ANEW = ("Dropout", "BatchNormalization")
"""Operators that do something at each call, in training."""


@dataclass(frozen=True)
class LoopSite:
    """A loop where it stands. `run` writes the body, given its inputs, for a trip that happens always or where `happens` holds."""

    call: Call
    inputs: Sequence[Held]
    run: Callable[[str, Sequence[Held], Tensor | None], list[Held]]
    make: Maker
    around: Mapping[str, Held]
    lengths: Lengths
    room: int
    """Operators that may still be written."""

    @property
    def body(self) -> Body:
        return self.call.node.attributes["body"]

    def undecided(self, what: str, tensor: Tensor, why: str) -> NotConstantError:
        """The error for something that depends on values."""
        sources = tuple(n.name for n in topological([tensor]) if isinstance(n.op, Input))
        names = ", ".join(sources) or "weights"
        return NotConstantError(f"{self.call.node}: {what} depends on {names}, {why}{how_to_fix(sources)}", sources)

    def require(self, inputs: int, states: int, conditions: int = 0) -> int:
        """How many outputs the body has behind conditions and states; raises unless it takes as many inputs as it is given."""
        body, rows = self.body, len(self.body.outputs) - conditions - states
        if len(body.inputs) != inputs:
            raise self.call.error(f"its body takes {len(body.inputs)} inputs, and is given {inputs}")
        if rows < 0 or states + rows < len(self.call.node.outputs):
            raise self.call.error(
                f"its body gives {len(body.outputs)} values, too few for {states} states and its outputs"
            )
        return rows

    def fits(self, trips: int) -> None:
        """Raise for more trips than may be written."""
        if trips * max(1, len(self.body.nodes)) > self.room:
            raise self.call.error(
                f"its body of {len(self.body.nodes)} operators runs up to {trips} times; trips are written one behind the other, and "
                f"there is room for {self.room} operators"
            )


def unroll(site: LoopSite) -> list[Given]:
    """The outputs of a loop."""
    node = site.call.node
    if node.kind == "Loop":
        return _loop(site)
    if node.kind == "SequenceMap":
        return _map(site)
    return _scan(site) if node.opset > 8 else _scan_batch(site)


@dataclass
class _Trips:
    """Trips that are written one behind the other: `most` at most, and as many as `count` says where that depends on values."""

    site: LoopSite
    most: int | None
    count: Tensor | None
    states: list[Held]
    rows: list[list[Tensor]]
    going: Tensor | None = None
    """Whether the next trip happens, where that depends on values."""
    happened: Tensor | None = None
    start: list[Held] = field(default_factory=list[Held])

    def write(self, feed: Callable[[int, Sequence[Held]], Sequence[Held]], holds: Tensor | None) -> None:
        """Write the trips; `feed` says what the body gets, and if `holds` says whether it starts its first output says so then."""
        self.start = list(self.states)
        trip, conditional = 0, holds is not None
        while self.most is None or trip < self.most:
            if not self._goes(trip, holds):
                return
            states = self.states
            if self.going is not None:
                gate = Entrance(self.going, self.site.lengths)
                states = [gate.entering(s, first) for s, first in zip(states, self.start, strict=True)]
                self.happened = (constant(trip) if self.happened is None else self.happened) + ops.cast(
                    self.going, "int64"
                )
            made = self.site.run(str(trip), feed(trip, states), self.going)
            if conditional:
                holds = _condition(self.site, made[0])
            self._take(made[conditional:])
            trip += 1

    def _goes(self, trip: int, holds: Tensor | None) -> bool:
        """Whether there may be another trip; whether it happens is known then, or noted."""
        for what in (holds, None if self.count is None else ops.less(trip, self.count)):
            if what is None:
                continue
            if isinstance(what.op, Constant):
                if not what.op.value.all():
                    return False
                continue
            if self.most is None:
                raise self.site.undecided(
                    "how often it runs", what, "and it has no number of trips that would be a bound"
                )
            self.site.fits(self.most - trip)
            self.going = what if self.going is None else ops.multiply(self.going, what)
        return True

    def _take(self, made: Sequence[Held]) -> None:
        """The states after a trip, and its rows."""
        new = list(made[: len(self.states)])
        if self.going is not None:
            new = [self._kept(self.going, a, b) for a, b in zip(new, self.states, strict=True)]
        self.states = new
        for rows, row in zip(self.rows, made[len(self.states) :], strict=True):
            if not isinstance(row, Tensor):
                raise self.site.call.error(
                    f"its body must give tensors to be put side by side, it gives {described(row)}"
                )
            rows.append(row)

    def _kept(self, happens: Tensor, new: Held, old: Held) -> Held:
        """The state after a trip, if it happens, else that before it."""
        if isinstance(new, Items) and isinstance(old, Items) and len(new.tensors) == len(old.tensors):
            pairs = zip(new.tensors, old.tensors, strict=True)
            return Items(tuple(t for a, b in pairs if isinstance(t := self._kept(happens, a, b), Tensor)))
        if isinstance(new, Tensor) and isinstance(old, Tensor):
            if new is old:
                return new
            if (joined := self.site.lengths.chosen(happens, new, old, grows=True)) is not None:
                return joined
            if (new.shape, new.dtype) == (old.shape, old.dtype):
                return ops.where(happens, new, old)
        raise self.site.undecided(
            "how often it runs", happens, f"and a trip turns {described(old)} into {described(new)}"
        )

    def stacked(self, number: int, axis: int = 0, backwards: bool = False) -> Tensor | Ragged:
        """The rows of all trips side by side; of those that happen where that depends on values."""
        site, rows = self.site, self.rows[number]
        if not rows:
            return self._no_rows(number, axis)
        if self.happened is None:
            return stack(site.make, site.lengths.alike(rows[::-1] if backwards else rows), axis)
        if backwards or any(row in site.lengths.known for row in rows) or len({row.shape for row in rows}) > 1:
            raise site.undecided(
                "how often it runs", self.happened, "and what its trips give cannot be put side by side"
            )
        made = stack(site.make, rows, axis)
        return Ragged(made, axis % made.ndim, self.happened)

    def _no_rows(self, number: int, axis: int) -> Tensor:
        """Nothing, in the shape that the file states of a row; sizes that it leaves open are 0, as in ONNX Runtime."""
        body = self.site.body
        value = body.outputs[len(body.outputs) - len(self.rows) + number]
        sizes = [size if isinstance(size, int) else 0 for size in value.shape or ()]
        place = self.site.call.from_front(axis, len(sizes) + 1)
        return constant(np.zeros((*sizes[:place], 0, *sizes[place:]), dtype_of(value.name, value.element or "FLOAT")))


def _condition(site: LoopSite, held: Held) -> Tensor:
    """A condition as one truth value."""
    if not isinstance(held, Tensor) or held.size != 1 or held.dtype != "bool":
        raise site.call.error(f"its condition must be one truth value, it is {described(held)}")
    return held if held.ndim == 0 else ops.reshape(held, ())


def _loop(site: LoopSite) -> list[Given]:
    """At most M trips, while the condition holds."""
    call, body = site.call, site.body
    given, condition, *states = (*site.inputs, *(None,) * (2 - len(site.inputs)))
    num_rows = site.require(2 + len(states), len(states), 1)
    holds = constant(True) if condition is None else _condition(site, condition)
    most, count = None, None
    if given is not None:
        trips = tensor_of(call, site.inputs, 0)
        if trips.size != 1 or trips.dtype != "int64":
            raise call.error(f"its number of trips must be one whole number, it is {described(trips)}")
        most, count = _bound(site, count_of(trips))
    if _goes_on(body, site.around) and not (isinstance(holds.op, Constant) and not holds.op.value):
        if most is None:
            raise call.error("runs without end: it has no number of trips, and its condition holds always")
        site.fits(most)
    shapes = [(1,) * len(value.shape or ()) for value in body.inputs[:2]]

    def feed(trip: int, states: Sequence[Held]) -> list[Held]:
        return [constant(np.full(shapes[0], trip)), constant(np.full(shapes[1], True)), *states]

    trips = _Trips(site, most, count, states, [[] for _ in range(num_rows)])
    trips.write(feed, holds)
    return [*trips.states, *(trips.stacked(number) for number in range(num_rows))]


def _bound(site: LoopSite, count: Tensor) -> tuple[int, Tensor | None]:
    """How many trips there are at most, and how many there are where that depends on values."""
    if isinstance(count.op, Constant):
        return int(count.op.value), None
    most = site.lengths.upper(count)
    if most is None:
        raise site.undecided("how often it runs", count, "and it has no bound")
    site.fits(int(most))
    return int(most), count


def _goes_on(body: Body, around: Mapping[str, Held]) -> bool:
    """Whether the condition is not changed by the body: it gives on the one that it gets, or one that always holds."""
    makers = {name: node for node in body.nodes for name in node.outputs}
    name = body.outputs[0].name
    while (maker := makers.get(name)) is not None and maker.kind == "Identity":
        name = maker.inputs[0]
    if maker is not None or name in body.arrays:
        value = body.arrays.get(name) if maker is None else maker.attributes.get("value")
        return isinstance(value, Typed) and bool(value.array.all())
    if name not in body.own:
        held = around.get(name)
        return isinstance(held, Tensor) and isinstance(held.op, Constant) and bool(held.op.value.all())
    return name == body.inputs[1].name


def _scan(site: LoopSite) -> list[Given]:
    """One trip for each place along an axis of the last inputs."""
    call = site.call
    num = call["num_scan_inputs"]
    if not 1 <= num <= len(site.inputs):
        raise call.error(f"num_scan_inputs is {num}, of {len(site.inputs)} inputs")
    states, scanned = list(site.inputs[:-num]), _scanned(site, len(site.inputs) - num)
    num_rows = site.require(len(site.inputs), len(states))
    axes = [call.from_front(a, x.ndim) for a, x in zip(_numbers(call, "scan_input_axes", num), scanned, strict=True)]
    along = list(zip(scanned, axes, _numbers(call, "scan_input_directions", num), strict=True))
    trips = _places(site, along, states, num_rows)
    ways = zip(
        _numbers(call, "scan_output_axes", num_rows), _numbers(call, "scan_output_directions", num_rows), strict=True
    )
    return [*trips.states, *(trips.stacked(n, axis, bool(back)) for n, (axis, back) in enumerate(ways))]


def _scanned(site: LoopSite, first: int) -> list[Tensor]:
    return [tensor_of(site.call, site.inputs, number) for number in range(first, len(site.inputs))]


def _numbers(call: Call, attribute: str, count: int) -> list[int]:
    """An attribute that has a number for each input or output; 0 for each where it is left out."""
    given = call[attribute] or (0,) * count
    if len(given) != count:
        raise call.error(f"{attribute} must be {count} numbers, got {list(given)}")
    return list(given)


def _places(
    site: LoopSite,
    along: Sequence[tuple[Tensor, int, int]],
    states: list[Held],
    num_rows: int,
    length: int | None = None,
) -> _Trips:
    """The trips of a scan along an axis of each of several tensors, backwards where the number behind the axis is not 0."""
    sizes = {x.shape[axis] for x, axis, _ in along}
    if len(sizes) != 1:
        raise site.call.error(f"scans axes of {', '.join(map(str, sorted(sizes)))} places; they must be equally long")
    (size,) = sizes
    held = [
        site.lengths.known[x] for x, axis, _ in along if x in site.lengths.known and site.lengths.known[x].axis == axis
    ]
    if held and any(back for _, _, back in along):
        raise site.undecided("how often it runs", held[0].count, "which it cannot do backwards")
    site.fits(size if length is None else length)

    def feed(trip: int, states: Sequence[Held]) -> Iterator[Held]:
        yield from states
        for x, axis, back in along:
            yield site.make("Gather", x, constant(size - 1 - trip if back else trip), axis=axis)[0]

    trips = _Trips(
        site, size if length is None else length, held[0].count if held else None, states, [[] for _ in range(num_rows)]
    )
    trips.write(lambda trip, states: [*feed(trip, states)], None)
    return trips


def _scan_batch(site: LoopSite) -> list[Given]:
    """Scan of operator set 8: each example of a batch (axis 0) along its axis 1, with a length of its own."""
    call, num = site.call, site.call["num_scan_inputs"]
    states = list(site.inputs[1 : len(site.inputs) - num])
    scanned = _scanned(site, len(site.inputs) - num)
    num_rows = site.require(len(site.inputs) - 1, len(states))
    if any(x.ndim < 2 for x in scanned) or len({x.shape[:2] for x in scanned}) != 1:
        raise call.error(
            f"scans {', '.join(map(described, scanned))}; they must have a batch and a sequence of one length"
        )
    batch, size = scanned[0].shape[:2]
    given = site.inputs[0]
    lengths = [size] * batch if given is None else call.integers("sequence_lens", tensor_of(call, site.inputs, 0))
    if len(lengths) != batch or any(not 0 <= n <= size for n in lengths):
        raise call.error(f"sequence_lens must be {batch} numbers from 0 to {size}, got {lengths}")
    directions = _numbers(call, "directions", num)
    site.fits(batch * size)
    finals: list[list[Tensor]] = []
    for number, length in enumerate(lengths):
        own = [site.make("Gather", tensor_of(call, states, k), constant(number), axis=0)[0] for k in range(len(states))]
        rows = [site.make("Gather", x, constant(number), axis=0)[0] for x in scanned]
        trips = _places(
            site, [(x, 0, back) for x, back in zip(rows, directions, strict=True)], [*own], num_rows, length
        )
        padded = [_padded(trips.stacked(k), size, call) for k in range(num_rows)]
        finals.append([*(tensor_of(call, trips.states, k) for k in range(len(states))), *padded])
    return [stack(site.make, [each[k] for each in finals], 0) for k in range(len(states) + num_rows)]


def _padded(rows: Tensor | Ragged, size: int, call: Call) -> Tensor:
    """Rows of a sequence that is shorter than others, with zeros behind them."""
    if isinstance(rows, Ragged):
        raise call.error("how long its sequences are depends on values")
    missing = size - rows.shape[0]
    return ops.pad(rows, [(0, missing), *[(0, 0)] * (rows.ndim - 1)]) if missing else rows


def _map(site: LoopSite) -> list[Given]:
    """One trip for each item of a sequence; what is no sequence is given to each."""
    first = site.inputs[0]
    if not isinstance(first, Items):
        raise site.call.error(f"its input 0 must be a sequence, it is {described(first)}")
    count = len(first.tensors)
    if any(isinstance(held, Items) and len(held.tensors) < count for held in site.inputs):
        raise site.call.error("its sequences must be equally long")
    site.require(len(site.inputs), 0)
    site.fits(count)
    made = [
        site.run(str(n), [held.tensors[n] if isinstance(held, Items) else held for held in site.inputs], None)
        for n in range(count)
    ]
    outputs = range(len(site.body.outputs))
    return [Items(tuple(tensor_of(site.call, each, k) for each in made)) for k in outputs]


def entering(node: Node) -> tuple[str, ...]:
    """What the inputs of a node's inner graph are called outside of it, "" where the loop itself makes them."""
    if node.kind == "Loop":
        return ("", "", *node.inputs[2:])
    return node.inputs[1:] if node.kind == "Scan" and node.opset < 9 else node.inputs
