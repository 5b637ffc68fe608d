"""Moving elements: reshape, transpose, concat, split, slice, pad, tile; and numbers about shapes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from pellucid import ops
from pellucid.graph import Tensor, constant
from pellucid.interop.onnx_reader.operators.registry import Call, operator
from pellucid.op import MOST_AXES, Array


@operator("Shape")
def shape(call: Call, x: Tensor) -> Tensor:
    """The sizes of x's axes from `start` to `end`"""
    start, end = call["start"] or 0, call["end"]
    return constant(np.array(x.shape[start : x.ndim if end is None else end], np.int64))


@operator("Size")
def size(call: Call, x: Tensor) -> Tensor:
    """The number of x's elements"""
    return constant(x.size)


@operator("Reshape", settings=(1,))
def reshape(call: Call, x: Tensor, to: Tensor) -> Tensor:
    """x under another shape; 0 keeps a size, -1 is worked out"""
    wanted = call.integers("shape", to)
    if not call["allowzero"]:
        if any(n == 0 and i >= x.ndim for i, n in enumerate(wanted)):
            raise call.error(f"shape {wanted} keeps sizes that {x.shape} does not have")
        wanted = [x.shape[i] if n == 0 else n for i, n in enumerate(wanted)]
    return ops.reshape(x, wanted)


@operator("Flatten")
def flatten(call: Call, x: Tensor) -> Tensor:
    """x as a matrix: axes before `axis`, and the others"""
    axis = call["axis"]
    if not -x.ndim <= axis <= x.ndim:
        raise call.error(f"axis {axis} does not exist in a tensor of {x.ndim} axes")
    axis = axis + x.ndim if axis < 0 else axis
    if axis == 1:
        return ops.flatten(x)
    return ops.reshape(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


@operator("Transpose")
def transpose(call: Call, x: Tensor) -> Tensor:
    """x with its axes in another order"""
    return ops.transpose(x, call["perm"])


@operator("Squeeze", settings=(1,))
def squeeze(call: Call, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """x without axes of size 1"""
    given = call.axes("axes", axes)
    drop = (
        [i for i, n in enumerate(x.shape) if n == 1] if given is None else [call.from_front(a, x.ndim) for a in given]
    )
    if any(x.shape[a] != 1 for a in drop):
        raise call.error(f"axes {drop} of {x.shape} are not all of size 1")
    return ops.reshape(x, [n for i, n in enumerate(x.shape) if i not in drop])


@operator("Unsqueeze", settings=(1,))
def unsqueeze(call: Call, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """x with new axes of size 1"""
    given = call.axes("axes", axes) or []
    ndim = x.ndim + len(given)
    if ndim > MOST_AXES:
        raise call.error(f"{ndim} axes; arrays have at most {MOST_AXES}")
    new = [call.from_front(a, ndim) for a in given]
    if len(set(new)) != len(new):
        raise call.error(f"axes {given} name one axis twice")
    rest = iter(x.shape)
    return ops.reshape(x, [1 if i in new else next(rest) for i in range(ndim)])


@operator("Expand", settings=(1,))
def expand(call: Call, x: Tensor, to: Tensor) -> Tensor:
    """x repeated along axes of size 1; sizes of 1 in the shape keep x's"""
    wanted: tuple[int, ...] = tuple(call.integers("shape", to))
    return ops.broadcast_to(x, np.broadcast_shapes(x.shape, wanted))


@operator("Tile", settings=(1,))
def tile(call: Call, x: Tensor, repeats: Tensor) -> Tensor:
    """x repeated along each axis"""
    times = call.integers("repeats", repeats)
    if len(times) != x.ndim or any(t < 0 for t in times):
        raise call.error(f"repeats must be {x.ndim} non-negative numbers, got {times}")
    split = [n for size in x.shape for n in (1, size)]
    wide = [n for size, t in zip(x.shape, times, strict=True) for n in (t, size)]
    y = ops.broadcast_to(ops.reshape(x, split), wide)
    return ops.reshape(y, [size * t for size, t in zip(x.shape, times, strict=True)])


@operator("Concat")
def concat(call: Call, *inputs: Tensor) -> Tensor:
    """The inputs one after another"""
    return inputs[0] if len(inputs) == 1 else ops.concat(inputs, call["axis"])


@operator("Split", settings=(1,))
def split(call: Call, x: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, ...]:
    """x cut into parts along an axis"""
    axis = call.from_front(call["axis"], x.ndim)
    given = len(call.node.outputs)
    parts = call.axes("split", sizes)
    if parts is None:
        count = call["num_outputs"] or given
        if count != given:
            raise call.error(f"num_outputs is {count}, but it has {given} outputs")
        each = -(-x.shape[axis] // count)
        parts = [max(0, min(each, x.shape[axis] - each * i)) for i in range(count)]
    if sum(parts) != x.shape[axis] or any(p < 0 for p in parts):
        raise call.error(f"parts of {parts} do not make up the {x.shape[axis]} elements of axis {axis}")
    ends = np.cumsum(parts).tolist()
    before = (slice(None),) * axis
    return tuple(x[(*before, slice(end - part, end))] for part, end in zip(parts, ends, strict=True))


@operator("Slice", settings=(1, 2, 3, 4))
def slice_(
    call: Call,
    x: Tensor,
    starts: Tensor | None = None,
    ends: Tensor | None = None,
    axes: Tensor | None = None,
    steps: Tensor | None = None,
) -> Tensor:
    """x from start to end, in steps, along some axes"""
    first, last = call.axes("starts", starts), call.axes("ends", ends)
    if first is None or last is None:
        raise call.error("has no starts or no ends")
    along = call.axes("axes", axes) or list(range(len(first)))
    each = call.axes("steps", steps) or [1] * len(first)
    if len({len(first), len(last), len(along), len(each)}) != 1:
        raise call.error(f"starts {first}, ends {last}, axes {along} and steps {each} must be equally many")
    picked: dict[int, slice] = {}
    for start, end, axis, step in zip(first, last, along, each, strict=True):
        at = call.from_front(axis, x.ndim)
        if step == 0:
            raise call.error("a step must not be 0")
        if at in picked:
            raise call.error(f"axes {along} name axis {at} twice")
        picked[at] = _places(x.shape[at], start, end, step)
    return x[tuple(picked.get(axis, slice(None)) for axis in range(x.ndim))]


def _places(size: int, start: int, end: int, step: int) -> slice:
    """ONNX's slice in Python's words: a start that lies outside is the nearest element, also for steps backwards."""
    start, end = (place + size if place < 0 else place for place in (start, end))
    if step > 0:
        return slice(min(max(start, 0), size), min(max(end, 0), size), step)
    return slice(max(start, 0), None if end < 0 else end, step)


@operator("Pad", settings=(1, 2, 3))
def pad(
    call: Call, x: Tensor, pads: Tensor | None = None, value: Tensor | None = None, axes: Tensor | None = None
) -> Tensor:
    """x with elements added (or, for negative numbers, taken away) at its edges"""
    widths = call.axes("pads", pads)
    if widths is None:
        raise call.error("has no pads")
    along = [call.from_front(a, x.ndim) for a in (call.integers("axes", axes) if axes is not None else range(x.ndim))]
    if len(widths) != 2 * len(along):
        raise call.error(f"pads must be {2 * len(along)} numbers, got {widths}")
    before, after = [0] * x.ndim, [0] * x.ndim
    for i, axis in enumerate(along):
        before[axis], after[axis] = widths[i], widths[len(along) + i]
    inner = [slice(max(0, -b), n - max(0, -a)) for b, a, n in zip(before, after, x.shape, strict=True)]
    for axis, part in enumerate(inner):
        if part.start > part.stop:
            raise call.error(f"pads {widths} take more away from axis {axis} than its {x.shape[axis]} elements")
    if inner != [slice(0, n) for n in x.shape]:
        x = x[tuple(inner)]
    added = [(max(0, b), max(0, a)) for b, a in zip(before, after, strict=True)]
    if call["mode"] == "constant":
        fill = (call["value"] or 0.0) if value is None or not value.size else call.values("value", value).reshape(())
        return ops.pad(x, added, float(fill))
    for axis, (low, high) in enumerate(added):
        if low or high:
            x = ops.gather(x, _mirrored(call, x.shape[axis], low, high), axis)
    return x


def _mirrored(call: Call, size: int, before: int, after: int) -> Tensor:
    """Which elements of an axis stand where, once it is padded by what it holds."""
    mode = call["mode"]
    if size == 0 or (mode == "reflect" and size == 1):
        raise call.error(f"cannot pad an axis of {size} elements by its own in mode {mode!r}")
    if mode not in MIRRORS:
        raise call.error(f"mode must be constant, reflect, edge or wrap, got {mode!r}")
    return call.make((before + size + after,), lambda: MIRRORS[mode](np.arange(-before, size + after), size))


MIRRORS: dict[str, Callable[[Array, int], Array]] = {
    "reflect": lambda at, size: np.minimum(at % (2 * size - 2), 2 * size - 2 - at % (2 * size - 2)),
    "edge": lambda at, size: np.clip(at, 0, size - 1),
    "wrap": lambda at, size: at % size,
}
"""Which of the elements of an axis stands at a place before, in or behind it."""


@operator("DepthToSpace")
def depth_to_space(call: Call, x: Tensor) -> Tensor:
    """Blocks of channels as blocks of pixels"""
    n, c, h, w = x.shape
    b = call["blocksize"]
    inner = c // (b * b)
    if call["mode"] == "CRD":
        y = ops.transpose(ops.reshape(x, (n, inner, b, b, h, w)), (0, 1, 4, 2, 5, 3))
    else:
        y = ops.transpose(ops.reshape(x, (n, b, b, inner, h, w)), (0, 3, 4, 1, 5, 2))
    return ops.reshape(y, (n, inner, h * b, w * b))


@operator("SpaceToDepth")
def space_to_depth(call: Call, x: Tensor) -> Tensor:
    """Blocks of pixels as blocks of channels"""
    n, c, h, w = x.shape
    b = call["blocksize"]
    if call["mode"] == "CRD":
        y = ops.transpose(ops.reshape(x, (n, c, h // b, b, w // b, b)), (0, 1, 3, 5, 2, 4))
    else:
        y = ops.transpose(ops.reshape(x, (n, c, h // b, b, w // b, b)), (0, 3, 5, 1, 2, 4))
    return ops.reshape(y, (n, c * b * b, h // b, w // b))
