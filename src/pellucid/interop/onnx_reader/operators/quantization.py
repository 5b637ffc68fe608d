"""Quantized numbers as the plain arithmetic that they stand for, in float32, which holds them exactly."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np

from pellucid import ops
from pellucid.budget import take
from pellucid.graph import Tensor, constant
from pellucid.interop.onnx_reader.operators.convolution import conv
from pellucid.interop.onnx_reader.operators.registry import MICROSOFT, Call, operator
from pellucid.interop.onnx_reader.values import INTEGERS, element_name
from pellucid.interop.onnx_reader.whole import EXACT, in_floats, in_whole, known
from pellucid.op import Array


def quantized(call: Call, y: Tensor, scale: Tensor, zero: Tensor | None, element: str, output: int = 0) -> Tensor:
    """round(y / scale) + zero within the range of an integer type; gradients go through the rounding as if it were not there.

    Scale and zero point must broadcast with y. The whole numbers lie in float32 if it holds the type exactly.
    """
    if element not in INTEGERS:
        raise call.error(
            f"numbers quantized to {element or 'a type that the file does not state'} cannot be computed with"
        )
    low, high = INTEGERS[element]
    call.made[output] = element
    y = ops.cast(y, scale.dtype) / scale
    offset = np.zeros(()) if zero is None else known(zero)
    if offset is not None and offset.size == 1:  # within the range before rounding, as its ends are whole
        start = float(offset.reshape(()))
        y = ops.round(ops.clip(y, low - start, high - start), through=True)
        y = y + start if start else y
    else:
        assert zero is not None
        y = ops.clip(ops.round(y, through=True) + ops.cast(in_floats(zero), y.dtype), low, high)
    return y if high - low <= EXACT else ops.cast(y, "int64")


def dequantized(x: Tensor, scale: Tensor, zero: Tensor | None) -> Tensor:
    """(x - zero) * scale; scale and zero point must broadcast with x."""
    return ops.cast(centered(x, zero), scale.dtype) * scale


def centered(x: Tensor, zero: Tensor | None) -> Tensor:
    """x - zero, in float32 where x lies there or is known, else in whole numbers."""
    if zero is None or ((offset := known(zero)) is not None and not offset.any()):
        return x
    if x.dtype.startswith("float"):
        return x - ops.cast(in_floats(zero), x.dtype)
    return x - in_whole(zero, "INT64")


@operator("QuantizeLinear", settings=(1, 2), whole=True)
@operator("QuantizeLinear", domain=MICROSOFT, settings=(1, 2), whole=True)
def quantize(call: Call, x: Tensor, scale: Tensor, zero_point: Tensor | None = None) -> Tensor:
    """round(x / scale) + zero_point, kept within the range of its integer type"""
    given = call.elements[2] if zero_point is not None else "UINT8"
    element = element_name(call["output_dtype"]) if call["output_dtype"] else given
    zero = None if zero_point is None else aligned(call, x, zero_point)
    return quantized(call, x, aligned(call, x, scale), zero, element)


@operator("DequantizeLinear", settings=(1, 2), whole=True)
@operator("DequantizeLinear", domain=MICROSOFT, settings=(1, 2), whole=True)
def dequantize(call: Call, x: Tensor, scale: Tensor, zero_point: Tensor | None = None) -> Tensor:
    """(x - zero_point) * scale"""
    if x.dtype != "int64" and call.elements[0] not in INTEGERS:
        raise call.error(f"wants whole numbers, got {x.dtype}")
    zero = None if zero_point is None else aligned(call, x, zero_point)
    return dequantized(x, aligned(call, x, scale), zero)


def aligned(call: Call, x: Tensor, numbers: Tensor) -> Tensor:
    """Numbers for all of x, for each slice along an axis, or for each block of an axis, so that they broadcast."""
    if numbers.size == 1 and numbers.ndim <= 1:
        return ops.reshape(numbers, ())
    axis = call.from_front(1 if call["axis"] is None else call["axis"], x.ndim)
    if numbers.ndim == 1:
        return along(numbers, axis, x.ndim)
    block = call["block_size"] or 0
    if block < 1 or numbers.ndim != x.ndim:
        raise call.error(f"numbers of shape {numbers.shape} fit neither {x.shape} nor its axis {axis}")
    wide = ops.reshape(numbers, (*numbers.shape[: axis + 1], 1, *numbers.shape[axis + 1 :]))
    wide = ops.broadcast_to(wide, (*numbers.shape[: axis + 1], block, *numbers.shape[axis + 1 :]))
    shape = [*numbers.shape]
    shape[axis] *= block
    return ops.reshape(wide, shape)[(*[slice(None)] * axis, slice(0, x.shape[axis]))]


def along(numbers: Tensor, axis: int, ndim: int) -> Tensor:
    """One number, or one for each slice along an axis of `ndim`, so that they broadcast."""
    if numbers.size == 1:
        return ops.reshape(numbers, ())
    return ops.reshape(numbers, [numbers.size if a == axis else 1 for a in range(ndim)])


@operator("DynamicQuantizeLinear", whole=True)
def dynamic_quantize(call: Call, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """x in 8 bits, with the scale and zero point that its range, which includes 0, asks for"""
    low, high = (ops.stop_gradient(end) for end in (ops.minimum(-ops.max(-x), 0.0), ops.maximum(ops.max(x), 0.0)))
    reach = high - low
    scale = ops.where(reach > 0, reach / 255.0, 1.0)
    zero = ops.clip(ops.round(-low / scale), 0, 255)
    call.made.update({1: "FLOAT", 2: "UINT8"})
    return quantized(call, x, scale, zero, "UINT8"), scale, zero


def whole_numbers(call: Call, number: int, x: Tensor, zero: Tensor | None) -> tuple[Tensor, int]:
    """An input less its zero point as float32, and how large its elements may be."""
    low, high = INTEGERS.get(call.elements[number], (0, 255))
    array, offset = known(x), np.zeros((), np.int64) if zero is None else known(zero)
    if array is not None and offset is not None and x.dtype == "int64":
        value = array - offset
        return call.make(x.shape, lambda: value.astype(np.float32)), int(np.abs(value).max(initial=0))
    most = high - low if offset is None else max(high - int(offset.min()), int(offset.max()) - low)
    return centered(in_floats(x), zero), most


def exact_sum(sizes: Array, part: Callable[[slice], Tensor]) -> Tensor:
    """A sum of whole numbers, exact: in float32 where it stays below 2^24, else of parts that do, added up as int64.

    `part(taken)` computes the sum over some of its K members; `sizes` (outputs, K) says how large each can be.
    """
    if sizes.sum(1).max(initial=0) <= EXACT:
        return ops.round(part(slice(0, sizes.shape[1])), through=True)  # a kernel that transforms may be off by less
    return functools.reduce(ops.add, (ops.cast(ops.round(part(taken)), "int64") for taken in _parts(sizes)))


def _parts(sizes: Array) -> Iterator[slice]:
    """Members that follow each other, as many as stay below 2^24 together."""
    start, total = 0, np.zeros(len(sizes))
    for k in range(sizes.shape[1]):
        total = total + sizes[:, k]
        if total.max() > EXACT and k > start:
            yield slice(start, k)
            start, total = k, sizes[:, k]
    yield slice(start, sizes.shape[1])


def _sizes(call: Call, weight: Tensor, most: int) -> Array:
    """The absolute values of a weight in the shape that it has, or `most` everywhere where it is not known."""
    take(passing=4 * 8 * weight.size)
    array = known(weight)
    return np.full(weight.shape, float(most)) if array is None else np.abs(array.astype(np.float64))


@operator("MatMulInteger", whole=True)
def matmul_integer(
    call: Call, a: Tensor, b: Tensor, a_zero: Tensor | None = None, b_zero: Tensor | None = None
) -> Tensor:
    """(a - a_zero) @ (b - b_zero), in whole numbers"""
    if a_zero is not None and a_zero.ndim == 1 and a_zero.size > 1:  # one number per row
        a_zero = ops.reshape(a_zero, (*a_zero.shape, 1))
    (left, reach), (right, most) = whole_numbers(call, 0, a, a_zero), whole_numbers(call, 1, b, b_zero)
    call.made[0] = "INT32"
    axis = max(0, right.ndim - 2)
    sizes = np.moveaxis(_sizes(call, right, most), axis, -1).reshape(-1, right.shape[axis]) * reach
    rows = (slice(None),) * axis
    return exact_sum(sizes, lambda taken: ops.matmul(left[..., taken], right[(*rows, taken)]))


@operator("ConvInteger", whole=True)
def conv_integer(
    call: Call, x: Tensor, weight: Tensor, x_zero: Tensor | None = None, weight_zero: Tensor | None = None
) -> Tensor:
    """The convolution of x - x_zero with weight - weight_zero, in whole numbers"""
    weight_zero = None if weight_zero is None else along(weight_zero, 0, weight.ndim)
    (left, reach), (right, most) = whole_numbers(call, 0, x, x_zero), whole_numbers(call, 1, weight, weight_zero)
    call.made[0] = "INT32"
    sizes = _sizes(call, right, most).reshape(*right.shape[:2], -1).sum(2) * reach

    def part(taken: slice) -> Tensor:
        if call["group"] == 1:
            return conv(call, left[:, taken], right[:, taken])
        mask = np.zeros((1, right.shape[1], *(1,) * (right.ndim - 2)), np.float32)
        mask[:, taken] = 1
        return conv(call, left, right if mask.all() else right * constant(mask))

    if sizes.max(initial=0) > EXACT:  # kernels so large that one channel alone passes it
        return ops.cast(conv(call, *(ops.cast(v, "float64") for v in (left, right))), "int64")
    return exact_sum(sizes, part)


@operator("QLinearMatMul", settings=(1, 4, 6), whole=True)
def quantized_matmul(
    call: Call,
    a: Tensor,
    a_scale: Tensor,
    a_zero: Tensor,
    b: Tensor,
    b_scale: Tensor,
    b_zero: Tensor,
    y_scale: Tensor,
    y_zero: Tensor,
) -> Tensor:
    """The product of two quantized matrices, quantized"""
    rows = [along(v, 0, 2) if v.ndim == 1 else v for v in (a_scale, a_zero)]  # one number per row of a, per column of b
    (left, _), (right, _) = whole_numbers(call, 0, a, rows[1]), whole_numbers(call, 3, b, b_zero)
    return quantized(call, ops.matmul(left, right) * (rows[0] * b_scale), y_scale, y_zero, call.elements[7])


@operator("QLinearConv", settings=(1, 4, 6), whole=True)
@operator("QLinearConv", domain=MICROSOFT, settings=(1, 4, 6), whole=True, defaults={"group": 1, "auto_pad": "NOTSET"})
def quantized_conv(
    call: Call,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor | None,
    weight: Tensor,
    weight_scale: Tensor,
    weight_zero: Tensor | None,
    y_scale: Tensor,
    y_zero: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """The convolution of quantized images with quantized weights, quantized"""
    weight_zero = None if weight_zero is None else along(weight_zero, 0, weight.ndim)
    (left, _), (right, _) = whole_numbers(call, 0, x, x_zero), whole_numbers(call, 3, weight, weight_zero)
    bias = None if bias is None else in_floats(bias)
    order = [0, *range(2, x.ndim), 1] if call["channels_last"] else list(range(x.ndim))
    total = conv(call, ops.transpose(left, [order.index(a) for a in range(x.ndim)]), right, bias)
    y = ops.transpose(total * (x_scale * along(weight_scale, 1, x.ndim)), order)
    return quantized(call, y, y_scale, y_zero, call.elements[7] if y_zero is not None else call.elements[0])
