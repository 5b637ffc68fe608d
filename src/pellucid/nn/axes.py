"""What each axis of a network's values is: batch, channels, rows, columns, followed through the graph from both ends.

Convolutions and poolings say it of what they take and give; what moves, computes element by element or reduces axes
passes it on, forwards and backwards, up to the input. Nothing is guessed from sizes: a picture of three rows is none of
three channels. Where two say different things of one axis (rows and columns changed places in between), the first in
order of computation is believed: an axis is what it is of the picture, whose rows come before its columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pellucid.errors import PellucidError
from pellucid.graph import Graph, Tensor
from pellucid.nn.interface import INPUT, outputs_on
from pellucid.op import Array, Shape
from pellucid.ops.convolution import Conv2d, ConvTranspose2d, Fold, Unfold
from pellucid.ops.indexing import Gather, Pad, Slice
from pellucid.ops.linear import Matmul
from pellucid.ops.pooling import AveragePool2d, MaxPool2d
from pellucid.ops.reduction import Argmax, Max, Sum, Variance
from pellucid.ops.shape import BroadcastTo, Concat, Flip, Reshape, Transpose
from pellucid.scopes import inference_mode
from pellucid.walks import depending

if TYPE_CHECKING:
    from pellucid.nn.module import Module

BATCH, CHANNELS, ROWS, COLUMNS, UNKNOWN = "NCHW."
PICTURE = BATCH + CHANNELS + ROWS + COLUMNS
"""The layout that is taken where the graph says nothing: that of convolutions."""
LAYOUTS = PICTURE, BATCH + ROWS + COLUMNS + CHANNELS
"""Those in use."""

Axis = tuple[int, int]
"""The number of a node in the graph, and of an axis of it."""

_WINDOWS = Conv2d | ConvTranspose2d | MaxPool2d | AveragePool2d
_SAME_AXES = Slice | Pad | Flip | Concat
_REDUCTIONS = Sum | Max | Variance | Argmax


class Axes:
    """The axes of the values of `graph` that depend on its inputs.

    `axes[node]` has a letter for each axis: `NCHW`, `NHWC`, `NC`; `.` for one of which nothing is known.
    """

    def __init__(self, graph: Graph) -> None:
        self._above: dict[Axis, Axis] = {}
        self._letters: dict[Axis, tuple[int, str]] = {}
        seeing = depending(graph.nodes, graph.inputs)
        self._numbers = {node: number for number, node in enumerate(graph.nodes)}
        for order, node in enumerate(graph.nodes):
            if node not in seeing:
                continue
            for mine, value, axis in _kept_axes(node, seeing):
                self._join((order, mine), (self._numbers[value], axis))
            for value, axis, letter in _told(node, seeing):
                root = self._root((self._numbers[value], axis))
                self._letters[root] = min((order, letter), self._letters.get(root, (order, letter)))
        self._known = {node: self._word(node) for node in graph.nodes if node in seeing}
        if any(0 <= self._known[i].find(COLUMNS) < self._known[i].find(ROWS) for i in graph.inputs if i.ndim == 4):
            turned = str.maketrans(ROWS + COLUMNS, COLUMNS + ROWS)
            self._known = {node: word.translate(turned) for node, word in self._known.items()}

    def __getitem__(self, node: Tensor) -> str:
        return self._known.get(node, PICTURE if node.ndim == 4 else UNKNOWN * node.ndim)

    def channel_axis(self, node: Tensor) -> int:
        """The axis that counts the channels, or the outputs of a dense layer: the second where the graph does not say."""
        return place if (place := self[node].find(CHANNELS)) >= 0 else min(1, node.ndim - 1)

    def rows_and_columns(self, node: Tensor) -> tuple[int | None, int | None]:
        """The axes of the rows and of the columns; None for one that there is not."""
        rows, columns = (self[node].find(letter) for letter in (ROWS, COLUMNS))
        return (rows if rows >= 0 else None, columns if columns >= 0 else None)

    def _word(self, node: Tensor) -> str:
        letters = [self._letters.get(self._root((self._numbers[node], k)), (0, UNKNOWN))[1] for k in range(node.ndim)]
        letters = [letter if letters.index(letter) == k else UNKNOWN for k, letter in enumerate(letters)]
        missing = [k for k, letter in enumerate(letters) if letter == UNKNOWN]
        if missing and missing[0] == 0 and BATCH not in letters and len(missing) < max(node.ndim, 2):
            letters[missing.pop(0)] = BATCH
        if len(missing) == 1 and CHANNELS not in letters and (node.ndim == 2 or {ROWS, COLUMNS} & {*letters}):
            letters[missing[0]] = CHANNELS
        word = "".join(letters)
        if node.ndim == 4 and not {*word} & {CHANNELS, ROWS, COLUMNS}:
            return PICTURE
        return BATCH + CHANNELS if word == UNKNOWN * 2 else word

    def _root(self, axis: Axis) -> Axis:
        path: list[Axis] = []
        while axis in self._above:
            path.append(axis)
            axis = self._above[axis]
        self._above.update(dict.fromkeys(path, axis))
        return axis

    def _join(self, one: Axis, other: Axis) -> None:
        first, second = self._root(one), self._root(other)
        if first == second:
            return
        self._above[second] = first
        told = [self._letters[root] for root in (first, second) if root in self._letters]
        self._letters.pop(second, None)
        if told:
            self._letters[first] = min(told)


def layout_of(net: Module, shape: Shape | None = None) -> str:
    """The layout of the pictures that a network takes, `NCHW` or another order of these axes; `NCHW` where nothing tells.

    `shape` is that of a picture (C, H, W), for a network that does not state the shape of its input.
    """
    stated = {spec.name: spec.shape for spec in net.input_specs() if spec.shape is not None}
    candidates: list[Mapping[str, Shape]] = []
    if any(len(known) == 4 for known in stated.values()):
        candidates = [stated]
    elif shape is not None and len(shape) == 3:
        candidates = [{INPUT: in_layout((1, *shape), layout)} for layout in LAYOUTS]
    for shapes in candidates:
        try:
            with inference_mode():
                outputs = outputs_on(net, shapes)
        except (PellucidError, ValueError):  # pictures in another layout than the network's
            continue
        if found := layout_in(outputs):
            return found
    return PICTURE


def layout_in(outputs: Mapping[str, Tensor]) -> str:
    """The layout of the first four-dimensional input that outputs are computed from; "" where nothing tells it, or it is none of pictures."""
    graph = Graph(outputs)
    images = [image for image in graph.inputs if image.ndim == 4]
    found = Axes(graph)[images[0]] if images else ""
    return found if sorted(found) == sorted(PICTURE) and found[0] == BATCH else ""


def in_layout(shape: Shape, layout: str) -> Shape:
    """A shape (N, C, H, W), or whatever stands for these, in another order."""
    return tuple(shape[PICTURE.index(letter)] for letter in layout)


def picture_of(values: Array, letters: str) -> Array:
    """The values of one picture, whose axes with that of the batch are `letters`, as (C, H, W)."""
    if values.ndim != 3 or sorted(letters) != sorted(PICTURE):
        return values
    return values.transpose([letters.index(letter) - 1 for letter in PICTURE[1:]])


def _told(node: Tensor, seeing: set[Tensor]) -> Iterator[tuple[Tensor, int, str]]:
    """What an op says of the axes of what it takes and gives."""
    if not isinstance(node.op, _WINDOWS | Unfold | Fold):
        return
    values = [] if isinstance(node.op, Unfold) else [node]
    values += [] if isinstance(node.op, Fold) else [i for i in node.inputs[:1] if i in seeing]
    for value in values:
        for axis, letter in enumerate(PICTURE):
            yield value, axis, letter


def _kept_axes(node: Tensor, seeing: set[Tensor]) -> Iterator[tuple[int, Tensor, int]]:
    """Axes of the inputs of a node that go on as axes of the node: its own axis, the input, and the axis of that."""
    for number, value in enumerate(node.inputs):
        if value in seeing:
            for mine, axis in _kept(node, number, value, seeing):
                yield mine, value, axis


def _kept(node: Tensor, number: int, value: Tensor, seeing: set[Tensor]) -> Iterator[tuple[int, int]]:
    """(axis of the node, axis of its input) for one input."""
    op = node.op
    if op.elementwise or isinstance(op, BroadcastTo):
        shift = node.ndim - value.ndim
        yield from ((axis + shift, axis) for axis in range(value.ndim))
    elif isinstance(op, _SAME_AXES):
        yield from ((axis, axis) for axis in range(node.ndim))
    elif isinstance(op, Transpose):
        yield from enumerate(op.axes)
    elif isinstance(op, Reshape):
        yield from ((after, before) for before, after in same_axes(value.shape, node.shape))
    elif isinstance(op, _REDUCTIONS):
        kept = [axis for axis in range(value.ndim) if op.keepdims or axis not in op.axes]
        yield from enumerate(kept)
    elif isinstance(op, _WINDOWS) and number == 0:
        yield from ((axis, axis) for axis in (0, 2, 3))
    elif isinstance(op, Gather) and number == 0:
        more = node.inputs[1].ndim - 1
        yield from (
            (axis if axis <= op.axis else axis + more, axis)
            for axis in range(value.ndim)
            if axis != op.axis or not more
        )
    elif isinstance(op, Matmul) and value.ndim > 1 and node.ndim >= value.ndim:
        shift = node.ndim - value.ndim
        both = all(i in seeing for i in node.inputs)
        gone = value.ndim - (1 if number == 0 else 2)
        yield from ((axis + shift, axis) for axis in range(value.ndim) if axis != gone or not both)


def same_axes(before: Shape, after: Shape) -> list[tuple[int, int]]:
    """The axes that a reshape leaves whole: (axis before, axis after). Axes of one element only where there is no doubt."""
    if before == after:
        return [(axis, axis) for axis in range(len(before))]
    wide = [[axis for axis, size in enumerate(shape) if size != 1] for shape in (before, after)]
    found: list[tuple[int, int]] = []
    i = j = 0
    while i < len(wide[0]) and j < len(wide[1]):
        left, right, start = before[wide[0][i]], after[wide[1][j]], (i, j)
        while left != right and i < len(wide[0]) and j < len(wide[1]):
            if left < right:
                i += 1
                left *= before[wide[0][i]] if i < len(wide[0]) else 1
            else:
                j += 1
                right *= after[wide[1][j]] if j < len(wide[1]) else 1
        if (i, j) == start:
            found.append((wide[0][i], wide[1][j]))
        i, j = i + 1, j + 1
    if before and after and before[0] == after[0] == 1 and (0, 0) not in found:
        found.insert(0, (0, 0))
    return found
