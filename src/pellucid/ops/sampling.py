"""Reading images at computed places: weighted sums of picked elements, and `grid_sample`, which is made of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.errors import DTypeError, ShapeError, unknown
from pellucid.flags import flag
from pellucid.graph import Tensor, apply, as_tensors, constant
from pellucid.op import NUMBERS, Array, Cost, Op, OpSample, Products, Shape, composite, traffic
from pellucid.ops.comparison import cast, clip, equal, less_equal, minimum, where
from pellucid.ops.elementwise import absolute
from pellucid.ops.ranges import Within
from pellucid.ops.rounding import floor, remainder, round
from pellucid.ops.shape import broadcast_to, reshape

_X = np.sin(np.arange(48.0) * 1.7).reshape(2, 2, 3, 4)
_G = np.cos(np.arange(20.0) * 0.9).reshape(2, 2, 5)
_PLACES = np.array([[[0, 11], [5, 5], [2, 3], [7, 0], [1, 1]], [[3, 2], [0, 4], [9, 10], [11, 0], [6, 6]]])
_WEIGHTS = np.sin(np.arange(20.0)).reshape(2, 5, 2)


class _Picked(Op, registered=False):
    """Of images (N, C, ...), places (N, ..., K) among an image's elements, and as many weights."""

    takes = NUMBERS

    def dtype(self, *inputs: Tensor) -> str:
        if inputs[-1].dtype != "int64":
            raise DTypeError(f"{self.kind}: places {inputs[-1].name!r} must be int64, got {inputs[-1].dtype}")
        return super().dtype(*inputs[:-1])

    @classmethod
    def alike(cls) -> slice:
        return slice(-1)

    def fitting(self, images: Tensor, places: Tensor) -> None:
        if images.ndim < 2 or places.ndim < 2 or images.shape[0] != places.shape[0]:
            raise ShapeError(
                f"{self.kind}: images (N, C, ...) and places (N, ..., K) must be of as many pictures, "
                f"got {images.name!r} {images.shape} and {places.name!r} {places.shape}"
            )

    def cost(self, node: Tensor) -> Cost:
        spread = max(node.inputs[0].size, node.size) if isinstance(self, Spread) else node.size
        channels = next(i.shape[1] for i in node.inputs if i.ndim > 1)
        return Cost(max(2 * channels * node.inputs[-1].size, spread), traffic(node))


@dataclass(frozen=True)
class Blend(_Picked):
    """y[n, c, ...] = sum over k of weights[n, ..., k] * x[n, c] at places[n, ..., k], counted through the image's elements"""

    def shape(self, *inputs: Tensor) -> Shape:
        x, weights, places = inputs
        self.fitting(x, places)
        if weights.shape != places.shape:
            raise ShapeError(f"blend: weights {weights.shape} must be as many as places {places.shape}")
        return (*x.shape[:2], *places.shape[1:-1])

    def require(self, node: Tensor, name: str, *arrays: Array) -> None:
        Within(0, math.prod(arrays[0].shape[2:])).require_within(name, node.inputs[2].name, arrays[2])

    def reference(self, *arrays: Array) -> Array:
        x, weights, places = arrays
        flat = x.reshape(*x.shape[:2], math.prod(x.shape[2:]))
        y = np.zeros((*x.shape[:2], *places.shape[1:-1]), x.dtype)
        for n in range(len(x)):
            y[n] = (flat[n][:, places[n]] * weights[n]).sum(-1)
        return y

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        x, weights, places = node.inputs
        return apply(Spread(x.shape[2:]), upstream, weights, places), apply(Likeness(), x, upstream, places), None

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> Products:
        x, weights, places = arrays
        n, c, at = index[0], index[1], index[2:]
        inside = np.unravel_index(places[(n, *at)], x.shape[2:])
        return Products.of((x, weights), (n, c, *inside), (n, *at, np.arange(places.shape[-1])))

    def torch(self, torch: Any, *tensors: Any) -> Any:
        x, weights, places = tensors
        taken = _taken(torch, x, places)
        return (taken * weights.unsqueeze(1)).sum(-1)

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(lambda x, w, p: apply(Blend(), x, w, p), (_X, _WEIGHTS, _PLACES))]


@dataclass(frozen=True)
class Spread(_Picked):
    """y[n, c] at place q = sum of weights[n, ..., k] * g[n, c, ...] over all places[n, ..., k] = q: the adjoint of blend"""

    to: Shape

    def shape(self, *inputs: Tensor) -> Shape:
        g, weights, places = inputs
        self.fitting(g, places)
        if weights.shape != places.shape or g.shape[2:] != places.shape[1:-1]:
            raise ShapeError(
                f"spread: {g.shape}, weights {weights.shape} and places {places.shape} do not fit together"
            )
        return (*g.shape[:2], *self.to)

    def require(self, node: Tensor, name: str, *arrays: Array) -> None:
        Within(0, math.prod(self.to)).require_within(name, node.inputs[2].name, arrays[2])

    def reference(self, *arrays: Array) -> Array:
        g, weights, places = arrays
        y = np.zeros((g.shape[0], math.prod(self.to), g.shape[1]), g.dtype)
        for n in range(len(g)):
            parts = np.moveaxis(g[n], 0, -1)[..., None, :] * weights[n][..., None]
            np.add.at(y[n], places[n], parts)
        return np.moveaxis(y, -1, 1).reshape(*g.shape[:2], *self.to)

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        g, weights, places = node.inputs
        return apply(Blend(), upstream, weights, places), apply(Likeness(), upstream, g, places), None

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> Products:
        g, weights, places = arrays
        n, c = index[:2]
        place = np.ravel_multi_index(index[2:], self.to)
        hits = np.nonzero(places[n] == place)
        return Products.of((g, weights), (n, c, *hits[:-1]), (n, *hits))

    def torch(self, torch: Any, *tensors: Any) -> Any:
        g, weights, places = tensors
        parts = (g.unsqueeze(-1) * weights.unsqueeze(1)).reshape(*g.shape[:2], places[0:1].numel())
        rows = places.reshape(len(places), 1, parts.shape[2]).expand(parts.shape)
        y = g.new_zeros((*g.shape[:2], math.prod(self.to)))
        return y.scatter_add(2, rows, parts).reshape(*g.shape[:2], *self.to)

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(lambda g, w, p: apply(Spread((3, 4)), g, w, p), (_G, _WEIGHTS, _PLACES))]


@dataclass(frozen=True)
class Likeness(_Picked):
    """y[n, ..., k] = sum over c of g[n, c, ...] * x[n, c] at places[n, ..., k]: what blend's weights have a part in"""

    def shape(self, *inputs: Tensor) -> Shape:
        x, g, places = inputs
        self.fitting(x, places)
        if g.shape != (*x.shape[:2], *places.shape[1:-1]):
            raise ShapeError(f"likeness: {x.shape}, {g.shape} and places {places.shape} do not fit together")
        return places.shape

    def require(self, node: Tensor, name: str, *arrays: Array) -> None:
        Within(0, math.prod(arrays[0].shape[2:])).require_within(name, node.inputs[2].name, arrays[2])

    def reference(self, *arrays: Array) -> Array:
        x, g, places = arrays
        flat = x.reshape(*x.shape[:2], math.prod(x.shape[2:]))
        y = np.zeros(places.shape, x.dtype)
        for n in range(len(x)):
            y[n] = (flat[n][:, places[n]] * g[n][..., None]).sum(0)
        return y

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        x, g, places = node.inputs
        return apply(Spread(x.shape[2:]), g, upstream, places), apply(Blend(), x, upstream, places), None

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> Products:
        x, g, places = arrays
        channels = np.arange(x.shape[1])
        inside = np.unravel_index(places[index], x.shape[2:])
        return Products.of((x, g), (index[0], channels, *inside), (index[0], channels, *index[1:-1]))

    def torch(self, torch: Any, *tensors: Any) -> Any:
        x, g, places = tensors
        return (_taken(torch, x, places) * g.unsqueeze(-1)).sum(1)

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [OpSample(lambda x, g, p: apply(Likeness(), x, g, p), (_X, _G, _PLACES))]


def _taken(torch: Any, x: Any, places: Any) -> Any:
    """x (N, C, ...) at places (N, ..., K), for every channel."""
    flat = x.reshape(*x.shape[:2], math.prod(x.shape[2:]))
    rows = places.reshape(len(places), 1, math.prod(places.shape[1:])).expand(-1, x.shape[1], -1)
    return torch.gather(flat, 2, rows).reshape(*x.shape[:2], *places.shape[1:])


_SHARPNESS = -0.75
"""What PyTorch and ONNX take for the cubic's free number (Keys, 1981)."""
_A = _SHARPNESS
_TAPS: dict[str, tuple[int, tuple[tuple[float, ...], ...]]] = {
    "bilinear": (0, ((1, 0), (-1, 1))),
    "bicubic": (
        -1,
        ((0, 1, 0, 0), (_A, 0, -_A, 0), (-2 * _A, -(_A + 3), 2 * _A + 3, _A), (_A, _A + 2, -(_A + 2), -_A)),
    ),
}
"""The first element that counts, from the one below the place; and by powers of the distance to that the elements' weights."""
MODES, PADDINGS = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")


def _axis(place: Tensor, size: int, mode: str, padding: str, align_corners: bool) -> tuple[Tensor, Tensor]:
    """Which elements of an axis count at places among its elements, and their weights: both (..., taps)."""
    if mode == "nearest":
        first, count = round(_kept_inside(place, size, padding, align_corners)), 1
        weights = broadcast_to(constant(np.ones(1), place.dtype), (*place.shape, 1))
        numbers = reshape(first, (*place.shape, 1))
    else:
        if mode == "bilinear":
            place = _kept_inside(place, size, padding, align_corners)
        begin, powers = _TAPS[mode]
        count = len(powers[0])
        low = floor(place)
        distance = reshape(place - low, (*place.shape, 1))
        weights = constant(np.array(powers[-1]), place.dtype)
        for row in reversed(powers[:-1]):
            weights = weights * distance + constant(np.array(row), place.dtype)
        numbers = reshape(low, (*place.shape, 1)) + constant(np.arange(begin, begin + count), place.dtype)
        if mode == "bicubic" and padding == "reflection":
            numbers = _reflected(numbers, size, align_corners)
    if padding == "zeros":
        inside = cast(less_equal(0.0, numbers), place.dtype) * cast(less_equal(numbers, size - 1.0), place.dtype)
        weights = where(equal(inside, 1.0), weights, 0.0)
    numbers = clip(where(equal(numbers, numbers), numbers, 0.0), 0.0, float(max(0, size - 1)))
    return cast(round(numbers), "int64"), weights


def _kept_inside(place: Tensor, size: int, padding: str, align_corners: bool) -> Tensor:
    """Places beyond the edges brought back, where that is what padding means."""
    if padding == "reflection":
        place = _reflected(place, size, align_corners)
    return place if padding == "zeros" else clip(place, 0.0, float(max(0, size - 1)), open=True)


def _reflected(place: Tensor, size: int, align_corners: bool) -> Tensor:
    """Places mirrored at the edges as often as it takes: at the outer elements' centers, or at their outer sides."""
    low, span = (0.0, size - 1.0) if align_corners else (-0.5, float(size))
    if span <= 0:
        return place * 0.0
    turn = remainder(absolute(place - low), 2 * span)
    return minimum(turn, 2 * span - turn) + low


def _grid_samples() -> list[OpSample]:
    grid = np.sin(np.arange(24.0) * 1.3 + 0.1).reshape(2, 2, 3, 2) * 1.4
    deep = np.sin(np.arange(48.0) * 0.7).reshape(1, 2, 2, 3, 4)
    around = np.cos(np.arange(18.0) * 1.1 + 0.1).reshape(1, 3, 2, 1, 3) * 1.2
    cases = [(mode, padding, align) for mode in MODES for padding in PADDINGS for align in (False, True)]
    return [
        *(OpSample(_sampler(m, p, a), (_X, grid), f"{m}-{p}-{a}") for m, p, a in cases),
        OpSample(_sampler("bilinear", "zeros", False), (deep, around), "bilinear-zeros-False-deep"),
        OpSample(_sampler("nearest", "reflection", True), (deep, around), "nearest-reflection-True-deep"),
        OpSample(_sampler("bilinear", "border", True), (deep, around), "bilinear-border-True-deep"),
    ]


def _sampler(mode: str, padding: str, align_corners: bool) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, grid: grid_sample(x, grid, mode, padding, align_corners)


def _torch_sampled(torch: Any, x: Any, grid: Any, label: str) -> Any:
    mode, padding, align_corners = label.split("-")[:3]
    return torch.nn.functional.grid_sample(x, grid, mode, padding, align_corners == "True")


@composite(_grid_samples, oracle=_torch_sampled)
def grid_sample(
    x: Any, grid: Any, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool = False
) -> Tensor:
    """y[n, c, i, j] = x[n, c] read at the place (grid[n, i, j, 1], grid[n, i, j, 0]), from -1 to 1 along each axis

    x is (N, C, H, W), grid (N, height, width, 2) with the horizontal coordinate first; or (N, C, D, H, W) and
    (N, depth, height, width, 3). -1 and 1 are the outer elements' centers with `align_corners`, else their outer sides.
    Between elements `mode` is bilinear, nearest or bicubic; beyond the edges are zeros, the border, or a reflection. As
    PyTorch's function of this name; both x and grid have gradients.
    """
    align_corners = flag("grid_sample", "align_corners", align_corners)
    (x, grid) = as_tensors(x, grid)
    for what, given, known in (("mode", mode, MODES), ("padding_mode", padding_mode, PADDINGS)):
        if given not in known:
            raise unknown(f"{what} of grid_sample", given, known)
    axes = x.ndim - 2
    if axes < 1 or grid.ndim != x.ndim or grid.shape[-1] != axes or grid.shape[0] != x.shape[0]:
        raise ShapeError(
            f"grid_sample: {x.name!r} {x.shape} wants a grid (pictures, ..., {axes}) of as many pictures and axes, "
            f"got {grid.name!r} {grid.shape}"
        )
    if 0 in x.shape[2:]:
        raise ShapeError(f"grid_sample: {x.name!r} {x.shape} has no element to read")
    halves = (
        (u + 1.0) * (0.5 * (size - 1)) if align_corners else ((u + 1.0) * float(size) - 1.0) * 0.5
        for size, u in ((size, grid[..., axes - 1 - a]) for a, size in enumerate(x.shape[2:]))
    )
    return read_at(x, [*halves], mode, padding_mode, align_corners)


def read_at(
    x: Tensor,
    places: Sequence[Tensor],
    mode: str = "bilinear",
    padding: str = "zeros",
    align_corners: bool = False,
) -> Tensor:
    """x (N, C, ...) read at places (N, ...) among its elements, one tensor for each axis of the images."""
    sizes = x.shape[2:]
    first, *rest = (_axis(p, n, mode, padding, align_corners) for p, n in zip(places, sizes, strict=True))
    numbers, weights = first
    for size, (more, shares) in zip(sizes[1:], rest, strict=True):
        numbers = _crossed(numbers * size, more, lambda a, b: a + b)
        weights = _crossed(weights, shares, lambda a, b: a * b)
    return apply(Blend(), x, weights, numbers)


def _crossed(a: Tensor, b: Tensor, combine: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Each of the last axis of a with each of that of b."""
    lead = a.shape[:-1]
    pairs = combine(reshape(a, (*lead, a.shape[-1], 1)), reshape(b, (*lead, 1, b.shape[-1])))
    return reshape(pairs, (*lead, a.shape[-1] * b.shape[-1]))
