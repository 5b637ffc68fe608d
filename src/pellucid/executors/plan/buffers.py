"""Where values live: buffers with a layout, and views of them as NumPy sees strides."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from pellucid.executors.compiled import _native
from pellucid.op import Array, Shape

PLAIN, CHANNELS_LAST, BLOCKED = "plain", "channels_last", "blocked"
"""How images (N, C, H, W) lie in memory: as written, (N, H, W, C), or (N, C/16, H, W, 16). The names are C++'s."""

BLOCK = _native.BLOCK
TYPES = {
    "float32": _native.DType.f32,
    "bfloat16": _native.DType.bf16,
    "int64": _native.DType.i64,
    "float64": _native.DType.i64,
    "bool": _native.DType.u8,
    "uint8": _native.DType.u8,
}
"""Element types as C++ has them. It never computes with a float64, it only copies its bits, as those of an int64."""
SIZES = {name: _native.size_of(dtype) for name, dtype in TYPES.items()}
ARENA = 0
"""Base of places in the arena; base i > 0 is the caller's array i - 1."""

Place = tuple[int, int]
NOWHERE: Place = (0, 0)
"""Place of an operand that a step does without."""


@dataclass(eq=False)
class Buffer:
    """Memory of one value. `base` is the arena or one of the caller's arrays; the memory plan sets `offset` in bytes."""

    name: str
    shape: Shape
    dtype: str = "float32"
    layout: str = PLAIN
    base: int = ARENA
    offset: int = 0
    kept: bool = False
    """Whether the value outlives a run (prepared weights of an inference program)."""
    parent: tuple[Buffer, int] | None = None
    """The buffer it is a part of, and where in it (bytes from its start)."""

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * SIZES[self.dtype]

    @property
    def place(self) -> Place:
        return self.base, self.offset


def image_layout(channels: int) -> str:
    """The layout in which convolutions want images of so many channels."""
    if channels % BLOCK == 0:
        return BLOCKED
    return PLAIN if channels <= 4 else CHANNELS_LAST


@dataclass(frozen=True, eq=False)
class View:
    """A way to read a buffer. `array` is never read itself: its shape, strides and start say where elements lie.

    Its elements are one byte, so that strides count elements. Of a blocked buffer it has the axes (N, C/16, H, W, 16).
    """

    buffer: Buffer
    array: Array = field(repr=False)
    start: int

    @property
    def blocked(self) -> bool:
        return self.buffer.layout == BLOCKED

    @property
    def shape(self) -> Shape:
        return self.buffer.shape if self.blocked else self.array.shape

    @property
    def offset(self) -> int:
        """Elements from the start of the buffer to the first element of the view."""
        return self.array.__array_interface__["data"][0] - self.start

    @property
    def place(self) -> Place:
        return self.buffer.base, self.buffer.offset + self.offset * SIZES[self.buffer.dtype]

    def walks_like(self, other: View) -> bool:
        """Whether both views go through their buffers in the same steps, over elements of the same type."""
        mine, theirs = self.array, other.array
        same = (mine.shape, mine.strides, self.offset) == (theirs.shape, theirs.strides, other.offset)
        return same and self.buffer.dtype == other.buffer.dtype

    def of(self, array: Array) -> View:
        """Another view of the same buffer."""
        return View(self.buffer, array, self.start)

    def is_whole(self, layout: str) -> bool:
        """Whether this is the buffer from end to end, in `layout`."""
        if self.blocked:
            return layout == BLOCKED
        return layout != BLOCKED and self.array.size == math.prod(self.buffer.shape) and _is_packed(self.array, layout)

    def strides(self, shape: Shape, blocked: bool) -> tuple[int, ...]:
        """Strides under which loops over `shape` (blocked: over N, C/16, H, W, 16) walk this view, broadcast to it."""
        if not blocked:
            return np.broadcast_to(self.array, shape).strides
        split = n, c, h, w, b = shape[0], shape[1] // BLOCK, shape[2], shape[3], BLOCK
        if self.blocked:
            return np.broadcast_to(self.array, split).strides
        del n, c, h, w, b
        over_n, over_c, over_h, over_w = np.broadcast_to(self.array, shape).strides
        return over_n, over_c * BLOCK, over_h, over_w, over_c


def view_of(buffer: Buffer) -> View:
    """The whole buffer, axes in the order of its shape."""
    memory = np.empty(math.prod(buffer.shape), np.int8)  # reserved, never touched
    start = memory.__array_interface__["data"][0]
    if buffer.layout == BLOCKED:
        n, c, h, w = buffer.shape
        return View(buffer, memory.reshape(n, c // BLOCK, h, w, BLOCK), start)
    if buffer.layout == CHANNELS_LAST:
        n, c, h, w = buffer.shape
        return View(buffer, memory.reshape(n, h, w, c).transpose(0, 3, 1, 2), start)
    return View(buffer, memory.reshape(buffer.shape), start)


def place_of(view: View | None) -> Place:
    """The place of an operand that may be left out."""
    return NOWHERE if view is None else view.place


def _is_packed(array: Array, layout: str) -> bool:
    ordered = array.transpose(0, 2, 3, 1) if layout == CHANNELS_LAST and array.ndim == 4 else array
    return bool(ordered.flags.c_contiguous)
