"""Layers with weights and normalization: linear maps, convolutions, statistics, attention."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.graph import Tensor, constant
from pellucid.interop.torch_module.aten.registry import aten, require
from pellucid.op import Array
from pellucid.ops.window import Pair
from pellucid.scopes import any_frozen

Ints = Sequence[int]


def pair(values: int | Ints) -> Pair:
    """One or two numbers as (vertical, horizontal)."""
    both = [values, values] if isinstance(values, int) else [*values, *values][:2]
    return int(both[0]), int(both[1])


def row(values: int | Ints, other: int) -> Pair:
    """A number for rows of pixels, with `other` for the axis that a one-dimensional layer does not have."""
    return other, (values if isinstance(values, int) else values[0])


def as_rows(x: Tensor) -> Tensor:
    """(N, C, L) as an image (N, C, 1, L)."""
    return ops.reshape(x, (*x.shape[:2], 1, x.shape[2]))


def without_rows(x: Tensor) -> Tensor:
    """An image (N, C, 1, L) as (N, C, L)."""
    return ops.reshape(x, (*x.shape[:2], x.shape[3]))


aten("linear.default")(ops.linear)
aten("matmul.default", "mm.default", "bmm.default", "mv.default")(ops.matmul)


@aten("addmm.default", "baddbmm.default")
def add_product(x: Tensor, a: Tensor, b: Tensor, beta: float = 1, alpha: float = 1) -> Tensor:
    product = ops.matmul(a, b)
    return (x if beta == 1 else x * beta) + (product if alpha == 1 else product * alpha)


@aten("dot.default", "vdot.default")
def dot(a: Tensor, b: Tensor) -> Tensor:
    return ops.sum(a * b)


@aten("_weight_norm.default")
def weight_norm(direction: Tensor, length: Tensor, dim: int = 0) -> Tensor:
    """Weights of given lengths along `dim` (Salimans and Kingma 2016)"""
    others = [axis for axis in range(direction.ndim) if dim == -1 or axis != dim % direction.ndim]
    return direction * (length / ops.sqrt(ops.sum(direction * direction, others, keepdims=True)))


@aten("embedding.default")
def embedding(weight: Tensor, indices: Tensor, padding_idx: int = -1, *_: Any) -> Tensor:
    """Rows of the weight; that of `padding_idx` gets no gradient."""
    rows = ops.gather(weight, indices)
    if padding_idx < 0:
        return rows
    padding = ops.reshape(ops.equal(indices, padding_idx), (*indices.shape, 1))
    return ops.where(padding, ops.stop_gradient(rows), rows)


@aten("conv2d.default")
def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = (1,),
    padding: Ints = (0,),
    dilation: Ints = (1,),
    groups: int = 1,
) -> Tensor:
    return ops.conv2d(x, weight, bias, pair(stride), pair(padding), pair(dilation), groups)


@aten("conv2d.padding")
def conv2d_same(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = (1,),
    padding: str = "valid",
    dilation: Ints = (1,),
    groups: int = 1,
) -> Tensor:
    """As many zeros around as keep the size (`same`), the odd one below and to the right; or none (`valid`)."""
    steps = pair(dilation)
    total = [d * (k - 1) if padding == "same" else 0 for d, k in zip(steps, weight.shape[2:], strict=True)]
    if any(t % 2 for t in total):
        x = ops.pad(x, [(0, 0), (0, 0), *((t // 2, t - t // 2) for t in total)])
        total = [0, 0]
    return ops.conv2d(x, weight, bias, pair(stride), (total[0] // 2, total[1] // 2), steps, groups)


@aten("conv1d.default")
def conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = (1,),
    padding: Ints = (0,),
    dilation: Ints = (1,),
    groups: int = 1,
) -> Tensor:
    return without_rows(
        ops.conv2d(as_rows(x), as_rows(weight), bias, row(stride, 1), row(padding, 0), row(dilation, 1), groups)
    )


@aten("conv1d.padding")
def conv1d_same(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = (1,),
    padding: str = "valid",
    dilation: Ints = (1,),
    groups: int = 1,
) -> Tensor:
    return without_rows(
        conv2d_same(as_rows(x), as_rows(weight), bias, row(stride, 1), padding, row(dilation, 1), groups)
    )


@aten("conv_transpose2d.input")
def conv_transpose2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = (1,),
    padding: Ints = (0,),
    output_padding: Ints = (0,),
    groups: int = 1,
    dilation: Ints = (1,),
) -> Tensor:
    return ops.conv_transpose2d(
        x, weight, bias, pair(stride), pair(padding), pair(output_padding), pair(dilation), groups
    )


@aten("conv_transpose1d.default")
def conv_transpose1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Ints = (1,),
    padding: Ints = (0,),
    output_padding: Ints = (0,),
    groups: int = 1,
    dilation: Ints = (1,),
) -> Tensor:
    geometry = row(stride, 1), row(padding, 0), row(output_padding, 0), row(dilation, 1)
    return without_rows(ops.conv_transpose2d(as_rows(x), as_rows(weight), bias, *geometry, groups))


@aten("_native_batch_norm_legit_no_training.default")
def batch_norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor, variance: Tensor, momentum: float, eps: float
) -> tuple[Any, ...]:
    """(y, ...) with given statistics."""
    return ops.batch_norm(x, weight, bias, mean, variance, eps), None, None


@aten("_native_batch_norm_legit_functional.default")
def batch_norm_functional(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Any, ...]:
    """(y, mean of the batch, ..., next running mean, next running variance)"""
    if not training or any_frozen(mean, variance):
        return ops.batch_norm(x, weight, bias, mean, variance, eps), None, None, mean, variance
    y, now, spread = ops.batch_norm_training(x, weight, bias, eps)
    count = x.size // x.shape[1]
    unbiased = spread * (momentum * count / (count - 1))
    return y, now, None, mean * (1 - momentum) + now * momentum, variance * (1 - momentum) + unbiased


@aten("_native_batch_norm_legit.no_stats")
def batch_norm_of_batch(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, training: bool, momentum: float, eps: float
) -> tuple[Any, ...]:
    """(y, ...) with the batch's statistics"""
    return ops.batch_norm_training(x, weight, bias, eps)


@aten("instance_norm.default")
def instance_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor | None,
    variance: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = False,
) -> Tensor:
    if mean is not None and variance is not None and not use_input_stats:
        return ops.batch_norm(x, weight, bias, mean, variance, eps)
    require(mean is None, "an instance norm that keeps running statistics, in training,")
    return ops.group_norm(x, x.shape[1], weight, bias, eps)


@aten("group_norm.default")
def group_norm(
    x: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = False,
) -> Tensor:
    return ops.group_norm(x, num_groups, weight, bias, eps)


@aten("layer_norm.default")
def layer_norm(
    x: Tensor,
    normalized_shape: Ints,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = False,
) -> Tensor:
    return ops.layer_norm(x, len(normalized_shape), weight, bias, eps)


@aten("rms_norm.default")
def rms_norm(x: Tensor, normalized_shape: Ints, weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    axes = list(range(x.ndim - len(normalized_shape), x.ndim))
    smallest = 1.1920929e-07 if eps is None else eps  # float32's epsilon, as in PyTorch
    y = x / ops.sqrt(ops.mean(x * x, axes, keepdims=True) + smallest)
    return y if weight is None else y * weight


@aten("bilinear.default")
def bilinear(x: Tensor, y: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x^T W_o y + b_o of each pair of rows"""
    found = ops.einsum("...i,oij,...j->...o", x, weight, y)
    return found if bias is None else found + bias


@aten("scaled_dot_product_attention.default")
def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | Array | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(q k^T * scale + mask) v"""
    require(dropout_p == 0 and not enable_gqa, "attention with dropout, or grouped")
    turned = ops.transpose(key, (*range(key.ndim - 2), key.ndim - 1, key.ndim - 2))
    scores = ops.matmul(query, turned) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        scores = ops.where(constant(np.tri(*scores.shape[-2:], dtype=bool)), scores, -math.inf)
    if isinstance(attn_mask, Tensor):
        hidden = attn_mask.dtype == "bool"
        scores = ops.where(attn_mask, scores, -math.inf) if hidden else scores + attn_mask
    return ops.matmul(ops.softmax(scores, -1), value)
