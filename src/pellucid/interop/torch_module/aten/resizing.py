"""Images made larger or smaller: the nearest pixel, or neighbors mixed along one axis after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pellucid import ops
from pellucid.graph import Tensor, constant
from pellucid.interop.torch_module.aten.registry import aten
from pellucid.op import Array

Ints = Sequence[int]
Floats = Sequence[float]


def _axes(x: Tensor, size: Ints | None, scales: Floats | None) -> list[tuple[int, int, float]]:
    """Per axis the size before, the size after, and how far pixels before lie apart for one step after."""
    before = x.shape[2:]
    after = list(size) if size is not None else [int(n * s) for n, s in zip(before, scales or (), strict=True)]
    steps = [n / m for n, m in zip(before, after, strict=True)] if scales is None else [1 / s for s in scales]
    return list(zip(before, after, steps, strict=True))


def _pick(x: Tensor, places: Sequence[Array]) -> Tensor:
    """The pixels at given places of each axis; repeated where every one comes equally often, one after the other."""
    for axis, place in enumerate(places, 2):
        n = x.shape[axis]
        times = len(place) // n
        if times and np.array_equal(place, np.repeat(np.arange(n), times)):
            x = ops.repeat(x, [times if a == axis else 1 for a in range(x.ndim)])
        else:
            x = ops.gather(x, constant(place), axis)
    return x


def _nearest(x: Tensor, size: Ints | None, scales: Floats | None, shift: float) -> Tensor:
    def place(before: int, after: int, step: float) -> Array:
        at = np.floor((np.arange(after, dtype=np.float32) + np.float32(shift)) * np.float32(step))
        return np.minimum(at.astype(np.int64), before - 1)

    return _pick(x, [place(*axis) for axis in _axes(x, size, scales)])


@aten("upsample_nearest1d.vec", "upsample_nearest2d.vec")
def nearest(x: Tensor, output_size: Ints | None, scale_factors: Floats | None = None) -> Tensor:
    return _nearest(x, output_size, scale_factors, 0.0)


@aten("_upsample_nearest_exact2d.vec")
def nearest_exact(x: Tensor, output_size: Ints | None, scale_factors: Floats | None = None) -> Tensor:
    return _nearest(x, output_size, scale_factors, 0.5)


def _mixed(
    x: Tensor,
    size: Ints | None,
    align_corners: bool,
    scales: Floats | None,
    taps: Callable[[Array], tuple[Array, Array]],
    clamped: bool,
) -> Tensor:
    """Every pixel after as a mix of pixels before; `taps` gives places (relative) and shares for fractions."""
    for axis, (before, after, step) in enumerate(_axes(x, size, scales), 2):
        apart = (before - 1) / (after - 1) if after > 1 else 0.0
        at = np.arange(after) * apart if align_corners else (np.arange(after) + 0.5) * step - 0.5
        at = np.maximum(at, 0) if clamped else at
        low = np.floor(at)
        places, shares = taps(at - low)
        matrix = np.zeros((after, before))
        for place, share in zip(places, shares, strict=True):
            np.add.at(matrix, (np.arange(after), np.clip(low + place, 0, before - 1).astype(int)), share)
        x = ops.resample(x, matrix, axis)
    return x


def _two(fraction: Array) -> tuple[Array, Array]:
    return np.array([0, 1]), np.stack([1 - fraction, fraction])


def _four(fraction: Array) -> tuple[Array, Array]:
    """Keys' cubic with a = -0.75, as in PyTorch."""
    a = -0.75
    distances = np.stack([fraction + 1, fraction, 1 - fraction, 2 - fraction])
    near = ((a + 2) * distances - (a + 3)) * distances**2 + 1
    far = ((distances - 5) * distances + 8) * distances * a - 4 * a
    return np.array([-1, 0, 1, 2]), np.where(distances <= 1, near, far)


@aten("upsample_bilinear2d.vec", "upsample_linear1d.vec")
def linear(x: Tensor, output_size: Ints | None, align_corners: bool, scale_factors: Floats | None = None) -> Tensor:
    return _mixed(x, output_size, align_corners, scale_factors, _two, clamped=True)


@aten("upsample_bicubic2d.vec")
def cubic(x: Tensor, output_size: Ints | None, align_corners: bool, scale_factors: Floats | None = None) -> Tensor:
    return _mixed(x, output_size, align_corners, scale_factors, _four, clamped=False)
