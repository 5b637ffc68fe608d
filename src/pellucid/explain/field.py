"""Which rows and columns of the picture one element can see: exact, edges and the holes of dilation included."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pellucid.explain.terms import Index
from pellucid.graph import Constant, Graph, Input, Tensor, topological
from pellucid.op import Array
from pellucid.ops.convolution import Conv2d, ConvTranspose2d
from pellucid.ops.linear import Matmul
from pellucid.ops.pooling import AveragePool2d, MaxPool2d
from pellucid.ops.reduction import Max, Sum
from pellucid.ops.shape import Move
from pellucid.ops.window import Window

Range = tuple[int, int]
_Seen = tuple[Array, Array]
"""Of a node (N, C, H, W): which rows (H,) and which columns (W,) are seen, as booleans."""


def seen(graph: Graph, node: Tensor, index: Index) -> tuple[Range, Range] | None:
    """Rows and columns (first, last + 1) of the picture between which the element of `node` at `index` sees something.

    None where it sees nothing of it. Walks from the element back to the picture through every branch.
    """
    image = next(i for i in graph.inputs if i.ndim == 4)
    node, index = _in_place(node, index)
    marks: dict[Tensor, _Seen] = {node: _at(node, index)}
    for current in reversed(topological([node])):
        if current not in marks or isinstance(current.op, Input):
            continue
        for source, found in _through(current, marks[current]):
            known = marks.get(source)
            marks[source] = found if known is None else (known[0] | found[0], known[1] | found[1])
    if image not in marks:
        return None
    rows, columns = (np.nonzero(mask)[0] for mask in marks[image])
    if not len(rows) or not len(columns):
        return None
    return (int(rows[0]), int(rows[-1]) + 1), (int(columns[0]), int(columns[-1]) + 1)


def _in_place(node: Tensor, index: Index) -> tuple[Tensor, Index]:
    """The element that an element is made of alone, behind what moves elements or maps them one by one."""
    while True:
        varying = [i for i in node.inputs if i.inputs or isinstance(i.op, Input)]
        if isinstance(node.op, Move) and (source := node.op.source(node, index)) is not None:
            node, index = node.inputs[source[0]], source[1]
        elif node.op.elementwise and len(varying) == 1 and varying[0].shape == node.shape:
            node = varying[0]
        else:
            return node, index


def _at(node: Tensor, index: Index) -> _Seen:
    if len(index) != 4:
        return _everything(node)
    rows, columns = (np.arange(n) == i for n, i in zip(node.shape[2:], index[2:], strict=True))
    return rows, columns


def _everything(node: Tensor) -> _Seen:
    sides = node.shape[2:] if node.ndim == 4 else (1, 1)
    return np.ones(sides[0], bool), np.ones(sides[1], bool)


def _through(node: Tensor, own: _Seen) -> Iterator[tuple[Tensor, _Seen]]:
    """What each input of `node` is seen of, where of `node` itself `own` is."""
    op = node.op
    window: Window | None = None
    if isinstance(op, Conv2d | ConvTranspose2d):
        window = op.window((node.inputs[1].shape[2], node.inputs[1].shape[3]))
    elif isinstance(op, MaxPool2d | AveragePool2d):
        window = op.window
    if window is not None:
        x = node.inputs[0]
        backwards = isinstance(op, ConvTranspose2d)
        rows, columns = (_windowed(own[axis], x.shape[2 + axis], window, axis, backwards) for axis in (0, 1))
        yield x, (rows, columns)
        return
    for number, value in enumerate(node.inputs):
        if value.ndim != 4 or node.ndim != 4:
            yield value, _everything(value)
        elif isinstance(op, Sum | Max):
            reduced = (np.ones(n, bool) if 2 + a in op.axes else own[a] for a, n in enumerate(value.shape[2:]))
            rows, columns = reduced
            yield value, (rows, columns)
        elif isinstance(op, Matmul):
            yield value, _multiplied(node, number, own)
        elif isinstance(op, Move) and value.shape[2:] != node.shape[2:]:
            yield value, _moved(node, op, number, own)
        else:
            rows, columns = (_spread(own[a], n) for a, n in enumerate(value.shape[2:]))
            yield value, (rows, columns)


def _spread(mask: Array, size: int) -> Array:
    """A mask for an input of `size` rows: one row that is repeated, as many as there are, or else all of them."""
    return mask if len(mask) == size else np.full(size, mask.any())


def _windowed(mask: Array, size: int, window: Window, axis: int, backwards: bool) -> Array:
    """Of an input of `size` rows those that the windows in `mask` see; `backwards`, the windows that see those rows."""
    stride, padding = window.stride[axis], window.padding[axis]
    found = np.zeros(size, bool)
    outputs = np.nonzero(mask)[0]
    for k in range(window.kernel[axis]):
        offset = k * window.dilation[axis] - padding
        places = outputs * stride + offset
        if backwards:
            places, odd = np.divmod(outputs - offset, stride)
            places = places[odd == 0]
        found[places[(places >= 0) & (places < size)]] = True
    return found


def _multiplied(node: Tensor, number: int, own: _Seen) -> _Seen:
    """A product along rows or columns: only where its other factor, if that is fixed, is not zero."""
    value, other = node.inputs[number], node.inputs[1 - number]
    rows, columns = own
    factor = other.op.value if isinstance(other.op, Constant) else np.ones(other.shape)
    fixed: Array = np.not_equal(factor, 0).reshape(-1, *other.shape[-2:]).max(axis=0)
    if value is node.inputs[0]:
        return rows, fixed[:, columns].sum(axis=1) > 0
    return fixed[rows].sum(axis=0) > 0, columns


def _moved(node: Tensor, op: Move, number: int, own: _Seen) -> _Seen:
    """Rows and columns that are moved, found one by one."""
    value = node.inputs[number]
    found = np.zeros(value.shape[2], bool), np.zeros(value.shape[3], bool)
    for row in np.nonzero(own[0])[0]:
        for column in np.nonzero(own[1])[0]:
            source = op.source(node, (0, 0, int(row), int(column)))
            if source is not None and source[0] == number:
                found[0][source[1][2]] = True
                found[1][source[1][3]] = True
    return found
