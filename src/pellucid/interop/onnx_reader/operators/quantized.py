"""ONNX Runtime's operators on quantized numbers: each is what it does to the numbers that they stand for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from pellucid import ops
from pellucid.graph import Tensor
from pellucid.interop.onnx_reader.operators.pooling import average_pool, max_pool
from pellucid.interop.onnx_reader.operators.quantization import (
    along,
    dequantized,
    dynamic_quantize,
    quantized,
    whole_numbers,
)
from pellucid.interop.onnx_reader.operators.recurrent import lstm
from pellucid.interop.onnx_reader.operators.registry import MICROSOFT, Call, operator
from pellucid.interop.onnx_reader.whole import in_floats

_POOLING = {"auto_pad": "NOTSET", "ceil_mode": 0, "channels_last": 0, "count_include_pad": 0}


def _real(x: Tensor, scale: Tensor, zero: Tensor | None) -> Tensor:
    """The numbers that quantized ones stand for."""
    return dequantized(in_floats(x), scale, zero)


def _back(call: Call, y: Tensor, scale: Tensor, zero: Tensor | None, number: int, like: int = 0) -> Tensor:
    """y quantized in the type of its zero point, input `number`; without one in that of input `like`."""
    return quantized(call, y, scale, zero, call.elements[number if zero is not None else like])


_PAIRS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"QLinearAdd": ops.add, "QLinearMul": ops.multiply}


@operator(*_PAIRS, domain=MICROSOFT, settings=(1, 4, 6), whole=True)
def pair(
    call: Call,
    a: Tensor,
    a_scale: Tensor,
    a_zero: Tensor | None,
    b: Tensor,
    b_scale: Tensor,
    b_zero: Tensor | None,
    y_scale: Tensor,
    y_zero: Tensor | None = None,
) -> Tensor:
    """A sum or product"""
    y = _PAIRS[call.node.kind](_real(a, a_scale, a_zero), _real(b, b_scale, b_zero))
    return _back(call, y, y_scale, y_zero, 7)


_FUNCTIONS: dict[str, Callable[[Call, Tensor], Tensor]] = {
    "QLinearSigmoid": lambda call, x: ops.sigmoid(x),
    "QLinearLeakyRelu": lambda call, x: ops.leaky_relu(x, float(call["alpha"])),
    "QLinearSoftmax": lambda call, x: _softmax(call, x),
    "QLinearAveragePool": lambda call, x: _channels_first(call, x, lambda v: average_pool(call, v)),
    "QLinearGlobalAveragePool": lambda call, x: _channels_first(
        call, x, lambda v: ops.mean(v, range(2, v.ndim), keepdims=True)
    ),
    "QLinearReduceMean": lambda call, x: ops.mean(x, call["axes"] or range(x.ndim), bool(call["keepdims"])),
}


@operator(
    *_FUNCTIONS,
    domain=MICROSOFT,
    settings=(1, 3),
    whole=True,
    defaults={**_POOLING, "alpha": 0.01, "axis": -1, "opset": 13, "keepdims": 1},
)
def function(
    call: Call, x: Tensor, scale: Tensor, zero: Tensor | None, y_scale: Tensor, y_zero: Tensor | None = None
) -> Tensor:
    """A function of one argument"""
    return _back(call, _FUNCTIONS[call.node.kind](call, _real(x, scale, zero)), y_scale, y_zero, 4)


def _softmax(call: Call, x: Tensor) -> Tensor:
    """Along an axis; before operator set 13 along all from it on, as if they were one."""
    axis = call.from_front(call["axis"], x.ndim)
    if call["opset"] >= 13:
        return ops.softmax(x, axis)
    return ops.reshape(ops.softmax(ops.reshape(x, (*x.shape[:axis], math.prod(x.shape[axis:]))), -1), x.shape)


def _channels_first(call: Call, x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """A function of (N, C, ...), also where the channels are the last axis."""
    return _first_and_back(x, function) if call["channels_last"] else function(x)


def _first_and_back(x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    """A function of (N, C, ...) of what has its channels last."""
    first, last = [0, x.ndim - 1, *range(1, x.ndim - 1)], [0, *range(2, x.ndim), 1]
    return ops.transpose(function(ops.transpose(x, first)), last)


@operator("QLinearConcat", domain=MICROSOFT, settings=tuple(range(1024)), whole=True)
def concat(call: Call, y_scale: Tensor, y_zero: Tensor | None, *inputs: Tensor | None) -> Tensor:
    """The inputs, each with its scale and zero point, one after another"""
    if len(inputs) % 3:
        raise call.error(f"wants a scale and a zero point for each input, got {len(inputs)} after those of the output")
    parts: list[Tensor] = []
    for number in range(0, len(inputs), 3):
        x, scale, zero = inputs[number : number + 3]
        if x is None or scale is None:
            raise call.error(f"its input {number + 2} or the scale after it must not be left out")
        parts.append(_real(x, scale, zero))
    return _back(call, ops.concat(parts, call["axis"]), y_scale, y_zero, 1, like=2)


@operator("QLinearWhere", domain=MICROSOFT, settings=(2, 5, 7), whole=True)
def where(
    call: Call,
    condition: Tensor,
    x: Tensor,
    x_scale: Tensor,
    x_zero: Tensor | None,
    y: Tensor,
    y_scale: Tensor,
    y_zero: Tensor | None,
    scale: Tensor,
    zero: Tensor | None = None,
) -> Tensor:
    """x where the condition holds, else y"""
    picked = ops.where(condition, _real(x, x_scale, x_zero), _real(y, y_scale, y_zero))
    return _back(call, picked, scale, zero, 8, like=1)


@operator("QGemm", domain=MICROSOFT, settings=(1, 4, 7), whole=True, defaults={"alpha": 1.0, "transA": 0, "transB": 0})
def gemm(
    call: Call,
    a: Tensor,
    a_scale: Tensor,
    a_zero: Tensor | None,
    b: Tensor,
    b_scale: Tensor,
    b_zero: Tensor | None,
    c: Tensor | None = None,
    y_scale: Tensor | None = None,
    y_zero: Tensor | None = None,
) -> Tensor:
    """alpha * (A B * scales) + C * scales, with A and B transposed if asked; floats where no scale is given for them"""
    columns = 0 if call["transB"] else 1
    b_zero = None if b_zero is None else along(b_zero, columns, 2)
    (left, _), (right, _) = whole_numbers(call, 0, a, a_zero), whole_numbers(call, 3, b, b_zero)
    left = ops.transpose(left) if call["transA"] else left
    right = ops.transpose(right) if call["transB"] else right
    total = ops.matmul(left, right)
    total = total if c is None else total + in_floats(c)
    y = total * (a_scale * along(b_scale, 1, 2) * float(call["alpha"]))
    return y if y_scale is None else _back(call, y, y_scale, y_zero, 8)


@operator("MatMulIntegerToFloat", domain=MICROSOFT, settings=(2, 3), whole=True)
def matmul_to_float(
    call: Call,
    a: Tensor,
    b: Tensor,
    a_scale: Tensor,
    b_scale: Tensor,
    a_zero: Tensor | None = None,
    b_zero: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """(a - a_zero) @ (b - b_zero) times the scales, and a bias"""
    (left, _), (right, _) = whole_numbers(call, 0, a, a_zero), whole_numbers(call, 1, b, b_zero)
    y = ops.matmul(left, right) * (a_scale * b_scale)
    return y if bias is None else y + bias


@operator("DynamicQuantizeMatMul", domain=MICROSOFT, settings=(2,), whole=True)
def dynamic_matmul(
    call: Call,
    a: Tensor,
    b: Tensor,
    b_scale: Tensor,
    b_zero: Tensor | None = None,
    bias: Tensor | None = None,
) -> Tensor:
    """A quantized by its range, times a quantized matrix, and a bias"""
    whole, a_scale, a_zero = dynamic_quantize(call, a)
    call.made.clear()
    right, _ = whole_numbers(call, 1, b, b_zero)
    y = ops.matmul(whole - a_zero, right) * (a_scale * b_scale)
    return y if bias is None else y + bias


@operator("NhwcMaxPool", domain=MICROSOFT, whole=True, defaults=_POOLING)
def max_pool_last(call: Call, x: Tensor) -> Tensor:
    """The largest element of each window, channels last"""
    call.made[0] = call.elements[0]
    return _first_and_back(in_floats(x), lambda v: max_pool(call, v)[0])


@operator(
    "DynamicQuantizeLSTM",
    domain=MICROSOFT,
    settings=(4, 8, 10),
    weights=(3, 7),
    whole=True,
    defaults={"direction": "forward"},
)
def dynamic_lstm(
    call: Call,
    x: Tensor,
    weight: Tensor,
    recurrent_weight: Tensor,
    bias: Tensor | None,
    lengths: Tensor | None,
    state: Tensor | None,
    cell_state: Tensor | None,
    peepholes: Tensor | None,
    scale: Tensor,
    zero: Tensor,
    recurrent_scale: Tensor,
    recurrent_zero: Tensor,
) -> tuple[Tensor | None, ...]:
    """An LSTM with quantized weights (directions, inputs, rows) and input; its states are left as they are"""
    whole, x_scale, x_zero = dynamic_quantize(call, x)
    call.made.clear()
    parts = (weight, scale, zero), (recurrent_weight, recurrent_scale, recurrent_zero)
    own, again = (ops.transpose(_real(w, _per_row(s), _per_row(z)), (0, 2, 1)) for w, s, z in parts)
    call = replace(call, node=replace(call.node, kind="LSTM"))
    return lstm(call, dequantized(whole, x_scale, x_zero), own, again, bias, lengths, state, cell_state, peepholes)


def _per_row(numbers: Tensor) -> Tensor:
    """One number per direction, or per direction and row, so that they broadcast with (directions, inputs, rows)."""
    return ops.reshape(numbers, (numbers.shape[0], 1, numbers.size // numbers.shape[0]))
