"""Lowering: every node of a graph becomes part of a step; elementwise work gathers in chains."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pellucid.executors.plan import heavy
from pellucid.executors.plan.buffers import ARENA, BLOCK, BLOCKED, CHANNELS_LAST, PLAIN, Buffer, View, view_of
from pellucid.executors.plan.chains import is_arithmetic, is_number
from pellucid.executors.plan.choices import kept_values, updates_in_place
from pellucid.executors.plan.flat import flatten_updates
from pellucid.executors.plan.narrow import narrow_values
from pellucid.executors.plan.plan import Arrays, Demote, Plan, copied_early, finish_chains
from pellucid.executors.plan.steps import ChainStep, Root, Step
from pellucid.executors.plan.views import VIEWS, viewed
from pellucid.graph import Constant, Graph, Parameter, Tensor, topological
from pellucid.op import Array, Op, Shape
from pellucid.ops.indexing import Pad, SliceGradient
from pellucid.ops.reduction import Max, Sum
from pellucid.ops.shape import Concat
from pellucid.walks import constant_nodes, users


@dataclass(frozen=True)
class Stored(Op, registered=False):
    """A value that lies in memory already"""


_WORTH_A_THREAD = 500_000
MOST_ROOTS = 6
"""Values that one chain stores or reduces; with the leaves each may have they stay within what C++ takes."""


def lower(
    outputs: Sequence[Tensor],
    updates: Mapping[Parameter, Tensor],
    threads: int,
    precision: str = "float32",
    share_memory: bool = True,
    without: Collection[str] = (),
) -> Plan:
    """The plan of a program. Updates write into their parameters at the end, in place where nobody still reads them."""
    demoted: set[Parameter] = set()
    while True:
        try:
            plan = Lowering(outputs, updates, demoted, threads, precision, without).plan()
        except Demote as problem:
            demoted.add(problem.parameter)
            continue
        plan.finish(share_memory)
        return plan


class Lowering:
    """The state of making one plan."""

    def __init__(
        self,
        outputs: Sequence[Tensor],
        updates: Mapping[Parameter, Tensor],
        demoted: Collection[Parameter],
        threads: int,
        precision: str,
        without: Collection[str],
    ) -> None:
        self.outputs, self.updates = tuple(outputs), dict(updates)
        everything = (*self.outputs, *self.updates.values())
        self.graph = Graph(everything)
        self.names = self.graph.names
        self.arrays = Arrays.of(self.graph, len(self.outputs))
        for parameter in self.updates:
            if parameter not in self.graph.names:
                self.arrays.parameters.append(parameter)
        self.bases = self.arrays.bases()
        self.readers = users(everything)
        self.fixed = constant_nodes(everything, list(self.updates))
        self.values: dict[Tensor, View] = {}
        self.steps: list[Step] = []
        self.made_at: dict[Buffer, int] = {}
        self.fallbacks: set[str] = set()
        self.relaid: dict[tuple[Tensor, str, str], View] = {}
        self.threads, self.precision, self.without = threads, precision, without
        self.transformed: dict[tuple[Tensor, bool], Buffer] = {}
        self.narrow = narrow_values(self.graph) if precision == "bfloat16" else frozenset[Tensor]()
        self.winners: dict[tuple[Tensor, object], tuple[str, Buffer]] = {}
        self.in_place = updates_in_place(self.graph, self.readers, self.outputs, self.updates, demoted)
        self.kept = kept_values(self.graph, self.readers, self.updates)
        self.flat: list[tuple[Parameter, ...]] = []
        self.can_join_from = 0

    # Walking the graph

    def plan(self) -> Plan:
        """All nodes in order, then outputs that are still to be copied, then the updates."""
        late = [v for v in topological(tuple(self.updates.values())) if v in self.in_place]
        for node in self._order():
            if node not in self.in_place:
                self._lower(node)
        made = len(self.steps)
        for number, output in enumerate(self.outputs):
            self._deliver(number, output)
        aside = {v: self._set_aside(v) for v in self.updates.values() if self._lies_in_updated(v)}
        self.can_join_from = before_updates = len(self.steps)
        finish_chains(self.steps, self.values, may_recompute=True)  # before values lie where updates will write them
        self.steps = copied_early(self.steps, made)
        for value in late:
            parameter = self.in_place[value]
            to = view_of(self._parameter_buffer(parameter))
            self._add_root(Root(value, value, "store", to), value.shape)
            self.values[value] = to
        for parameter, value in self.updates.items():
            if self.in_place.get(value) is not parameter:
                view = aside.get(value) or self._value(value)
                self._copy(value, view, view_of(self._parameter_buffer(parameter)), join=False)
        finish_chains(self.steps[before_updates:], self.values, may_recompute=False)
        self._check_updates(before_updates)
        if "flat_updates" not in self.without:
            updates, self.flat = flatten_updates(self.steps[before_updates:], {self.bases[p]: p for p in self.updates})
            self.steps[before_updates:] = updates
        return self._ordered(before_updates)

    def _lies_in_updated(self, value: Tensor) -> bool:
        view = self.values.get(value)
        return view is not None and any(self.bases[p] == view.buffer.base for p in self.updates)

    def _set_aside(self, value: Tensor) -> View:
        """A copy of an update's value that lies in a parameter (a swap of two), made before any is overwritten."""
        to = view_of(self.buffer(value))
        self._copy(value, self._value(value), to, join=False)
        return to

    def _order(self) -> list[Tensor]:
        """What the outputs need first, then what only updates need.

        The last layer's updates come first: each weight's gradient is then made while what it is made of is still in
        the cache, and its inputs are given up as early as possible.
        """
        first_use = {node: position for position, node in enumerate(topological(self.outputs))}
        updates = sorted(self.updates.items(), key=lambda pair: -first_use.get(pair[0], -1))
        return topological((*self.outputs, *(value for _, value in updates)))

    def _parameter_buffer(self, parameter: Parameter) -> Buffer:
        if parameter in self.values:
            return self.values[parameter].buffer
        return Buffer(parameter.name, parameter.shape, parameter.dtype, base=self.bases[parameter])

    def _check_updates(self, before_updates: int) -> None:
        """Raise `Demote` for a parameter that a later step reads after it was overwritten."""
        written: dict[int, Parameter] = {}
        for step in self.steps[before_updates:]:
            for buffer in step.reads:
                if buffer.base in written:
                    raise Demote(written[buffer.base])
            if isinstance(step, ChainStep) and (crossed := step.reads_across()) is not None:
                raise Demote(next(p for p in self.updates if self.bases[p] == crossed.base))
            for buffer in step.writes:
                owner = next((p for p in self.updates if self.bases[p] == buffer.base), None)
                if owner is not None:
                    written[buffer.base] = owner

    def _ordered(self, before_updates: int) -> Plan:
        first = [s for s in self.steps if s.constant]
        for step in first:
            for buffer in step.writes:
                buffer.kept = True
        rest = [s for s in self.steps if not s.constant]
        middle = sum(not s.constant for s in self.steps[:before_updates])
        steps = [*first, *rest]
        return Plan(
            self.graph, self.arrays, steps, len(first), len(first) + middle, tuple(sorted(self.fallbacks)), self.threads,
            self.flat,
        )  # fmt: skip

    def _lower(self, node: Tensor) -> None:
        op = node.op
        if node in self.bases:
            self.values[node] = view_of(Buffer(self.names[node], node.shape, node.dtype, base=self.bases[node]))
        elif is_number(node) or (is_arithmetic(node) and node not in self.kept):
            return
        elif is_arithmetic(node):
            self._store(node)
        elif isinstance(op, VIEWS):
            self._view(node)
        elif isinstance(op, Sum | Max) and node.dtype in ("float32", "int64") and self._reducible(node):
            self._reduce(node)
        elif isinstance(op, Concat | Pad | SliceGradient) and node.dtype == "float32":
            self._assemble(node)
        elif not heavy.lower(self, node):
            heavy.fall_back(self, node)

    # Buffers

    def buffer(self, node: Tensor, layout: str = PLAIN, dtype: str | None = None) -> Buffer:
        """A new buffer in the arena for the value of `node`."""
        return Buffer(self.names.get(node, node.name), node.shape, dtype or self.dtype(node), layout)

    def dtype(self, node: Tensor) -> str:
        """The element type in which `node` is kept."""
        return "bfloat16" if node in self.narrow else node.dtype

    def scratch(self, name: str, nbytes: int) -> Buffer:
        """A new buffer of so many bytes."""
        return Buffer(name, (nbytes,), "uint8")

    def threads_for(self, flops: int) -> int:
        """Threads for a step of so much work: waking another must pay."""
        return self.threads if flops >= _WORTH_A_THREAD else 1

    def made(self, node: Tensor, buffer: Buffer) -> None:
        """Say that `node` now lies in `buffer`."""
        self.values[node] = view_of(buffer)

    def add(self, step: Step) -> None:
        """Append a step; it is constant if nothing it reads depends on an input."""
        for buffer in step.writes:
            self.made_at[buffer] = len(self.steps)
        self.steps.append(step)

    def _value(self, node: Tensor) -> View | None:
        """Where `node` can be read; None for a value that chains compute themselves."""
        return self.values.get(node)

    def whole(self, node: Tensor, layout: str, dtype: str | None = None) -> View:
        """`node` from end to end in `layout`, its elements of `dtype` (by default its own); copied if it lies otherwise."""
        dtype = dtype or node.dtype
        view = self._value(node)
        if view is not None and view.buffer.dtype == dtype and self._is_whole(view, layout):
            return view
        key = (node, layout, dtype)
        if key not in self.relaid:
            to = view_of(self.buffer(node, layout, dtype))
            self._copy(node, view, to, join=True)
            self.relaid[key] = to
        return self.relaid[key]

    def _is_whole(self, view: View, layout: str) -> bool:
        shape = view.shape
        single = len(shape) == 4 and shape[2] * shape[3] == 1
        if layout == BLOCKED and single and not view.blocked:
            return view.is_whole(PLAIN)
        return view.is_whole(layout)

    def _copy(self, node: Tensor, view: View | None, to: View, join: bool) -> None:
        """A chain that writes the value of `node` to another place."""
        source = node if view is None else self._stored(node, view)
        self._add_root(Root(source, source, "store", to), node.shape, join, constant=node in self.fixed)

    def _stored(self, node: Tensor, view: View) -> Tensor:
        """A stand-in for `node` that chains read and never compute."""
        stand_in = Tensor(Stored(), (), node.shape, node.dtype, self.names.get(node, node.name))
        self.values[stand_in] = view
        return stand_in

    def _deliver(self, number: int, output: Tensor) -> None:
        target = Buffer(self.names[output], output.shape, output.dtype, base=self.arrays.output_base(number))
        self._copy(output, self._value(output), view_of(target), join=True)

    # Chains

    def _store(self, node: Tensor) -> None:
        to = view_of(self.buffer(node, self._chain_layout(node)))
        self._add_root(Root(node, node, "store", to), node.shape)
        self.values[node] = to

    def _chain_layout(self, node: Tensor) -> str:
        """As the images that the chain reads."""
        if node.ndim != 4 or node.dtype != "float32" or node.shape[2] * node.shape[3] == 1:
            return PLAIN
        views = [self.values[leaf] for leaf in self._leaves(node) if leaf.shape == node.shape]
        if node.shape[1] % BLOCK == 0 and any(v.blocked for v in views):
            return BLOCKED
        if any(not v.blocked and v.is_whole(CHANNELS_LAST) and not v.is_whole(PLAIN) for v in views):
            return CHANNELS_LAST
        return PLAIN

    def _leaves(self, node: Tensor) -> list[Tensor]:
        """The stored values from which a chain computes `node`."""
        found: dict[Tensor, None] = {}
        stack = [node]
        while stack:
            value = stack.pop()
            if value is not node and value in self.values:
                found[value] = None
            elif not is_number(value):
                stack.extend(value.inputs if is_arithmetic(value) else ())
                if value in self.values:
                    found[value] = None
        return list(found)

    def _add_root(self, root: Root, loops: Shape, join: bool = True, constant: bool | None = None) -> None:
        """Put a root into the earliest chain that reads something it reads too, or into a new one."""
        leaves = self._leaves(root.source)
        if root.source in self.values and root.source not in leaves:
            leaves.append(root.source)
        assert root.to is not None
        constant = (root.source in self.fixed if constant is None else constant) and root.to.buffer.base == ARENA
        earliest = self.can_join_from
        for leaf in leaves:
            at = self.made_at.get(self.values[leaf].buffer, -1)
            earliest = max(earliest, at if at >= 0 and self._in_chain(leaf, at, loops) else at + 1)
        chain = self._chain_to_join(leaves, loops, earliest, constant) if join else None
        if chain is None:
            chain = ChainStep(
                self.names.get(root.node, root.node.name), "chain", [], [], loops=loops, constant=constant
            )
            self.steps.append(chain)
        chain.roots.append(root)
        self.made_at[root.to.buffer] = self.steps.index(chain)

    def _in_chain(self, leaf: Tensor, at: int, loops: Shape) -> bool:
        """Whether `leaf` is computed (not reduced or copied) by the chain at `at`, under the same loops."""
        step = self.steps[at]
        if not isinstance(step, ChainStep) or step.loops != loops:
            return False
        return any(
            r.node is leaf and r.source is leaf and r.write == "store" and is_arithmetic(leaf) for r in step.roots
        )

    def _chain_to_join(self, leaves: list[Tensor], loops: Shape, earliest: int, constant: bool) -> ChainStep | None:
        wanted = {self.values[leaf].buffer for leaf in leaves if leaf.shape == loops}
        for step in self.steps[earliest:]:
            if not isinstance(step, ChainStep) or step.loops != loops or step.constant is not constant:
                continue
            if len(step.roots) < MOST_ROOTS and wanted & self._touched(step):
                return step
        return None

    def _touched(self, chain: ChainStep) -> set[Buffer]:
        """Buffers that a chain reads or writes."""
        touched = {root.to.buffer for root in chain.roots if root.to is not None}
        for root in chain.roots:
            read = [*self._leaves(root.source), root.source]
            touched |= {self.values[leaf].buffer for leaf in read if leaf in self.values}
        return touched

    # Nodes that are no arithmetic

    def _view(self, node: Tensor) -> None:
        source = node.inputs[0]
        if is_number(source):
            self.values[source] = view_of(
                Buffer(self.names[source], source.shape, source.dtype, base=self.bases[source])
            )
        view = self.values[source]
        if view.blocked:
            view = self.whole(source, PLAIN, view.buffer.dtype)
        array = viewed(node, view.array)
        if array is None:
            view = self.whole(source, PLAIN, view.buffer.dtype)
            array = viewed(node, view.array)
        assert array is not None
        self.values[node] = view.of(array)

    def _reducible(self, node: Tensor) -> bool:
        return node.dtype == "float32" or isinstance(node.op, Sum)

    def _reduce(self, node: Tensor) -> None:
        assert isinstance(node.op, Sum | Max)
        source = node.inputs[0]
        buffer = self.buffer(node)
        out = view_of(buffer)
        kept = tuple(1 if a in node.op.axes else n for a, n in enumerate(source.shape))
        write = "sum" if isinstance(node.op, Sum) else "max"
        self._add_root(Root(node, source, write, out.of(out.array.reshape(kept))), source.shape)
        self.values[node] = out

    def _assemble(self, node: Tensor) -> None:
        """Concatenation and padding: an empty buffer, then each part copied to its place."""
        op = node.op
        views = [self._value(i) for i in node.inputs]
        join_blocks = isinstance(op, Concat) and op.axis == 1 and all(v is not None and v.blocked for v in views)
        whole = view_of(self.buffer(node, BLOCKED if join_blocks else PLAIN))
        parts: list[tuple[Tensor, Array]] = []
        if isinstance(op, Concat):
            start = 0
            for part in node.inputs:
                size = part.shape[op.axis] // (BLOCK if join_blocks else 1)
                parts.append((part, whole.array[(slice(None),) * op.axis + (slice(start, start + size),)]))
                start += size
        else:
            value = op.value if isinstance(op, Pad) else 0.0
            fill = Tensor(Constant(np.float32(value).tobytes(), "float32", ()), (), (), "float32", "fill")
            self._add_root(Root(fill, fill, "store", whole), node.shape, join=False, constant=node in self.fixed)
            if isinstance(op, Pad):
                inside = tuple(slice(a, a + n) for a, n in zip(op.before, node.inputs[0].shape, strict=True))
            else:
                assert isinstance(op, SliceGradient)
                inside = tuple(map(slice, op.starts, op.stops, op.steps))
            parts.append((node.inputs[0], whole.array[inside]))
        for part, place in parts:
            self._copy_part(part, whole.of(place), node in self.fixed)
        self.values[node] = whole

    def _copy_part(self, part: Tensor, to: View, constant: bool) -> None:
        view = self._value(part)
        source = part if view is None else self._stored(part, view)
        self._add_root(Root(source, source, "store", to), part.shape, join=False, constant=constant)
