"""Selections whose length depends on values: of everything that could be selected, the first `count` are.

Shapes are static, so a selection has room for all that could be in it. What is not used is -1 in the ops that select, and
is left out of a program's outputs (`Counted`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pellucid.errors import DTypeError, ShapeError
from pellucid.flags import flag
from pellucid.graph import Tensor, apply, as_tensors, constant
from pellucid.op import Array, Cost, Op, OpSample, Shape, Term, traffic
from pellucid.ops.comparison import cast, greater_equal, less, maximum, where
from pellucid.ops.indexing import gather
from pellucid.ops.reduction import sum
from pellucid.ops.shape import normalize_axis, reshape
from pellucid.real_numbers import real
from pellucid.whole_numbers import whole

_X = np.sin(np.arange(24.0) * 1.7).reshape(2, 3, 4)


@dataclass(frozen=True)
class Counted(Op):
    """y = x in the first `count` places along `axis`, then 0; where it is an output, a program gives those places alone"""

    axis: int

    def shape(self, *inputs: Tensor) -> Shape:
        x, count = inputs
        if count.size != 1 or count.dtype != "int64":
            raise ShapeError(f"counted: the count {count.name!r} must be one int64, got {count.dtype}{count.shape}")
        normalize_axis("counted", self.axis, x.ndim)
        return x.shape

    def dtype(self, *inputs: Tensor) -> str:
        return inputs[0].dtype

    def reference(self, *arrays: Array) -> Array:
        y = np.array(arrays[0])
        y[self.beyond(arrays[1])] = 0
        return y

    def beyond(self, count: Array) -> tuple[slice, ...]:
        """What indexes the places that are not used."""
        return (*(slice(None),) * self.axis, slice(max(0, int(count.reshape(()))), None))

    def cut(self, value: Array, count: Array) -> Array:
        """The places of a value that are used."""
        return value[(*(slice(None),) * self.axis, slice(max(0, int(count.reshape(())))))]

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return blank(upstream, node.inputs[1], self.axis), None

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        x, count = arrays
        return [Term(((0, index),), float(x[index]))] if index[self.axis] < int(count.reshape(())) else []

    def cost(self, node: Tensor) -> Cost:
        return Cost(0, traffic(node))

    def torch(self, torch: Any, *tensors: Any) -> Any:
        x, count = tensors
        shape = [-1 if a == self.axis else 1 for a in range(x.ndim)]
        used = torch.arange(x.shape[self.axis], device=x.device).reshape(shape) < count.reshape(())
        return torch.where(used, x, torch.zeros((), dtype=x.dtype, device=x.device))

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [
            OpSample(lambda x: counted(x, constant(2), 1) * 1.0, (_X,)),
            OpSample(lambda x: counted(x, constant(0), 2) * 1.0, (_X,), "none"),
            OpSample(lambda x: counted(x, constant([9]), 0) * 1.0, (_X,), "all"),
        ]


@dataclass(frozen=True)
class NonZero(Op):
    """Column t has the index, one row for each axis, of the t-th element of x that is not 0, in row-major order; then -1"""

    differentiable: ClassVar[bool] = False

    def shape(self, *inputs: Tensor) -> Shape:
        return max(1, inputs[0].ndim), inputs[0].size

    def dtype(self, *inputs: Tensor) -> str:
        return "int64"

    def reference(self, *arrays: Array) -> Array:
        x = np.atleast_1d(arrays[0])
        y = np.full((x.ndim, x.size), -1)
        found = np.stack(np.nonzero(x))
        y[:, : found.shape[1]] = found
        return y

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        return [Term((), float(self.reference(*arrays)[index]))]

    def torch(self, torch: Any, *tensors: Any) -> Any:
        x = torch.atleast_1d(tensors[0])
        flat = x.reshape(-1) != 0
        order = torch.argsort((~flat).to(torch.int8), stable=True)
        used = torch.arange(x.numel(), device=x.device) < flat.sum()
        rows: list[Any] = []
        for axis, size in enumerate(x.shape):
            inner = math.prod(x.shape[axis + 1 :])
            rows.append(order // max(1, inner) % max(1, size))
        return torch.where(used, torch.stack(rows), torch.full((), -1, device=x.device))

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [
            OpSample(lambda x: apply(NonZero(), x), (np.array([[1.0, 0.0, -2.0], [0.0, 0.0, 3.0]]),)),
            OpSample(lambda x: apply(NonZero(), x), (np.array([False, False]),), "none"),
            OpSample(lambda x: apply(NonZero(), x), (np.array(3),), "scalar"),
        ]


@dataclass(frozen=True)
class Unique(Op):
    """Without `inverse`: where each different element (or slice along `axis`) of x first stands, then -1. With it: which of them each is

    They are in ascending order, or in that of their first places where not `ordered`.
    """

    axis: int | None
    ordered: bool
    inverse: bool
    differentiable: ClassVar[bool] = False

    def shape(self, *inputs: Tensor) -> Shape:
        (x,) = inputs
        return (x.size if self.axis is None else x.shape[self.axis],)

    def dtype(self, *inputs: Tensor) -> str:
        return "int64"

    def reference(self, *arrays: Array) -> Array:
        _, first, inverse = np.unique(arrays[0], return_index=True, return_inverse=True, axis=self.axis)
        if not self.ordered:
            order = np.argsort(first)
            inverse, first = np.argsort(order)[inverse], first[order]
        if self.inverse:
            return inverse.reshape(-1)
        y = np.full(arrays[0].size if self.axis is None else arrays[0].shape[self.axis], -1)
        y[: first.size] = first
        return y

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        return [Term((), float(self.reference(*arrays)[index]))]

    @classmethod
    def samples(cls) -> list[OpSample]:
        rows = np.array([[2.0, 1.0], [0.0, 1.0], [2.0, 1.0]])
        return [
            OpSample(lambda x, o=o, i=i, a=a: apply(Unique(a, o, i), x), (rows,), f"{o}-{i}-{a}")
            for o in (True, False)
            for i in (True, False)
            for a in (None, 0)
        ]


@dataclass(frozen=True)
class NonMaxSuppression(Op):
    """Rows (picture, class, box) of the boxes that are kept, class by class, best score first; then rows of -1

    Of boxes (B, N, 4) and scores (B, C, N) each class keeps the box of the largest score, drops all whose intersection with
    it is more than `overlap` of their union, and goes on with what is left, until it has `most`. Only scores above `least`
    count. A box is (y1, x1, y2, x2), any two opposite corners, or (x, y, width, height) of its `center`.
    """

    most: int
    overlap: float = 0.0
    least: float | None = None
    center: bool = False
    differentiable: ClassVar[bool] = False

    def shape(self, *inputs: Tensor) -> Shape:
        boxes, scores = inputs
        fits = boxes.ndim == 3 and scores.ndim == 3 and boxes.shape[2] == 4
        if not fits or (boxes.shape[0], boxes.shape[1]) != (scores.shape[0], scores.shape[2]):
            raise ShapeError(
                "non_max_suppression: wants boxes (pictures, boxes, 4) and scores (pictures, classes, boxes), "
                f"got {boxes.name!r} {boxes.shape} and {scores.name!r} {scores.shape}"
            )
        return scores.shape[0] * scores.shape[1] * min(self.most, scores.shape[2]), 3

    def dtype(self, *inputs: Tensor) -> str:
        if wrong := [i for i in inputs if not i.dtype.startswith("float")]:
            raise DTypeError(f"non_max_suppression: {wrong[0].name!r} must be floating, got {wrong[0].dtype}")
        return "int64"

    def reference(self, *arrays: Array) -> Array:
        boxes, scores = arrays
        pictures, classes, number = scores.shape
        y = np.full((pictures * classes * min(self.most, number), 3), -1)
        at = 0
        for n in range(pictures):
            low, high = self._corners(boxes[n])
            for c in range(classes):
                kept = list(self._kept(low, high, scores[n, c]))
                y[at : at + len(kept)] = [(n, c, box) for box in kept] or np.empty((0, 3))
                at += len(kept)
        return y

    def _corners(self, boxes: Array) -> tuple[Array, Array]:
        """The lower and the upper corner of every box."""
        first, second = boxes[:, :2], boxes[:, 2:]
        if self.center:
            return first - second / 2, first + second / 2
        return np.minimum(first, second), np.maximum(first, second)

    def _kept(self, low: Array, high: Array, scores: Array) -> Iterator[int]:
        """The boxes that one class keeps."""
        area = np.prod(high - low, axis=1)
        waiting = np.argsort(-scores, kind="stable")
        if self.least is not None:
            waiting = waiting[scores[waiting] > self.least]
        for _ in range(min(self.most, scores.size)):
            if not waiting.size:
                return
            best, waiting = int(waiting[0]), waiting[1:]
            yield best
            sides = np.minimum(high[waiting], high[best]) - np.maximum(low[waiting], low[best])
            shared = np.prod(np.maximum(sides, 0), axis=1)
            union = area[waiting] + area[best] - shared
            real = (area[waiting] > 0) & (area[best] > 0) & (union > 0)
            waiting = waiting[~(real & (shared / np.where(real, union, 1) > self.overlap))]

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        return [Term((), float(self.reference(*arrays)[index]))]

    def cost(self, node: Tensor) -> Cost:
        return Cost(12 * node.shape[0] * node.inputs[1].shape[2], traffic(node))

    @classmethod
    def samples(cls) -> list[OpSample]:
        boxes = np.array([[[0, 0, 1, 1], [0, 0.1, 1, 1.1], [1, 0.9, 0, -0.1], [0, 10, 1, 11], [3, 3, 3, 3.5]]])
        scores = np.array([[[0.9, 0.75, 0.6, 0.95, 0.5], [0.2, 0.2, 0.1, 0.0, 0.2]]])
        return [
            OpSample(lambda b, s: apply(NonMaxSuppression(3, 0.5), b, s), (boxes, scores)),
            OpSample(lambda b, s: apply(NonMaxSuppression(9, 0.5, 0.15), b, s), (boxes, scores), "least"),
            OpSample(lambda b, s: apply(NonMaxSuppression(2, 0.2, None, True), b, s), (boxes, scores), "center"),
            OpSample(lambda b, s: apply(NonMaxSuppression(0), b, s), (boxes, scores), "none"),
        ]


def counted(x: Any, count: Tensor, axis: int = 0) -> Tensor:
    """x of which the first `count` places along `axis` count (an int64 that may depend on values); the others become 0

    Where it is an output of a program, the program gives those places alone.
    """
    (x,) = as_tensors(x)
    return apply(Counted(normalize_axis("counted", axis, x.ndim)), x, count)


def is_used(count: Tensor, shape: Shape, axis: int) -> Tensor:
    """Whether a place along `axis` of a tensor of this shape is among the first `count`: of its axes, 1 along the others."""
    places = np.arange(shape[axis]).reshape([-1 if a == axis else 1 for a in range(len(shape))])
    return less(constant(places), reshape(count, ()))


def selected(rows: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """What an op of this file selected, with 0 where it has -1; and how much of it there is along `axis`."""
    line = rows[0] if axis else rows[:, 0]
    return maximum(rows, 0), sum(cast(greater_equal(line, 0), "int64"))


def non_max_suppression(
    boxes: Any, scores: Any, most: int, overlap: float = 0.0, least: float | None = None, center: bool = False
) -> Tensor:
    """Which boxes of each picture and class remain, as rows (picture, class, box) of int64, best score first

    boxes (B, N, 4) are (y1, x1, y2, x2), any two opposite corners, or (x, y, width, height) of their `center`; scores are
    (B, C, N). Of boxes that share more than `overlap` of their union the best remains; a class keeps at most `most`, with
    scores above `least`. Of equal scores the first counts first. No gradient flows through the choice; boxes and scores
    gathered by it keep theirs. The output has room for all rows that could be; a program gives those that there are.
    """
    rows, count = select_boxes(boxes, scores, most, overlap, least, center)
    return counted(rows, count)


def select_boxes(
    boxes: Any, scores: Any, most: int, overlap: float = 0.0, least: float | None = None, center: bool = False
) -> tuple[Tensor, Tensor]:
    """The rows of `non_max_suppression` with zeros after them, and how many there are."""
    center = flag("non_max_suppression", "center", center)
    (boxes, scores) = as_tensors(boxes, scores)
    most = whole("non_max_suppression", "most", most)
    if most < 0:
        raise ShapeError(f"non_max_suppression: a class keeps at most {most} boxes; that must not be negative")
    overlap = real("non_max_suppression", "overlap", overlap)
    if least is not None:
        least = real("non_max_suppression", "least", least, infinite=True)
    return selected(apply(NonMaxSuppression(most, overlap, least, bool(center)), boxes, scores), 0)


def nonzero(x: Any) -> Tensor:
    """The indices of the elements of x that are not 0, one row for each axis, in row-major order (int64)

    The output has room for all elements; a program gives the columns that there are.
    """
    (x,) = as_tensors(x)
    places, count = selected(apply(NonZero(), x), 1)
    return counted(places, count, 1)


def blank(x: Tensor, count: Tensor, axis: int, fill: float = 0.0) -> Tensor:
    """x with `fill` in the places along `axis` beyond the first `count`, wherever x may have come from."""
    value = constant(np.asarray(bool(fill) if x.dtype == "bool" else fill, x.dtype))
    return where(is_used(count, x.shape, axis), x, value)


def compacted(x: Tensor, room: list[int], counts: list[Tensor], axis: int) -> tuple[Tensor, Tensor]:
    """Parts one after another along `axis`, of which the first `counts` are used, moved together; and how many there are.

    Place j of the result comes from j + (how far its part has moved): each part's move counts from where the part starts.
    """
    total = int(np.sum(room))
    places = constant(np.arange(total))
    start, moved, source, offset = constant(0), constant(0), places, 0
    for size, count in zip(room, counts, strict=True):
        move = offset - start
        source = source + cast(greater_equal(places, start), "int64") * (move - moved)
        start, moved, offset = start + reshape(count, ()), move, offset + size
    return gather(x, where(less(source, total), source, 0), axis), start
