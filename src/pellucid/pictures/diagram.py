"""Boxes of text joined by arrows: graphs, formulas, plans. Where everything stands is part of the data."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pellucid.pictures.colors import LINES
from pellucid.pictures.legend import legend_of
from pellucid.pictures.lettering import MARGIN, note_below, text, titled, width_of
from pellucid.pictures.picture import ROOM, Picture, PictureError, svg_element
from pellucid.screen import markup, one_line

LINE, PADDING = 15, 10
"""Pixels from line to line of a box's text, and beside the text in a box."""
WIDE, SPREAD, TALL = 1.25, 1.6, 0.7
"""Of the room: what a line of boxes may be longer, all columns together wider; and how high columns are to their width."""
GUTTER, ROOM_AFTER, LINK, LINKS = 20.0, 8.0, 8.0, 3
"""Pixels between columns, below the last boxes of one, above a column for what comes from the one before; and how many do."""
ABOVE, BELOW = "#3b82f6", "#d97706"
"""Colors of the labels above and below an edge."""
MOST_BOXES, MOST_EDGES, _FAR = 5000, 50_000, 1e6
_COLORS = {
    **dict.fromkeys(("operation", "gate", "convolution"), LINES[0]),
    **dict.fromkeys(("input", "variable", "product"), LINES[1]),
    **dict.fromkeys(("output", "result", "chain"), LINES[2]),
    **dict.fromkeys(("parameter", "constant", "scratch"), LINES[8]),
    "outside": "#9ca3af",
    **dict.fromkeys(("group", "block"), LINES[4]),
    "dense": LINES[2],
    "pooling": LINES[5],
}
_OTHERS = (LINES[6], LINES[7], LINES[9], LINES[11], LINES[3], LINES[10])

Point = tuple[float, float]


@dataclass(frozen=True)
class DiagramBox:
    """A box called `name`, with `lines` of text, of some `kind`: its color, and a word in the legend.

    Its left upper corner is (x, y). A folded group has what is in it as `inside`.
    """

    name: str
    lines: tuple[str, ...]
    kind: str = ""
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0
    inside: Diagram | None = None

    def __post_init__(self) -> None:
        for place in ("x", "y", "width", "height"):
            object.__setattr__(self, place, float(getattr(self, place)))
        if not (_near(self.x, self.y, self.width, self.height) and min(self.width, self.height) >= 0):
            raise PictureError(f"box {self.name!r:.60}: wants a place and a size within {_FAR:,.0f} pixels")


@dataclass(frozen=True)
class DiagramEdge:
    """An arrow from the box `source` to the box `target`, with a label above and one below its end.

    It goes through `points`: straight between two of the same height, else in an S that is level at both.
    """

    source: str
    target: str
    above: str = ""
    below: str = ""
    points: tuple[Point, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", tuple((float(x), float(y)) for x, y in self.points))
        if not _near(*(v for point in self.points for v in point)):
            raise PictureError(f"edge from {self.source!r:.60}: wants points within {_FAR:,.0f} pixels")


@dataclass(frozen=True)
class Diagram(Picture):
    """Boxes and edges where they stand; `arranged` finds places for those of a graph, from left to right, or `down`.

    What is longer than there is room for goes on in the next line, as words do, or in the next column where it goes down.
    """

    kind = "diagram"
    wide = True
    title: str
    boxes: tuple[DiagramBox, ...]
    edges: tuple[DiagramEdge, ...] = ()
    note: str = ""
    down: bool = False

    def __post_init__(self) -> None:
        names = {box.name for box in self.boxes}
        if len(names) < len(self.boxes):
            raise PictureError(f"{self.title}: two boxes have one name")
        if len(self.boxes) > MOST_BOXES or len(self.edges) > MOST_EDGES:
            raise PictureError(f"{self.title}: has more than {MOST_BOXES:,} boxes or {MOST_EDGES:,} edges")
        for edge in self.edges:
            if edge.source not in names or edge.target not in names:
                raise PictureError(
                    f"{self.title}: an edge from {edge.source!r:.60} to {edge.target!r:.60}, which are not both boxes"
                )

    def svg(self, room: float = ROOM) -> str:
        return self._drawn(room, strips_of(self, room))

    def fragment(self) -> str:
        """The drawing, in one line where a page scrolls it, and every folded group below it, to be opened."""
        drawn = self.svg() if self.down else self._drawn(ROOM, strips_of(self, math.inf))
        return drawn + "".join(
            f"<details><summary>{markup(one_line(box.name))}</summary>{box.inside.part()}</details>"
            for box in self.boxes
            if box.inside is not None
        )

    def _drawn(self, room: float, strips: Sequence[Strip]) -> str:
        kinds = dict.fromkeys(box.kind for box in self.boxes if box.kind)
        others = iter(_OTHERS * len(kinds))
        paints = {kind: _COLORS.get(kind) or next(others) for kind in kinds}
        width = max(room, *(strip.at[0] + strip.size[0] for strip in strips), 0.0)
        bottom = max((strip.at[1] + strip.size[1] for strip in strips), default=0.0) + (LINK if self.down else 0.0)
        head, top = titled(self.title, MARGIN, width)
        parts = [head]
        if len(kinds) > 1:
            named = [(kind, paint, "area") for kind, paint in paints.items()]
            legend, more = legend_of(named, MARGIN, width - MARGIN, top - 2)
            parts.append(legend)
            top += more
        if self.down:
            parts += [_drawn_link(a, b, top, self.edges) for a, b in itertools.pairwise(strips)]
        for strip in strips:
            (x, y), (wide, high) = strip.at, strip.size
            box = f"{strip.start[0]:.1f} {strip.start[1]:.1f} {wide:.1f} {high:.1f}"
            parts.append(f'<svg x="{x:.1f}" y="{y + top:.1f}" width="{wide:.1f}" height="{high:.1f}" viewBox="{box}">')
            parts += [_drawn_edge(edge, self.down) for edge in self.edges if edge.points and strip.meets(edge)]
            parts += [_drawn_box(box, paints.get(box.kind, LINES[0])) for box in self.boxes if strip.holds(box)]
            parts.append("</svg>")
        note, more = note_below(self.note, MARGIN, top + bottom, width - 2 * MARGIN)
        return svg_element(width, top + bottom + more + MARGIN, self.title, "".join([*parts, note]))


@dataclass(frozen=True)
class Strip:
    """A part of a diagram, from `start` (x, y) on, of this `size`, that is drawn `at` another place."""

    start: Point
    size: Point
    at: Point

    def holds(self, box: DiagramBox) -> bool:
        """Whether a box begins in it."""
        return all(a <= v < a + n for a, v, n in zip(self.start, (box.x, box.y), self.size, strict=True))

    def meets(self, edge: DiagramEdge) -> bool:
        """Whether an edge may pass it."""
        spans = [(min(values), max(values)) for values in zip(*edge.points, strict=True)]
        return all(low <= a + n and high >= a for (low, high), a, n in zip(spans, self.start, self.size, strict=True))


def strips_of(diagram: Diagram, room: float) -> list[Strip]:
    """The parts that a diagram is drawn in, cut where no box is, so that they fit the room; one where they need not."""
    boxes = diagram.boxes
    if not boxes:
        return []
    low = min(0.0, *(b.x for b in boxes)), min(0.0, *(b.y for b in boxes))
    wide = max(b.x + b.width for b in boxes) + MARGIN - low[0]
    high = max(b.y + b.height for b in boxes) + MARGIN - low[1]
    if diagram.down:
        most = max(1, int(SPREAD * room // (wide + GUTTER))) if math.isfinite(room) else 1
        count = next((n for n in range(1, most) if high / n <= TALL * max(room, n * wide)), most)
        cuts = _cuts([(b.y, b.y + b.height) for b in boxes], low[1], high / count + 40)
    else:
        cuts = _cuts([(b.x, b.x + b.width) for b in boxes], low[0], WIDE * room)
    ends = [*cuts[1:], low[1] + high if diagram.down else low[0] + wide]
    strips: list[Strip] = []
    spare = room - len(cuts) * (wide + GUTTER) + GUTTER if diagram.down and math.isfinite(room) else 0.0
    at = max(0.0, spare / 2)
    for start, end in zip(cuts, ends, strict=True):
        if diagram.down:
            strips.append(Strip((low[0], start), (wide, end - start), (at, LINK if len(cuts) > 1 else 0.0)))
            at += wide + GUTTER
        else:
            strips.append(Strip((start, low[1]), (end - start, high), (0.0, at)))
            at += high + MARGIN
    return strips


def _cuts(spans: Sequence[tuple[float, float]], start: float, limit: float) -> list[float]:
    """Where parts begin that are no longer than `limit`: the first at `start`, the others where no span is."""
    cuts, end = [start], start
    for first, last in sorted(spans):
        if first > end + ROOM_AFTER and last - cuts[-1] > limit and end > cuts[-1]:
            cuts.append(end + ROOM_AFTER)
        end = max(end, last)
    return cuts


def box_size(box: DiagramBox) -> tuple[float, float]:
    """Width and height that hold a box's text."""
    widest = max((width_of(one_line(line)) for line in box.lines), default=0.0)
    return max(44.0, widest + 2 * PADDING), LINE * max(1, len(box.lines)) + 12.0


def label_width(edge: DiagramEdge) -> float:
    """Pixels that the labels of an edge take."""
    return max(width_of(one_line(label), 11) for label in (edge.above, edge.below))


def _drawn_box(box: DiagramBox, paint: str) -> str:
    place = f'width="{box.width:.1f}" height="{box.height:.1f}" rx="{min(5.0, box.height / 3):.1f}"'
    look = f'fill="{paint}" fill-opacity=".14" stroke="{paint}" stroke-width="1.2"'
    behind = f'<rect x="{box.x + 3:.1f}" y="{box.y - 3:.1f}" {place} fill="none" stroke="{paint}" stroke-opacity=".6"/>'
    title = markup("\n".join((box.name, *box.lines)))
    parts = [behind if box.inside is not None else "", f'<rect x="{box.x:.1f}" y="{box.y:.1f}" {place} {look}/>']
    room = box.lines[: int((box.height - 3) / LINE)]
    shown = list(itertools.takewhile(lambda line: width_of(line) <= box.width - 4, map(one_line, room)))
    first = box.y + box.height / 2 - LINE * (len(shown) - 1) / 2 + 4
    for number, line in enumerate(shown):
        style = "font-size:11px;opacity:.75" if number else ""
        parts.append(text(box.x + box.width / 2, first + LINE * number, line, "middle", style))
    return f"<g><title>{title}</title>{''.join(parts)}</g>"


def _drawn_edge(edge: DiagramEdge, down: bool) -> str:
    path = "".join(_path(edge.points, down))
    (x, y) = edge.points[-1]
    back = ((-3.5, -7), (3.5, -7)) if down else ((-7, -3.5), (-7, 3.5))
    (a, b), (c, d) = back
    head = f"M{x + a:.1f},{y + b:.1f}L{x:.1f},{y:.1f}L{x + c:.1f},{y + d:.1f}z"
    parts = [
        f'<path d="{path}" fill="none" stroke="currentColor" stroke-opacity=".45"/>',
        f'<path d="{head}" fill="currentColor" fill-opacity=".6"/>',
    ]
    for label, paint, lower in ((edge.above, ABOVE, -5), (edge.below, BELOW, 13)):
        if label and down:
            parts.append(
                text(x + 6, y - (20 if lower > 0 else 6), one_line(label), style=f"font-size:11px;fill:{paint}")
            )
        elif label:
            parts.append(text(x - 9, y + lower, one_line(label), "end", f"font-size:11px;fill:{paint}"))
    return "".join(parts)


def _drawn_link(before: Strip, after: Strip, top: float, edges: Sequence[DiagramEdge]) -> str:
    """How edges go on from the foot of one column to the head of the next, the first few of them."""
    cut = after.start[1]
    crossing = [x for edge in edges for (x, y), (_, to_y) in itertools.pairwise(edge.points) if y < cut <= to_y]
    drawn: list[str] = []
    for number, x in enumerate(list(dict.fromkeys(crossing))[:LINKS]):
        foot = top + before.at[1] + before.size[1]
        out, back = before.at[0] + x - before.start[0], after.at[0] + x - after.start[0]
        side = after.at[0] - GUTTER / 2 + 4 * number
        path = f"M{out:.1f},{foot:.1f}V{foot + LINK - 2:.1f}H{side:.1f}V{top + 2:.1f}H{back:.1f}V{top + LINK:.1f}"
        drawn.append(
            f'<path d="{path}" fill="none" stroke="currentColor" stroke-opacity=".45" stroke-dasharray="2 3"/>'
        )
    return "".join(drawn)


def _path(points: tuple[Point, ...], down: bool) -> Iterator[str]:
    """Straight where two points have the same height, else an S; where it goes `down`, the same of their columns."""
    x, y = points[0]
    yield f"M{x:.1f},{y:.1f}"
    for to_x, to_y in points[1:]:
        middle = (y + to_y) / 2 if down else (x + to_x) / 2
        if abs(to_x - x if down else to_y - y) < 0.05:
            yield f"V{to_y:.1f}" if down else f"H{to_x:.1f}"
        elif down:
            yield f"C{x:.1f},{middle:.1f} {to_x:.1f},{middle:.1f} {to_x:.1f},{to_y:.1f}"
        else:
            yield f"C{middle:.1f},{y:.1f} {middle:.1f},{to_y:.1f} {to_x:.1f},{to_y:.1f}"
        x, y = to_x, to_y


def _near(*numbers: float) -> bool:
    return all(math.isfinite(v) and abs(v) <= _FAR for v in numbers)
