"""The layers of a network from left to right: how large each is, what it reads, and which of them belong together where there are many."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pellucid.explain.trace.expansion import without_batch
from pellucid.graph import Tensor
from pellucid.inference.prepared import Prepared
from pellucid.lab.maps import size_of
from pellucid.nn import Module
from pellucid.nn.grouping import kind_of

FEW = 24
"""Layers that are shown one by one."""
LOOSE = 4
"""Layers of one size in a row that are not folded."""
LONGEST = 64
"""Layers of a block that is found by its coming again."""
BETWEEN = " to "
"""Between the first and the last name of a run."""
MOST = 400
"""Columns while all is folded."""


def columns(net: Module, prepared: Prepared) -> list[dict[str, Any]]:
    """Every layer that has values with its size, what it reads, and the blocks that it is in: known before anything is computed."""
    layers = {prepared.graph.names[node]: node for node in prepared.kept if node.size}
    kinds, read = net.layer_kinds(), sources(layers)
    rows: list[dict[str, Any]] = []
    for name, node in layers.items():
        count, *size = size_of(node, prepared.axes)
        shape = list(without_batch(node, node.shape))
        own = {"operation": kind_of(node, kinds), "reads": read[name]}
        rows.append({"layer": name, "shape": shape, "maps": count, "size": size, **own})
    blocked = blocks(rows)
    for row, block, (repeat, times) in zip(rows, blocked, repeats(rows, blocked), strict=True):
        row |= {"block": block, "repeat": repeat, "times": times}
    return rows


def sources(layers: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """The layers that each of these reads, without what lies between."""
    nodes = {node: name for name, node in layers.items()}
    found: dict[str, list[str]] = {}
    for node, name in nodes.items():
        waiting, seen, read = list(node.inputs), set[Tensor](), list[str]()
        while waiting:
            below = waiting.pop(0)
            if below in seen:
                continue
            seen.add(below)
            if below in nodes:
                read.append(nodes[below])
            else:
                waiting += below.inputs
        found[name] = read
    return found


def blocks(rows: Sequence[dict[str, Any]]) -> list[str]:
    """For each layer the block that it is in, "" for none: layers in a row whose names begin alike, else those whose like
    comes again, else those of one size."""
    if len(rows) <= FEW:
        return [""] * len(rows)
    found: list[str] = []
    used: dict[str, int] = {}
    again = _coming_again(rows)

    def begins(place: int) -> tuple[str, int]:
        start = _start(rows[place]["layer"])
        if start:
            return start, 2
        return again.get(place) or ("x".join(map(str, rows[place]["shape"][1:])), LOOSE + 1)

    for (name, least), run in itertools.groupby(range(len(rows)), begins):
        count = len(list(run))
        used[name] = used.get(name, 0) + 1
        called = name if used[name] == 1 else f"{name} ({used[name]})"
        found += [called if name and count >= least else ""] * count
    return found


def repeats(rows: Sequence[dict[str, Any]], blocked: Sequence[str]) -> list[tuple[str, int]]:
    """For each layer the run of blocks that it is in, and how many there are in it: blocks in a row that are built alike.

    Where still more than `MOST` columns would be left, what follows each other is put into runs, whose number is 0.
    """
    units = _units(blocked)
    built = [_built([rows[k] for k in run]) if name else () for name, run in units]
    found: list[tuple[str, int]] = [("", 0)] * len(rows)
    left = 0
    for _, run in itertools.groupby(range(len(units)), lambda k: built[k] or k):
        same = list(run)
        left += 1
        if len(same) > 1:
            ends = units[same[0]][0].partition(BETWEEN)[0], units[same[-1]][0].rpartition(BETWEEN)[2]
            for k in itertools.chain.from_iterable(units[unit][1] for unit in same):
                found[k] = f"{ends[0]}{BETWEEN}{ends[1]}", len(same)
    if left <= MOST:
        return found
    each = -(-len(units) // (MOST // 2))
    for first in range(0, len(units), each):
        some = [k for _, run in units[first : first + each] for k in run]
        named = f"{rows[some[0]]['layer']}{BETWEEN}{rows[some[-1]]['layer']}"
        for k in some:
            found[k] = named, 0
    return found


def _units(blocked: Sequence[str]) -> list[tuple[str, list[int]]]:
    """What is one column while all is folded: a block with its layers, or one layer."""
    runs = itertools.groupby(range(len(blocked)), lambda k: blocked[k] or k)
    return [(name if isinstance(name, str) else "", list(run)) for name, run in runs]


def _built(rows: Sequence[dict[str, Any]]) -> tuple[Any, ...]:
    """How a block is built, whatever its sizes: the operations, and which of the block's layers each of them reads."""
    places = {row["layer"]: k for k, row in enumerate(rows)}
    return tuple(
        (row.get("operation", ""), tuple(places.get(read, -1) for read in row.get("reads", ()))) for row in rows
    )


def _coming_again(rows: Sequence[dict[str, Any]]) -> dict[int, tuple[str, int]]:
    """Blocks of layers whose names say nothing: parts in a row that are built alike, by what stands nearest."""
    alike = ["" if _start(row["layer"]) else (row.get("operation", ""), len(row.get("reads", ()))) for row in rows]
    found: dict[int, tuple[str, int]] = {}
    at = 0
    while at < len(rows):
        best = 0, 0
        for period in range(2, min(LONGEST, (len(rows) - at) // 2) + 1):
            part = alike[at : at + period]
            if "" in part or len(set(part)) < 2:
                continue
            times = 1
            while alike[at + times * period : at + (times + 1) * period] == part:
                times += 1
            if times > 1 and times * period > best[0] * best[1]:
                best = period, times
        period, times = best
        for k in range(period * times):
            first = at + k // period * period
            found[at + k] = f"{rows[first]['layer']}{BETWEEN}{rows[first + period - 1]['layer']}", 2
        at += period * times or 1
    return found


_NUMBERED = re.compile(r"(?:.*?\.)?\d+(?:\.\d+)*(?=\.|$)")


def _start(name: str) -> str:
    """`layer1.0` of `layer1.0.conv1` and of `layer1.0.downsample.0`: a numbered part with all that is in it."""
    start = ".".join(part for part in re.split(r"[./]", name)[:-1] if part)
    numbered = _NUMBERED.match(start)
    return numbered[0] if numbered else start
