"""The layers of a network from left to right: what each reads, and which of them belong together where there are many."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any

from pellucid.explain import Trace
from pellucid.graph import Tensor

FEW = 24
"""Layers that are shown one by one."""
LOOSE = 4
"""Layers of one size in a row that are not folded."""


def sources(traced: Trace, names: Sequence[str]) -> dict[str, list[str]]:
    """The layers that each of `names` reads, without what lies between."""
    nodes = {traced[name].node: name for name in names}
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
    """For each layer the block that it is in, "" for none: layers in a row whose names begin alike, else those of one size."""
    if len(rows) <= FEW:
        return [""] * len(rows)
    found: list[str] = []
    used: dict[str, int] = {}

    def begins(row: dict[str, Any]) -> tuple[str, bool]:
        start = _start(row["layer"])
        return start or "x".join(map(str, row["shape"][1:])), bool(start)

    for (name, alike), run in itertools.groupby(rows, begins):
        count = len(list(run))
        used[name] = used.get(name, 0) + 1
        called = name if used[name] == 1 else f"{name} ({used[name]})"
        found += [called if name and count > (1 if alike else LOOSE) else ""] * count
    return found


def _start(name: str) -> str:
    """`layer1.0` of `layer1.0.conv1`."""
    parts = re.split(r"[./]", name)
    return ".".join(parts[:-1])
