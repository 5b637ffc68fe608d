"""What a model in training looks for: the best window on each of its objects, and windows of background that it takes for objects."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from pellucid.detect.boxes import areas, clipped, overlaps
from pellucid.detect.dpm.model import PartsModel
from pellucid.detect.dpm.pyramid import Level, pixels_of, pyramid
from pellucid.detect.dpm.scanning import Adds, Placed, Scanner, Windows, whole
from pellucid.detect.pictures_with_boxes import PicturesWithBoxes
from pellucid.detect.suppression import KEPT, suppress
from pellucid.executors import default_threads
from pellucid.plain import Array

ON_OBJECT = 0.7
"""What a window shares with its object at least."""
OFF_OBJECT = 0.3
"""A window that overlaps every object of a class by less is background to it."""
INTERVAL, INTERVAL_OF_BACKGROUND = 5, 4
"""Levels of an octave around objects, and of background."""
ALIKE, AMONG = 0.6, 2000
"""Windows of background that share more of their union say the same; of a picture so many are looked at for some that do not."""
LEAST_AROUND = 32.0
"""Pixels around an object at least."""
MOST_BYTES = 2**29
"""Of levels that are kept in memory."""

Levels = dict[int, Level]
T = TypeVar("T")


class Kept(Generic[T]):
    """What was made of pictures that were looked at last, as far as memory for it goes; `size` says how many bytes it takes."""

    def __init__(self, size: Callable[[T], int]) -> None:
        self.size = size
        self._there: OrderedDict[int, T] = OrderedDict()
        self._bytes = 0

    def of(self, key: int, make: Callable[[], T]) -> T:
        """What was made before, or what `make` gives."""
        if key in self._there:
            self._there.move_to_end(key)
            return self._there[key]
        made = self._there[key] = make()
        self._bytes += self.size(made)
        while self._bytes > MOST_BYTES and len(self._there) > 1:
            self._bytes -= self.size(self._there.popitem(last=False)[1])
        return made


def bytes_of(levels: Levels) -> int:
    """Memory that levels take."""
    return sum(level.cells.nbytes for level in levels.values())


@dataclass(frozen=True)
class Example:
    """An object: the number of its picture, and its `box`."""

    picture: int
    box: Array


@dataclass(frozen=True)
class Around:
    """A part of a picture around an object: its levels, and the object's box and the picture's edges (x1, y1, x2, y2) on it."""

    levels: Levels
    box: Array
    edges: Array

    def shares(self, windows: Array) -> Array:
        """What windows (N, 4), as far as they lie on the picture, share with the object: intersection over union."""
        low, high = np.maximum(windows[:, :2], self.edges[:2]), np.minimum(windows[:, 2:], self.edges[2:])
        there = (high >= low).all(1)
        found = np.zeros(len(windows))
        found[there] = overlaps(np.concatenate([low, high], 1)[there], self.box[None])[:, 0]
        return found


def around(image: Array, box: Array, windows: Sequence[tuple[int, int]]) -> Around:
    """An object with half its longer side around it, at the sizes at which one of `windows` (rows, columns) may lie on it."""
    height, width = image.shape[1:]
    x1, y1, x2, y2 = box.tolist()
    away = max(LEAST_AROUND, (x2 - x1 + 1) / 2, (y2 - y1 + 1) / 2)
    left, top = int(max(0, np.floor(x1 - away))), int(max(0, np.floor(y1 - away)))
    right, bottom = int(min(width, np.ceil(x2 + away) + 1)), int(min(height, np.ceil(y2 + away) + 1))
    area = float(areas(box[None])[0])
    inside = x1 > 1 and y1 > 1 and x2 < width - 2 and y2 < height - 2
    largest = area / ON_OBJECT * (1.0 if inside else 4.0)  # a window may reach over the picture's edge
    wanted: set[int] = set()
    for number, pixels in pixels_of((bottom - top, right - left), 8, INTERVAL).items():
        if any(ON_OBJECT * area <= rows * columns * pixels**2 <= largest for rows, columns in windows):
            wanted |= {number, number - INTERVAL}
    part = image[:, top:bottom, left:right]
    corner = np.array([left, top, left, top], np.float64)
    edges = np.array([0.0, 0.0, width - 1.0, height - 1.0]) - corner
    return Around(pyramid(part, 8, INTERVAL, wanted), box - corner, edges)


def on_object(model: PartsModel, there: Around, most: int = 1, adds: Adds | None = None) -> Windows:
    """The best windows that share enough with an object, of each component `most`, with what is added to their scores; none where there is none."""
    scanner = Scanner(replace(model, interval=INTERVAL))
    found: list[Windows] = []
    for number in there.levels:
        for placed, of_filters in scanner.scored(there.levels, number):
            scores = whole(placed, of_filters, adds)
            fits = _sharing(placed, scores, there)
            if not fits.any():
                continue
            floor = np.sort(scores[fits])[-min(most, int(fits.sum()))]
            found.append(placed.windows(scores, fits & (scores >= floor)))
    return scanner.together(found)


def _sharing(placed: Placed, scores: Array, there: Around) -> Array:
    """At which places a component shares enough with the object."""
    rows, columns = np.nonzero(np.isfinite(scores))
    fits = np.zeros(scores.shape, bool)
    if len(rows):
        low = (np.stack([columns, rows], 1) - placed.model.padding[::-1]) * placed.level.pixels
        extent = np.array(placed.component.window[::-1]) * placed.level.pixels - 1
        fits[rows, columns] = there.shares(np.concatenate([low, low + extent], 1)) >= ON_OBJECT
    return fits


class Background:
    """Pictures that a class learns from what is no object of it, those without any first."""

    def __init__(
        self, pictures: PicturesWithBoxes, label: int, random: np.random.Generator, kept: Kept[Levels]
    ) -> None:
        self.pictures, self.label, self.kept = pictures, label, kept
        order = random.permutation(len(pictures))
        has = np.array([(o.labels == label).any() for o in pictures.objects])
        self.order: list[int] = [*order[~has[order]].tolist(), *order[has[order]].tolist()]

    def levels(self, picture: int) -> Levels:
        """A picture at all sizes."""
        return self.kept.of(picture, lambda: pyramid(self.pictures.read(picture), 8, INTERVAL_OF_BACKGROUND))

    def free(self, picture: int, boxes: Array) -> Array:
        """Which boxes (N, 4) lie off all objects of the class, bool (N,)."""
        objects = self.pictures.objects[picture]
        own = objects.boxes[objects.labels == self.label]
        width, height = self.pictures.sizes[picture]
        cut = clipped(boxes, width, height)
        free: Array = np.all(cut[:, 2:] >= cut[:, :2], axis=1)
        if len(own) and free.any():
            free[free] = overlaps(cut[free], own).max(1) < OFF_OBJECT
        return free

    def hard(self, model: PartsModel, picture: int, floor: float, most: int, adds: Adds | None = None) -> Windows:
        """Windows with a score of `floor` or more, with what is added to it, one component at a place. Where there are more than `most`,
        the best of those that share no more than `ALIKE` with a better one: memory would be full of few places."""
        levels = self.levels(picture)
        scanner = Scanner(replace(model, interval=INTERVAL_OF_BACKGROUND))

        def on(number: int) -> list[tuple[Placed, Array]]:
            return one_at_a_place([(p, whole(p, scores, adds)) for p, scores in scanner.scored(levels, number)])

        with ThreadPoolExecutor(default_threads()) as threads:
            scored = list(threads.map(on, levels))
        every = [(placed, scores) for level in scored for placed, scores in level]
        there = np.concatenate([np.zeros(0), *(scores[scores >= floor] for _, scores in every)])
        among = max(most, AMONG)
        if len(there) > among:
            floor = max(floor, float(np.partition(there, -among)[-among]))
        found = [placed.windows(scores, scores >= floor) for placed, scores in every if (scores >= floor).any()]
        windows = scanner.together(found)
        windows = windows.chosen(self.free(picture, windows.boxes[:, 0]))
        if len(windows) <= most:
            return windows
        stay = np.flatnonzero(suppress(windows.boxes[:, 0], windows.scores, ALIKE) == KEPT)
        return windows.chosen(stay[np.argsort(-windows.scores[stay], kind="stable")[:most]])

    def random(self, model: PartsModel, picture: int, count: int, random: np.random.Generator) -> Windows:
        """Windows of a root anywhere on a picture, of any size."""
        levels, (root, *_) = self.levels(picture), model.components
        rows, columns = root.window
        sizes = {n: (v.grid[0] - rows + 1, v.grid[1] - columns + 1) for n, v in levels.items()}
        sizes = {n: size for n, size in sizes.items() if min(size) > 0}
        if not sizes:
            return together_none(1)
        numbers = random.choice(list(sizes), count, p=_shares([a * b for a, b in sizes.values()]))
        places = np.array([[random.integers(side) for side in sizes[n]] for n in numbers.tolist()], np.int64)
        pixels = np.array([levels[n].pixels for n in numbers.tolist()])[:, None]
        low = places * pixels
        high = low + np.array(root.window) * pixels - 1
        boxes = np.concatenate([low[:, ::-1], high[:, ::-1]], 1)
        nothing = np.zeros(count)
        windows = Windows(nothing, numbers, nothing.astype(np.int64), places[:, None], boxes[:, None])
        return windows.chosen(self.free(picture, boxes))


def _shares(counts: Sequence[int]) -> Array:
    """Each size of a window as likely as the root of how many there are."""
    roots = np.sqrt(np.array(counts, np.float64))
    return roots / roots.sum()


def together_none(filters: int) -> Windows:
    """No windows."""
    none = np.zeros(0, np.int64)
    return Windows(np.zeros(0), none, none, np.zeros((0, filters, 2), np.int64), np.zeros((0, filters, 4)))


def one_at_a_place(scored: Sequence[tuple[Placed, Array]]) -> list[tuple[Placed, Array]]:
    """Scores of each component, -inf at places where another one has more."""
    if not scored:
        return []
    shape = tuple(max(scores.shape[axis] for _, scores in scored) for axis in (0, 1))
    best = np.full(shape, -np.inf)
    for _, scores in scored:
        part = best[: scores.shape[0], : scores.shape[1]]
        np.maximum(part, scores, out=part)
    found: list[tuple[Placed, Array]] = []
    for placed, scores in scored:
        part = best[: scores.shape[0], : scores.shape[1]]
        mine = (scores == part) & np.isfinite(scores)
        part[mine] = np.inf  # of equal ones the first
        found.append((placed, np.where(mine, scores, -np.inf)))
    return found
