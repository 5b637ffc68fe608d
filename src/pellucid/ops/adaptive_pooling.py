"""Pooling over the bins of a grid of any size, and over the whole image."""

from __future__ import annotations

import numpy as np

from pellucid.errors import ShapeError
from pellucid.graph import Tensor, constant, of_arrays
from pellucid.op import FLOATS, Array, OpSample, composite, require_dtype
from pellucid.ops.linear import matmul
from pellucid.ops.pooling import average_pool2d, wave
from pellucid.ops.reduction import max, mean
from pellucid.ops.shape import concat, reshape
from pellucid.ops.window import Pair, pair, require_image


def _bins(name: str, size: int, bins: int) -> list[tuple[int, int]]:
    """Where each of `bins` bins over `size` elements starts and stops, as in PyTorch; they may overlap by one."""
    if bins > 0 and size > 0:
        return [(b * size // bins, -(-(b + 1) * size // bins)) for b in range(bins)]
    raise ShapeError(f"{name}: {size} elements cannot be pooled into {bins} bins; both must be at least 1")


def _adaptive_average_samples() -> list[OpSample]:
    return [
        OpSample(lambda x: adaptive_average_pool2d(x, (2, 3)), (wave(2, 2, 5, 7),)),
        OpSample(lambda x: adaptive_average_pool2d(x, (2, 3)), (wave(2, 2, 4, 9),), "even"),
    ]


@composite(_adaptive_average_samples, oracle=lambda torch, x: torch.nn.functional.adaptive_avg_pool2d(x, (2, 3)))
@of_arrays
def adaptive_average_pool2d(x: Tensor, output_size: int | Pair) -> Tensor:
    """y[n,c,i,j] = mean of x over bin (i, j) of an OH x OW grid: rows floor(i H / OH) to ceil((i+1) H / OH)"""
    require_image("adaptive_average_pool2d", x)
    size = pair("adaptive_average_pool2d", "output_size", output_size, 1)
    if size == (1, 1):
        return mean(x, (2, 3), keepdims=True)
    if x.shape[2:] == size:
        return x
    if x.shape[2] % size[0] == 0 and x.shape[3] % size[1] == 0 and x.size:
        return average_pool2d(x, (x.shape[2] // size[0], x.shape[3] // size[1]))

    require_dtype("adaptive_average_pool2d", FLOATS, x)

    def averages(length: int, bins: int) -> Array:
        matrix = np.zeros((bins, length), x.dtype)
        for row, (start, stop) in enumerate(_bins("adaptive_average_pool2d", length, bins)):
            matrix[row, start:stop] = 1 / (stop - start)
        return matrix

    down = constant(averages(x.shape[2], size[0]))
    across = constant(np.ascontiguousarray(averages(x.shape[3], size[1]).T))
    return matmul(matmul(down, x), across)


def _adaptive_max_samples() -> list[OpSample]:
    return [OpSample(lambda x: adaptive_max_pool2d(x, (2, 3)), (wave(2, 2, 5, 7),))]


@composite(_adaptive_max_samples, oracle=lambda torch, x: torch.nn.functional.adaptive_max_pool2d(x, (2, 3)))
@of_arrays
def adaptive_max_pool2d(x: Tensor, output_size: int | Pair) -> Tensor:
    """y[n,c,i,j] = max of x over bin (i, j) of an OH x OW grid: rows floor(i H / OH) to ceil((i+1) H / OH)

    The first of equals gets the gradient, row by row, as in `max_pool2d`.
    """
    require_image("adaptive_max_pool2d", x)
    size = pair("adaptive_max_pool2d", "output_size", output_size, 1)
    bins = [
        max(reshape(x[:, :, top:bottom, left:right], (*x.shape[:2], (bottom - top) * (right - left))), 2, ties="first")
        for top, bottom in _bins("adaptive_max_pool2d", x.shape[2], size[0])
        for left, right in _bins("adaptive_max_pool2d", x.shape[3], size[1])
    ]
    return reshape(concat([reshape(b, (*b.shape, 1)) for b in bins], axis=2), (*x.shape[:2], *size))


def _global_average_samples() -> list[OpSample]:
    return [OpSample(global_average_pool2d, (wave(2, 3, 4, 5),))]


@composite(_global_average_samples, oracle=lambda torch, x: x.mean((2, 3), keepdim=True))
@of_arrays
def global_average_pool2d(x: Tensor) -> Tensor:
    """y[n,c,0,0] = mean over i,j of x[n,c,i,j] (Lin et al. 2014)"""
    require_image("global_average_pool2d", x)
    return mean(x, (2, 3), keepdims=True)


def _global_max_samples() -> list[OpSample]:
    return [OpSample(global_max_pool2d, (wave(2, 3, 4, 5),))]


@composite(_global_max_samples, oracle=lambda torch, x: x.amax((2, 3), keepdim=True))
@of_arrays
def global_max_pool2d(x: Tensor) -> Tensor:
    """y[n,c,0,0] = max over i,j of x[n,c,i,j]"""
    require_image("global_max_pool2d", x)
    return max(x, (2, 3), keepdims=True)
