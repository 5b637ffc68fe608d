"""Reading images at computed places: grids, regions of interest, and convolutions whose windows are bent."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pellucid import ops
from pellucid.graph import Tensor
from pellucid.interop.onnx_reader.geometry import WindowAxis, axes_of
from pellucid.interop.onnx_reader.operators.registry import Call, operator
from pellucid.ops.sampling import read_at

_MODES = {"linear": "bilinear", "cubic": "bicubic"}


@operator("GridSample")
def grid_sample(call: Call, x: Tensor, grid: Tensor) -> Tensor:
    """x read at the places that a grid names, from -1 to 1"""
    mode: str = call["mode"]
    return ops.grid_sample(x, grid, _MODES.get(mode, mode), call["padding_mode"], bool(call["align_corners"]))


@operator("RoiAlign")
def roi_align(call: Call, x: Tensor, boxes: Tensor, pictures: Tensor) -> Tensor:
    """A map of each box, from samples between elements"""
    how = call["coordinate_transformation_mode"] or "output_half_pixel"
    if how not in ("half_pixel", "output_half_pixel") or call["mode"] not in ("avg", "max"):
        raise call.error(
            f"mode must be avg or max and coordinate_transformation_mode half_pixel or output_half_pixel, got {call['mode']!r} and {how!r}"
        )
    mode = "average" if call["mode"] == "avg" else "max"
    size = call["output_height"], call["output_width"]
    return ops.roi_align(
        x, boxes, pictures, size, call["spatial_scale"], call["sampling_ratio"], how == "half_pixel", mode
    )


@operator("MaxRoiPool")
def roi_max_pool(call: Call, x: Tensor, boxes: Tensor) -> Tensor:
    """The largest element in each bin of each box; the first number of a box is its picture"""
    if boxes.ndim != 2 or boxes.shape[1] != 5 or len(call["pooled_shape"]) != 2:
        raise call.error(f"wants boxes (R, 5) and a pooled_shape of two, got {boxes.shape} and {call['pooled_shape']}")
    pictures = ops.cast(boxes[:, 0], "int64")
    return ops.roi_max_pool(x, boxes[:, 1:], pictures, tuple(call["pooled_shape"]), call["spatial_scale"])


@operator("DeformConv", weights=(1, 3))
def deformable_convolution(
    call: Call, x: Tensor, weight: Tensor, offset: Tensor, bias: Tensor | None = None, mask: Tensor | None = None
) -> Tensor:
    """A convolution whose kernel positions are moved by offsets, with what they read multiplied by a mask

    x (N, C, H, W) is read at (N * offset groups, kernel positions, windows), which makes columns for a product.
    """
    if x.ndim != 4:
        raise call.error(f"images of two axes can be read at moved places, got {x.shape}")
    kernel = list(call["kernel_shape"] or weight.shape[2:])
    axes = axes_of(call, x.shape[2:], kernel)
    groups, parts = call["group"], call["offset_group"]
    count, out = math.prod(kernel), tuple(a.count for a in axes)
    n, channels = x.shape[:2]
    if groups < 1 or parts < 1 or channels % parts or channels % groups or weight.shape[0] % groups:
        raise call.error(f"group {groups} and offset_group {parts} do not divide {channels} channels")
    if tuple(weight.shape[1:]) != (channels // groups, *kernel) or offset.shape != (n, parts * count * 2, *out):
        raise call.error(f"weight {weight.shape} or offset {offset.shape} do not fit x {x.shape} and its windows {out}")
    moves = ops.reshape(offset, (n * parts, count, 2, *out))
    places = [moves[:, :, a] + _corners(call, axes, a, offset.dtype) for a in range(2)]
    columns = read_at(ops.reshape(x, (n * parts, channels // parts, *x.shape[2:])), places)
    if mask is not None:
        columns = columns * ops.reshape(mask, (n * parts, 1, count, *out))
    columns = ops.reshape(columns, (n, groups, channels // groups * count, math.prod(out)))
    rows = ops.reshape(weight, (groups, weight.shape[0] // groups, channels // groups * count))
    y = ops.reshape(ops.matmul(rows, columns), (n, weight.shape[0], *out))
    return y if bias is None else y + ops.reshape(bias, (bias.size, 1, 1))


def _corners(call: Call, axes: Sequence[WindowAxis], axis: int, dtype: str) -> Tensor:
    """Where along one axis each kernel position of each window lies: (kernel positions, rows, columns)."""
    a = axes[axis]
    steps = np.arange(a.kernel)[:, None] * a.dilation + np.arange(a.count) * a.stride - a.before
    alone = steps.reshape([n if i % 2 == axis else 1 for i, n in enumerate((a.kernel, a.kernel, a.count, a.count))])
    sizes = (*(b.kernel for b in axes), *(b.count for b in axes))
    every = (math.prod(sizes[:2]), *sizes[2:])
    return call.make(every, lambda: np.broadcast_to(alone, sizes).reshape(every).astype(dtype))
