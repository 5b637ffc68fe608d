"""Where the boxes of a diagram stand: in columns from left to right, as few crossings as are found, no edge through a box.

Sugiyama et al. 1981: every box gets a column behind those that it reads; an edge over several columns passes each in a lane of
its own; columns are sorted by the mean place of neighbors, back and forth; then every column is moved as near to its
neighbors as its order allows, which is a regression that keeps the order (pool adjacent violators).
"""

from __future__ import annotations

import bisect
import itertools
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from pellucid.pictures.diagram import Diagram, DiagramBox, DiagramEdge, Point, box_size, label_width
from pellucid.pictures.lettering import MARGIN
from pellucid.pictures.picture import PictureError

GAP, GAP_DOWN, BETWEEN, LANE = 40.0, 14.0, 12.0, 4.0
"""Pixels between columns (besides labels), and between rows; between the boxes of a column, and the height of a lane."""
_SWEEPS = 8


@dataclass(eq=False)
class _Item:
    """A box, or the lane in which the edges from a box pass a column. `before` and `after` are neighbors in the next columns."""

    column: int
    height: float
    box: int | None = None
    before: list[_Item] = field(default_factory=list["_Item"])
    after: list[_Item] = field(default_factory=list["_Item"])
    place: float = 0.0
    """Among the items of its column, then the height of its middle."""


def arranged(
    title: str, boxes: Sequence[DiagramBox], edges: Sequence[DiagramEdge], note: str = "", down: bool = False
) -> Diagram:
    """A diagram of boxes and edges that have no place yet; boxes that are in no order of their own keep that given.

    It goes from left to right, or `down` from top to bottom: then columns are rows, and what is said of heights is of widths.
    """
    numbers = {box.name: k for k, box in enumerate(boxes)}
    for edge in edges:
        if edge.source not in numbers or edge.target not in numbers or edge.source == edge.target:
            raise PictureError(
                f"{title}: an edge goes from one box to another, not {edge.source!r:.60} to {edge.target!r:.60}"
            )
    ends = [(numbers[edge.source], numbers[edge.target]) for edge in edges]
    order = _order(len(boxes), ends)
    ends = [
        (a, b) if order[a] < order[b] else (b, a) for a, b in ends
    ]  # what goes back is laid out as if it went forth
    arriving: dict[int, list[int]] = defaultdict(list)
    for number, (_, target) in enumerate(ends):
        arriving[target].append(number)
    labeled = [label_width(edge) for edge in edges]
    sizes = [box_size(box)[::-1] if down else box_size(box) for box in boxes]
    ports = [(width + 14 if down else 30.0) if width else 8.0 for width in labeled]
    heights = [max(size[1], sum(ports[n] for n in arriving[k])) for k, size in enumerate(sizes)]
    columns, lanes = _columns(_ranks(len(boxes), ends, order), heights, ends)
    _sort(columns)
    _level(columns)
    widths = [max((sizes[i.box][0] for i in column if i.box is not None), default=0.0) for column in columns]
    runs = [
        max(
            (
                20.0 if down else labeled[n] + 16
                for i in column
                if i.box is not None
                for n in arriving[i.box]
                if labeled[n]
            ),
            default=8.0,
        )
        for column in columns
    ]
    lefts: list[float] = []
    x = float(MARGIN)
    for number, width in enumerate(widths):
        x += runs[number] + (GAP_DOWN if down else GAP) if number else 0.0
        lefts.append(x)
        x += width
    top = min((i.place - i.height / 2 for column in columns for i in column), default=0.0) - MARGIN
    placed = {
        i.box: replace(
            boxes[i.box],
            x=lefts[i.column] + (widths[i.column] - sizes[i.box][0]) / 2,
            y=i.place - i.height / 2 - top,
            width=sizes[i.box][0],
            height=i.height,
        )
        for column in columns
        for i in column
        if i.box is not None
    }
    routes: list[tuple[Point, ...]] = [()] * len(edges)
    for target, incoming in arriving.items():
        box = placed[target]
        came = sorted(incoming, key=lambda n: (lanes[n][-1].place, n))
        for port, number in enumerate(came, 1):
            way = [(i.place - top, i.column) for i in lanes[number]]
            start = placed[ends[number][0]]
            y_in = box.y + box.height * (port - 0.5) / len(came)
            points: list[Point] = [
                (start.x + start.width, way[0][0]),
                (lefts[way[0][1]] + widths[way[0][1]], way[0][0]),
            ]
            for y, column in way[1:]:
                points += [(lefts[column], y), (lefts[column] + widths[column], y)]
            column = way[-1][1] + 1
            points += [(lefts[column] - runs[column], y_in), (box.x, y_in)]
            forth = numbers[edges[number].source] == ends[number][0]
            routes[number] = tuple(points if forth else points[::-1])
    if down:
        placed = {k: replace(b, x=b.y, y=b.x, width=b.height, height=b.width) for k, b in placed.items()}
        routes = [tuple((x, y) for y, x in points) for points in routes]
    drawn = tuple(replace(edge, points=points) for edge, points in zip(edges, routes, strict=True))
    return Diagram(title, tuple(placed[k] for k in range(len(boxes))), drawn, note, down)


def _order(count: int, ends: Sequence[tuple[int, int]]) -> list[int]:
    """A number for each box, larger than those of what it reads; where edges go in a circle, the first box of it begins."""
    sources: dict[int, set[int]] = defaultdict(set)
    users: dict[int, list[int]] = defaultdict(list)
    for a, b in ends:
        sources[b].add(a)
        users[a].append(b)
    found: dict[int, int] = {}
    ready = sorted(k for k in range(count) if not sources[k])
    rest = 0
    while len(found) < count:
        if not ready:
            while rest in found:
                rest += 1
            ready = [rest]
        k = ready.pop(0)
        if k in found:
            continue
        found[k] = len(found)
        for user in users[k]:
            sources[user].discard(k)
            if not sources[user] and user not in found:
                bisect.insort(ready, user)
    return [found[k] for k in range(count)]


def _ranks(count: int, ends: Sequence[tuple[int, int]], order: Sequence[int]) -> list[int]:
    """The column of each box: one more than the last of what it reads; what reads nothing stands just before its first user."""
    sources: dict[int, list[int]] = defaultdict(list)
    users: dict[int, list[int]] = defaultdict(list)
    for a, b in ends:
        sources[b].append(a)
        users[a].append(b)
    rank = [0] * count
    for k in sorted(range(count), key=lambda k: order[k]):
        rank[k] = max((rank[s] + 1 for s in sources[k]), default=0)
    for k in range(count):
        if users[k] and not sources[k]:
            rank[k] = min(rank[u] for u in users[k]) - 1
    return rank


def _columns(
    ranks: Sequence[int], heights: Sequence[float], ends: Sequence[tuple[int, int]]
) -> tuple[list[list[_Item]], list[list[_Item]]]:
    """The items of every column, and for each edge those from which it comes: its box, and the lanes on its way."""
    items = [_Item(rank, height, k) for k, (rank, height) in enumerate(zip(ranks, heights, strict=True))]
    columns: list[list[_Item]] = [[] for _ in range(max(ranks, default=-1) + 1)]
    for item in items:
        columns[item.column].append(item)
    chains = [[item] for item in items]  # a box's lanes are those of all edges that leave it
    ways: list[list[_Item]] = []
    joined: set[tuple[int, int]] = set()
    for a, b in ends:
        chain = chains[a]
        while chain[-1].column < ranks[b] - 1:
            lane = _Item(chain[-1].column + 1, LANE)
            chain[-1].after.append(lane)
            lane.before.append(chain[-1])
            columns[lane.column].append(lane)
            chain.append(lane)
        last = chain[ranks[b] - 1 - ranks[a]]
        if (id(last), b) not in joined:
            joined.add((id(last), b))
            last.after.append(items[b])
            items[b].before.append(last)
        ways.append(chain[: ranks[b] - ranks[a]])
    return columns, ways


def _sort(columns: list[list[_Item]]) -> None:
    """Bring every column into the order, of those tried, with the fewest crossings."""

    def by_neighbors(column: list[_Item], neighbors: Callable[[_Item], list[_Item]]) -> None:
        means = {
            id(i): sum(n.place for n in neighbors(i)) / len(neighbors(i)) if neighbors(i) else i.place for i in column
        }
        column.sort(key=lambda i: means[id(i)])
        for place, item in enumerate(column):
            item.place = (place + 0.5) / len(column)

    for column in columns:
        for place, item in enumerate(column):
            item.place = (place + 0.5) / len(column)
    best, fewest = [list(column) for column in columns], _crossings(columns)
    for sweep in range(_SWEEPS):
        for column in columns[1:] if sweep % 2 == 0 else columns[-2::-1]:
            by_neighbors(column, (lambda i: i.before) if sweep % 2 == 0 else (lambda i: i.after))
        if (count := _crossings(columns)) < fewest:
            best, fewest = [list(column) for column in columns], count
    for column, order in zip(columns, best, strict=True):
        column[:] = order


def _crossings(columns: list[list[_Item]]) -> int:
    """How many pairs of edges between neighboring columns cross."""
    count = 0
    for left, right in itertools.pairwise(columns):
        place = {id(item): k for k, item in enumerate(right)}
        seen: list[int] = []
        for item in left:
            arrived = sorted(place[id(n)] for n in item.after)
            count += sum(len(seen) - bisect.bisect_right(seen, at) for at in arrived)
            for at in arrived:
                bisect.insort(seen, at)
    return count


def _level(columns: list[list[_Item]]) -> None:
    """Set the heights of all middles: near those of neighbors, lanes straight, in order and apart."""
    for column in columns:
        down = 0.0
        for item in column:
            item.place = down + item.height / 2
            down += item.height + BETWEEN
        for item in column:
            item.place -= down / 2
    for _ in range(_SWEEPS):
        for column in reversed(columns):
            _settle(column, lambda i: i.after or i.before)
        for column in columns:
            _settle(column, lambda i: i.before or i.after)


def _settle(column: list[_Item], neighbors: Callable[[_Item], list[_Item]]) -> None:
    """Move the items of a column to the mean of their neighbors as nearly as their order allows (least squares)."""
    offset, offsets = 0.0, list[float]()
    blocks: list[tuple[float, float, int]] = []  # weight, weighted sum, number of items
    for k, item in enumerate(column):
        offset += (column[k - 1].height + item.height) / 2 + BETWEEN if k else 0.0
        offsets.append(offset)
        near = neighbors(item)
        weight = 4.0 if item.box is None else 1.0
        wanted = sum(n.place for n in near) / len(near) if near else item.place
        blocks.append((weight, weight * (wanted - offset), 1))
        while len(blocks) > 1 and blocks[-2][1] / blocks[-2][0] > blocks[-1][1] / blocks[-1][0]:
            (w, s, n), (w2, s2, n2) = blocks[-2:]
            blocks[-2:] = [(w + w2, s + s2, n + n2)]
    values = [s / w for w, s, n in blocks for _ in range(n)]
    for item, value, shift in zip(column, values, offsets, strict=True):
        item.place = value + shift
