"""Activation functions that have an op of ours; those without are expanded by ONNX's own definitions."""

from __future__ import annotations

import numpy as np

from pellucid import ops
from pellucid.graph import Tensor
from pellucid.interop.onnx_reader.operators.registry import Call, operator


@operator("Relu")
def relu(call: Call, x: Tensor) -> Tensor:
    """max(0, x)"""
    return ops.relu(x) if x.dtype.startswith("float") else ops.maximum(x, 0)


@operator("Sigmoid")
def sigmoid(call: Call, x: Tensor) -> Tensor:
    """1 / (1 + e^(-x))"""
    return ops.sigmoid(x)


@operator("Tanh")
def tanh(call: Call, x: Tensor) -> Tensor:
    """Hyperbolic tangent"""
    return ops.tanh(x)


@operator("Softplus")
def softplus(call: Call, x: Tensor) -> Tensor:
    """log(1 + e^x)"""
    return ops.softplus(x)


@operator("Softsign")
def softsign(call: Call, x: Tensor) -> Tensor:
    """x / (1 + |x|)"""
    return x / (ops.absolute(x) + 1.0)


@operator("Elu")
def elu(call: Call, x: Tensor) -> Tensor:
    """x where x > 0, else alpha * (e^x - 1)"""
    return ops.elu(x, call["alpha"])


@operator("Celu")
def celu(call: Call, x: Tensor) -> Tensor:
    """x where x > 0, else alpha * (e^(x / alpha) - 1)"""
    alpha = float(call["alpha"])
    if alpha > 0:
        return ops.elu(x / alpha, 1.0) * alpha
    return ops.where(x > 0, x, ops.expm1(ops.where(x > 0, 0.0, x) * (1 / alpha)) * alpha)


@operator("Selu")
def selu(call: Call, x: Tensor) -> Tensor:
    """gamma * elu(x, alpha)"""
    usual = abs(call["alpha"] - 1.6732632) < 1e-6 and abs(call["gamma"] - 1.0507010) < 1e-6
    return ops.selu(x) if usual else ops.elu(x, call["alpha"]) * float(call["gamma"])


@operator("Gelu")
def gelu(call: Call, x: Tensor) -> Tensor:
    """x times the Gaussian distribution function of x"""
    return ops.gelu(x, call["approximate"])


@operator("Mish")
def mish(call: Call, x: Tensor) -> Tensor:
    """x * tanh(softplus(x))"""
    return ops.mish(x)


@operator("Swish")
def swish(call: Call, x: Tensor) -> Tensor:
    """x * sigmoid(alpha * x)"""
    return ops.silu(x) if call["alpha"] == 1 else x * ops.sigmoid(x * float(call["alpha"]))


@operator("HardSigmoid")
def hard_sigmoid(call: Call, x: Tensor) -> Tensor:
    """max(0, min(1, alpha * x + beta))"""
    return ops.clip(x * float(call["alpha"]) + float(call["beta"]), 0, 1)


@operator("HardSwish")
def hard_swish(call: Call, x: Tensor) -> Tensor:
    """x * max(0, min(1, x / 6 + 1 / 2))"""
    return ops.hard_swish(x)


@operator("LeakyRelu")
def leaky_relu(call: Call, x: Tensor) -> Tensor:
    """x where x > 0, else alpha * x"""
    return ops.leaky_relu(x, call["alpha"])


@operator("PRelu", weights=(1,))
def prelu(call: Call, x: Tensor, slope: Tensor) -> Tensor:
    """x where x > 0, else slope * x"""
    channels = x.shape[1] if x.ndim > 1 else 1
    if x.ndim > 1 and slope.shape == (channels, *(1,) * (x.ndim - 2)) and x.dtype == slope.dtype:
        return ops.prelu(x, ops.reshape(slope, (channels,)))
    if call.node.opset < 7 and slope.ndim == 1:
        return ops.prelu(x, slope)
    return ops.where(x > 0, x, x * slope)


@operator("ThresholdedRelu")
def thresholded_relu(call: Call, x: Tensor) -> Tensor:
    """x where x > alpha, else 0"""
    return ops.where(x > float(call["alpha"]), x, 0.0)


@operator("Shrink")
def shrink(call: Call, x: Tensor) -> Tensor:
    """x + bias below -lambd, x - bias above lambd, else 0"""
    if not x.dtype.startswith("float"):
        return ops.cast(shrink(call, ops.cast(x, "float32")), x.dtype)
    threshold, bias = float(call["lambd"]), float(call["bias"])
    return ops.where(x < -threshold, x + bias, ops.where(x > threshold, x - bias, 0.0))


@operator("Softmax", "LogSoftmax", since=13)
def softmax(call: Call, x: Tensor) -> Tensor:
    """e^x / sum of e^x along an axis, or its logarithm"""
    function = ops.softmax if call.node.kind == "Softmax" else ops.log_softmax
    return function(x, call["axis"])


@operator("Softmax", "LogSoftmax", "Hardmax")
def flat_softmax(call: Call, x: Tensor) -> Tensor:
    """Before operator set 13: along all axes from `axis` on, as if they were one"""
    functions = {"Softmax": softmax, "LogSoftmax": softmax, "Hardmax": hardmax}
    axis = call["axis"]
    axis = axis if axis == x.ndim else call.from_front(axis, x.ndim)
    if axis == x.ndim - 1:
        return functions[call.node.kind](call, x)
    rows = int(np.prod(x.shape[:axis]))
    flat = ops.reshape(x, (rows, x.size // rows if rows else 0))
    return ops.reshape(functions[call.node.kind](_last_axis(call), flat), x.shape)


def _last_axis(call: Call) -> Call:
    import dataclasses

    return dataclasses.replace(call, node=dataclasses.replace(call.node, attributes={"axis": -1}))


@operator("Hardmax", since=13)
def hardmax(call: Call, x: Tensor) -> Tensor:
    """1 at the largest element along an axis (the first of equals), else 0"""
    axis = call.from_front(call["axis"], x.ndim)
    place = ops.argmax(x, axis, keepdims=True)
    shape = [1] * x.ndim
    shape[axis] = x.shape[axis]
    return ops.cast(
        ops.equal(place, call.make((x.shape[axis],), lambda: np.arange(x.shape[axis]).reshape(shape))), x.dtype
    )
