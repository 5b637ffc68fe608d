"""Operators that pick elements: by rank, along an axis, and at computed places."""

from __future__ import annotations

import math

import numpy as np

from pellucid import ops
from pellucid.graph import Tensor, constant
from pellucid.interop.torch_module.aten.registry import aten, require
from pellucid.ops.ranges import from_front
from pellucid.ops.sampling import MODES, PADDINGS


@aten("topk.default")
def top_k(x: Tensor, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> tuple[Tensor, Tensor]:
    return ops.top_k(x, k, dim, largest)


@aten("sort.default", "sort.stable")
def sort(x: Tensor, dim: int = -1, descending: bool = False, *, stable: bool | None = None) -> tuple[Tensor, Tensor]:
    return ops.top_k(x, x.shape[dim], dim, descending)


@aten("argsort.default", "argsort.stable")
def argsort(x: Tensor, dim: int = -1, descending: bool = False, *, stable: bool | None = None) -> Tensor:
    return ops.top_k(x, x.shape[dim], dim, descending)[1]


@aten("gather.default")
def gather(x: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    return ops.take_along(x, from_front(index, x.shape[dim]), dim)


@aten("grid_sampler.default", "grid_sampler_2d.default", "grid_sampler_3d.default")
def grid_sampler(x: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool) -> Tensor:
    return ops.grid_sample(x, grid, MODES[interpolation_mode], PADDINGS[padding_mode], align_corners)


@aten("affine_grid_generator.default")
def affine_grid(theta: Tensor, size: list[int], align_corners: bool) -> Tensor:
    """theta (N, d, d + 1) times every place of an image of d axes, with 1 behind it: (N, ..., d), from -1 to 1"""
    require(len(size) in (4, 5), "an affine grid of other than two or three axes")
    axes = [np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in size[2:]]
    if not align_corners:
        axes = [a * (n - 1) / n for a, n in zip(axes, size[2:], strict=True)]
    places = [*np.meshgrid(*axes, indexing="ij")][::-1]
    rows = np.stack([*places, np.ones(size[2:])], -1).reshape(math.prod(size[2:]), len(axes) + 1)
    moved = ops.matmul(constant(rows.astype(theta.dtype)), ops.transpose(theta, (0, 2, 1)))
    return ops.reshape(moved, (theta.shape[0], *size[2:], len(axes)))
