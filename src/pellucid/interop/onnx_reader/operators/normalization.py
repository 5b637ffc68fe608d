"""Normalization by statistics of a batch, a sample, a group of channels or neighbors; dropout."""

from __future__ import annotations

import numpy as np

from pellucid import ops
from pellucid.graph import Parameter, Tensor, constant
from pellucid.interop.onnx_reader.operators.registry import Call, operator
from pellucid.interop.roots import root
from pellucid.nn.randomness import draw_key
from pellucid.scopes import any_frozen, latest, record_update


@operator("BatchNormalization", weights=(1, 2, 3, 4))
def batch_norm(
    call: Call, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor
) -> tuple[Tensor, ...]:
    """Normalization per channel by given statistics; in training by those of the batch, which the given ones follow"""
    if call["spatial"] == 0:
        raise call.error("statistics per pixel (spatial=0) cannot be computed with")
    epsilon, momentum = float(call["epsilon"]), float(call["momentum"])
    if x.ndim == 1:
        flat = batch_norm(call, ops.reshape(x, (x.size, 1)), weight, bias, mean, variance)
        return ops.reshape(flat[0], x.shape), *flat[1:]
    asked = bool(call["training_mode"]) or (call.node.opset < 14 and call.has_output(1))
    if not (asked or call.training) or any_frozen(mean, variance):
        return (ops.batch_norm(x, weight, bias, mean, variance, epsilon),)
    y, center, spread = ops.batch_norm_training(x, weight, bias, epsilon)
    count = x.size // x.shape[1]
    if call.training:
        for statistic, value in ((mean, center), (variance, spread * (count / (count - 1)))):
            if isinstance(statistic, Parameter):
                record_update(statistic, latest(statistic) * momentum + value * (1 - momentum))
    followed = [old * momentum + new * (1 - momentum) for old, new in ((mean, center), (variance, spread))]
    return (y, *followed, center, spread)[: max(1, len(call.node.outputs))]


@operator("InstanceNormalization")
def instance_norm(call: Call, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Normalization of each channel of each sample"""
    return ops.group_norm(x, x.shape[1], weight, bias, float(call["epsilon"]))


@operator("GroupNormalization", since=21)
def group_norm(call: Call, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Normalization over groups of channels of each sample"""
    return ops.group_norm(x, call["num_groups"], weight, bias, float(call["epsilon"]))


@operator("GroupNormalization", since=18)
def group_norm_per_group(call: Call, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Before operator set 21: weight and bias per group"""
    groups = call["num_groups"]
    normal = ops.group_norm(x, groups, None, None, float(call["epsilon"]))
    shape = (x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])
    scale, shift = (ops.reshape(v, (1, groups, *(1,) * (x.ndim - 1))) for v in (weight, bias))
    return ops.reshape(ops.reshape(normal, shape) * scale + shift, x.shape)


@operator("LayerNormalization")
def layer_norm(call: Call, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> tuple[Tensor, ...]:
    """Normalization over the axes from `axis` on"""
    axis = call.from_front(call["axis"], x.ndim)
    epsilon = float(call["epsilon"])
    wanted = x.shape[axis:]
    if weight.shape == wanted and (bias is None or bias.shape == wanted):
        y = ops.layer_norm(x, x.ndim - axis, weight, bias, epsilon)
    else:
        y = ops.layer_norm(x, x.ndim - axis, None, None, epsilon) * weight
        y = y if bias is None else y + bias
    if len(call.node.outputs) == 1:
        return (y,)
    axes = range(axis, x.ndim)
    spread = ops.sqrt(ops.variance(x, axes, keepdims=True) + epsilon)
    return y, ops.mean(x, axes, keepdims=True), 1 / spread


@operator("LpNormalization")
def lp_normalization(call: Call, x: Tensor) -> Tensor:
    """x divided by its norm along an axis; 0 where that is 0"""
    axis = call["axis"]
    norm = root(ops.sum(x * x, axis, True)) if call["p"] == 2 else ops.sum(ops.absolute(x), axis, True)
    return x / ops.where(ops.equal(norm, 0), 1.0, norm)


@operator("LRN")
def local_response_norm(call: Call, x: Tensor) -> Tensor:
    """x divided by the energy of `size` neighboring channels"""
    size = call["size"]
    numbers = (size, float(call["alpha"]), float(call["beta"]), float(call["bias"]))
    if size % 2:
        return ops.local_response_norm(x, *numbers)
    return ops.flip(ops.local_response_norm(ops.flip(x, 1), *numbers), 1)  # ONNX has the odd neighbor behind


@operator("Dropout", settings=(1, 2))
def dropout(
    call: Call, x: Tensor, ratio: Tensor | None = None, training_mode: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """In training some elements 0 and the others larger; in inference the identity"""
    given = call["ratio"]
    if ratio is not None and call.training:
        given = call.values("ratio", ratio).reshape(())
    probability = 0.5 if given is None else float(given)
    kept = ops.broadcast_to(constant(np.array(True)), x.shape) if call.has_output(1) else None
    if not call.training or probability == 0:
        return x, kept
    key = draw_key(str(call.node), call.number)
    return ops.dropout(x, probability, key.step, key.seed, key.stream), kept
