"""Picking elements by position: slices, padding (their adjoint), gathering by index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pellucid.errors import DTypeError, ShapeError
from pellucid.graph import Constant, Tensor, apply, as_tensors, of_arrays
from pellucid.op import NUMBERS, Array, Cost, Op, OpSample, Shape, Term, beside, require_dtype, traffic
from pellucid.operators import operator
from pellucid.ops.ranges import Within, from_front, within
from pellucid.ops.shape import Move, broadcast_to, concat, flip, normalize_axis, reshape
from pellucid.whole_numbers import index_of

_X = np.arange(24.0).reshape(2, 3, 4) / 7 - 1.3


@dataclass(frozen=True)
class Slice(Move):
    """y[i, ...] = x[start + i * step, ...] along every axis"""

    starts: tuple[int, ...]
    stops: tuple[int, ...]
    steps: tuple[int, ...]
    uniform: ClassVar[bool] = True

    def shape(self, *inputs: Tensor) -> Shape:
        return tuple(len(range(a, b, c)) for a, b, c in zip(self.starts, self.stops, self.steps, strict=True))

    def reference(self, *arrays: Array) -> Array:
        return arrays[0][tuple(map(slice, self.starts, self.stops, self.steps))]

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        op = SliceGradient(self.starts, self.stops, self.steps, node.inputs[0].shape)
        return (apply(op, upstream),)

    def source(self, node: Tensor, index: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
        return 0, tuple(a + i * c for a, i, c in zip(self.starts, index, self.steps, strict=True))

    def torch(self, torch: Any, *tensors: Any) -> Any:
        return tensors[0][tuple(map(slice, self.starts, self.stops, self.steps))]

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [
            OpSample(lambda x: x[:, 1:3, ::2], (_X,)),
            OpSample(lambda x: x[-1, ..., None, 1:], (_X,), "integer-and-new-axis"),
            OpSample(lambda x: x[:, :0], (_X,), "empty"),
        ]


@dataclass(frozen=True)
class SliceGradient(Move):
    """y = 0 except y[start + i * step, ...] = x[i, ...]: the adjoint of a slice"""

    starts: tuple[int, ...]
    stops: tuple[int, ...]
    steps: tuple[int, ...]
    to: Shape

    def shape(self, *inputs: Tensor) -> Shape:
        return self.to

    def reference(self, *arrays: Array) -> Array:
        y = np.zeros(self.to, arrays[0].dtype)
        y[tuple(map(slice, self.starts, self.stops, self.steps))] = arrays[0]
        return y

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return (apply(Slice(self.starts, self.stops, self.steps), upstream),)

    def source(self, node: Tensor, index: tuple[int, ...]) -> tuple[int, tuple[int, ...]] | None:
        ranges = [range(a, b, c) for a, b, c in zip(self.starts, self.stops, self.steps, strict=True)]
        if any(i not in r for i, r in zip(index, ranges, strict=True)):
            return None
        return 0, tuple(r.index(i) for i, r in zip(index, ranges, strict=True))

    def torch(self, torch: Any, *tensors: Any) -> Any:
        y = tensors[0].new_zeros(self.to)
        y[tuple(map(slice, self.starts, self.stops, self.steps))] = tensors[0]
        return y

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(lambda x: apply(SliceGradient((0, 1, 0), (2, 6, 4), (1, 2, 1), (2, 7, 4)), x), (_X,))]


def with_slices_joined(parts: Sequence[Tensor]) -> list[Tensor]:
    """The same tensors to be added up, of which adjoints of slices that lie side by side along one axis are one, end to end.

    Of what is cut into many pieces, as a sequence into its steps, the gradient is then made once, not once for each piece.
    """
    pieces = [(p.op, p.inputs[0]) for p in parts if isinstance(p.op, SliceGradient)]
    if len(pieces) < 2:
        return list(parts)
    sizes = pieces[0][0].to
    cut = {a for op, _ in pieces for a, n in enumerate(sizes) if (op.starts[a], op.stops[a], op.steps[a]) != (0, n, 1)}
    if len(cut) != 1 or any(op.steps != (1,) * len(sizes) for op, _ in pieces):
        return list(parts)
    (axis,) = cut
    pieces.sort(key=lambda piece: piece[0].starts[axis])
    ends = [0, *(op.stops[axis] for op, _ in pieces)]
    starts = [*(op.starts[axis] for op, _ in pieces), sizes[axis]]
    if any(start < end for start, end in zip(starts, ends, strict=True)):
        return list(parts)

    def nothing(size: int) -> list[Tensor]:
        shape = (*sizes[:axis], size, *sizes[axis + 1 :])
        return [broadcast_to(np.zeros((), pieces[0][1].dtype), shape)] if size else []

    laid = [t for (_, x), a, b in zip(pieces, starts, ends, strict=False) for t in (*nothing(a - b), x)]
    joined = concat([*laid, *nothing(sizes[axis] - ends[-1])], axis)
    return [joined, *(p for p in parts if not isinstance(p.op, SliceGradient))]


@dataclass(frozen=True)
class Pad(Move):
    """y is x with `before` and `after` elements of `value` added along every axis"""

    before: tuple[int, ...]
    after: tuple[int, ...]
    value: float = 0.0

    def shape(self, *inputs: Tensor) -> Shape:
        return tuple(a + n + b for a, n, b in zip(self.before, inputs[0].shape, self.after, strict=True))

    def _inside(self, shape: Shape) -> tuple[slice, ...]:
        return tuple(slice(a, a + n) for a, n in zip(self.before, shape, strict=True))

    def reference(self, *arrays: Array) -> Array:
        shape = tuple(a + n + b for a, n, b in zip(self.before, arrays[0].shape, self.after, strict=True))
        y = np.full(shape, self.value, arrays[0].dtype)
        y[self._inside(arrays[0].shape)] = arrays[0]
        return y

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return (upstream[self._inside(node.inputs[0].shape)],)

    def source(self, node: Tensor, index: tuple[int, ...]) -> tuple[int, tuple[int, ...]] | None:
        inner = tuple(i - a for i, a in zip(index, self.before, strict=True))
        if any(not 0 <= i < n for i, n in zip(inner, node.inputs[0].shape, strict=True)):
            return None
        return 0, inner

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        return super().terms(node, index, *arrays) or [Term((), self.value)]

    def torch(self, torch: Any, *tensors: Any) -> Any:
        if isinstance(self.value, int):  # which PyTorch's own would take for a float
            sizes = [a + n + b for a, n, b in zip(self.before, tensors[0].shape, self.after, strict=True)]
            y = torch.full(sizes, self.value, dtype=tensors[0].dtype, device=tensors[0].device)
            y[self._inside(tuple(tensors[0].shape))] = tensors[0]
            return y
        widths = [w for pair in zip(reversed(self.before), reversed(self.after), strict=True) for w in pair]
        return torch.nn.functional.pad(tensors[0], widths, value=self.value)

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [
            OpSample(lambda x: pad(x, ((0, 0), (1, 2), (0, 3))), (_X,)),
            OpSample(lambda x: pad(x, ((1, 0), (0, 0), (2, 0)), 5.0), (_X,), "value"),
        ]


@dataclass(frozen=True)
class Gather(Op):
    """y[..., j, ...] = x[..., indices[j], ...]: slices of x along `axis`, picked by integer indices"""

    axis: int

    def shape(self, *inputs: Tensor) -> Shape:
        x, indices = inputs
        return (*x.shape[: self.axis], *indices.shape, *x.shape[self.axis + 1 :])

    def dtype(self, *inputs: Tensor) -> str:
        if inputs[1].dtype != "int64":
            raise DTypeError(f"gather: indices {inputs[1].name!r} must be int64, got {inputs[1].dtype}")
        return inputs[0].dtype

    def require(self, node: Tensor, name: str, *arrays: Array) -> None:
        Within(0, arrays[0].shape[self.axis]).require_within(name, node.inputs[1].name, arrays[1])

    def reference(self, *arrays: Array) -> Array:
        x, indices = arrays
        return np.take(x, indices, axis=self.axis)

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        x, indices = node.inputs
        return apply(GatherGradient(self.axis, x.shape[self.axis]), upstream, indices), None

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        x, indices = arrays
        inner = index[self.axis : self.axis + indices.ndim]
        source = (*index[: self.axis], int(indices[inner]), *index[self.axis + indices.ndim :])
        return [Term(((0, source),), float(x[source]))]

    def cost(self, node: Tensor) -> Cost:
        return Cost(0, traffic(node))

    def torch(self, torch: Any, *tensors: Any) -> Any:
        x, indices = tensors
        taken = torch.index_select(x, self.axis, indices.reshape(-1))
        return taken.reshape((*x.shape[: self.axis], *indices.shape, *x.shape[self.axis + 1 :]))

    @classmethod
    def samples(cls) -> list[OpSample]:
        indices = np.array([[2, 0], [1, 2]])
        return [
            OpSample(lambda x, i: gather(x, i, axis=1), (_X, indices)),
            OpSample(lambda x, i: gather(x, i), (_X, np.array(1)), "scalar"),
        ]


@dataclass(frozen=True)
class GatherGradient(Op):
    """y[..., k, ...] = sum of x[..., j, ...] over the j with indices[j] = k: the adjoint of gather"""

    axis: int
    size: int

    def shape(self, *inputs: Tensor) -> Shape:
        x, indices = inputs
        return (*x.shape[: self.axis], self.size, *x.shape[self.axis + indices.ndim :])

    def dtype(self, *inputs: Tensor) -> str:
        require_dtype(self.kind, NUMBERS, inputs[0])
        return inputs[0].dtype

    def require(self, node: Tensor, name: str, *arrays: Array) -> None:
        Within(0, self.size).require_within(name, node.inputs[1].name, arrays[1])

    def reference(self, *arrays: Array) -> Array:
        x, indices = arrays
        before, after = x.shape[: self.axis], x.shape[self.axis + indices.ndim :]
        y = np.zeros((self.size, *before, *after), x.dtype)
        np.add.at(y, indices.reshape(-1), np.moveaxis(x.reshape(*before, indices.size, *after), self.axis, 0))
        return np.ascontiguousarray(np.moveaxis(y, 0, self.axis))

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return gather(upstream, node.inputs[1], self.axis), None

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        x, indices = arrays
        terms: list[Term] = []
        for inner in zip(*np.nonzero(indices == index[self.axis]), strict=True):
            place = tuple(int(i) for i in inner)
            source = (*index[: self.axis], *place, *index[self.axis + 1 :])
            terms.append(Term(((0, source),), float(x[source])))
        return terms

    def torch(self, torch: Any, *tensors: Any) -> Any:
        x, indices = tensors
        before, after = x.shape[: self.axis], x.shape[self.axis + indices.ndim :]
        y = x.new_zeros((*before, self.size, *after))
        return y.index_add(self.axis, indices.reshape(-1), x.reshape(*before, indices.numel(), *after))

    @classmethod
    def samples(cls) -> list[OpSample]:
        indices = np.array([2, 0, 2])
        return [OpSample(lambda x, i: apply(GatherGradient(1, 4), x, i), (_X, indices))]


@of_arrays
def pad(x: Tensor, widths: Sequence[tuple[int, int]], value: float = 0.0) -> Tensor:
    """x with (before, after) elements of `value` added along every axis"""
    try:
        ends = [tuple(map(index_of, one)) for one in widths]
    except TypeError:
        ends = []
    if len(ends) != x.ndim or any(len(both) != 2 or min(both) < 0 for both in ends):
        raise ShapeError(
            f"pad: {x.name!r} needs one non-negative (before, after) pair of whole numbers per axis ({x.ndim}), got {widths}"
        )
    before, after = zip(*ends, strict=True) if ends else ((), ())
    return apply(Pad(before, after, beside("pad", "value", value, x.dtype)), x)


@of_arrays
def gather(x: Tensor, indices: Any, axis: int = 0) -> Tensor:
    """Slices of x along `axis`, picked by integer `indices` counted from 0; one beyond the end is an `OutOfRangeError`"""
    (picks,) = as_tensors(indices)
    op = Gather(normalize_axis("gather", axis, x.ndim))
    if isinstance(picks.op, Constant) and picks.dtype == "int64":
        within(picks, 0, x.shape[op.axis], name=f"gather from {x.name!r}")
    return apply(op, x, picks)


@of_arrays
def slice_(x: Tensor, starts: Sequence[int], stops: Sequence[int], steps: Sequence[int] | None = None) -> Tensor:
    """x[start:stop:step] along the leading axes"""
    return x[tuple(map(slice, starts, stops, steps or [1] * len(starts)))]


@operator
def index(x: Tensor, key: Any) -> Tensor:
    """x[key] for integers, slices, `...`, None and one int64 tensor of indices (NumPy's rules: -1 is the last)"""
    parts = list(key) if isinstance(key, tuple) else [key]
    if len(parts) == 1 and isinstance(parts[0], Tensor | np.ndarray | list):
        normalize_axis("index", 0, x.ndim)
        picks = parts[0] if isinstance(parts[0], Tensor) else np.asarray(parts[0])
        return gather(x, from_front(picks, x.shape[0]))
    for part in parts:
        if isinstance(part, bool) or not (
            part is None or part is Ellipsis or isinstance(part, slice | int | np.integer)
        ):
            raise ShapeError(
                f"{x.name}: cannot index with {type(part).__name__}; use integers, slices, ..., None or pl.gather"
            )
    used = sum(1 for p in parts if p is not None and p is not Ellipsis)
    if used > x.ndim or sum(1 for p in parts if p is Ellipsis) > 1:
        raise ShapeError(f"{x.name}: too many indices ({used}) for {x.ndim} axes")
    if not any(p is Ellipsis for p in parts):
        parts.append(Ellipsis)
    at = next(i for i, p in enumerate(parts) if p is Ellipsis)
    parts[at : at + 1] = [slice(None)] * (x.ndim - used)

    ranges: list[range] = []
    flipped: list[int] = []
    result: list[int] = []
    for part in parts:
        if part is None:
            result.append(1)
            continue
        axis, size = len(ranges), x.shape[len(ranges)]
        if isinstance(part, slice):
            picked = range(size)[part]
            if picked.step < 0:  # taken forwards, then flipped
                flipped.append(axis)
                picked = range(picked[-1], picked[0] + 1, -picked.step) if len(picked) else range(0)
            ranges.append(picked if len(picked) > 1 else range(picked.start, picked.start + len(picked)))
            result.append(len(picked))
        else:
            if not -size <= part < size:
                raise ShapeError(f"{x.name}: index {part} lies outside of axis {axis} with {size} elements")
            ranges.append(range(part % size, part % size + 1))
    y = x
    if tuple(ranges) != tuple(range(n) for n in x.shape):
        y = apply(
            Slice(
                tuple(r.start for r in ranges),
                tuple(max(r.stop, r.start) for r in ranges),
                tuple(r.step for r in ranges),
            ),
            x,
        )
    return reshape(flip(y, flipped) if flipped else y, result)
