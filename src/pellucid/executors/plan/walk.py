"""The way through a graph: every node becomes part of a step, then outputs are delivered and parameters updated."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pellucid.executors.plan.buffers import Buffer, View, view_of
from pellucid.executors.plan.builder import Builder
from pellucid.executors.plan.chains import is_arithmetic, is_number
from pellucid.executors.plan.flat import flatten_updates
from pellucid.executors.plan.kernels import lower
from pellucid.executors.plan.plan import Demote, Plan, copied_early, finish_chains
from pellucid.executors.plan.steps import ChainStep, Root
from pellucid.graph import Parameter, Tensor, topological


def make_plan(
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
            plan = _Walk(Builder(outputs, updates, demoted, threads, precision, without)).plan()
        except Demote as problem:
            demoted.add(problem.parameter)
            continue
        plan.finish(share_memory)
        return plan


class _Walk:
    """One way through the graph of a builder."""

    def __init__(self, to: Builder) -> None:
        self.to = to

    def plan(self) -> Plan:
        """All nodes in order, then outputs that are still to be copied, then the updates."""
        to = self.to
        for node in self._order():
            if node not in to.in_place:
                self._visit(node)
        made = len(to.steps)
        for number, output in enumerate(to.outputs):
            target = Buffer(to.names[output], output.shape, output.dtype, base=to.arrays.output_base(number))
            to.copy(output, to.values.get(output), view_of(target))
        aside = {value: self._set_aside(value) for value in to.updates.values() if self._lies_in_updated(value)}
        to.can_join_from = before_updates = len(to.steps)
        finish_chains(to.steps, to.values, may_recompute=True)  # before values lie where updates will write them
        to.steps = copied_early(to.steps, made)
        self._update(aside)
        finish_chains(to.steps[before_updates:], to.values, may_recompute=False)
        self._check_updates(before_updates)
        flat: list[tuple[Parameter, ...]] = []
        if "flat_updates" not in to.without:
            owners = {to.bases[p]: p for p in to.updates}
            to.steps[before_updates:], flat = flatten_updates(to.steps[before_updates:], owners)
        return self._ordered(before_updates, flat)

    def _order(self) -> list[Tensor]:
        """What the outputs need first, then what only updates need.

        The last layer's updates come first: each weight's gradient is then made while what it is made of is still in
        the cache, and its inputs are given up as early as possible.
        """
        outputs = self.to.outputs
        first_use = {node: position for position, node in enumerate(topological(outputs))}
        updates = sorted(self.to.updates.items(), key=lambda pair: -first_use.get(pair[0], -1))
        return topological((*outputs, *(value for _, value in updates)))

    def _visit(self, node: Tensor) -> None:
        """Leaves lie in arrays, arithmetic waits for the chain that needs it unless it is to be kept, the rest is lowered."""
        to = self.to
        if node in to.bases:
            to.place_leaf(node)
        elif is_number(node) or (is_arithmetic(node) and node not in to.kept):
            return
        elif is_arithmetic(node):
            to.store(node)
        else:
            lower(to, node)

    # Updates

    def _update(self, aside: Mapping[Tensor, View]) -> None:
        """The steps that set parameters: in place, or a copy of what was computed."""
        to = self.to
        for value in topological(tuple(to.updates.values())):
            if value in to.in_place:
                place = view_of(self._parameter_buffer(to.in_place[value]))
                to.add_root(Root(value, value, "store", place), value.shape)
                to.values[value] = place
        for parameter, value in to.updates.items():
            if to.in_place.get(value) is not parameter:
                view = aside.get(value) or to.values.get(value)
                to.copy(value, view, view_of(self._parameter_buffer(parameter)), join=False)

    def _lies_in_updated(self, value: Tensor) -> bool:
        view = self.to.values.get(value)
        return view is not None and any(self.to.bases[p] == view.buffer.base for p in self.to.updates)

    def _set_aside(self, value: Tensor) -> View:
        """A copy of an update's value that lies in a parameter (a swap of two), made before any is overwritten."""
        view = view_of(self.to.buffer(value))
        self.to.copy(value, self.to.values.get(value), view, join=False)
        return view

    def _parameter_buffer(self, parameter: Parameter) -> Buffer:
        if parameter not in self.to.values:
            return Buffer(parameter.name, parameter.shape, parameter.dtype, base=self.to.bases[parameter])
        return self.to.values[parameter].buffer

    def _check_updates(self, before_updates: int) -> None:
        """Raise `Demote` for a parameter that a later step reads after it was overwritten."""
        owners = {self.to.bases[p]: p for p in self.to.updates}
        written: dict[int, Parameter] = {}
        for step in self.to.steps[before_updates:]:
            for buffer in step.reads:
                if buffer.base in written:
                    raise Demote(written[buffer.base])
            if isinstance(step, ChainStep) and (crossed := step.reads_across()) is not None:
                raise Demote(owners[crossed.base])
            for buffer in step.writes:
                if buffer.base in owners:
                    written[buffer.base] = owners[buffer.base]

    def _ordered(self, before_updates: int, flat: list[tuple[Parameter, ...]]) -> Plan:
        """The plan, with what need not be done on every run first."""
        to = self.to
        first = [s for s in to.steps if s.constant]
        for step in first:
            for buffer in step.writes:
                buffer.kept = True
        rest = [s for s in to.steps if not s.constant]
        middle = sum(not s.constant for s in to.steps[:before_updates])
        return Plan(
            to.graph, to.arrays, [*first, *rest], len(first), len(first) + middle, tuple(sorted(to.fallbacks)), to.threads, flat,
        )  # fmt: skip
