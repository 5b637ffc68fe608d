"""Arithmetic of sliding windows, shared by convolution and pooling: sizes, checks, and NumPy views of the windows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pellucid.errors import ShapeError
from pellucid.graph import Tensor
from pellucid.op import Array
from pellucid.whole_numbers import index_of, one_or_several

Pair = tuple[int, int]


def pair(name: str, what: str, value: int | tuple[int, int], minimum: int) -> Pair:
    """`value` as (vertical, horizontal), each at least `minimum`."""
    try:
        both = tuple(map(index_of, one_or_several(value)))
    except TypeError:
        both = ()
    both = both * 2 if len(both) == 1 else both
    if len(both) != 2 or any(v < minimum for v in both):
        raise ShapeError(f"{name}: {what} must be one or two integers of at least {minimum}, got {value!r}")
    return both[0], both[1]


def require_image(name: str, x: Tensor) -> None:
    """Raise `ShapeError` unless x is (N, C, H, W)."""
    if x.ndim != 4:
        raise ShapeError(f"{name}: wants an input of shape (N, C, H, W), got {x.shape} (from {x.name!r}); reshape it")


@dataclass(frozen=True)
class Window:
    """A window that slides over (H, W): (vertical, horizontal) kernel, stride, padding and dilation."""

    kernel: Pair
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)

    def extent(self) -> Pair:
        """Rows and columns that one window spans."""
        return (self.kernel[0] - 1) * self.dilation[0] + 1, (self.kernel[1] - 1) * self.dilation[1] + 1

    def output_size(self, name: str, size: Pair) -> Pair:
        """Number of windows down and across; `ShapeError` where not even one fits."""
        height, width = self.extent()
        for have, need, pad in ((size[0], height, self.padding[0]), (size[1], width, self.padding[1])):
            if have + 2 * pad < need:
                raise ShapeError(
                    f"{name}: a window of {height}x{width} does not fit into {size[0]}x{size[1]} with padding {self.padding}; "
                    "use a larger image, a smaller kernel or more padding"
                )
        return (
            (size[0] + 2 * self.padding[0] - height) // self.stride[0] + 1,
            (size[1] + 2 * self.padding[1] - width) // self.stride[1] + 1,
        )

    def beyond(self, size: Pair) -> Pair:
        """Rows and columns missing below and to the right so that windows that start inside, padding included, are whole."""
        missing: list[int] = []
        for n, pad, stride, extent in zip(size, self.padding, self.stride, self.extent(), strict=True):
            last = -(-max(n + 2 * pad - extent, 0) // stride) * stride
            if last >= n + pad:
                last -= stride
            missing.append(max(last + extent - n - 2 * pad, 0))
        return missing[0], missing[1]

    def offsets(self) -> Iterator[Pair]:
        """Kernel positions (u, v) in row-major order."""
        return itertools.product(range(self.kernel[0]), range(self.kernel[1]))

    def first_inside(self, size: Pair) -> Array:
        """Number of the first kernel position of each window, of `size` down and across, that sees the image: (OH, OW)."""
        first = [
            -(-np.maximum(self.padding[axis] - np.arange(size[axis]) * self.stride[axis], 0) // self.dilation[axis])
            for axis in (0, 1)
        ]
        return first[0][:, None] * self.kernel[1] + first[1]

    def place(self, i: int, j: int, u: int, v: int) -> Pair:
        """Row and column of the (unpadded) input that kernel position (u, v) of window (i, j) sees."""
        return (
            i * self.stride[0] + u * self.dilation[0] - self.padding[0],
            j * self.stride[1] + v * self.dilation[1] - self.padding[1],
        )

    def inside(self, i: int, j: int, size: Pair) -> Iterator[tuple[Pair, Pair]]:
        """((u, v), (row, column)) of window (i, j), without the positions that lie in the padding."""
        for u, v in self.offsets():
            row, column = self.place(i, j, u, v)
            if 0 <= row < size[0] and 0 <= column < size[1]:
                yield (u, v), (row, column)

    def seeing(self, place: tuple[int, ...], windows: tuple[int, ...]) -> Iterator[Pair]:
        """The windows (i, j), of `windows` down and across, that see the (unpadded) input at `place` (row, column)."""

        def along(axis: int) -> list[int]:
            reach = range(self.kernel[axis])
            starts = (place[axis] + self.padding[axis] - u * self.dilation[axis] for u in reach)
            found = (start // self.stride[axis] for start in starts if start % self.stride[axis] == 0)
            return sorted(i for i in found if 0 <= i < windows[axis])

        return itertools.product(along(0), along(1))

    def pad(self, x: Array, value: float = 0.0) -> Array:
        """x (N, C, H, W) with the padding around it."""
        top, left = self.padding
        if not top and not left:
            return x
        n, c, h, w = x.shape
        padded = np.full((n, c, h + 2 * top, w + 2 * left), value, x.dtype)
        padded[:, :, top : top + h, left : left + w] = x
        return padded

    def _strided(self, u: int, v: int, size: Pair) -> tuple[slice, slice]:
        top, left = u * self.dilation[0], v * self.dilation[1]
        return (
            slice(top, top + (size[0] - 1) * self.stride[0] + 1, self.stride[0]),
            slice(left, left + (size[1] - 1) * self.stride[1] + 1, self.stride[1]),
        )

    def shifts(self, padded: Array, size: Pair) -> Iterator[tuple[Pair, Array]]:
        """For every kernel position the view of what it sees in all windows: ((u, v), (N, C, OH, OW))."""
        for u, v in self.offsets():
            rows, columns = self._strided(u, v, size)
            yield (u, v), padded[:, :, rows, columns]

    def unfold(self, x: Array, size: Pair) -> Array:
        """Windows as columns: (N, C, kh * kw, OH * OW)."""
        n, c = x.shape[:2]
        columns = np.empty((n, c, *self.kernel, *size), x.dtype)
        for (u, v), seen in self.shifts(self.pad(x), size):
            columns[:, :, u, v] = seen
        return columns.reshape(n, c, self.kernel[0] * self.kernel[1], size[0] * size[1])

    def fold(self, columns: Array, image: Pair, size: Pair, combine: np.ufunc = np.add) -> Array:
        """The adjoint of `unfold`: columns (N, C, kh * kw, OH * OW) summed (or else combined) back into (N, C, H, W)."""
        n, c = columns.shape[:2]
        top, left = self.padding
        padded = np.zeros((n, c, image[0] + 2 * top, image[1] + 2 * left), columns.dtype)
        parts = columns.reshape(n, c, *self.kernel, *size)
        for u, v in self.offsets():
            rows, across = self._strided(u, v, size)
            target = padded[:, :, rows, across]
            combine(target, parts[:, :, u, v], out=target)
        return np.ascontiguousarray(padded[:, :, top : top + image[0], left : left + image[1]])
