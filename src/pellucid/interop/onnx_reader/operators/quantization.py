"""Quantized numbers as the plain arithmetic that they stand for."""

from __future__ import annotations

from pellucid import ops
from pellucid.graph import Tensor
from pellucid.interop.onnx_reader.operators.convolution import conv
from pellucid.interop.onnx_reader.operators.registry import Call, operator
from pellucid.interop.onnx_reader.values import INTEGERS, element_name


@operator("QuantizeLinear", settings=(1, 2))
def quantize(call: Call, x: Tensor, scale: Tensor, zero_point: Tensor | None = None) -> Tensor:
    """round(x / scale) + zero_point, kept within the range of its integer type"""
    given = call.elements[2] if zero_point is not None else "UINT8"
    element = element_name(call["output_dtype"]) if call["output_dtype"] else given
    zero = None if zero_point is None else _aligned(call, x, zero_point)
    return _rounded(x, _aligned(call, x, scale), zero, _whole(call, element))


def _rounded(x: Tensor, scale: Tensor, zero: Tensor | None, element: str) -> Tensor:
    low, high = INTEGERS[element]
    y = ops.round(ops.cast(x, scale.dtype) / scale)
    y = y if zero is None else y + ops.cast(zero, y.dtype)
    return ops.cast(ops.clip(y, low, high), "int64")


@operator("DequantizeLinear", settings=(1, 2))
def dequantize(call: Call, x: Tensor, scale: Tensor, zero_point: Tensor | None = None) -> Tensor:
    """(x - zero_point) * scale"""
    if x.dtype != "int64":
        raise call.error(f"wants whole numbers, got {x.dtype}")
    centered = x if zero_point is None else x - _aligned(call, x, zero_point)
    return ops.cast(centered, scale.dtype) * _aligned(call, x, scale)


def _aligned(call: Call, x: Tensor, numbers: Tensor) -> Tensor:
    """Numbers for all of x, for each slice along an axis, or for each block of an axis, so that they broadcast."""
    if numbers.size == 1 and numbers.ndim <= 1:
        return ops.reshape(numbers, ())
    axis = call.from_front(1 if call["axis"] is None else call["axis"], x.ndim)
    if numbers.ndim == 1:
        return ops.reshape(numbers, [numbers.size if a == axis else 1 for a in range(x.ndim)])
    block = call["block_size"] or 0
    if block < 1 or numbers.ndim != x.ndim:
        raise call.error(f"numbers of shape {numbers.shape} fit neither {x.shape} nor its axis {axis}")
    wide = ops.reshape(numbers, (*numbers.shape[: axis + 1], 1, *numbers.shape[axis + 1 :]))
    wide = ops.broadcast_to(wide, (*numbers.shape[: axis + 1], block, *numbers.shape[axis + 1 :]))
    shape = [*numbers.shape]
    shape[axis] *= block
    return ops.reshape(wide, shape)[(*[slice(None)] * axis, slice(0, x.shape[axis]))]


@operator("MatMulInteger")
def matmul_integer(
    call: Call, a: Tensor, b: Tensor, a_zero: Tensor | None = None, b_zero: Tensor | None = None
) -> Tensor:
    """(a - a_zero) @ (b - b_zero), in whole numbers"""
    if a_zero is not None:  # one number per row
        a = a - (ops.reshape(a_zero, (*a_zero.shape, 1)) if a_zero.ndim == 1 and a_zero.size > 1 else a_zero)
    return ops.matmul(a, b if b_zero is None else b - b_zero)


@operator("ConvInteger")
def conv_integer(
    call: Call, x: Tensor, weight: Tensor, x_zero: Tensor | None = None, weight_zero: Tensor | None = None
) -> Tensor:
    """The convolution of x - x_zero with weight - weight_zero, in whole numbers (exact below 2^53)"""
    centered = x if x_zero is None else x - x_zero
    kernel = weight if weight_zero is None else weight - _per_output(weight_zero, weight)
    return ops.cast(conv(call, ops.cast(centered, "float64"), ops.cast(kernel, "float64")), "int64")


def _per_output(numbers: Tensor, weight: Tensor) -> Tensor:
    """One number for all of a weight, or one per output channel, so that they broadcast."""
    return numbers if numbers.size == 1 else ops.reshape(numbers, (numbers.size, *(1,) * (weight.ndim - 1)))


@operator("QLinearMatMul", settings=(1, 4, 6))
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
    product = matmul_integer(call, a, b, a_zero, b_zero)
    scale = a_scale * b_scale
    return _rounded(ops.cast(product, scale.dtype) * scale, y_scale, y_zero, _whole(call, call.elements[7]))


@operator("QLinearConv", settings=(1, 4, 6))
def quantized_conv(
    call: Call,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor,
    weight: Tensor,
    weight_scale: Tensor,
    weight_zero: Tensor,
    y_scale: Tensor,
    y_zero: Tensor,
    bias: Tensor | None = None,
) -> Tensor:
    """The convolution of quantized images with quantized weights, quantized"""
    total = conv_integer(call, x, weight, x_zero, weight_zero)
    channels = (1, weight.shape[0], *(1,) * (x.ndim - 2))
    if bias is not None:
        total = total + ops.reshape(bias, channels)
    scale = x_scale * (weight_scale if weight_scale.size == 1 else ops.reshape(weight_scale, channels))
    return _rounded(ops.cast(total, scale.dtype) * scale, y_scale, y_zero, _whole(call, call.elements[7]))


def _whole(call: Call, element: str) -> str:
    """An integer type to quantize to, or an `OnnxError`."""
    if element not in INTEGERS:
        raise call.error(
            f"numbers quantized to {element or 'a type that the file does not state'} cannot be computed with"
        )
    return element
