"""A kernel moved over a picture, number by number: patch x kernel, summed, and what a pooling window then keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.errors import PellucidError, unknown
from pellucid.executors import run
from pellucid.graph import constant
from pellucid.op import Array
from pellucid.ops.pooling import MaxPool2d
from pellucid.ops.window import Window
from pellucid.pictures import Answer, Grid, Maps, Page
from pellucid.shown import missed_by, shown

KERNELS: dict[str, tuple[tuple[float, ...], ...]] = {
    "identity": ((0, 0, 0), (0, 1, 0), (0, 0, 0)),
    "sobel-x": ((-1, 0, 1), (-2, 0, 2), (-1, 0, 1)),
    "sobel-y": ((-1, -2, -1), (0, 0, 0), (1, 2, 1)),
    "laplacian": ((0, 1, 0), (1, -4, 1), (0, 1, 0)),
    "sharpen": ((0, -1, 0), (-1, 5, -1), (0, -1, 0)),
    "blur": ((0.0625, 0.125, 0.0625), (0.125, 0.25, 0.125), (0.0625, 0.125, 0.0625)),
    "box": ((0.25, 0.25), (0.25, 0.25)),
    "emboss": ((-2, -1, 0), (-1, 1, 1), (0, 1, 2)),
    "edge": ((-1, -1, -1), (-1, 8, -1), (-1, -1, -1)),
}
"""Kernels by the names that they go by."""
POOLINGS = ("max", "average", "none")
MOST_SIDE, MOST_KERNEL = 256, 15
"""Rows and columns of a picture, and of a kernel."""


class ConvolvingError(PellucidError, ValueError):
    """A kernel, a window or a place that does not fit the picture."""


@dataclass(frozen=True)
class Convolved(Answer):
    """A picture (H, W), a kernel (kh, kw), and the output (OH, OW) with every number float64.

    At the output's cell `at`, `patch` (kh, kw) is what of the padded picture lies under the kernel and `products` are
    patch x kernel; these and the bias add up to the output there. `pooled` (PH, PW) is what pooling makes of the output, with
    `winners` (PH, PW, 2), the cells of the output that were kept, where it takes maxima. `unused` are the rows below and the
    columns to the right that no window reaches, because the stride does not divide.
    """

    image: Array
    kernel: Array
    bias: float
    stride: int
    padding: int
    dilation: int
    output: Array
    at: tuple[int, int]
    patch: Array
    products: Array
    pooling: str
    pool_size: int
    pooled: Array
    winners: Array
    unused: tuple[int, int]

    @property
    def value(self) -> float:
        """The output at `at`."""
        return float(self.output[self.at])

    @property
    def missed(self) -> float:
        """By how much the factors as they are shown, multiplied and added up with the bias, miss the output as it is shown."""
        pairs = zip(self.patch.ravel().tolist(), self.kernel.ravel().tolist(), strict=True)
        return missed_by([*(shown(p) * shown(k) for p, k in pairs), shown(self.bias)], self.value)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `cells` counts those of the output, `kept` those that pooling keeps."""
        told = {n: value.tolist() if isinstance(value, np.ndarray) else value for n, value in vars(self).items()}
        return {**told, "cells": self.output.size, "kept": self.winners[..., 0].size, "missed": self.missed}

    def __str__(self) -> str:
        rows, columns = self.output.shape
        sums = " + ".join(
            f"{p:z.6g} x {k:z.6g}"
            for p, k in zip(self.patch.ravel().tolist(), self.kernel.ravel().tolist(), strict=True)
        )
        lines = [
            f"picture {self.image.shape[0]}x{self.image.shape[1]}, kernel {self.kernel.shape[0]}x{self.kernel.shape[1]}, "
            f"stride {self.stride}, padding {self.padding}, dilation {self.dilation}: output {rows}x{columns}",
            f"output[{self.at[0]},{self.at[1]}] = {sums} + {self.bias:z.6g} = {self.value:z.6g}",
        ]
        if any(self.unused):
            lines.append(f"{self.unused[0]} rows and {self.unused[1]} columns at the end are under no window")
        if self.pooling != "none":
            lines.append(
                f"{self.pooling} pooling {self.pool_size}x{self.pool_size}: {self.pooled.shape[0]}x{self.pooled.shape[1]}"
            )
        return "\n".join(lines)

    def picture(self) -> Page:
        """The picture, the kernel, the products, the output, and what pooling makes of it."""
        shown = [
            Maps("picture", self.image),
            Maps("kernel", self.kernel, signed=True),
            Maps(f"patch x kernel at output[{self.at[0]},{self.at[1]}]", self.products, signed=True),
            Maps("output", self.output),
            *([] if self.pooling == "none" else [Maps(f"{self.pooling} pooling", self.pooled)]),
        ]
        rows = [[f"{value:z.6g}" for value in row] for row in self.products.tolist()]
        products = Grid(
            [str(k) for k in range(self.products.shape[1])], rows, "r" * self.products.shape[1], title="patch x kernel"
        )
        return Page("A kernel over a picture", (str(self), *shown, products))


def convolve(
    image: Array,
    kernel: str | Sequence[Sequence[float]] | Array = "sobel-x",
    at: tuple[int, int] | None = None,
    *,
    bias: float = 0.0,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    pooling: str = "max",
    pool_size: int = 2,
    shift: tuple[int, int] = (0, 0),
) -> Convolved:
    """A kernel over a picture (H, W), as layers do it (cross-correlation), and pooling over the output.

    `kernel` is one of `KERNELS` by name, or rows of numbers; `at` is the cell of the output that is taken apart, its middle
    unless given. `shift` moves the picture down and to the right first, zeros coming in. Raises `ConvolvingError`.
    """
    values, weights = _image(image, shift), _kernel(kernel)
    window = _window(values, weights, stride, padding, dilation, bias)
    x, w = constant(values[None, None], "float64"), constant(weights[None, None], "float64")
    y = ops.conv2d(x, w, constant(np.array([bias]), "float64"), stride, padding, dilation)
    output = run([y], {})[0][0, 0]
    place = (output.shape[0] // 2, output.shape[1] // 2) if at is None else at
    if not (len(place) == 2 and all(0 <= k < n for k, n in zip(place, output.shape, strict=True))):
        raise ConvolvingError(
            f"the output has cells [0,0] to [{output.shape[0] - 1},{output.shape[1] - 1}], none at {list(place)}"
        )
    if pooling not in POOLINGS:
        raise unknown("pooling", pooling, POOLINGS)
    rows, columns = (place[axis] * stride + dilation * np.arange(weights.shape[axis]) for axis in (0, 1))
    patch = np.pad(values, padding)[np.ix_(rows, columns)]
    pooled, winners = _pooled(output, pooling, pool_size)
    covered = [
        (output.shape[a] - 1) * stride + window.kernel[a] + (dilation - 1) * (window.kernel[a] - 1) for a in (0, 1)
    ]
    unused = (values.shape[0] + 2 * padding - covered[0], values.shape[1] + 2 * padding - covered[1])
    return Convolved(
        values, weights, bias, stride, padding, dilation, output, (int(place[0]), int(place[1])), patch, patch * weights,
        pooling, pool_size, pooled, winners, unused,
    )  # fmt: skip


def _image(image: Array, shift: tuple[int, int]) -> Array:
    values = np.array(image, np.float64)
    if values.ndim != 2 or not values.size or max(values.shape) > MOST_SIDE or not np.isfinite(values).all():
        raise ConvolvingError(
            f"wants a picture of finite numbers (H, W) of {MOST_SIDE} rows and columns at most, got {values.shape}"
        )
    moved = np.zeros_like(values)
    down, right = (int(np.clip(step, -size, size)) for step, size in zip(shift, values.shape, strict=True))
    height, width = values.shape
    moved[max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = values[
        max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)
    ]
    return moved


def _kernel(kernel: str | Sequence[Sequence[float]] | Array) -> Array:
    if isinstance(kernel, str):
        if kernel not in KERNELS:
            raise unknown("kernel", kernel, KERNELS)
        kernel = KERNELS[kernel]
    try:
        weights = np.array(kernel, np.float64)
    except (TypeError, ValueError) as error:
        raise ConvolvingError(f"a kernel is rows of as many numbers each ({error})") from error
    if weights.ndim != 2 or not weights.size or max(weights.shape) > MOST_KERNEL or not np.isfinite(weights).all():
        raise ConvolvingError(
            f"a kernel has finite numbers in {MOST_KERNEL} rows and columns at most, got shape {weights.shape}"
        )
    return weights


def _window(values: Array, weights: Array, stride: int, padding: int, dilation: int, bias: float) -> Window:
    if stride < 1 or dilation < 1 or not 0 <= padding <= MOST_KERNEL or not np.isfinite(bias):
        raise ConvolvingError(
            f"wants stride and dilation from 1, padding 0 to {MOST_KERNEL} and a finite bias, got {stride}, {dilation}, {padding}, {bias}"
        )
    for axis, name in enumerate(("rows", "columns")):
        reach, there = dilation * (weights.shape[axis] - 1) + 1, values.shape[axis] + 2 * padding
        if reach > there:
            raise ConvolvingError(
                f"the kernel reaches over {reach} {name}, the padded picture has {there}; pad more, or dilate less"
            )
    return Window((weights.shape[0], weights.shape[1]), (stride, stride), (padding, padding), (dilation, dilation))


def _pooled(output: Array, pooling: str, size: int) -> tuple[Array, Array]:
    """What pooling makes of the output, and the cells (row, column) that maxima are of."""
    nothing = np.zeros((0, 0)), np.zeros((0, 0, 2), np.int64)
    if pooling == "none":
        return nothing
    if not 1 <= size <= min(output.shape):
        raise ConvolvingError(
            f"pool_size: wants 1 to {min(output.shape)}, as the output is {output.shape[0]}x{output.shape[1]}, got {size}"
        )
    x = constant(output[None, None], "float64")
    node = ops.max_pool2d(x, size) if pooling == "max" else ops.average_pool2d(x, size)
    pooled = run([node], {})[0][0, 0]
    if not isinstance(node.op, MaxPool2d):
        return pooled, np.zeros((0, 0, 2), np.int64)
    rows, columns = np.divmod(node.op.winners(output[None, None])[0, 0], size)
    places = np.indices(pooled.shape)
    return pooled, np.stack([places[0] * size + rows, places[1] * size + columns], -1)
