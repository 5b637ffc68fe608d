"""Normalization: layers that shift and scale activations by statistics of a batch, a sample, a group or neighbors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid.errors import ShapeError
from pellucid.graph import Tensor, of_arrays
from pellucid.op import Array, OpSample, composite
from pellucid.ops.elementwise import power, sqrt
from pellucid.ops.indexing import pad
from pellucid.ops.reduction import mean, variance
from pellucid.ops.shape import reshape
from pellucid.real_numbers import real
from pellucid.whole_numbers import whole


def _wave(*shape: int) -> Array:
    return np.sin(np.arange(float(np.prod(shape))) * 1.9 + 0.4).reshape(shape)


def _per_channel(name: str, x: Tensor, **vectors: Tensor | None) -> list[Tensor | None]:
    """Vectors of one number per channel of x, each reshaped so that it broadcasts; checks their shapes."""
    if x.ndim < 2:
        raise ShapeError(f"{name}: wants an input of shape (N, C, ...), got {x.shape} (from {x.name!r})")
    shaped: list[Tensor | None] = []
    for what, vector in vectors.items():
        if vector is not None and vector.shape != (x.shape[1],):
            raise ShapeError(f"{name}: {what} {vector.name!r} must have shape ({x.shape[1]},), got {vector.shape}")
        shaped.append(None if vector is None else reshape(vector, (1, x.shape[1], *(1,) * (x.ndim - 2))))
    return shaped


def _affine(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    scaled = x if weight is None else x * weight
    return scaled if bias is None else scaled + bias


_C = np.array([0.5, 1.5, -0.7])


def _batch_norm_samples() -> list[OpSample]:
    vectors = (_C, _C + 1, _C * 0.3, _C**2)
    return [
        OpSample(batch_norm, (_wave(2, 3, 2, 2), *vectors)),
        OpSample(batch_norm, (_wave(4, 3), *vectors), "vectors"),
    ]


def _given_statistics_oracle(torch: Any, x: Any, w: Any, b: Any, m: Any, v: Any) -> Any:
    w, b, m, v = (vector.reshape(1, -1, *(1,) * (x.ndim - 2)) for vector in (w, b, m, v))
    return (x - m) / torch.sqrt(v + 1e-5) * w + b


@composite(_batch_norm_samples, oracle=_given_statistics_oracle)
@of_arrays
def batch_norm(
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    mean: Tensor,
    variance: Tensor,
    epsilon: float = 1e-5,
) -> Tensor:
    """y[n,c,...] = (x - mean[c]) / sqrt(variance[c] + e) * weight[c] + bias[c], with given statistics"""
    epsilon = real("batch_norm", "epsilon", epsilon, 0)
    scale, shift, center, spread = _per_channel("batch_norm", x, weight=weight, bias=bias, mean=mean, variance=variance)
    assert center is not None and spread is not None
    return _affine((x - center) / sqrt(spread + epsilon), scale, shift)


def _batch_norm_training_samples() -> list[OpSample]:
    return [
        OpSample(lambda x, w, b: batch_norm_training(x, w, b)[0], (_wave(2, 3, 2, 2), _C, _C + 1)),
        OpSample(lambda x: batch_norm_training(x, None, None)[0], (_wave(4, 3),), "vectors"),
    ]


def _batch_norm_oracle(torch: Any, x: Any, w: Any = None, b: Any = None) -> Any:
    return torch.nn.functional.batch_norm(x, None, None, w, b, training=True, eps=1e-5)


@composite(_batch_norm_training_samples, oracle=_batch_norm_oracle)
@of_arrays
def batch_norm_training(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, epsilon: float = 1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    """y = (x - m[c]) / sqrt(v[c] + e) * weight[c] + bias[c], with m and v the batch's mean and (biased) variance per channel

    Gives (y, m, v); m and v have shape (C,) (Ioffe and Szegedy 2015).
    """
    epsilon = real("batch_norm_training", "epsilon", epsilon, 0)
    scale, shift = _per_channel("batch_norm_training", x, weight=weight, bias=bias)
    axes = (0, *range(2, x.ndim))
    if x.size <= x.shape[1]:
        count = "one value" if x.size else "no value"
        raise ShapeError(f"batch_norm_training: {x.name!r} {x.shape} has {count} per channel; use a larger batch")
    center, spread = mean(x, axes, keepdims=True), variance(x, axes, keepdims=True)
    y = _affine((x - center) / sqrt(spread + epsilon), scale, shift)
    return y, reshape(center, (x.shape[1],)), reshape(spread, (x.shape[1],))


def _layer_norm_samples() -> list[OpSample]:
    return [OpSample(lambda x, w, b: layer_norm(x, 2, w, b), (_wave(2, 3, 4), _wave(3, 4), _wave(3, 4) + 1))]


@composite(_layer_norm_samples, oracle=lambda torch, x, w, b: torch.nn.functional.layer_norm(x, (3, 4), w, b))
@of_arrays
def layer_norm(
    x: Tensor, normalized_ndim: int, weight: Tensor | None = None, bias: Tensor | None = None, epsilon: float = 1e-5
) -> Tensor:
    """y = (x - m) / sqrt(v + e) * weight + bias, with mean m and variance v over the last `normalized_ndim` axes

    (Ba et al. 2016)
    """
    normalized_ndim = whole("layer_norm", "normalized_ndim", normalized_ndim)
    epsilon = real("layer_norm", "epsilon", epsilon, 0)
    if not 1 <= normalized_ndim <= x.ndim:
        raise ShapeError(f"layer_norm: {x.name!r} has {x.ndim} axes, cannot normalize the last {normalized_ndim}")
    for what, vector in (("weight", weight), ("bias", bias)):
        if vector is not None and vector.shape != x.shape[-normalized_ndim:]:
            raise ShapeError(
                f"layer_norm: {what} {vector.name!r} must be {x.shape[-normalized_ndim:]}, got {vector.shape}"
            )
    return _affine(_normalize(x, tuple(range(x.ndim - normalized_ndim, x.ndim)), epsilon), weight, bias)


def _normalize(x: Tensor, axes: tuple[int, ...], epsilon: float) -> Tensor:
    centered = x - mean(x, axes, keepdims=True)
    return centered / sqrt(variance(x, axes, keepdims=True) + epsilon)


def _group_norm_samples() -> list[OpSample]:
    return [OpSample(lambda x, w, b: group_norm(x, 2, w, b), (_wave(2, 4, 2, 3), _wave(4), _wave(4) + 1))]


@composite(_group_norm_samples, oracle=lambda torch, x, w, b: torch.nn.functional.group_norm(x, 2, w, b))
@of_arrays
def group_norm(
    x: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, epsilon: float = 1e-5
) -> Tensor:
    """y = (x - m[n,g]) / sqrt(v[n,g] + e) * weight[c] + bias[c], with statistics per sample and group of channels

    (Wu and He 2018)
    """
    scale, shift = _per_channel("group_norm", x, weight=weight, bias=bias)
    num_groups = whole("group_norm", "num_groups", num_groups)
    epsilon = real("group_norm", "epsilon", epsilon, 0)
    if num_groups < 1 or x.shape[1] % num_groups:
        raise ShapeError(f"group_norm: {x.shape[1]} channels of {x.name!r} do not split into {num_groups} groups")
    rows = x.size // (x.shape[0] * num_groups) if x.shape[0] else math.prod(x.shape[1:]) // num_groups
    normal = _normalize(reshape(x, (x.shape[0], num_groups, rows)), (2,), epsilon)
    return _affine(reshape(normal, x.shape), scale, shift)


def _lrn_samples() -> list[OpSample]:
    return [
        OpSample(lambda x: local_response_norm(x, 3, 0.5), (_wave(2, 5, 2, 2) + 0.3,)),
        OpSample(lambda x: local_response_norm(x, 4, 0.5), (_wave(2, 5, 2, 2) + 0.3,), "even"),
    ]


@composite(
    _lrn_samples,
    oracle=lambda torch, x, label="": torch.nn.functional.local_response_norm(x, 4 if label else 3, 0.5),
)
@of_arrays
def local_response_norm(x: Tensor, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """y[c] = x[c] / (k + alpha/size * sum of x[c']^2 over the `size` channels c' around c)^beta

    (Krizhevsky et al. 2012, section 3.3, where alpha is not divided by the size; divided as in Caffe and PyTorch)
    """
    size = whole("local_response_norm", "size", size)
    alpha, beta, k = (
        real("local_response_norm", what, value) for what, value in (("alpha", alpha), ("beta", beta), ("k", k))
    )
    if size < 1 or x.ndim < 2:
        raise ShapeError(
            f"local_response_norm: size must be at least 1 and the input (N, C, ...), got {size}, {x.shape}"
        )
    channels = x.shape[1]
    before, after = (max(0, min(n, channels - 1)) for n in (size // 2, (size - 1) // 2))
    squares = pad(x * x, [(0, 0), (before, after), *[(0, 0)] * (x.ndim - 2)])
    total = squares[:, :channels]
    for shift in range(1, before + after + 1):
        total = total + squares[:, shift : shift + channels]
    return x / power(total * (alpha / size) + k, beta)
