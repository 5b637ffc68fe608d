"""The pictures of a data set that excite one unit most, and the patch of each that does it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.data import Dataset, Subset
from pellucid.data.image import shape_for
from pellucid.data.sample import name_of
from pellucid.graph import Graph, Tensor
from pellucid.inference.layers import LayerError, find_unit, per_unit, units_first
from pellucid.inference.reading import read_images, some_images
from pellucid.inference.ready import Ready
from pellucid.nn import Module
from pellucid.nn.axes import Axes
from pellucid.nn.card import card_of, carded
from pellucid.nn.receptive_field import Range, receptive_fields
from pellucid.nn.required import require_net
from pellucid.op import Array
from pellucid.pictures import Answer, Page, Tile, Tiles
from pellucid.pictures.colors import as_rgb
from pellucid.progress import long, progress
from pellucid.renamed import old_property
from pellucid.text import amount, text_table, wrapped

MARK = (220, 38, 38)
"""Color of the line around a patch."""


@dataclass(frozen=True)
class Exciting:
    """One picture: where in the data set it is, and where in it the unit is most active.

    `position` is the place in the unit's map, () for a dense layer, the first of `places` that are as active; `patch` the
    rows and columns of the picture that this place sees, ends excluded, None if it sees none of it; `image` the picture,
    uint8 (C, H, W).
    """

    index: int
    name: str
    label: str
    value: float
    position: tuple[int, ...]
    patch: tuple[Range, Range] | None
    image: Array
    places: int = 1


@dataclass(frozen=True)
class MostExciting(Answer):
    """The pictures that excite a unit most, strongest first, of `count` pictures of `data`.

    `as_strong` others excite it as much as the last one here: where an activation function is flat, many do.
    """

    layer: str
    unit: int
    data: str
    count: int
    images: tuple[Exciting, ...]
    as_strong: int = 0
    pictures = old_property("images")

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        facts = ("index", "name", "label", "value", "position", "places", "patch")
        rows = [{fact: getattr(p, fact) for fact in facts} for p in self.images]
        about = {"layer": self.layer, "unit": self.unit, "data": self.data, "count": self.count}
        return {**about, "as_strong": self.as_strong, "pictures": rows}

    @property
    def equal(self) -> str:
        """A word about pictures and places that are equal, where there are any; "" where the order means something."""
        values, words = [p.value for p in self.images], list[str]()
        if self.as_strong or len(set(values)) < len(values):
            others = f", as do {amount(self.as_strong, 'picture')} more" if self.as_strong else ""
            alike = values.count(values[-1]) if self.as_strong else max(map(values.count, values))
            which = values[-1] if self.as_strong else max(values, key=values.count)
            words.append(
                f"{alike} of these reach {which:z.4g}{others}: among equal ones the first in the data are listed"
            )
        if any(p.places > 1 for p in self.images):
            words.append("a place with a + is the first of several in its picture that are equal")
        return "; ".join(words)

    def __str__(self) -> str:
        rows = [
            [
                f"{p.value:z.4g}",
                p.label,
                p.name,
                ",".join(map(str, p.position)) + ("+" if p.places > 1 else ""),
                *(("none", "none") if p.patch is None else (f"{start}..{stop - 1}" for start, stop in p.patch)),
            ]
            for p in self.images
        ]
        table = text_table(["value", "class", "picture", "place", "rows", "columns"], rows, "rllrrr")
        head = f"{self.layer}, unit {self.unit}: strongest of {amount(self.count, 'picture')} of {self.data}"
        return "\n".join([head, table, *([wrapped(self.equal)] if self.equal else [])])

    def picture(self) -> Page:
        """The patches, and the pictures that they are in."""
        captions = [f"{p.value:z.3g} {p.label}" for p in self.images]
        patches = [
            p.image if p.patch is None else p.image[:, slice(*p.patch[0]), slice(*p.patch[1])] for p in self.images
        ]
        return Page(
            f"What excites {self.layer}, unit {self.unit}",
            (
                f"The strongest of {amount(self.count, 'picture')} of {self.data}: value and class of each.",
                *([f"{self.equal[0].upper()}{self.equal[1:]}."] if self.equal else []),
                _tiles("what the unit sees where it is strongest", patches, captions),
                _tiles("the pictures, with that patch", [_marked(p) for p in self.images], captions),
            ),
        )


@carded
@long
def most_exciting(
    net: Module,
    dataset: Dataset,
    layer: str,
    unit: int,
    count: int = 9,
    *,
    limit: int = 0,
    batch_size: int = 0,
    executor: str = "auto",
) -> MostExciting:
    """The `count` pictures of which one place of a unit's map (or a dense layer's output) is largest.

    One pass over at most `limit` pictures, evenly spread (0: all), keeps the best; these are then looked at again for
    the place. The patch is the receptive field of the place within the picture.
    """
    require_net(net)
    if count < 1:
        raise LayerError(f"{layer}: count must be at least 1, got {count}")
    part, places = some_images(dataset, limit)
    ready, prepared = Ready(net, executor), card_of(net).preprocessing
    graph = ready.graph((1, *shape_for(card_of(net).preprocessing, dataset.shape))).graph
    node = find_unit(graph, layer, unit)
    fields, axis = receptive_fields(graph)[node], Axes(graph).channel_axis(node)

    def largest(graph: Graph) -> list[Tensor]:
        return [ops.max(per_unit(find_unit(graph, layer, unit), axis)[:, unit], 1)]

    def whole(graph: Graph) -> list[Tensor]:
        return [units_first(find_unit(graph, layer, unit), axis)[:, unit]]

    best, values = np.empty(0, np.int64), np.empty(0)
    seen, every = 0, list[Array]()
    with progress("looking for what excites most") as tell:
        for batch, (highest,) in read_images(
            ready, part, ("largest", layer, unit), largest, prepared, batch_size=batch_size
        ):
            best, values = np.append(best, batch.indices), np.append(values, highest)
            every.append(highest)
            kept = np.argsort(-values, kind="stable")[:count]
            best, values = best[kept], values[kept]
            seen += len(highest)
            tell(seen, len(part))
        looked_at = read_images(
            ready, Subset(part, best, "the best"), ("whole", layer, unit), whole, prepared, batch_size=batch_size
        )
        maps = [m for _, (found,) in looked_at for m in found]
    images: list[Exciting] = []
    for index, one in zip(best.tolist(), maps, strict=True):
        place = tuple(int(i) for i in np.unravel_index(int(one.argmax()), one.shape))
        sample = part[index]
        images.append(
            Exciting(
                int(places[index]),
                name_of(part, index),
                part.classes[sample.label],
                float(one.max()),
                place,
                fields.at((0, *place[: axis - 1], unit, *place[axis - 1 :])),
                sample.image,
                int((one == one.max()).sum()),
            )
        )
    last = values[-1] if len(values) else np.nan
    as_strong = int((np.concatenate(every) == last).sum() - (values == last).sum())
    return MostExciting(layer, unit, part.name, len(part), tuple(images), as_strong)


def _tiles(title: str, images: list[Array], captions: list[str]) -> Tiles:
    return Tiles(title, tuple(map(Tile, images, captions)), min(len(images), 5))


def _marked(exciting: Exciting) -> Array:
    """The picture enlarged, with a line around the patch."""
    height, width = exciting.image.shape[1:]
    zoom = math.ceil(160 / max(height, width))
    large = as_rgb(exciting.image).repeat(zoom, 0).repeat(zoom, 1)
    if exciting.patch is None:
        return large.transpose(2, 0, 1)
    (top, bottom), (left, right) = (tuple(zoom * end for end in ends) for ends in exciting.patch)
    line = 2
    inner = large[top + line : bottom - line, left + line : right - line].copy()
    large[top:bottom, left:right] = MARK
    large[top + line : bottom - line, left + line : right - line] = inner
    return large.transpose(2, 0, 1)
