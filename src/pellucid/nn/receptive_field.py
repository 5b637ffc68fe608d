"""What each value of a network can see of the picture, or another input: receptive fields, followed from node to node."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pellucid.graph import Graph, Input, Tensor
from pellucid.nn.axes import COLUMNS, ROWS, Axes
from pellucid.nn.interface import INPUT, main_input
from pellucid.nn.known import Constants
from pellucid.nn.reach import Given, Reach, follow
from pellucid.op import Shape

Range = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Fields:
    """The receptive fields of all elements of one node, holes counted: the first and the last row and column seen.

    `reaches` say how far each element sees up, down, left and right, counted from the other end of the picture (H, W).
    Fields that are not `exact` are the most that elements can see: what is seen depends on the picture itself.
    """

    shape: Shape
    num_axes: int
    """Those of the input."""
    axes: tuple[int | None, int | None]
    """Those of the node's rows and columns, in their order."""
    picture: tuple[int, int]
    reaches: tuple[Reach, Reach, Reach, Reach]
    exact: bool

    def at(self, index: tuple[int, ...]) -> tuple[Range, Range] | None:
        """Rows and columns (first, last + 1) that the element at `index` sees, None where it sees nothing."""
        up, down, left, right = (int(np.broadcast_to(r, self.shape)[index]) for r in self.reaches)
        height, width = self.picture
        return ((height - up, down), (width - left, right)) if up else None

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the largest field: no more than the picture has."""
        up, down, left, right = self.reaches
        return (
            max(int((up + down).max(initial=0)) - self.picture[0], 0),
            max(int((left + right).max(initial=0)) - self.picture[1], 0),
        )

    @property
    def jump(self) -> tuple[float | None, float | None]:
        """Pixels between the fields of neighbors down and across, None where the picture's edges cut all fields off."""
        up, down, left, right = self.reaches
        return self._jump(0, self.picture[0], up, down), self._jump(1, self.picture[1], left, right)

    def _jump(self, which: int, size: int, before: Reach, after: Reach) -> float | None:
        """Pixels that fields move per element, over the shortest distance after which all move alike."""
        axis = self.axes[which]
        if len(self.shape) != self.num_axes or axis is None:
            return None
        moving = [k for k, n in enumerate(before.shape) if n > 1]
        if self.num_axes < 4 and len(moving) == 1:  # a sequence (N, L, K) made of a signal (N, C, L)
            axis = moving[0]
        length = self.shape[axis]
        shapes = [[length if k == axis else n for k, n in enumerate(r.shape)] for r in (before, after)]
        lines = [np.moveaxis(np.broadcast_to(r, s), axis, 0) for r, s in zip((-before, after), shapes, strict=True)]
        for distance in range(1, length):
            pairs = [(ends[:-distance], ends[distance:]) for ends in lines]
            free = [(a != 0) & (b != 0) & (abs(a) < size) & (abs(b) < size) for a, b in pairs]
            moved = np.concatenate([(b - a)[f] for (a, b), f in zip(pairs, free, strict=True)])
            if moved.size and (moved == moved[0]).all():
                return abs(int(moved[0])) / distance
        return None


def places(shape: Shape, letters: str = "") -> tuple[tuple[int | None, int | None], tuple[int, int]]:
    """The axes of an input that count as rows and columns of a picture, None for one that it lacks, and their sizes.

    Of a picture they are those that its `letters` say (see `Axes`); else the last two: of a signal (N, C, L) channels are
    the rows. Numbers (N, L) are one row.
    """
    count = len(shape)
    if count == 4 and ROWS in letters and COLUMNS in letters:
        first, second = sorted((letters.index(ROWS), letters.index(COLUMNS)))
        axes = first, second
    else:
        axes = (count - 2 if count > 2 else None, count - 1 if count else None)
    height, width = (1 if axis is None else shape[axis] for axis in axes)
    return axes, (height, width)


def in_words(source: Tensor, bounds: tuple[Range, Range]) -> str:
    """Where a field lies: rows and columns of a picture, or `signal[0..1,4..8]` of another input."""
    (top, bottom), (left, right) = bounds
    if source.ndim > 3:
        of = "the picture" if source.name == INPUT else source.name
        return f"rows {top}..{bottom - 1} and columns {left}..{right - 1} of {of}"
    spans = [f"{a}..{b - 1}" for axis, (a, b) in zip(places(source.shape)[0], bounds, strict=True) if axis is not None]
    return f"{source.name}[{','.join(spans)}]"


def receptive_fields(graph: Graph, source: Tensor | None = None) -> dict[Tensor, Fields]:
    """The receptive fields in an input of every node that depends on it: in the picture unless given."""
    image = main_input(graph.inputs) if source is None else source
    letters = Axes(graph)
    own, (height, width) = places(image.shape, letters[image])
    starts: list[Reach] = []
    for axis, size in zip(own, (height, width), strict=True):
        shape = [size if k == axis else 1 for k in range(image.ndim)]
        along = np.arange(1, size + 1, dtype=np.int32)
        starts += [along[::-1].reshape(shape), along.reshape(shape)]
    up, down, left, right = starts
    fields = {image: Fields(image.shape, image.ndim, own, (height, width), (up, down, left, right), True)}
    constants = Constants()
    for node in graph.nodes:
        seeing = [fields.get(i) for i in node.inputs]
        if isinstance(node.op, Input) or not any(seeing):
            continue
        found = [
            follow(node, Given(tuple(None if f is None else f.reaches[k] for f in seeing), constants)) for k in range(4)
        ]
        up, down, left, right = (reach for reach, _ in found)
        exact = all(own for _, own in found) and all(f is None or f.exact for f in seeing)
        axes, _ = places(node.shape, letters[node])
        fields[node] = Fields(node.shape, image.ndim, axes, (height, width), (up, down, left, right), exact)
    return fields
