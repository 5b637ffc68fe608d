"""Boxes of text joined by arrows: graphs, formulas, plans. Where everything stands is part of the data."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from pellucid.pictures.colors import LINES
from pellucid.pictures.legend import legend_of
from pellucid.pictures.lettering import MARGIN, note_below, text, titled, width_of
from pellucid.pictures.picture import ROOM, Picture, PictureError, svg_element
from pellucid.screen import markup, one_line

LINE, PADDING = 15, 10
"""Pixels from line to line of a box's text, and beside the text in a box."""
ABOVE, BELOW = "#3b82f6", "#d97706"
"""Colors of the labels above and below an edge."""
MOST_BOXES, MOST_EDGES, _FAR = 5000, 50_000, 1e6
_COLORS = {
    **dict.fromkeys(("operation", "gate", "convolution"), LINES[0]),
    **dict.fromkeys(("input", "variable", "product"), LINES[1]),
    **dict.fromkeys(("output", "result", "chain"), LINES[2]),
    **dict.fromkeys(("parameter", "constant", "scratch"), LINES[8]),
    "outside": "#9ca3af",
    "group": LINES[4],
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
    """Boxes and edges where they stand; `arranged` finds places for those of a graph, from left to right."""

    kind = "diagram"
    wide = True
    title: str
    boxes: tuple[DiagramBox, ...]
    edges: tuple[DiagramEdge, ...] = ()
    note: str = ""

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
        kinds = dict.fromkeys(box.kind for box in self.boxes if box.kind)
        others = iter(_OTHERS * len(kinds))
        paints = {kind: _COLORS.get(kind) or next(others) for kind in kinds}
        right = max((box.x + box.width for box in self.boxes), default=0.0) + MARGIN
        bottom = max((box.y + box.height for box in self.boxes), default=0.0) + MARGIN
        width = max(right, room)
        head, top = titled(self.title, MARGIN, width)
        parts = [head]
        if len(kinds) > 1:
            named = [(kind, paint, "area") for kind, paint in paints.items()]
            legend, more = legend_of(named, MARGIN, width - MARGIN, top - 2)
            parts.append(legend)
            top += more
        parts.append(f'<g transform="translate(0 {top:.0f})">')
        parts += [_drawn_edge(edge) for edge in self.edges if edge.points]
        parts += [_drawn_box(box, paints.get(box.kind, LINES[0])) for box in self.boxes]
        parts.append("</g>")
        note, more = note_below(self.note, MARGIN, top + bottom, width - 2 * MARGIN)
        return svg_element(width, top + bottom + more, self.title, "".join([*parts, note]))

    def fragment(self) -> str:
        """The drawing, and every folded group below it, to be opened."""
        return self.svg() + "".join(
            f"<details><summary>{markup(one_line(box.name))}</summary>{box.inside.part()}</details>"
            for box in self.boxes
            if box.inside is not None
        )


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


def _drawn_edge(edge: DiagramEdge) -> str:
    path = "".join(_path(edge.points))
    (x, y) = edge.points[-1]
    head = f"M{x - 7:.1f},{y - 3.5:.1f}L{x:.1f},{y:.1f}L{x - 7:.1f},{y + 3.5:.1f}z"
    parts = [
        f'<path d="{path}" fill="none" stroke="currentColor" stroke-opacity=".45"/>',
        f'<path d="{head}" fill="currentColor" fill-opacity=".6"/>',
    ]
    for label, paint, down in ((edge.above, ABOVE, -5), (edge.below, BELOW, 13)):
        if label:
            parts.append(text(x - 9, y + down, one_line(label), "end", f"font-size:11px;fill:{paint}"))
    return "".join(parts)


def _path(points: tuple[Point, ...]) -> Iterator[str]:
    """Straight where two points have the same height, else an S."""
    x, y = points[0]
    yield f"M{x:.1f},{y:.1f}"
    for to_x, to_y in points[1:]:
        middle = (x + to_x) / 2
        same = abs(to_y - y) < 0.05
        yield f"H{to_x:.1f}" if same else f"C{middle:.1f},{y:.1f} {middle:.1f},{to_y:.1f} {to_x:.1f},{to_y:.1f}"
        x, y = to_x, to_y


def _near(*numbers: float) -> bool:
    return all(math.isfinite(v) and abs(v) <= _FAR for v in numbers)
