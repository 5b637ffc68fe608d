"""What an element sees of the picture: in theory, by the windows on the way to it, and in effect, by its gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pellucid.errors import PellucidError
from pellucid.explain.trace.terms import Index
from pellucid.inference.prepared import prepare
from pellucid.inference.shown import as_ground
from pellucid.inference.target import ScoreError
from pellucid.nn import Module
from pellucid.nn.receptive_field import Range, receptive_fields
from pellucid.op import Array
from pellucid.pictures import Answer, Box, Overlay
from pellucid.renamed import old_property

EFFECTIVE = 1 - 0.9545
"""Share of the largest gradient from which on a pixel counts as seen in effect (Luo et al. 2016, section 3.1)."""


class FieldError(PellucidError, ValueError):
    """A receptive field is asked for of something that has none."""


@dataclass(frozen=True, eq=False)
class ReceptiveField(Answer):
    """What one element of a layer sees.

    `rows` and `columns` (first, last + 1) are those of the picture that can change it: no fewer if `exact`, at most these
    if what it sees depends on the picture. `size` is the height and width of the layer's largest field within the picture,
    `jump` the pixels between neighbors' fields, None where the picture's edges cut all of them off. `effective` (H, W) is the
    element's gradient with regard to each pixel: its absolute value, summed over the picture's channels and averaged over
    `num_images` pictures. `effective_size` is the side of a square of as many pixels as have at least 4.55 % of the
    largest (Luo et al. 2016).
    """

    layer: str
    index: Index
    rows: Range
    columns: Range
    size: tuple[int, int]
    jump: tuple[float | None, float | None]
    exact: bool
    effective: Array
    num_images: int
    num_pictures = old_property("num_images")
    image: Array

    @property
    def effective_size(self) -> float:
        """Side of a square with as many pixels as the element sees in effect."""
        largest = float(self.effective.max())
        return math.sqrt((self.effective >= EFFECTIVE * largest).sum()) if largest else 0.0

    @property
    def theoretical_size(self) -> float:
        """Side of a square with as many pixels as the element sees in theory."""
        return math.sqrt((self.rows[1] - self.rows[0]) * (self.columns[1] - self.columns[0]))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "layer": self.layer,
            "index": list(self.index),
            "rows": list(self.rows),
            "columns": list(self.columns),
            "size": list(self.size),
            "jump": list(self.jump),
            "exact": self.exact,
            "theoretical_size": self.theoretical_size,
            "effective_size": self.effective_size,
            "pictures": self.num_images,
            "effective": self.effective.tolist(),
        }

    def __str__(self) -> str:
        (top, bottom), (left, right) = self.rows, self.columns
        place = f"{self.layer}[{','.join(map(str, self.index))}]"
        mean = "" if self.num_images == 1 else f", mean of {self.num_images} pictures"
        jump = "x".join("?" if j is None else f"{j:g}" for j in self.jump)
        most = "" if self.exact else " at most"
        return (
            f"{place} sees{most} rows {top}..{bottom - 1} and columns {left}..{right - 1} of the picture\n"
            f"theoretical field{most} {self.size[0]}x{self.size[1]}, {jump} pixels from field to field\n"
            f"effective field {self.effective_size:.1f} pixels square of {self.theoretical_size:.1f}{mean}"
        )

    def picture(self) -> Overlay:
        """The effective field as heat over the picture, in the frame of the theoretical one."""
        title = f"What {self.layer}[{','.join(map(str, self.index))}] sees"
        note = f"frame: what can change it; heat: |gradient|, up to {self.effective.max():.4g}; effective side {self.effective_size:.1f} pixels"
        return Overlay(title, self.image, self.effective, (Box(self.rows, self.columns),), note=note)


def receptive_field(
    net: Module,
    images: npt.ArrayLike,
    layer: str,
    index: Index | None = None,
    *,
    shown: Array | None = None,
    executor: str = "auto",
) -> ReceptiveField:
    """The receptive field of `layer` at `index` (without the batch axis; the middle unless given), on real pictures.

    `images` are float (C, H, W) or (N, C, H, W) as the network takes them; `shown`, uint8 (C, H, W), is what to draw for
    the first. The theoretical field goes through every branch, dilation and stride of the graph; the effective one is
    measured. Raises `FieldError` for a layer that sees nothing of the picture.
    """
    pictures = np.asarray(images)
    pictures = pictures[None] if pictures.ndim == 3 else pictures
    if pictures.ndim != 4 or not len(pictures) or pictures.dtype.kind != "f":
        raise ScoreError(
            f"receptive_field: wants pictures, float (C, H, W) or (N, C, H, W), got {pictures.dtype} {pictures.shape}"
        )
    dtype = "float64" if pictures.dtype == np.float64 else "float32"
    prepared = prepare(net, (1, *pictures.shape[1:]), dtype, executor)
    graph = prepared.graph
    node, fields = graph[layer], receptive_fields(graph)
    if node not in fields:
        raise FieldError(f"{layer}: sees nothing of the picture; it is made of parameters alone")
    own = node.shape[1:]
    place = tuple(n // 2 for n in own) if index is None else tuple(index)
    if len(place) != len(own) or any(not -n <= i < n for i, n in zip(place, own, strict=False)):
        raise FieldError(f"{layer}: wants an index of {len(own)} numbers within {own}, got {place}")
    place = tuple(i % n for i, n in zip(place, own, strict=True))
    field = fields[node]
    bounds = field.at((0, *place))
    if bounds is None:
        raise FieldError(f"{layer}: at {place} sees padding alone, nothing of the picture")
    slope = prepared.into_image(node)
    upstream = np.zeros(node.shape, node.dtype)
    upstream[(0, *place)] = 1
    total = np.zeros(pictures.shape[2:])
    for picture in pictures.astype(dtype, copy=False):
        total += np.abs(slope(picture[None], upstream)[0], dtype=np.float64).sum(0)
    image = as_ground(pictures[0]) if shown is None else shown
    effective = total / len(pictures)
    return ReceptiveField(layer, place, *bounds, field.size, field.jump, field.exact, effective, len(pictures), image)
