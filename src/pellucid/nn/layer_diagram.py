"""A network's layers as a diagram that fits a slide: what follows a layer in its box, blocks folded, repeated ones counted."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pellucid.op import Shape
from pellucid.pictures import Diagram, DiagramBox, DiagramEdge, arranged
from pellucid.text import human_count, squeezed

if TYPE_CHECKING:
    from pellucid.nn.summary import Row, Summary

DRAWN, OPENED = 26, 60
"""Boxes that are drawn at once, and of a block whose inside can be opened."""
_NAME = 30
"""Letters of a name in a box."""
_KINDS = {"conv": "convolution", "pool": "pooling", "linear": "dense", "gemm": "dense", "matmul": "dense"}

Ends = tuple[str, str]


@dataclass(frozen=True)
class Unit:
    """A layer, with those that only follow it and keep the number of its elements: normalization, activation, dropout."""

    rows: tuple[Row, ...]

    @property
    def path(self) -> tuple[str, ...]:
        """The parts of the first layer's name."""
        return tuple(part for part in re.split(r"[./]", self.rows[0].name) if part) or (self.rows[0].name,)


@dataclass(frozen=True)
class Block:
    """Layers that follow each other under one name; or several such blocks in a row that are the same, as `runs`."""

    name: str
    runs: tuple[tuple[Unit, ...], ...]
    last: str = ""

    @property
    def rows(self) -> list[Row]:
        """All of its layers."""
        return [row for run in self.runs for unit in run for row in unit.rows]

    @property
    def form(self) -> tuple[object, ...]:
        """What makes another block the same."""
        return tuple((r.kind, r.output_shape, r.parameters) for unit in self.runs[-1] for r in unit.rows)


def layer_diagram(summary: Summary) -> Diagram:
    """The layers from top to bottom; on each arrow the shape that goes on, in each box what it is and has to learn."""
    blocks = _blocks(_units(summary.rows, summary.edges))
    learned = f"{summary.total_parameters:,} parameters, {human_count(summary.total_multiply_adds)} multiply-adds"
    batch = "" if summary.batch == 1 else f"{summary.batch} x "
    title = f"{summary.name or 'The network'}: {learned} for {batch}{_times(summary.input_shape)}"
    inputs = [DiagramBox(end.name, (squeezed(end.name, _NAME), "input"), "input") for end in summary.inputs]
    shapes = {row.name: row.output_shape for row in summary.rows} | {end.name: end.shape[1:] for end in summary.inputs}
    return _arranged(title, blocks, summary.edges, shapes, _note(blocks), inputs)


def _arranged(
    title: str,
    blocks: Sequence[Block],
    edges: Sequence[Ends],
    shapes: Mapping[str, Shape],
    note: str = "",
    inputs: Iterable[DiagramBox] = (),
) -> Diagram:
    boxes = [*inputs, *(_boxed(block, edges, shapes) for block in blocks)]
    owner = {box.name: box.name for box in boxes} | {row.name: block.name for block in blocks for row in block.rows}
    drawn: dict[Ends, str] = {}
    for source, target in edges:
        if source in owner and target in owner and owner[source] != owner[target]:
            drawn.setdefault((owner[source], owner[target]), _times(shapes.get(source, ())))
    return arranged(title, boxes, [DiagramEdge(a, b, shape) for (a, b), shape in drawn.items()], note, down=True)


def _boxed(block: Block, edges: Sequence[Ends], shapes: Mapping[str, Shape]) -> DiagramBox:
    """A layer and what follows it, or a block with what is in it."""
    units, times = block.runs[0], len(block.runs)
    learned = sum(row.parameters for row in block.rows)
    words = [f"{learned:,} parameters"] if learned else []
    name = squeezed(block.name, _NAME) + (f" … {squeezed(block.last, _NAME)}" if block.last else "")
    if len(units) == 1 and times == 1:
        kinds = " + ".join(dict.fromkeys(row.kind for row in block.rows))
        return DiagramBox(block.name, (name, squeezed(kinds, 2 * _NAME), *words), _kind(units[0].rows[0].kind))
    count = sum(len(unit.rows) for unit in units)
    inside = None
    if len(units) <= OPENED:
        alone = [Block(unit.rows[0].name, ((unit,),)) for unit in units]
        inside = _arranged(block.name, alone, edges, shapes)
    size = f"{times} x {count} layers" if times > 1 else f"{count} layers"
    return DiagramBox(block.name, (name, size, *words), "block", inside=inside)


def _kind(kind: str) -> str:
    return next((word for part, word in _KINDS.items() if part in kind.lower()), "operation")


def _times(shape: Shape) -> str:
    return "x".join(map(str, shape))


def _note(blocks: Sequence[Block]) -> str:
    told = ["On each arrow the shape that goes on"]
    if any(len(block.runs[0]) > 1 for block in blocks):
        told.append("a box with another behind it is a block of layers")
    if any(len(block.runs) > 1 for block in blocks):
        told.append("equal blocks that follow each other are one, with their number")
    return "; ".join(told) + "."


def _units(rows: Sequence[Row], edges: Sequence[Ends]) -> list[Unit]:
    sources: dict[str, list[str]] = {}
    users: Counter[str] = Counter()
    for source, target in edges:
        sources.setdefault(target, []).append(source)
        users[source] += 1
    units: dict[str, list[Row]] = {}
    owner: dict[str, str] = {}
    for row in rows:
        before = sources.get(row.name, [])
        held = owner.get(before[0]) if len(before) == 1 and users[before[0]] == 1 and not row.multiply_adds else None
        if held is None or math.prod(units[held][-1].output_shape) != math.prod(row.output_shape):
            held = row.name
        units.setdefault(held, []).append(row)
        owner[row.name] = held
    return [Unit(tuple(inside)) for inside in units.values()]


def _blocks(units: Sequence[Unit]) -> list[Block]:
    """The finest blocks by name of which no more than `DRAWN` are left, equal ones taken together."""
    for depth in range(max((len(unit.path) for unit in units), default=1), 0, -1):
        blocks = _together(_at_depth(units, depth))
        if len(blocks) <= DRAWN:
            return blocks
    blocks = _at_depth(units, 1)
    size = -(-len(blocks) // DRAWN)
    runs = [blocks[k : k + size] for k in range(0, len(blocks), size)]
    return [Block(r[0].name, (tuple(u for b in r for run in b.runs for u in run),), r[-1].name) for r in runs]


def _at_depth(units: Sequence[Unit], depth: int) -> list[Block]:
    """Units that follow each other and whose names go on after the same `depth` parts."""
    runs: list[list[Unit]] = []
    for unit in units:
        if (
            runs
            and all(len(u.path) > depth for u in (runs[-1][0], unit))
            and runs[-1][0].path[:depth] == unit.path[:depth]
        ):
            runs[-1].append(unit)
        else:
            runs.append([unit])
    taken: Counter[str] = Counter()
    blocks: list[Block] = []
    for run in runs:
        name = run[0].rows[0].name if len(run) == 1 else ".".join(run[0].path[:depth])
        taken[name] += 1
        blocks.append(Block(name + "'" * (taken[name] - 1), (tuple(run),)))
    return blocks


def _together(blocks: Sequence[Block]) -> list[Block]:
    """Equal blocks of several layers that follow each other as one."""
    found: list[Block] = []
    for block in blocks:
        if found and len(block.runs[0]) > 1 and found[-1].form == block.form:
            found[-1] = Block(found[-1].name, (*found[-1].runs, *block.runs), block.name)
        else:
            found.append(block)
    return found
