"""A plan: the steps of a program in order, its arrays and its arena. Making one is `walk.make_plan`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pellucid.executors.compiled import _native
from pellucid.executors.plan.buffers import Buffer, View
from pellucid.executors.plan.chains import ChainCompiler
from pellucid.executors.plan.flat import flat_bytes
from pellucid.executors.plan.memory import plan_memory
from pellucid.executors.plan.steps import ChainStep, Step
from pellucid.graph import Constant, Graph, Input, Parameter, Tensor


class Demote(Exception):
    """An update must not be written in place: somebody still reads the old value."""

    def __init__(self, parameter: Parameter) -> None:
        self.parameter = parameter


@dataclass
class Arrays:
    """The caller's arrays, by number: constants, parameters, inputs, outputs."""

    constants: list[Tensor] = field(default_factory=list)
    parameters: list[Parameter] = field(default_factory=list)
    inputs: list[Tensor] = field(default_factory=list)
    outputs: list[Tensor] = field(default_factory=list)

    @classmethod
    def of(cls, graph: Graph, outputs: Sequence[Tensor]) -> Arrays:
        constants = [n for n in graph.nodes if isinstance(n.op, Constant)]
        inputs = [n for n in graph.nodes if isinstance(n.op, Input)]
        return cls(constants, list(graph.parameters), inputs, list(outputs))

    def bases(self) -> dict[Tensor, int]:
        """Base of each constant, parameter and input."""
        return {node: 1 + number for number, node in enumerate((*self.constants, *self.parameters, *self.inputs))}

    def nbytes(self, flat: Sequence[Sequence[Parameter]]) -> list[int]:
        """Bytes of each array; from the first parameter of a flat group on there are those of the whole group."""
        sizes: dict[Tensor, int] = {node: node.nbytes for node in self.bases()}
        sizes.update({group[0]: flat_bytes(group) for group in flat})
        return [*sizes.values(), *(o.nbytes for o in self.outputs)]

    def output_base(self, number: int) -> int:
        """Base of an output's array."""
        return 1 + len(self.constants) + len(self.parameters) + len(self.inputs) + number


@dataclass
class Plan:
    """Steps: those that run once per set of parameters, those for the outputs, those that update parameters."""

    graph: Graph
    arrays: Arrays
    steps: list[Step]
    num_constant: int
    num_before_updates: int
    fallbacks: tuple[str, ...]
    threads: int
    flat: list[tuple[Parameter, ...]] = field(default_factory=list)
    """Parameters whose arrays must lie one behind the other, see `flat.py`."""
    arena_bytes: int = 0

    def finish(self, share_memory: bool) -> None:
        """Work out what each chain reads, and where every buffer lies."""
        self.arena_bytes = plan_memory(self.steps, share_memory)

    def build(self) -> _native.Program:
        """The C++ program (steps with a reference kernel leave a gap, see `segments`)."""
        program = _native.Program(self.arena_bytes, self.arrays.nbytes(self.flat), self.threads)
        for step in self.steps:
            if step.add is not None:
                step.add(program)
        return program


def copied_early(steps: Sequence[Step], made: int) -> list[Step]:
    """The steps, those from number `made` on, which copy outputs, moved to where what they copy is still in the cache."""
    last = {_whole(buffer): number for number, step in enumerate(steps[:made]) for buffer in step.writes}
    places = list(enumerate(steps[:made]))
    places += ((max((last.get(_whole(b), -1) for b in step.reads), default=-1), step) for step in steps[made:])
    return [step for _, step in sorted(places, key=lambda place: place[0])]


def _whole(buffer: Buffer) -> Buffer:
    """The memory that a buffer is a part of, or itself."""
    return buffer if buffer.parent is None else _whole(buffer.parent[0])


def finish_chains(steps: Sequence[Step], leaf: Mapping[Tensor, View], may_recompute: bool) -> None:
    """Compile the chains: what they read is known only when all their roots are."""
    for step in steps:
        if isinstance(step, ChainStep):
            compiler = ChainCompiler(step, leaf.get, may_recompute)
            step.views = [o for o in compiler.operands if isinstance(o, View)]
            step.reads = list(dict.fromkeys(v.buffer for v in step.views))
            step.replaceable = compiler.replaceable()
            step.compiler = compiler
            step.add = compiler.add_to
            step.writes = list(dict.fromkeys(r.to.buffer for r in step.roots if r.to is not None))
            operations = [i.operation for i in compiler.instructions]
            step.flops = len(operations) * math.prod(step.loops)
            step.detail = " ".join(operations) or "copy"
