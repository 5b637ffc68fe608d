"""A model laid over every place of a picture at every size: what filters say, where parts go, and what a window scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pellucid.detect.dpm.histograms import FEATURES, OUTSIDE
from pellucid.detect.dpm.model import REACH, Component, PartsModel, PlacedPart
from pellucid.detect.dpm.pyramid import Level
from pellucid.detect.proposals.compiled import compiled
from pellucid.plain import Array


@dataclass(frozen=True)
class Windows:
    """Windows of one model, each with its score: numbers of their levels and components, and where they are.

    `places` int64 (N, 1 + P, 2) are row and column of the root, in cells of its level, and of each part in those of its own
    level; `boxes` float64 (N, 1 + P, 4) the same on the picture. A component with fewer parts leaves the last ones 0.
    """

    scores: Array
    levels: Array
    components: Array
    places: Array
    boxes: Array

    def __len__(self) -> int:
        return len(self.scores)

    def chosen(self, rows: Array) -> Windows:
        """Some of the windows, by their numbers or by a bool of each."""
        return Windows(*(each[rows] for each in (self.scores, self.levels, self.components, self.places, self.boxes)))


class Bank:
    """Filters of one width, for one product with all rows of windows of a level; lower ones are filled up with zeros."""

    def __init__(self, filters: Sequence[PlacedPart]) -> None:
        self.height = max(f.size[0] for f in filters)
        self.width = filters[0].size[1]
        laid = np.zeros((len(filters), self.height, self.width * FEATURES), np.float32)
        for number, one in enumerate(filters):
            laid[number, : one.size[0]] = one.filter.reshape(one.size[0], -1)
        self.count, self.weights = len(filters), laid.reshape(len(filters) * self.height, -1)

    def responses(self, level: Level) -> Array:
        """What each filter says wherever it overlaps the level, float32 (filters, rows + height + 1, columns + width + 1).

        Row k is that of windows from cell k - height on. Windows beyond see what lies outside alone, as those at the ends do.
        """
        rows, columns = level.grid
        around = padded(level.cells, self.height + 1, self.width + 1)
        across = columns + self.width + 1
        seen = np.lib.stride_tricks.sliding_window_view(around.reshape(len(around), -1), self.width * FEATURES, 1)
        flat = np.ascontiguousarray(seen[:, ::FEATURES]).reshape(-1, self.width * FEATURES)
        made = (self.weights @ flat.T).reshape(self.count, self.height, len(around), across)
        found = made[:, 0, : rows + self.height + 1].copy()
        for row in range(1, self.height):
            found += made[:, row, row : row + rows + self.height + 1]
        return found


def padded(cells: Array, down: int, across: int) -> Array:
    """Cells with others around them that lie outside of the picture."""
    around = np.zeros((cells.shape[0] + 2 * down, cells.shape[1] + 2 * across, FEATURES), np.float32)
    around[..., OUTSIDE] = 1
    around[down : down + cells.shape[0], across : across + cells.shape[1]] = cells
    return around


def bounded_transform(responses: Array, prices: Array) -> Array:
    """For each of responses float32 (N, rows, columns) the best within REACH of a place, less what going there costs.

    `prices` (N, 4) are those of `PlacedPart.deformation`. A filter placed at its place less (dx, dy) is displaced by (dx, dy).
    """
    if (native := compiled()) is None:
        return in_python(responses, prices)
    source, costs = np.ascontiguousarray(responses, np.float32), np.ascontiguousarray(prices, np.float32)
    found = np.empty_like(source)
    native.bounded_transform([*source.shape, REACH], source.ctypes.data, costs.ctypes.data, found.ctypes.data)
    return found


def in_python(responses: Array, prices: Array) -> Array:
    """What `bounded_transform` gives, in Python: the specification."""
    costs = prices.astype(np.float32)
    return _along(_along(responses, costs[:, 0], costs[:, 1], 2), costs[:, 2], costs[:, 3], 1)


def _along(values: Array, squared: Array, linear: Array, axis: int) -> Array:
    moved = np.moveaxis(values, axis, 0)
    found = np.full(moved.shape, -np.inf, np.float32)
    size = len(moved)
    for away in range(-REACH, REACH + 1):
        cost = (squared * np.float32(away * away) + linear * np.float32(away))[:, None]
        to, of = slice(max(0, away), size + min(0, away)), slice(max(0, -away), size - max(0, away))
        if size > abs(away):
            np.maximum(found[to], moved[of] - cost, out=found[to])
    return np.moveaxis(found, 0, axis)


Adds = Callable[["Placed", Array], Array]
"""What is added to the scores that filters give a component at all places of a level."""


class Scanner:
    """One model, ready to be laid over pictures."""

    def __init__(self, model: PartsModel) -> None:
        self.model = model
        self.roots = _banks([c.root for c in model.components])
        self.parts = _banks([part for c in model.components for part in c.parts])
        self.starts = np.cumsum([0, *(len(c.parts) for c in model.components)]).tolist()
        prices = [np.zeros(4) if p.deformation is None else p.deformation for c in model.components for p in c.parts]
        self.prices = np.array(prices, np.float64).reshape(-1, 4)

    def windows(self, levels: Mapping[int, Level], floor: float) -> Windows:
        """Windows with a score of `floor` or more, on a picture's levels."""
        return self.together([one for number in levels for one in self.on(levels, number, floor)])

    def on(self, levels: Mapping[int, Level], number: int, floor: float, adds: Adds | None = None) -> list[Windows]:
        """Those on one level, of each component that has some; what `adds` says counts for the floor, not for their scores."""
        return [
            placed.windows(scores, reach)
            for placed, scores in self.scored(levels, number)
            if (reach := (whole(placed, scores, adds) >= floor) & (scores > -np.inf)).any()
        ]

    def together(self, found: Sequence[Windows]) -> Windows:
        """Windows of several levels and components as one."""
        return together(found, 1 + max(len(c.parts) for c in self.model.components))

    def scored(self, levels: Mapping[int, Level], number: int) -> list[tuple[Placed, Array]]:
        """Scores of each component wherever it can be on a level."""
        level, finer = levels[number], levels.get(number - self.model.interval)
        if all(c.parts for c in self.model.components) and finer is None:
            return []
        roots = self.laid(self.roots, [c.root for c in self.model.components], level)
        parts: list[Array] = []
        if finer is not None:
            parts = self.laid(self.parts, [p for c in self.model.components for p in c.parts], finer)
        found: list[tuple[Placed, Array]] = []
        for place, component in enumerate(self.model.components):
            if component.parts and finer is None:
                continue
            own = parts[self.starts[place] : self.starts[place + 1]]
            prices = self.prices[self.starts[place] : self.starts[place + 1]]
            best = _transformed(own, prices)
            placed = Placed(self.model, place, level, finer, own)
            found.append((placed, placed.scores(roots[place], best)))
        return found

    def laid(self, banks: Sequence[tuple[Bank, list[int]]], parts: Sequence[PlacedPart], level: Level) -> list[Array]:
        """Responses of filters wherever they lie within the model's padding of the level."""
        found: list[Array] = [np.zeros((0, 0), np.float32)] * len(parts)
        for bank, members in banks:
            responses = bank.responses(level)
            for size in {parts[member].size for member in members}:
                own = np.array([k for k, member in enumerate(members) if parts[member].size == size])
                down, across = (
                    np.clip(np.arange(-pad, grid + pad - side + 1) + least, 0, grid + least)
                    for pad, grid, side, least in zip(
                        self.model.padding, level.grid, size, (bank.height, bank.width), strict=True
                    )
                )
                for k, response in zip(own.tolist(), responses[np.ix_(own, down, across)], strict=True):
                    found[members[k]] = response
        return found


def whole(placed: Placed, scores: Array, adds: Adds | None) -> Array:
    """Scores of a component everywhere on a level, with what is added to them."""
    return scores if adds is None else scores + adds(placed, scores)


@dataclass(frozen=True)
class Placed:
    """A component over a level, and what its parts say over the finer one, with the model's padding around both."""

    model: PartsModel
    number: int
    level: Level
    finer: Level | None
    responses: list[Array]

    @property
    def component(self) -> Component:
        return self.model.components[self.number]

    def constant(self) -> float:
        """What is added wherever it lies."""
        root, parts = self.component.root, self.component.parts
        return root.added(self.level.octave) + sum(p.added(self.finer.octave) for p in parts if self.finer is not None)

    def scores(self, root: Array, best: Sequence[Array]) -> Array:
        """Of every place of the root, -inf where a part's place lies outside."""
        found = np.full(root.shape, -np.inf)
        spans = [
            _span(root.shape, one.shape, *self.starts(part))
            for part, one in zip(self.component.parts, best, strict=True)
        ]
        top, left = (max([0, *(s[axis][0] for s in spans)]) for axis in (0, 1))
        bottom, right = (min([root.shape[axis], *(s[axis][1] for s in spans)]) for axis in (0, 1))
        if bottom <= top or right <= left:
            return found
        total = root[top:bottom, left:right] + self.constant()
        for part, one in zip(self.component.parts, best, strict=True):
            y, x = self.starts(part)
            total = total + one[y + 2 * top : y + 2 * bottom : 2, x + 2 * left : x + 2 * right : 2]
        found[top:bottom, left:right] = total
        return found

    def starts(self, part: PlacedPart) -> tuple[int, int]:
        """Row and column of a part's place where the root's are 0, all counted with the padding."""
        return part.anchor[1] - self.model.padding[0], part.anchor[0] - self.model.padding[1]

    def windows(self, scores: Array, reach: Array) -> Windows:
        """Windows at the places of the root that `reach` says, with where their parts went."""
        (rows, columns), scores = np.nonzero(reach), scores[reach]
        pad, count = np.array(self.model.padding), len(rows)
        places = np.zeros((count, len(self.component.filters), 2), np.int64)
        places[:, 0] = np.stack([rows, columns], 1) - pad
        for number, (part, response) in enumerate(zip(self.component.parts, self.responses, strict=True), 1):
            y, x = self.starts(part)
            places[:, number] = went(response, part, y + 2 * rows, x + 2 * columns) - pad
        sizes = np.array([self.component.window, *(p.size for p in self.component.parts)])
        pixels = np.full(len(sizes), self.finer.pixels if self.finer is not None else 0.0)
        pixels[0] = self.level.pixels
        low = places * pixels[:, None]
        high = low + sizes * pixels[:, None] - 1
        boxes = np.concatenate([low[..., ::-1], high[..., ::-1]], 2)
        return Windows(scores, np.full(count, self.level.number), np.full(count, self.number), places, boxes)


def went(response: Array, part: PlacedPart, rows: Array, columns: Array) -> Array:
    """Where a part goes from each of its places, int64 (N, 2): the best of all within REACH, of equal ones the first."""
    side = 2 * REACH + 1
    around = np.pad(response, REACH, constant_values=-np.inf)
    near = sliding_window_view(around, (side, side))[rows, columns, ::-1, ::-1]
    best = (near - part.costs()).reshape(len(rows), side**2).argmax(1)
    return np.stack([rows + REACH - best // side, columns + REACH - best % side], 1)


def together(found: Sequence[Windows], filters: int) -> Windows:
    """Windows of several levels and components as one."""
    count = sum(map(len, found))
    places, boxes = np.zeros((count, filters, 2), np.int64), np.zeros((count, filters, 4))
    start = 0
    for one in found:
        places[start : start + len(one), : one.places.shape[1]] = one.places
        boxes[start : start + len(one), : one.boxes.shape[1]] = one.boxes
        start += len(one)
    scores, levels, components = (
        np.concatenate([np.zeros(0, dtype), *(getattr(one, name) for one in found)])
        for name, dtype in (("scores", np.float64), ("levels", np.int64), ("components", np.int64))
    )
    return Windows(scores, levels, components, places, boxes)


def _banks(parts: Sequence[PlacedPart]) -> list[tuple[Bank, list[int]]]:
    """Filters by their width, each with its number."""
    widths = sorted({p.size[1] for p in parts})
    members = [[k for k, p in enumerate(parts) if p.size[1] == width] for width in widths]
    return [(Bank([parts[k] for k in each]), each) for each in members]


def _transformed(responses: Sequence[Array], prices: Array) -> list[Array]:
    """`bounded_transform` of maps that may differ in size."""
    if len({one.shape for one in responses}) == 1:
        return list(bounded_transform(np.stack(responses), prices))
    return [bounded_transform(one[None], price[None])[0] for one, price in zip(responses, prices, strict=True)]


def _span(root: tuple[int, ...], part: tuple[int, ...], *starts: int) -> list[tuple[int, int]]:
    """Rows, then columns of the root at which a part's place lies within its map: the first, and the one behind the last."""
    return [
        (max(0, -(start // 2)), min(whole, (size - 1 - start) // 2 + 1))
        for whole, size, start in zip(root, part, starts, strict=True)
    ]
