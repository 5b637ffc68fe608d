"""Resizing: one axis after the other, each as repetition, picking, or a matrix of interpolation weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pellucid import ops
from pellucid.budget import take
from pellucid.errors import GraphError
from pellucid.graph import Tensor, constant
from pellucid.interop.onnx_reader.operators.registry import Call, operator
from pellucid.op import Array

MOST_NEIGHBORS = 2**14
"""Elements on each side that an interpolated element may be made of."""


@dataclass(frozen=True)
class Rule:
    """How places in the output become places in the input, and values there are made of neighbors."""

    mode: str
    coordinates: str
    nearest: str
    cubic: float = -0.75
    exclude_outside: bool = False
    antialias: bool = False
    outside: float = 0.0


@dataclass(frozen=True)
class Resized:
    """One axis: its size before and after, the scale that is asked for, and the part of it that is looked at."""

    before: int
    after: int
    scale: float
    start: float = 0.0
    end: float = 1.0


@operator("Upsample", settings=(1,))
def upsample(call: Call, x: Tensor, scales: Tensor | None = None) -> Tensor:
    """x made larger"""
    factors = call["scales"] if scales is None else call.values("scales", scales).tolist()
    rule = Rule(call["mode"], "asymmetric", "floor")
    return _resized(call, x, _by_scales(call, x, list(range(x.ndim)), factors), rule)


@operator("Resize", settings=(1,), since=10)
def resize_by_scales(call: Call, x: Tensor, scales: Tensor) -> Tensor:
    """x made larger or smaller"""
    return upsample(call, x, scales)


@operator("Resize", settings=(1, 2, 3), since=11)
def resize(
    call: Call, x: Tensor, roi: Tensor | None = None, scales: Tensor | None = None, sizes: Tensor | None = None
) -> Tensor:
    """x made larger or smaller, by scales or to sizes"""
    rule = Rule(
        call["mode"],
        call["coordinate_transformation_mode"],
        call["nearest_mode"],
        float(call["cubic_coeff_a"]),
        bool(call["exclude_outside"]),
        bool(call["antialias"]),
        float(call["extrapolation_value"]),
    )
    along = [call.from_front(a, x.ndim) for a in call["axes"] or range(x.ndim)]
    if scales is not None and scales.size:
        resized = _by_scales(call, x, along, call.values("scales", scales).tolist())
    elif sizes is not None:
        resized = _by_sizes(call, x, along, call.integers("sizes", sizes))
    else:
        raise call.error("has neither scales nor sizes")
    if rule.coordinates == "tf_crop_and_resize" and roi is not None:
        part = call.values("roi", roi).tolist()
        for number, axis in enumerate(along):
            old = resized[axis]
            resized[axis] = Resized(old.before, old.after, old.scale, part[number], part[len(along) + number])
    return _resized(call, x, resized, rule)


def _by_scales(call: Call, x: Tensor, along: list[int], scales: Sequence[float]) -> dict[int, Resized]:
    if len(scales) != len(along) or any(not 0 < s < math.inf for s in scales):
        raise call.error(f"scales must be {len(along)} positive numbers, got {list(scales)}")
    return {a: Resized(x.shape[a], math.floor(x.shape[a] * s), s) for a, s in zip(along, scales, strict=True)}


def _by_sizes(call: Call, x: Tensor, along: list[int], sizes: list[int]) -> dict[int, Resized]:
    if len(sizes) != len(along) or any(n < 0 for n in sizes):
        raise call.error(f"sizes must be {len(along)} non-negative numbers, got {sizes}")
    scales = [n / x.shape[a] for a, n in zip(along, sizes, strict=True)]
    policy = call["keep_aspect_ratio_policy"] or "stretch"
    if policy != "stretch":
        scale = min(scales) if policy == "not_larger" else max(scales)
        return {a: Resized(x.shape[a], math.floor(scale * x.shape[a] + 0.5), scale) for a in along}
    return {a: Resized(x.shape[a], n, s) for a, n, s in zip(along, sizes, scales, strict=True)}


def _resized(call: Call, x: Tensor, resized: dict[int, Resized], rule: Rule) -> Tensor:
    modes: dict[str, Callable[[Tensor, int, Array, Resized, Rule], Tensor]]
    modes = {"nearest": _pick, "linear": _interpolate, "cubic": _interpolate}
    if rule.mode not in modes:
        raise call.error(f"mode must be nearest, linear or cubic, got {rule.mode!r}")
    whole = not x.dtype.startswith("float") and rule.mode != "nearest"
    y = ops.cast(x, "float32") if whole else x
    for axis, size in resized.items():
        if size.before == size.after and size.scale == 1 and rule.coordinates != "tf_crop_and_resize":
            continue
        if size.before == 0:
            raise call.error(f"axis {axis} cannot be resized from {size.before} to {size.after} elements")
        table = 1 if rule.mode == "nearest" else size.before + 16  # of weights, and the places of their neighbors
        take(passing=3 * 8 * (size.after * table + size.before))
        if rule.coordinates not in COORDINATES:
            raise call.error(f"coordinate_transformation_mode {rule.coordinates!r} is not known")
        places = places_of(size, rule.coordinates)
        y = modes[rule.mode](y, axis, places, size, rule)
        if rule.coordinates == "tf_crop_and_resize":
            y = _outside(y, axis, (places < 0) | (places > size.before - 1), rule.outside)
    return ops.cast(y, x.dtype)


COORDINATES = (
    *("asymmetric", "align_corners", "tf_crop_and_resize", "pytorch_half_pixel", "half_pixel"),
    "half_pixel_symmetric",
)
"""Ways to say where elements lie."""


def places_of(axis: Resized, coordinates: str) -> Array:
    """Where in the input each element of the output lies."""
    y = np.arange(axis.after, dtype=np.float64)
    width = axis.scale * axis.before
    if coordinates == "asymmetric":
        return y / axis.scale
    if coordinates == "align_corners":
        return y * 0 if width == 1 else y * (axis.before - 1) / (width - 1)
    if coordinates == "tf_crop_and_resize":
        length, last = axis.end - axis.start, axis.before - 1
        return axis.start * last + (y * 0 + length * last / 2 if width == 1 else y * length * last / (width - 1))
    if coordinates == "pytorch_half_pixel" and width == 1:
        return y * 0 - 0.5
    if coordinates in ("half_pixel", "pytorch_half_pixel"):
        return (y + 0.5) / axis.scale - 0.5
    return axis.before / 2 * (1 - axis.after / width) + (y + 0.5) / axis.scale - 0.5


def picks(places: Array, size: Resized, rule: Rule) -> Array:
    """The number of the nearest element for each place."""
    rounded = {
        "floor": np.floor(places),
        "ceil": np.ceil(places),
        "round_prefer_floor": np.ceil(places - 0.5),
        "round_prefer_ceil": np.floor(places + 0.5),
    }[rule.nearest]
    return np.clip(rounded, 0, size.before - 1).astype(np.int64)


def _pick(x: Tensor, axis: int, places: Array, size: Resized, rule: Rule) -> Tensor:
    """The nearest element for each place."""
    near = picks(places, size, rule)
    times, rest = divmod(size.after, size.before)
    if not rest and np.array_equal(near, np.repeat(np.arange(size.before), times)):
        return ops.repeat(x, [times if a == axis else 1 for a in range(x.ndim)])
    step = int(near[1] - near[0]) if near.size > 1 else 1
    if near.size and step > 0 and np.array_equal(near, near[0] + step * np.arange(near.size)):
        return x[(*[slice(None)] * axis, slice(int(near[0]), int(near[-1]) + 1, step))]
    return ops.gather(x, constant(near), axis)


def interpolation(places: Array, size: Resized, rule: Rule) -> Array:
    """How much of each element (columns) there is at each place (rows)."""
    squeeze = min(size.scale, 1.0) if rule.antialias else 1.0  # a smaller image looks at more neighbors
    reach = math.ceil((1 if rule.mode == "linear" else 2) / squeeze)
    if size.after and reach > MOST_NEIGHBORS:
        raise GraphError(f"each element would be a mean of {2 * reach}, more than {2 * MOST_NEIGHBORS}")
    first = np.floor(places).astype(np.int64)
    weights = np.zeros((size.after, size.before))
    rows = np.arange(size.after)
    total = np.zeros(size.after)
    for k in range(1 - reach, reach + 1) if size.after else ():
        at, weight = first + k, _kernel((first + k - places) * squeeze, rule)
        inside = (at >= 0) & (at < size.before)
        share = np.where(inside, weight, 0) if rule.exclude_outside else weight
        np.add.at(weights, (rows, np.clip(at, 0, size.before - 1)), share)
        total += share
    return weights / total[:, None]


def _interpolate(x: Tensor, axis: int, places: Array, size: Resized, rule: Rule) -> Tensor:
    """A weighted sum of neighbors for each place."""
    return ops.resample(x, interpolation(places, size, rule), axis)


def _kernel(distance: Array, rule: Rule) -> Array:
    """The weight of a neighbor at a distance."""
    d = np.abs(distance)
    if rule.mode == "linear":
        return np.maximum(1 - d, 0)
    a = rule.cubic
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def _outside(x: Tensor, axis: int, outside: Array, value: float) -> Tensor:
    """x with a fixed value where a place lies outside of the image."""
    if not outside.any():
        return x
    mask = constant(outside.reshape([outside.size if a == axis else 1 for a in range(x.ndim)]))
    return ops.where(mask, value, x)
