"""Large diagrams folded by the names of their boxes: `layer1.0.conv1` lies in the group `layer1`, and there in `layer1.0`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from pellucid.pictures.arranging import arranged
from pellucid.pictures.diagram import Diagram, DiagramBox, DiagramEdge
from pellucid.text import amount

FLAT, DRAWN = 24, 120
"""Boxes that are drawn without folding, and at most at once."""
_DEEPEST = 8

Ends = tuple[str, str]
Key = tuple[str, ...]


def folded(title: str, boxes: Sequence[DiagramBox], edges: Sequence[Ends], note: str = "") -> Diagram:
    """A diagram of boxes, in order of computation, and of edges from one to another, groups of them folded where there are many.

    What is in a group is a diagram too. No group is folded through which a way leads out and back in; what is still too
    much is folded into runs of boxes that follow each other.
    """
    return _view(title, list(boxes), list(edges), {}, note, 0)


def _view(
    title: str, boxes: Sequence[DiagramBox], edges: Sequence[Ends], outside: Mapping[str, str], note: str, depth: int
) -> Diagram:
    """Boxes of one group; `outside` says as what others at the ends of its edges are shown."""
    inside = {box.name for box in boxes}
    inner = [(a, b) for a, b in edges if a in inside and b in inside]
    keys = _keys(boxes, inner, depth)
    members: dict[Key, list[DiagramBox]] = {}
    for box in boxes:
        members.setdefault(keys[box.name], []).append(box)
    if len(members) > DRAWN:
        members = _runs(members, keys, inner)
    shown: dict[str, str] = {}
    taken = set(outside.values())
    names: dict[Key, str] = {}
    for key, group in members.items():
        name = group[0].name if len(group) == 1 else ".".join(key)
        while name in taken:
            name += "'"
        taken.add(name)
        names[key] = name
        shown.update((box.name, name) for box in group)
    around = {**outside, **shown}
    drawn = [
        _boxed(names[key], group, edges, around, depth) if len(group) > 1 else group[0]
        for key, group in members.items()
    ]
    pairs = dict.fromkeys(
        (around[a], around[b]) for a, b in edges if (a in inside or b in inside) and a in around and b in around
    )
    others = dict.fromkeys(end for pair in pairs for end in pair if end not in names.values())
    drawn += [DiagramBox(name, (name,), "outside") for name in others]
    return arranged(title, drawn, [DiagramEdge(a, b) for a, b in pairs if a != b], note)


def _boxed(
    name: str, group: list[DiagramBox], edges: Sequence[Ends], around: Mapping[str, str], depth: int
) -> DiagramBox:
    """A folded group: its name, how much is in it, and what the last of it says of itself."""
    inside = {box.name for box in group}
    leaving = {a for a, b in edges if a in inside and b not in inside} or inside
    last = next(box for box in reversed(group) if box.name in leaving)
    kinds = {box.kind for box in group}
    kind = next((k for k in ("output", "input") if k in kinds), "group")
    touching = [(a, b) for a, b in edges if a in inside or b in inside]
    others = {end: around[end] for pair in touching for end in pair if end not in inside and end in around}
    opened = _view(name, group, touching, others, "", depth + 1)
    return DiagramBox(name, (name, amount(len(group), "node"), *last.lines[2:]), kind, inside=opened)


def _path(name: str) -> Key:
    return tuple(part for part in re.split(r"[./]", name) if part) or (name,)


def _keys(boxes: Sequence[DiagramBox], edges: Sequence[Ends], depth: int) -> dict[str, Key]:
    """The group of each box: its path's first part that parts them; a box by itself has its name for a group."""
    alone = {box.name: ("", box.name) for box in boxes}
    if len(boxes) <= FLAT or depth >= _DEEPEST:
        return alone
    paths = {box.name: _path(box.name) for box in boxes}
    longest = max(map(len, paths.values()))
    level = next((k for k in range(1, longest + 1) if len({path[:k] for path in paths.values()}) > 1), longest)
    levels = dict.fromkeys(paths, level)
    while True:
        keys = {name: path[: levels[name]] for name, path in paths.items()}
        count = Counter(keys.values())
        keys = {name: key if count[key] > 1 and len(count) > 1 else alone[name] for name, key in keys.items()}
        open_again = [name for name in _going_back(keys, edges) if keys[name] != alone[name]]
        if not open_again:
            return keys
        for name in open_again:
            levels[name] += 1
            if levels[name] > len(paths[name]):
                paths[name] = (*paths[name], name, "")  # of equal paths each becomes a box by itself


def _going_back(keys: Mapping[str, Key], edges: Sequence[Ends]) -> list[str]:
    """The boxes whose groups lie on a circle of groups, or between two."""
    left = {(keys[a], keys[b]) for a, b in edges if keys[a] != keys[b]}
    while True:
        sources, targets = {a for a, _ in left}, {b for _, b in left}
        rest = {(a, b) for a, b in left if a in targets and b in sources}
        if len(rest) == len(left):
            return [name for name, key in keys.items() if key in sources]
        left = rest


def _runs(
    members: Mapping[Key, list[DiagramBox]], keys: Mapping[str, Key], edges: Sequence[Ends]
) -> dict[Key, list[DiagramBox]]:
    """Groups that follow each other taken together, until no more than `DRAWN` are left."""
    order = list(members)
    waiting = {key: set[Key]() for key in order}
    for a, b in edges:
        if keys[a] != keys[b]:
            waiting[keys[b]].add(keys[a])
    sorted_keys: list[Key] = []
    done: set[Key] = set()
    while len(done) < len(order):
        for key in order:
            if key not in done and waiting[key] <= done:
                done.add(key)
                sorted_keys.append(key)
    size = -(-len(order) // DRAWN)
    runs: dict[Key, list[DiagramBox]] = {}
    for start in range(0, len(sorted_keys), size):
        run = [box for key in sorted_keys[start : start + size] for box in members[key]]
        runs[(f"{run[0].name} … {run[-1].name}",)] = run
    return runs
