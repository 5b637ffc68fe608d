"""Lines of equal height over a grid of numbers (marching squares)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pellucid.op import Array

Line = list[tuple[float, float]]
_Edge = tuple[int, int, int]


def contour(values: Array, x: Sequence[float], y: Sequence[float], level: float) -> list[Line]:
    """The lines on which `values` (rows over y, columns over x), linear between grid points, are `level`.

    A square with a corner that is not finite has none.
    """
    above = values > level
    crossings = _crossings(values, x, y, level)
    finite = np.isfinite(values)
    whole = finite[:-1, :-1] & finite[1:, :-1] & finite[:-1, 1:] & finite[1:, 1:]
    corners = above[:-1, :-1] * 1 + above[:-1, 1:] * 2 + above[1:, 1:] * 4 + above[1:, :-1] * 8
    neighbors: dict[_Edge, list[_Edge]] = {}
    for row, column in np.argwhere(whole & (corners > 0) & (corners < 15)).tolist():
        south, east, north, west = (0, row, column), (1, row, column + 1), (0, row + 1, column), (1, row, column)
        crossed = [edge for edge in (south, east, north, west) if edge in crossings]
        if len(crossed) == 4:  # two lines cross the square: its middle says which corners belong together
            middle = values[row : row + 2, column : column + 2].mean() > level
            pairs = (
                [(south, east), (north, west)] if middle != above[row, column + 1] else [(south, west), (north, east)]
            )
        else:
            pairs = [(crossed[0], crossed[1])]
        for a, b in pairs:
            neighbors.setdefault(a, []).append(b)
            neighbors.setdefault(b, []).append(a)
    return [[crossings[edge] for edge in line] for line in _joined(neighbors)]


def _crossings(values: Array, x: Sequence[float], y: Sequence[float], level: float) -> dict[_Edge, tuple[float, float]]:
    """Where the level lies on edges of the grid: (0, row, column) goes right from there, (1, row, column) up."""
    across, up = np.asarray(x, np.float64), np.asarray(y, np.float64)
    found: dict[_Edge, tuple[float, float]] = {}
    for direction, (low, high) in enumerate([(values[:, :-1], values[:, 1:]), (values[:-1], values[1:])]):
        with np.errstate(all="ignore"):
            share = (level - low) / (high - low)
        for row, column in np.argwhere(((low > level) != (high > level)) & np.isfinite(share)).tolist():
            part = float(share[row, column])
            px = across[column] + (part * (across[column + 1] - across[column]) if direction == 0 else 0.0)
            py = up[row] + (part * (up[row + 1] - up[row]) if direction == 1 else 0.0)
            found[direction, row, column] = (float(px), float(py))
    return found


def _joined(neighbors: dict[_Edge, list[_Edge]]) -> list[list[_Edge]]:
    """Chains of neighbors: open ones from their ends first, then rings, whose first edge comes again at the end."""
    left = {edge: list(others) for edge, others in neighbors.items()}
    lines: list[list[_Edge]] = []
    for start in [*(edge for edge, others in neighbors.items() if len(others) == 1), *neighbors]:
        if not left[start]:
            continue
        line = [start]
        while left[line[-1]]:
            here = line[-1]
            after = left[here].pop()
            left[after].remove(here)
            line.append(after)
        lines.append(line)
    return lines
