"""One update for all parameters: chains that do the same to different parameters become one over flat memory.

Parameters, their state and their gradients each lie one behind the other, every one starting on a cache line, so that
a single loop goes over all of them. The gaps are part of the loop; what is in them reaches nothing.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pellucid.executors.plan.buffers import ARENA, PLAIN, SIZES, Buffer, View, view_of
from pellucid.executors.plan.chains import ChainCompiler
from pellucid.executors.plan.memory import ALIGNMENT
from pellucid.executors.plan.steps import ChainStep, Root, Step
from pellucid.graph import Parameter

LINE = ALIGNMENT // SIZES["float32"]
"""Elements to whose multiple every parameter is rounded up: a cache line of float32."""


def flatten_updates(
    steps: Sequence[Step], owners: Mapping[int, Parameter]
) -> tuple[list[Step], list[tuple[Parameter, ...]]]:
    """The steps with like chains merged, and the parameters whose arrays must lie one behind the other, per group.

    `owners` gives the updated parameter of each base. A merged chain takes the place of the last of its parts: none of
    them reads what another writes.
    """
    alike: dict[Any, list[ChainStep]] = {}
    for step in steps:
        if isinstance(step, ChainStep) and (form := _form(step, owners)) is not None:
            alike.setdefault(form, []).append(step)
    merged: dict[Step, Step | None] = {}
    flat: list[tuple[Parameter, ...]] = []
    for parts in alike.values():
        if len(parts) > 1 and _separate(parts):
            merged.update(dict.fromkeys(parts))
            merged[parts[-1]] = _merge(parts, owners, flat)
    kept = (merged.get(step, step) for step in steps)
    return [step for step in kept if step is not None], flat


def rounded(size: int) -> int:
    """Elements that a parameter of `size` takes in flat memory."""
    return -(-size // LINE) * LINE


def flat_bytes(parameters: Sequence[Parameter]) -> int:
    """Bytes that parameters take one behind the other."""
    return sum(rounded(p.size) for p in parameters) * SIZES["float32"]


def lay_flat(parameters: Sequence[Parameter]) -> None:
    """Move the parameters' arrays one behind the other, unless they lie so already."""
    sizes = [rounded(p.size) for p in parameters]
    addresses = [p.storage().__array_interface__["data"][0] for p in parameters]
    steps = [size * SIZES["float32"] for size in sizes]
    if all(a + step == b for a, step, b in zip(addresses, steps, addresses[1:], strict=False)):
        return
    memory = np.zeros(sum(sizes), np.float32)
    start = 0
    for parameter, size in zip(parameters, sizes, strict=True):
        parameter.move(memory[start : start + parameter.size].reshape(parameter.shape))
        start += size


def _form(step: ChainStep, owners: Mapping[int, Parameter]) -> Any:
    """What a chain does, apart from to what; None for a chain that cannot be merged."""
    compiler = step.compiler
    assert isinstance(compiler, ChainCompiler)
    size = math.prod(step.loops)
    if any(root.to is None or root.write != "store" or not _is_flat(root.to, size, owners) for root in step.roots):
        return None
    written = [root.to.buffer for root in step.roots if root.to is not None]
    operands: list[Any] = []
    for operand in compiler.operands:
        if not isinstance(operand, View):
            operands.append(operand)
        elif operand.array.size == 1 < size and operand.buffer.base not in owners:
            operands.append((operand.buffer, operand.offset))
        elif operand.buffer in written:
            operands.append(("written", written.index(operand.buffer)))
        elif operand.buffer.base == ARENA and not operand.buffer.kept and _is_flat(operand, size, {ARENA: None}):
            operands.append("arena")
        else:
            return None
    instructions = tuple((i.operation, i.to, i.arguments) for i in compiler.instructions)
    return tuple(operands), tuple(compiler.operand_types), instructions, tuple(compiler.results)


def _is_flat(view: View, size: int, bases: Mapping[int, Any]) -> bool:
    buffer = view.buffer
    whole = view.is_whole(PLAIN) and view.array.size == size and view.offset == 0
    return whole and buffer.dtype == "float32" and buffer.base in bases and buffer.parent is None


def _separate(parts: Sequence[ChainStep]) -> bool:
    """Whether every buffer of the arena is read by one part only."""
    read = [b for part in parts for b in dict.fromkeys(part.reads) if b.base == ARENA and math.prod(b.shape) > 1]
    return len(read) == len(set(read))


def _merge(parts: Sequence[ChainStep], owners: Mapping[int, Parameter], flat: list[tuple[Parameter, ...]]) -> ChainStep:
    sizes = [rounded(math.prod(part.loops)) for part in parts]
    total = sum(sizes)
    first = parts[0]
    step = ChainStep(f"{first.name} and {len(parts) - 1} more", "chain", [], [], loops=(total,), detail=first.detail)
    places: dict[Buffer, View] = {}
    for number, root in enumerate(first.roots):
        assert root.to is not None
        group = [part.roots[number].to for part in parts]
        parameters = tuple(owners[to.buffer.base] for to in group if to is not None)
        flat.append(parameters)
        to = view_of(Buffer(f"{parameters[0].name} and more", (total,), base=root.to.buffer.base))
        places[root.to.buffer] = to
        step.roots.append(Root(root.node, root.source, "store", to))
    compiler = copy.copy(first.compiler)
    assert isinstance(compiler, ChainCompiler)
    compiler.step = step
    compiler.operands = [
        _flat_operand(parts, sizes, number, places) if isinstance(operand, View) else operand
        for number, operand in enumerate(compiler.operands)
    ]
    step.compiler, step.add = compiler, compiler.add_to
    step.views = [o for o in compiler.operands if isinstance(o, View)]
    step.reads = list(dict.fromkeys(v.buffer for v in step.views))
    step.writes = [root.to.buffer for root in step.roots if root.to is not None]
    step.flops = sum(part.flops for part in parts)
    return step


def _flat_operand(parts: Sequence[ChainStep], sizes: Sequence[int], number: int, places: dict[Buffer, View]) -> View:
    """The operand over all parts: a flat parameter, one value for all, or the parts' values brought together."""
    views = [part.compiler.operands[number] for part in parts]
    if views[0].array.size == 1 < math.prod(parts[0].loops):
        return views[0].of(views[0].array.reshape(()))
    if views[0].buffer not in places:
        whole = Buffer(f"{views[0].buffer.name} and more", (sum(sizes),))
        offset = 0
        for view, size in zip(views, sizes, strict=True):
            view.buffer.parent = whole, offset * SIZES["float32"]
            offset += size
        places[views[0].buffer] = view_of(whole)
    return places[views[0].buffer]
