"""Convolution and transposed convolution over one, two or three axes, made of those over two."""

from __future__ import annotations

from collections.abc import Sequence

from pellucid import ops
from pellucid.graph import Tensor
from pellucid.interop.onnx_reader.geometry import (
    MOST_SHIFTS,
    WindowAxis,
    axes_of,
    check_kernel,
    padded,
    per_axis,
    placed,
)
from pellucid.interop.onnx_reader.operators.registry import Call, operator


@operator("Conv", weights=(1, 2))
def conv(call: Call, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolution (N, C, ...) -> (N, O, ...)"""
    axes = axes_of(call, x.shape[2:], _kernel(call, x, weight))
    return _conv(call, x, weight, bias, axes, call["group"])


def _kernel(call: Call, x: Tensor, weight: Tensor) -> tuple[int, ...]:
    """The weight's spatial size."""
    if x.ndim != weight.ndim or not 3 <= x.ndim <= 5:
        raise call.error(
            f"wants an input with one to three spatial axes and a weight to match, got {x.shape} and {weight.shape}"
        )
    kernel = weight.shape[2:]
    if call["kernel_shape"] not in (None, kernel):
        raise call.error(f"kernel_shape {call['kernel_shape']} differs from the weight's {kernel}")
    check_kernel(call, kernel)
    if len(kernel) == 3 and kernel[0] > MOST_SHIFTS:  # a flat convolution for each
        raise call.error(f"a kernel {kernel[0]} deep is deeper than {MOST_SHIFTS}")
    return kernel


def _conv(
    call: Call, x: Tensor, weight: Tensor, bias: Tensor | None, axes: Sequence[WindowAxis], groups: int
) -> Tensor:
    if len(axes) == 1:
        wide = _conv(call, _with_row(x), _with_row(weight), bias, [_ROW, *axes], groups)
        return ops.reshape(wide, (*wide.shape[:2], wide.shape[3]))
    if len(axes) == 2:
        a, b = axes
        if (a.before, b.before) != (a.after, b.after):
            x = padded(x, axes)
        padding = (a.before, b.before) if (a.before, b.before) == (a.after, b.after) else (0, 0)
        return ops.conv2d(x, weight, bias, (a.stride, b.stride), padding, (a.dilation, b.dilation), groups)
    depth, rest = axes[0], axes[1:]
    n, _, *size = x.shape
    x = ops.pad(x, [(0, 0), (0, 0), (depth.before, depth.after), (0, 0), (0, 0)]) if depth.before + depth.after else x
    total: Tensor | None = None
    for u in range(depth.kernel):  # a kernel with depth is a sum of flat kernels, each on its own slices
        seen = ops.transpose(x[:, :, depth.offset(u)], (0, 2, 1, 3, 4))
        flat = ops.reshape(seen, (n * depth.count, x.shape[1], *size[1:]))
        part = _conv(call, flat, weight[:, :, u], None, rest, groups)
        total = part if total is None else total + part
    assert total is not None
    y = ops.reshape(total, (n, depth.count, *total.shape[1:]))
    return _biased(ops.transpose(y, (0, 2, 1, 3, 4)), bias)


_ROW = WindowAxis(1, 1, 1, 1, 0, 0, 1)


def _with_row(x: Tensor) -> Tensor:
    """(A, B, L) -> (A, B, 1, L)"""
    return ops.reshape(x, (*x.shape[:2], 1, x.shape[2]))


def _biased(y: Tensor, bias: Tensor | None) -> Tensor:
    return y if bias is None else y + ops.reshape(bias, (1, bias.size, *(1,) * (y.ndim - 2)))


@operator("ConvTranspose", weights=(1, 2))
def conv_transpose(call: Call, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Transposed convolution (N, C, ...) -> (N, O, ...)"""
    kernel = _kernel(call, x, weight)
    count = len(kernel)
    strides, dilations = per_axis(call, "strides", count, 1), per_axis(call, "dilations", count, 1)
    extra = per_axis(call, "output_padding", count, 0)
    whole = [(n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(x.shape[2:], strides, kernel, dilations, strict=True)]
    before, sizes = _enlarged(call, x, whole, strides, extra)
    groups = call["group"]
    if count == 2:
        plain = [w + e - 2 * p for w, e, p in zip(whole, extra, before, strict=True)]
        if (
            plain == sizes
            and min(before) >= 0
            and all(e < max(s, d) for e, s, d in zip(extra, strides, dilations, strict=True))
        ):
            stride, padding, more, dilation = ((v[0], v[1]) for v in (strides, before, extra, dilations))
            return ops.conv_transpose2d(x, weight, bias, stride, padding, more, dilation, groups)
    y = _transposed(x, weight, strides, dilations, groups)
    for axis, (start, size) in enumerate(zip(before, sizes, strict=True), 2):
        y = placed(y, axis, start, size)
    return _biased(y, bias)


def _enlarged(
    call: Call, x: Tensor, whole: list[int], strides: list[int], extra: list[int]
) -> tuple[list[int], list[int]]:
    """Elements cut off in front, and the output's size, for each axis."""
    count = len(whole)
    how, wanted = call["auto_pad"], call["output_shape"]
    if how.startswith("SAME") and wanted is None:
        wanted = [n * s for n, s in zip(x.shape[2:], strides, strict=True)]
    if wanted is not None:
        if len(wanted) not in (count, count + 2):
            raise call.error(f"output_shape must be {count} numbers, got {wanted}")
        sizes = list(wanted)[-count:]
        cut = [max(0, w + e - s) for w, e, s in zip(whole, extra, sizes, strict=True)]
        return [c // 2 if how == "SAME_UPPER" else c - c // 2 for c in cut], sizes
    pads = list(call["pads"] or [0] * (2 * count)) if how == "NOTSET" else [0] * (2 * count)
    if len(pads) != 2 * count:
        raise call.error(f"pads must be {2 * count} numbers, got {pads}")
    before, after = pads[:count], pads[count:]
    return before, [w + e - b - a for w, e, b, a in zip(whole, extra, before, after, strict=True)]


def _transposed(x: Tensor, weight: Tensor, strides: list[int], dilations: list[int], groups: int) -> Tensor:
    """The transposed convolution without padding."""
    if x.ndim == 3:
        wide = _transposed(_with_row(x), _with_row(weight), [1, *strides], [1, *dilations], groups)
        return ops.reshape(wide, (*wide.shape[:2], wide.shape[3]))
    if x.ndim == 4:
        stride, dilation = (strides[0], strides[1]), (dilations[0], dilations[1])
        return ops.conv_transpose2d(x, weight, None, stride, 0, 0, dilation, groups)
    n, channels, depth, *size = x.shape
    flat = ops.reshape(ops.transpose(x, (0, 2, 1, 3, 4)), (n * depth, channels, *size))
    whole = (depth - 1) * strides[0] + (weight.shape[2] - 1) * dilations[0] + 1
    total: Tensor | None = None
    for u in range(weight.shape[2]):  # each flat kernel writes its own slices, `stride` apart
        part = _transposed(flat, weight[:, :, u], strides[1:], dilations[1:], groups)
        part = ops.transpose(ops.reshape(part, (n, depth, *part.shape[1:])), (0, 2, 1, 3, 4))
        part = placed(_spread(part, strides[0]), 2, -u * dilations[0], whole)
        total = part if total is None else total + part
    assert total is not None
    return total


def _spread(x: Tensor, stride: int) -> Tensor:
    """x (N, C, D, H, W) with stride - 1 zeros between its slices."""
    if stride == 1:
        return x
    n, c, d, h, w = x.shape
    wide = ops.pad(ops.reshape(x, (n, c, d, 1, h, w)), [(0, 0)] * 3 + [(0, stride - 1), (0, 0), (0, 0)])
    return ops.reshape(wide, (n, c, d * stride, h, w))[:, :, : (d - 1) * stride + 1]


@operator("Col2Im", settings=(1, 2))
def columns_to_image(call: Call, columns: Tensor, image_shape: Tensor, block_shape: Tensor) -> Tensor:
    """Windows as columns, summed back into an image"""
    size, kernel = call.integers("image_shape", image_shape), call.integers("block_shape", block_shape)
    if len(size) != 2:
        raise call.error(f"images have two axes, got a shape of {size}")
    down, across = axes_of(call, size, kernel)
    y = ops.fold(
        columns,
        (size[0] + down.before + down.after, size[1] + across.before + across.after),
        (kernel[0], kernel[1]),
        (down.stride, across.stride),
        0,
        (down.dilation, across.dilation),
    )
    return placed(placed(y, 2, down.before, size[0]), 3, across.before, size[1])
