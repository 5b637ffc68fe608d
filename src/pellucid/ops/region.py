"""Regions of interest: every box of an image becomes a map of one size, by averages of samples or by maxima."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pellucid.errors import DTypeError, OutOfRangeError, ShapeError, unknown
from pellucid.flags import flag
from pellucid.graph import Tensor, apply, as_tensors
from pellucid.op import Array, Cost, Op, OpSample, Shape, Term, traffic
from pellucid.ops.comparison import greater_equal, maximum, where
from pellucid.ops.indexing import gather
from pellucid.ops.ranges import Within
from pellucid.ops.shape import reshape
from pellucid.ops.window import Pair, pair
from pellucid.real_numbers import real
from pellucid.whole_numbers import whole

MOST_SAMPLES = 2**12
"""Samples along one side of a bin: a box that needs more is far larger than any image."""

_X = np.sin(np.arange(2 * 2 * 5 * 6.0) * 1.7).reshape(2, 2, 5, 6)
_BOXES = np.array([[0.3, 0.7, 4.2, 4.1], [-2.0, 1.0, 9.0, 3.0], [2.0, 2.0, 2.0, 2.0], [4.0, 3.5, 1.0, 0.5]])
_PICTURES = np.array([0, 1, 1, 0])


@dataclass(frozen=True)
class Bins:
    """Where the bins of regions sample an image: `size` bins of each, `scale` from boxes to elements, `samples` (0: as needed)."""

    size: tuple[int, int]
    scale: float
    samples: int
    aligned: bool

    def sides(self, box: Array) -> tuple[tuple[float, float, int], tuple[float, float, int]]:
        """For rows and columns: where the box (x1, y1, x2, y2) begins, how long a bin is, and how many samples it has."""
        corners = box * box.dtype.type(self.scale) - box.dtype.type(0.5 if self.aligned else 0.0)
        found: list[tuple[float, float, int]] = []
        for low, high, count in ((corners[1], corners[3], self.size[0]), (corners[0], corners[2], self.size[1])):
            extent = high - low if self.aligned else np.maximum(high - low, box.dtype.type(1))
            samples = self.samples or (int(np.ceil(extent / count)) if np.isfinite(extent) else 1)
            found.append((low, extent / box.dtype.type(count), samples))
        return found[0], found[1]

    def taps(self, side: tuple[float, float, int], count: int, size: int) -> tuple[Array, Array]:
        """Which elements of an axis of `size` each bin's samples lie between, and their shares: (bins, samples, 2) both."""
        start, step, samples = side
        every = np.arange(max(0, samples), dtype=np.asarray(step).dtype)
        place = (
            start
            + np.arange(count, dtype=every.dtype)[:, None] * step
            + (every + every.dtype.type(0.5)) * step / samples
        )
        inside = (place >= -1) & (place <= size)
        place = np.where(inside, np.maximum(place, 0), 0)
        low = np.minimum(place.astype(np.int64), size - 1)
        above = np.where(low < size - 1, place - low, 0)
        shares = np.stack([1 - above, above], -1) * inside[..., None]
        return np.stack([low, np.minimum(low + 1, size - 1)], -1), np.where(np.isfinite(start + step), shares, np.nan)

    def matrices(self, box: Array, height: int, width: int) -> tuple[Array, Array]:
        """How much of each row each row of bins has, and of each column each column: an average is their product."""
        made: list[Array] = []
        for side, count, size in zip(self.sides(box), self.size, (height, width), strict=True):
            numbers, shares = self.taps(side, count, size)
            matrix = np.zeros((count, size), box.dtype)
            np.add.at(matrix, (np.arange(count)[:, None, None], numbers), shares / max(1, side[2]))
            made.append(matrix)
        return made[0], made[1]

    def shares(
        self, box: Array, height: int, width: int
    ) -> Iterator[tuple[tuple[int, int], tuple[Array, Array], Array]]:
        """Each bin, the rows and columns of the elements that have a part in it, and their shares."""
        rows, columns = self.matrices(box, height, width)
        for i, j in np.ndindex(*self.size):
            down, across = np.flatnonzero(rows[i]), np.flatnonzero(columns[j])
            yield (i, j), (down[:, None], across), np.outer(rows[i, down], columns[j, across])


class _Region(Op, registered=False):
    """Of images (N, C, H, W), boxes (R, 4), and for each box the picture that it is of."""

    def dtype(self, *inputs: Tensor) -> str:
        *floats, pictures = inputs
        if pictures.dtype != "int64" or any(not f.dtype.startswith("float") for f in floats):
            have = ", ".join(f"{i.name!r} {i.dtype}" for i in inputs)
            raise DTypeError(f"{self.kind}: wants floating images and boxes and int64 numbers of pictures, got {have}")
        return super().dtype(*floats)

    def fitting(self, images: Tensor, boxes: Tensor, pictures: Tensor, size: tuple[int, int]) -> None:
        fits = images.ndim == 4 and boxes.ndim == 2 and boxes.shape[1] == 4 and pictures.shape == boxes.shape[:1]
        if not fits or min(size) < 1 or 0 in images.shape[2:]:
            raise ShapeError(
                f"{self.kind}: wants images (N, C, H, W), boxes (R, 4) as (x1, y1, x2, y2), R numbers of pictures and bins of at "
                f"least 1x1, got {images.name!r} {images.shape}, {boxes.name!r} {boxes.shape}, {pictures.name!r} "
                f"{pictures.shape} and {size[0]}x{size[1]}"
            )


def _require_boxes(name: str, bins: Bins, boxes: Array) -> None:
    """Raise `OutOfRangeError` for a box so large that sampling it would take long."""
    with np.errstate(all="ignore"):  # in their own type, as `sides` has them
        corners = boxes * boxes.dtype.type(bins.scale)
        extents = (corners[:, 2:] - corners[:, :2]) / (bins.size[1], bins.size[0])
    large = np.isfinite(extents) & (extents > MOST_SAMPLES)
    if not bins.samples and large.any():
        at = int(np.argwhere(large)[0, 0])
        raise OutOfRangeError(
            f"{name}: box {at} is {boxes[at].tolist()}, of which a bin would take more than {MOST_SAMPLES} samples on a side"
        )


@dataclass(frozen=True)
class RoiAlign(_Region):
    """y[r, c, i, j] = mean of x[pictures[r], c] over samples of bin (i, j) of box r, read between elements bilinearly

    The samples form a grid, so the mean is a product: rows of bins of rows, times x, times columns of bins of columns.
    No gradient flows to boxes.
    """

    bins: Bins

    def shape(self, *inputs: Tensor) -> Shape:
        x, boxes, pictures = inputs
        self.fitting(x, boxes, pictures, self.bins.size)
        return boxes.shape[0], x.shape[1], *self.bins.size

    def require(self, node: Tensor, name: str, *arrays: Array) -> None:
        x, boxes, pictures = arrays
        Within(0, x.shape[0]).require_within(name, node.inputs[2].name, pictures)
        _require_boxes(name, self.bins, boxes)

    def reference(self, *arrays: Array) -> Array:
        x, boxes, pictures = arrays
        y = np.empty((len(boxes), x.shape[1], *self.bins.size), x.dtype)
        for r, box in enumerate(boxes):
            for (i, j), at, shares in self.bins.shares(box, *x.shape[2:]):
                y[r, :, i, j] = (x[pictures[r]][:, *at] * shares).sum((1, 2))
        return y

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        x, boxes, pictures = node.inputs
        n, _, height, width = x.shape
        return apply(RoiAlignGradient(self.bins, (n, height, width)), upstream, boxes, pictures), None, None

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        x, boxes, pictures = arrays
        r, c, i, j = index
        rows, columns = self.bins.matrices(boxes[r], *x.shape[2:])
        shares = np.outer(rows[i], columns[j])
        found: list[Term] = []
        for at in np.argwhere(shares != 0):
            place, share = (int(pictures[r]), c, *map(int, at)), float(shares[tuple(at)])
            found.append(Term(((0, place),), share * float(x[place]), share))
        return found

    def cost(self, node: Tensor) -> Cost:
        return Cost(2 * node.size * (4 * max(1, self.bins.samples) ** 2), traffic(node))

    @classmethod
    def samples(cls) -> list[OpSample]:
        def align(label: str, *given: Any) -> OpSample:
            return OpSample(lambda x: roi_align(x, _BOXES.astype(x.dtype), _PICTURES, *given), (_X,), label)

        return [align("two", (2, 3), 1.0, 2), align("unaligned", (2, 3), 0.5, 0, False), align("adaptive", 2)]


@dataclass(frozen=True)
class RoiAlignGradient(_Region):
    """y[n, c] = sum over boxes r of picture n of (rows of r)^T g[r, c] (columns of r): the adjoint of roi_align"""

    bins: Bins
    to: tuple[int, int, int]
    """Pictures, height and width."""

    def shape(self, *inputs: Tensor) -> Shape:
        g, boxes, pictures = inputs
        self.fitting(g, boxes, pictures, self.bins.size)
        if g.shape[0] != boxes.shape[0] or g.shape[2:] != self.bins.size:
            raise ShapeError(f"{self.kind}: wants {boxes.shape[0]} maps of {self.bins.size}, got {g.name!r} {g.shape}")
        return self.to[0], g.shape[1], *self.to[1:]

    def require(self, node: Tensor, name: str, *arrays: Array) -> None:
        Within(0, self.to[0]).require_within(name, node.inputs[2].name, arrays[2])
        _require_boxes(name, self.bins, arrays[1])

    def reference(self, *arrays: Array) -> Array:
        g, boxes, pictures = arrays
        y = np.zeros((self.to[0], g.shape[1], *self.to[1:]), g.dtype)
        for r, box in enumerate(boxes):
            for (i, j), at, shares in self.bins.shares(box, *self.to[1:]):
                y[pictures[r]][:, *at] += g[r, :, i, j, None, None] * shares
        return y

    def gradient(self, node: Tensor, upstream: Tensor) -> tuple[Tensor | None, ...]:
        return apply(RoiAlign(self.bins), upstream, *node.inputs[1:]), None, None

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        g, boxes, pictures = arrays
        n, c, row, column = index
        found: list[Term] = []
        for r in np.flatnonzero(pictures == n):
            rows, columns = self.bins.matrices(boxes[r], *self.to[1:])
            shares = np.outer(rows[:, row], columns[:, column])
            for at in np.argwhere(shares != 0):
                place, share = (int(r), c, *map(int, at)), float(shares[tuple(at)])
                found.append(Term(((0, place),), share * float(g[place]), share))
        return found

    def cost(self, node: Tensor) -> Cost:
        return Cost(2 * node.inputs[0].size * (4 * max(1, self.bins.samples) ** 2), traffic(node))

    @classmethod
    def samples(cls) -> list[OpSample]:
        g = np.cos(np.arange(4 * 2 * 2 * 3.0)).reshape(4, 2, 2, 3)
        op = RoiAlignGradient(Bins((2, 3), 1.0, 2, True), (2, 5, 6))
        return [OpSample(lambda g: apply(op, g, *as_tensors(_BOXES.astype(g.dtype), _PICTURES)), (g,))]


@dataclass(frozen=True)
class RoiAlignWinner(_Region):
    """Of the products of elements and their shares in the samples of bin (i, j) of box r the largest: which element, or its share

    That is what ONNX calls RoiAlign's mode "max". The element is counted through x; where a bin has no sample its share is 0.
    """

    bins: Bins
    share: bool
    differentiable: ClassVar[bool] = False

    def shape(self, *inputs: Tensor) -> Shape:
        x, boxes, pictures = inputs
        self.fitting(x, boxes, pictures, self.bins.size)
        return boxes.shape[0], x.shape[1], *self.bins.size

    def dtype(self, *inputs: Tensor) -> str:
        kind = super().dtype(*inputs)
        return kind if self.share else "int64"

    def require(self, node: Tensor, name: str, *arrays: Array) -> None:
        RoiAlign(self.bins).require(node, name, *arrays)

    def reference(self, *arrays: Array) -> Array:
        x, boxes, pictures = arrays
        channels, height, width = x.shape[1:]
        y = np.zeros((len(boxes), channels, *self.bins.size), x.dtype if self.share else np.int64)
        sizes = zip(self.bins.size, (height, width), strict=True)
        counts = list(sizes)
        for r, box in enumerate(boxes):
            sides = self.bins.sides(box)
            (rows, high), (columns, wide) = (self.bins.taps(s, n, m) for s, (n, m) in zip(sides, counts, strict=True))
            start = (pictures[r] * channels + np.arange(channels)) * height * width
            for i, j in np.ndindex(*self.bins.size):
                places = (rows[i].reshape(-1, 1) * width + columns[j].reshape(1, -1)).reshape(-1)
                shares = (high[i].reshape(-1, 1) * wide[j].reshape(1, -1)).reshape(-1).astype(x.dtype)
                if places.size:
                    flat = x[pictures[r]].reshape(channels, height * width)
                    best = np.argmax(flat[:, places] * shares, axis=1)
                    y[r, :, i, j] = shares[best] if self.share else start + places[best]
        return y

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        return [Term((), float(self.reference(*arrays)[index]))]

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [
            OpSample(
                lambda x, share=share: apply(
                    RoiAlignWinner(Bins((2, 3), 1.0, 2, False), share),
                    x,
                    *as_tensors(_BOXES.astype(x.dtype), _PICTURES),
                ),
                (_X,),
                str(share),
            )
            for share in (False, True)
        ]


@dataclass(frozen=True)
class RoiMaxPlaces(_Region):
    """Which element of x, counted through it, is the largest of bin (i, j) of box r, whose corners are rounded to elements

    A box from element a to element b is b - a + 1 long; its bins go from floor to ceil of equal parts. A bin without an
    element is -1. Of equal elements the first wins. (Girshick, Fast R-CNN, 2015, section 2.1)
    """

    size: tuple[int, int]
    scale: float
    differentiable: ClassVar[bool] = False

    def shape(self, *inputs: Tensor) -> Shape:
        x, boxes, pictures = inputs
        self.fitting(x, boxes, pictures, self.size)
        return boxes.shape[0], x.shape[1], *self.size

    def dtype(self, *inputs: Tensor) -> str:
        super().dtype(*inputs)
        return "int64"

    def require(self, node: Tensor, name: str, *arrays: Array) -> None:
        Within(0, arrays[0].shape[0]).require_within(name, node.inputs[2].name, arrays[2])
        with np.errstate(all="ignore"):
            corners = arrays[1] * arrays[1].dtype.type(self.scale)
            real = np.isfinite(corners).all(1) & np.isfinite(corners[:, 2:] - corners[:, :2]).all(1)
        if not real.all():
            at = int(np.argmin(real))
            raise OutOfRangeError(f"{name}: box {at} is {arrays[1][at].tolist()}, whose corners are no elements")

    def reference(self, *arrays: Array) -> Array:
        x, boxes, pictures = arrays
        channels, height, width = x.shape[1:]
        y = np.full((len(boxes), channels, *self.size), -1)
        for r, box in enumerate(boxes):
            rows, columns = self._edges(box, height, width)
            start = (pictures[r] * channels + np.arange(channels)) * height * width
            for i, j in np.ndindex(*self.size):
                part = x[pictures[r], :, rows[i][0] : rows[i][1], columns[j][0] : columns[j][1]]
                if part.size:
                    at = np.argmax(part.reshape(channels, part[0].size), axis=1)
                    row, column = np.divmod(at, part.shape[2])
                    y[r, :, i, j] = start + (row + rows[i][0]) * width + column + columns[j][0]
        return y

    def _edges(
        self, box: Array, height: int, width: int
    ) -> tuple[Sequence[tuple[int, int]], Sequence[tuple[int, int]]]:
        """From which row to which the bins go, and from which column."""
        scaled = box * box.dtype.type(self.scale)
        whole = np.trunc(scaled)
        corners = whole + np.sign(scaled) * (np.abs(scaled - whole) >= 0.5)  # halves away from 0
        made: list[list[tuple[int, int]]] = []
        for low, high, count, size in (
            (corners[1], corners[3], self.size[0], height),
            (corners[0], corners[2], self.size[1], width),
        ):
            step = max(high - low + 1, 1) / box.dtype.type(count)
            ends = np.arange(count + 1, dtype=box.dtype) * step
            starts, stops = np.clip(np.floor(ends[:-1]) + low, 0, size), np.clip(np.ceil(ends[1:]) + low, 0, size)
            made.append([(int(a), int(b)) for a, b in zip(starts, stops, strict=True)])
        return made[0], made[1]

    def terms(self, node: Tensor, index: tuple[int, ...], *arrays: Array) -> list[Term]:
        return [Term((), float(self.reference(*arrays)[index]))]

    @classmethod
    def samples(cls) -> list[OpSample]:
        return [
            OpSample(
                lambda x: apply(RoiMaxPlaces((2, 3), 0.8), x, *as_tensors(_BOXES.astype(x.dtype), _PICTURES)), (_X,)
            )
        ]


def roi_align(
    x: Any, boxes: Any, pictures: Any, output_size: Pair | int, spatial_scale: float = 1.0, sampling_ratio: int = 0,
    aligned: bool = True, mode: str = "average",
) -> Tensor:  # fmt: skip
    """A map (R, C, height, width) of each box, from samples of x (N, C, H, W) between its elements

    boxes (R, 4) are (x1, y1, x2, y2), multiplied by `spatial_scale`; `pictures` (R) says of which image each is. A box has
    `output_size` bins with `sampling_ratio` samples on a side each, 0 for as many as it has elements there. Element i lies
    at i + 0.5 where `aligned`, else at i, and a box is then at least 1 long. `mode` is average or max, ONNX's: the largest
    product of an element and its share in a sample. No gradient flows to boxes. (He et al., Mask R-CNN, 2017, section 3)
    """
    (x, boxes), (pictures,) = as_tensors(x, boxes), as_tensors(pictures)
    if mode not in ("average", "max"):
        raise unknown("mode of roi_align", mode, ["average", "max"])
    if (samples := whole("roi_align", "sampling_ratio", sampling_ratio)) not in range(MOST_SAMPLES + 1):
        raise ShapeError(f"roi_align: sampling_ratio must be from 0 to {MOST_SAMPLES}, got {samples}")
    size = pair("roi_align", "output_size", output_size, 1)
    scale = real("roi_align", "spatial_scale", spatial_scale, raises=ShapeError)
    bins = Bins(size, scale, samples, flag("roi_align", "aligned", aligned))
    if mode == "average":
        return apply(RoiAlign(bins), x, boxes, pictures)
    place, share = (apply(RoiAlignWinner(bins, s), x, boxes, pictures) for s in (False, True))
    return gather(reshape(x, (x.size,)), place) * share


def roi_max_pool(x: Any, boxes: Any, pictures: Any, output_size: Pair | int, spatial_scale: float = 1.0) -> Tensor:
    """A map (R, C, height, width) of each box: the largest element of x (N, C, H, W) in each bin, 0 where it has none

    Corners of boxes (R, 4) as (x1, y1, x2, y2), multiplied by `spatial_scale`, are rounded to elements; `pictures` (R) says
    of which image each box is. The gradient goes to the element that won. (Girshick, Fast R-CNN, 2015, section 2.1)
    """
    (x, boxes), (pictures,) = as_tensors(x, boxes), as_tensors(pictures)
    size = pair("roi_max_pool", "output_size", output_size, 1)
    scale = real("roi_max_pool", "spatial_scale", spatial_scale, raises=ShapeError)
    places = apply(RoiMaxPlaces(size, scale), x, boxes, pictures)
    return where(greater_equal(places, 0), gather(reshape(x, (x.size,)), maximum(places, 0)), 0.0)
