"""Windows of convolutions and poolings over any number of spatial axes: sizes, strides, padding, as ONNX states them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from pellucid import ops
from pellucid.errors import GraphError
from pellucid.graph import Tensor
from pellucid.interop.onnx_reader.operators.registry import Call
from pellucid.op import Array

MOST_POSITIONS = 2**26
"""Windows along an axis, times the elements of each, that are accepted."""
MOST_IN_WINDOW = 2**18
"""Elements of a window."""
MOST_SHIFTS = 4096
"""Elements of a window of which each makes a node of the graph."""


@dataclass(frozen=True)
class WindowAxis:
    """A window along one axis of `size` elements: `before` and `after` elements of padding, `count` positions."""

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int
    count: int

    @property
    def extent(self) -> int:
        """Elements that the window spans."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def missing(self) -> int:
        """Elements that the last window (of ceil mode) needs beyond the padding."""
        return max(0, (self.count - 1) * self.stride + self.extent - self.size - self.before - self.after)

    def offset(self, u: int) -> slice:
        """What kernel position `u` of every window sees in the padded axis."""
        start = u * self.dilation
        return slice(start, start + (self.count - 1) * self.stride + 1, self.stride)

    def inside(self, low: int, high: int) -> Array:
        """Number of positions of each window that lie in [low, high), counted from the first unpadded element."""
        starts = np.arange(self.count) * self.stride - self.before
        ends = (-((starts - end) // self.dilation) for end in (low, high))
        first, last = (np.clip(end, 0, self.kernel) for end in ends)
        return last - first


def per_axis(call: Call, attribute: str, count: int, default: int) -> list[int]:
    """An attribute with one number per spatial axis."""
    given = call[attribute]
    if given is None:
        return [default] * count
    if len(given) != count or any(v < default for v in given):
        raise call.error(f"{attribute} must be {count} numbers of at least {default}, got {given}")
    return list(given)


def axes_of(call: Call, sizes: Sequence[int], kernel: Sequence[int]) -> list[WindowAxis]:
    """The windows of a convolution or pooling over axes of these sizes."""
    count = len(sizes)
    if len(kernel) != count or any(k < 1 for k in kernel):
        raise call.error(f"a kernel of {tuple(kernel)} does not go over {count} spatial axes {tuple(sizes)}")
    strides = per_axis(call, "strides", count, 1)
    dilations = per_axis(call, "dilations", count, 1)
    pads = list(call["pads"] or [0] * (2 * count))
    if len(pads) != 2 * count or any(p < 0 for p in pads):
        raise call.error(f"pads must be {2 * count} non-negative numbers, got {pads}")
    how = call["auto_pad"] or "NOTSET"
    if how not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise call.error(f"auto_pad must be NOTSET, VALID, SAME_UPPER or SAME_LOWER, got {how!r}")
    found: list[WindowAxis] = []
    for i, (size, width, stride, dilation) in enumerate(zip(sizes, kernel, strides, dilations, strict=True)):
        extent = (width - 1) * dilation + 1
        before, after = (pads[i], pads[count + i]) if how == "NOTSET" else (0, 0)
        if how.startswith("SAME"):
            total = max(0, (-(-size // stride) - 1) * stride + extent - size)
            before = total // 2 if how == "SAME_UPPER" else total - total // 2
            after = total - before
        room = size + before + after - extent
        if room < 0:
            raise call.error(
                f"a window of {extent} elements does not fit into {size} with padding {before} and {after}"
            )
        windows = room // stride + 1
        if call["ceil_mode"]:
            windows = -(-room // stride) + 1
            if (windows - 1) * stride >= size + before:  # a window must start inside of the image or before it
                windows -= 1
        if windows * width > MOST_POSITIONS:
            raise call.error(f"{windows} windows of {width} elements are more than {MOST_POSITIONS} positions")
        found.append(WindowAxis(size, width, stride, dilation, before, after, windows))
    check_kernel(call, kernel)
    return found


def check_kernel(call: Call, kernel: Sequence[int]) -> None:
    """Raise for windows of so many elements that going through them would take long, whatever is in them."""
    if math.prod(max(1, k) for k in kernel) > MOST_IN_WINDOW:
        raise call.error(f"a window of {'x'.join(map(str, kernel))} elements is larger than {MOST_IN_WINDOW}")


def padded(x: Tensor, axes: Sequence[WindowAxis], value: float = 0.0) -> Tensor:
    """x (N, C, ...) with all padding around it."""
    widths = [(0, 0), (0, 0), *((a.before, a.after + a.missing) for a in axes)]
    return ops.pad(x, widths, value) if any(b or e for b, e in widths) else x


def positions(x: Tensor, axes: Sequence[WindowAxis]) -> Iterator[tuple[tuple[int, ...], Tensor]]:
    """For every kernel position what it sees of the padded x in all windows: (N, C, counts...)."""
    if math.prod(a.kernel for a in axes) > MOST_SHIFTS:
        raise GraphError(f"a window of {[a.kernel for a in axes]} elements is too large to be gone through one by one")
    for at in product(*(range(a.kernel) for a in axes)):
        yield at, x[(slice(None), slice(None), *(a.offset(u) for a, u in zip(axes, at, strict=True)))]


def placed(x: Tensor, axis: int, start: int, size: int) -> Tensor:
    """The `size` elements of x from `start` on along an axis; zeros where x has none."""
    have = x.shape[axis]
    before, after = max(0, -start), max(0, start + size - have)
    if before or after:
        x = ops.pad(x, [(before, after) if a == axis else (0, 0) for a in range(x.ndim)])
    start += before
    if (start, size) == (0, x.shape[axis]):
        return x
    return x[(*[slice(None)] * axis, slice(start, start + size))]
