"""Parts of a plane that lie on one side of a line: polygons cut exactly."""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[float, float]
Polygon = tuple[Point, ...]
Box = tuple[tuple[float, float], tuple[float, float]]

SLIVER = 1e-12
"""What is left of a polygon has area where it is more than this share of it: less is rounding."""


def corners(box: Box) -> Polygon:
    """The corners of a box, going around."""
    (left, right), (bottom, top) = box
    return ((left, bottom), (right, bottom), (right, top), (left, top))


def cut(polygon: Polygon, line: Sequence[float]) -> Polygon:
    """What of a convex polygon lies where a x + b y + c >= 0, of a line (a, b, c); () where that has no area."""
    a, b, c = line
    kept: list[Point] = []
    for here, after in zip(polygon, (*polygon[1:], *polygon[:1]), strict=True):
        at, to = (a * x + b * y + c for x, y in (here, after))
        if at >= 0:
            kept.append(here)
        if (at > 0 > to) or (at < 0 < to):
            share = at / (at - to)
            kept.append((here[0] + share * (after[0] - here[0]), here[1] + share * (after[1] - here[1])))
    found = tuple(dict.fromkeys(kept))
    return found if area(found) > SLIVER * area(polygon) else ()


def area(polygon: Polygon) -> float:
    """Its area."""
    around = zip(polygon, (*polygon[1:], *polygon[:1]), strict=True)
    return abs(sum(x * v - u * y for (x, y), (u, v) in around)) / 2


def segment(box: Box, line: Sequence[float]) -> tuple[Point, Point] | None:
    """The part of a line a x + b y + c = 0 within a box, or None."""
    a, b, c = line
    ends: list[Point] = []
    around = corners(box)
    for (x, y), (u, v) in zip(around, (*around[1:], around[0]), strict=True):
        at, to = a * x + b * y + c, a * u + b * v + c
        if at * to < 0:
            share = at / (at - to)
            ends.append((x + share * (u - x), y + share * (v - y)))
        elif at == 0 and (a, b) != (0, 0):
            ends.append((x, y))
    found = list(dict.fromkeys(ends))
    if len(found) < 2:
        return None
    far = max(
        ((p, q) for p in found for q in found),
        key=lambda pair: (pair[0][0] - pair[1][0]) ** 2 + (pair[0][1] - pair[1][1]) ** 2,
    )
    return min(far), max(far)
