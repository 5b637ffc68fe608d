"""How far elements reach into the picture: for every op, which elements of its inputs each output element is made of.

A reach is an array of whole numbers with as many axes as its node, which broadcasts to the node's shape: 0 of an element
that sees nothing of the picture. An element reaches as far as the furthest of those that it is made of, so every rule is
a maximum. Parameters count as not zero; what constants decide (a zero in a matrix, a mask) is followed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pellucid.graph import Tensor
from pellucid.nn.known import Constants, Known, deciding
from pellucid.op import Array, Op, Shape
from pellucid.ops.comparison import Where
from pellucid.ops.convolution import Conv2d, ConvTranspose2d, Fold, Unfold
from pellucid.ops.elementwise import Divide, Multiply
from pellucid.ops.indexing import Gather, GatherGradient, Pad, Slice, SliceGradient
from pellucid.ops.linear import Matmul
from pellucid.ops.pooling import AveragePool2d, MaxPool2d
from pellucid.ops.reduction import Argmax, Max, Sum, Variance
from pellucid.ops.shape import BroadcastTo, Concat, Flip, Reshape, Transpose
from pellucid.ops.window import Pair, Window

Reach = Array
Rule = Callable[[Any, Tensor, "Given"], Reach]
"""Of an op, its node and what is given the reach of the node."""


@dataclass(frozen=True, eq=False)
class Given:
    """What a rule goes by: the reach of each input (None: it sees nothing), and what constants decide."""

    reaches: tuple[Reach | None, ...]
    constants: Constants

    def whole(self, node: Tensor, number: int) -> Reach:
        """The reach of an input in the input's shape."""
        reach = self.reaches[number]
        return np.broadcast_to(np.int32(0) if reach is None else reach, node.inputs[number].shape)

    def first(self) -> Reach:
        """The reach of the first input, of an op that has no other."""
        reach = self.reaches[0]
        assert reach is not None
        return reach

    def nonzero(self, value: Tensor) -> Array | None:
        """Where an input is not known to be zero; None for everywhere."""
        known = self.constants.of(value)
        zeros = None if known is None else known.zeros
        return None if zeros is None or not zeros.any() else ~zeros

    def fixed(self, value: Tensor) -> Array | None:
        """The value of an input that is known altogether."""
        known = self.constants.of(value)
        return None if known is None or not known.whole else known.values


def follow(node: Tensor, given: Given) -> tuple[Reach, bool]:
    """The reach of `node`, and whether it is exact rather than the most that is possible."""
    if not node.size or all(reach is None for reach in given.reaches):
        return np.zeros((1,) * node.ndim, np.int32), True
    rule = _elementwise if node.op.elementwise else RULES.get(type(node.op))
    if rule is None:
        furthest = max(int(reach.max(initial=0)) for reach in given.reaches if reach is not None)
        return np.full((1,) * node.ndim, furthest, np.int32), False
    return _compact(rule(node.op, node, given)), _is_exact(node, given)


def _is_exact(node: Tensor, given: Given) -> bool:
    """Not where elements are picked by what is computed, weights come from the picture, or a factor may be 0 unknown."""
    first, *others = given.reaches
    if isinstance(node.op, Gather | GatherGradient):
        return first is None or given.fixed(node.inputs[1]) is not None
    if isinstance(node.op, Multiply | Divide | Matmul) and first is not None and others[0] is not None:
        return all(map(_sees_all, given.reaches, map(given.constants.of, node.inputs)))
    return not isinstance(node.op, Conv2d | ConvTranspose2d) or others[0] is None


def _sees_all(reach: Reach | None, known: Known | None) -> bool:
    """Whether every element that is not known sees something."""
    return reach is None or bool(reach.all()) or (known is not None and bool((known.where | (reach > 0)).all()))


def _compact(reach: Reach) -> Reach:
    """The same with axes of size 1 in place of those along which it does not change."""
    for axis, size in enumerate(reach.shape):
        first = reach.take([0], axis)
        if size > 1 and (reach == first).all():
            reach = first
    return reach


def _aligned(reach: Reach, ndim: int) -> Reach:
    return reach.reshape((1,) * (ndim - reach.ndim) + reach.shape)


def _elementwise(op: Op, node: Tensor, given: Given) -> Reach:
    nothing = np.zeros((1,) * node.ndim, np.int32)
    reaches = [nothing if r is None else _aligned(r, node.ndim) for r in given.reaches]
    known = [given.constants.of(i) for i in node.inputs]
    furthest = functools.reduce(np.maximum, reaches)
    if isinstance(op, Where):
        return (
            furthest
            if (taken := known[0]) is None
            else np.where(taken.where, np.where(taken.values, *reaches[1:]), furthest)
        )
    closed = functools.reduce(np.logical_or, (deciding(op, number, k) for number, k in enumerate(known)))
    return np.where(closed, 0, furthest)


def _reshape(op: Reshape, node: Tensor, given: Given) -> Reach:
    reach = given.whole(node, 0)
    return reach.reshape(op.to) if any(reach.strides) else reach.flat[:1].reshape((1,) * node.ndim)


def _transpose(op: Transpose, node: Tensor, given: Given) -> Reach:
    return given.first().transpose(op.axes)


def _broadcast(op: BroadcastTo, node: Tensor, given: Given) -> Reach:
    return _aligned(given.first(), node.ndim)


def _flip(op: Flip, node: Tensor, given: Given) -> Reach:
    return np.flip(given.first(), op.axes)


def _slice(op: Slice, node: Tensor, given: Given) -> Reach:
    reach, cuts = given.first(), map(slice, op.starts, op.stops, op.steps)
    return reach[tuple(slice(None) if n == 1 else cut for n, cut in zip(reach.shape, cuts, strict=True))]


def _pad(op: Pad, node: Tensor, given: Given) -> Reach:
    return replace(op, value=0).reference(given.whole(node, 0))


def _unchanged(op: Op, node: Tensor, given: Given) -> Reach:
    """What moves elements and has zeros where there are none moves reaches as well."""
    return op.reference(given.whole(node, 0))


def _concat(op: Concat, node: Tensor, given: Given) -> Reach:
    parts = [np.zeros((1,) * node.ndim, np.int32) if r is None else r for r in given.reaches]
    others = np.broadcast_shapes(*((*r.shape[: op.axis], 1, *r.shape[op.axis + 1 :]) for r in parts))
    sides = ((*others[: op.axis], i.shape[op.axis], *others[op.axis + 1 :]) for i in node.inputs)
    return np.concatenate(list(map(np.broadcast_to, parts, sides)), op.axis)


def _gather(op: Gather, node: Tensor, given: Given) -> Reach:
    indices = node.inputs[1]
    picks, found = given.fixed(indices), np.zeros((1,) * node.ndim, np.int32)
    reach, of_indices = given.reaches
    if reach is not None and (picks is None or reach.shape[op.axis] == 1):
        furthest = reach.max(op.axis, initial=0)
        found = np.expand_dims(furthest, tuple(range(op.axis, op.axis + indices.ndim)))
    elif reach is not None and picks is not None:
        found = np.take(reach, picks, op.axis, mode="clip")
    if of_indices is not None:
        axes = (*range(op.axis), *range(op.axis + indices.ndim, node.ndim))
        found = np.maximum(found, np.expand_dims(of_indices, axes))
    return found


def _gather_gradient(op: GatherGradient, node: Tensor, given: Given) -> Reach:
    indices = node.inputs[1]
    picks = given.fixed(indices)
    if picks is None:
        axes = tuple(range(op.axis, op.axis + indices.ndim))
        everywhere = given.whole(node, 1).max(initial=0)
        return np.maximum(np.expand_dims(given.whole(node, 0).max(axes, initial=0), op.axis), everywhere)
    before, after = node.shape[: op.axis], node.shape[op.axis + 1 :]
    found = np.zeros((op.size, *before, *after), np.int32)
    rows = given.whole(node, 0).reshape(*before, picks.size, *after)
    np.maximum.at(found, picks.reshape(-1), np.moveaxis(rows, op.axis, 0))
    return np.moveaxis(found, 0, op.axis)


def _reduced(op: Sum | Max | Variance | Argmax, node: Tensor, given: Given) -> Reach:
    return given.first().max(axis=op.axes, keepdims=op.keepdims, initial=0)


def _matmul(op: Matmul, node: Tensor, given: Given) -> Reach:
    left, right = given.reaches
    a, b = node.inputs
    found = np.zeros((1,) * node.ndim, np.int32)
    if left is not None:
        found = np.maximum(found, _aligned(_products(left, given.nonzero(b)), node.ndim))
    if right is not None:
        nonzero = given.nonzero(a)
        turned = _products(right.swapaxes(-1, -2), None if nonzero is None else nonzero.swapaxes(-1, -2))
        found = np.maximum(found, _aligned(turned.swapaxes(-1, -2), node.ndim))
    return found


def _products(reach: Reach, nonzero: Array | None) -> Reach:
    """Of a matrix product (..., i, k) x (..., k, j), whose right factor is `nonzero` (None: everywhere)."""
    if nonzero is None:
        return reach.max(-1, keepdims=True)
    if reach.shape[-1] == 1:
        return reach * nonzero.any(-2, keepdims=True)
    columns = ((reach * nonzero[..., None, :, j]).max(-1) for j in range(nonzero.shape[-1]))
    return np.stack(list(columns), -1)


def _pooled(op: MaxPool2d | AveragePool2d, node: Tensor, given: Given) -> Reach:
    return _windowed(given.first(), op.window, node.inputs[0].shape, node.shape)


def _windowed(reach: Reach, window: Window, image: Shape, size: Shape) -> Reach:
    """The furthest that is in each window, along rows and then along columns."""
    for axis in (2, 3):
        a = axis - 2
        along = Window(
            _only(a, window.kernel), _only(a, window.stride), _only(a, window.padding, 0), _only(a, window.dilation)
        )
        rows = reach.shape[axis] if reach.shape[axis] > 1 else image[axis]
        whole = np.broadcast_to(reach, [rows if k == axis else n for k, n in enumerate(reach.shape)])
        windows = (size[2], whole.shape[3]) if axis == 2 else (whole.shape[2], size[3])
        padded = along.pad(whole, 0)
        reach = np.zeros((*whole.shape[:2], *windows), np.int32)
        for _, seen in along.shifts(padded, windows):
            np.maximum(reach, seen, out=reach)
    return reach


def _only(axis: int, both: Pair, other: int = 1) -> Pair:
    return (both[0], other) if axis == 0 else (other, both[1])


def _convolved(op: Conv2d, node: Tensor, given: Given) -> Reach:
    x, w = node.inputs
    found = np.zeros((1,) * 4, np.int32)
    window = op.window((w.shape[2], w.shape[3]))
    nonzero, reach = given.nonzero(w), given.reaches[0]
    if reach is not None and nonzero is None:
        found = _per_output(_windowed(_by_group(reach, op.groups), window, x.shape, node.shape), node)
    elif nonzero is not None:
        size = node.shape[2], node.shape[3]
        columns = op.columns(given.whole(node, 0), window.kernel, size)
        chosen = op.weight_matrices(nonzero)
        outputs = [columns[:, g, mask].max(1, initial=0) for g in range(op.groups) for mask in chosen[g]]
        found = np.stack(outputs, 1).reshape(-1, w.shape[0], *size)
    if (weights := given.reaches[1]) is not None:
        found = np.maximum(found, weights.max((1, 2, 3)).reshape(1, -1, 1, 1))
    return found


def _enlarged(op: ConvTranspose2d, node: Tensor, given: Given) -> Reach:
    y, w = node.inputs
    found = np.zeros((1,) * 4, np.int32)
    window, places = op.window((w.shape[2], w.shape[3])), w.shape[2] * w.shape[3]
    nonzero, reach = given.nonzero(w), given.reaches[0]
    size = y.shape[2], y.shape[3]
    if reach is not None:
        whole = np.broadcast_to(reach, (*reach.shape[:2], *size))
        if nonzero is None:
            columns = np.repeat(_by_group(whole, op.groups)[:, :, None], places, 2)
        else:
            flat = op.grouped(given.whole(node, 0)).reshape(y.shape[0], op.groups, -1, size[0] * size[1])
            chosen = op.weight_matrices(nonzero).transpose(0, 2, 1)
            columns = np.stack([flat[:, g, m].max(1, initial=0) for g in range(op.groups) for m in chosen[g]], 1)
        columns = columns.reshape(columns.shape[0], -1, places, size[0] * size[1])
        found = _per_output(window.fold(columns, op.size, size, np.maximum), node)
    if (weights := given.reaches[1]) is not None:
        by_group = weights.max((2, 3))
        per = np.broadcast_to(by_group, w.shape[:2]).reshape(op.groups, -1, w.shape[1]).max(1)
        found = np.maximum(found, per.reshape(1, -1, 1, 1))
    return found


def _by_group(reach: Reach, groups: int) -> Reach:
    """The furthest of each group of channels, once where all channels are alike."""
    n, channels, *size = reach.shape
    return reach if channels == 1 else reach.reshape(n, groups, -1, *size).max(2)


def _per_output(reach: Reach, node: Tensor) -> Reach:
    """Per group -> per output channel."""
    groups = reach.shape[1]
    return reach if groups == 1 else reach.repeat(node.shape[1] // groups, 1)


def _folded(op: Fold, node: Tensor, given: Given) -> Reach:
    columns = given.whole(node, 0).reshape(node.shape[0], node.shape[1], -1, node.inputs[0].shape[2])
    return op.window.fold(columns, op.size, op.window.output_size("fold", op.size), np.maximum)


RULES: dict[type[Op], Rule] = {
    Reshape: _reshape,
    Transpose: _transpose,
    BroadcastTo: _broadcast,
    Concat: _concat,
    Flip: _flip,
    Slice: _slice,
    SliceGradient: _unchanged,
    Pad: _pad,
    Gather: _gather,
    GatherGradient: _gather_gradient,
    Sum: _reduced,
    Max: _reduced,
    Variance: _reduced,
    Argmax: _reduced,
    Matmul: _matmul,
    Conv2d: _convolved,
    ConvTranspose2d: _enlarged,
    Unfold: _unchanged,
    Fold: _folded,
    MaxPool2d: _pooled,
    AveragePool2d: _pooled,
}
