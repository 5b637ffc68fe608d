"""What an element sees of the picture: in theory, by the windows on the way to it, and in effect, by its gradient."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from pellucid.errors import PellucidError, listed, suggest
from pellucid.explain.trace.expansion import has_batch, without_batch
from pellucid.explain.trace.terms import Index
from pellucid.graph import Graph, Tensor
from pellucid.inference.fed import Fed, Given, InputError, feed
from pellucid.inference.layers import named_node
from pellucid.inference.prepared import prepare
from pellucid.inference.ready import Ready
from pellucid.inference.shown import as_ground
from pellucid.nn import Module
from pellucid.nn.axes import Axes, picture_of
from pellucid.nn.interface import INPUT
from pellucid.nn.receptive_field import Range, in_words, places, receptive_fields
from pellucid.nn.required import require_net
from pellucid.op import Array
from pellucid.pictures import Answer, Box, Overlay
from pellucid.renamed import old_property
from pellucid.text import amount

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
    `num_images` pictures; zeros where the input is whole numbers, which have no gradient. `effective_size` is the side of
    a square of as many pixels as have at least 4.55 % of the largest (Luo et al. 2016). `source` is the input that is seen,
    `words` say where; of what is no picture the last two axes are rows and columns.
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
    source: str
    words: str

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
            "input": self.source,
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
        place = f"{self.layer}[{','.join(map(str, self.index))}]"
        mean = "" if self.num_images == 1 else f", mean of {self.num_images} pictures"
        jump = "x".join("?" if j is None else f"{j:g}" for j in self.jump)
        most = "" if self.exact else " at most"
        return (
            f"{place} sees{most} {self.words}\n"
            f"theoretical field{most} {self.size[0]}x{self.size[1]}, {jump} pixels from field to field\n"
            f"effective field {self.effective_size:.1f} pixels square of {self.theoretical_size:.1f}{mean}"
        )

    def picture(self) -> Overlay:
        """The effective field as heat over the picture, in the frame of the theoretical one."""
        title = f"What {self.layer}[{','.join(map(str, self.index))}] sees"
        note = f"frame: what can change it; heat: |gradient|, up to {self.effective.max():z.4g}; effective side {self.effective_size:.1f} pixels"
        return Overlay(title, self.image, self.effective, (Box(self.rows, self.columns),), note=note)


def receptive_field(
    net: Module,
    images: Given | Sequence[Given],
    layer: str,
    index: Index | None = None,
    *,
    shown: Array | None = None,
    of: str = "",
    executor: str = "auto",
) -> ReceptiveField:
    """The receptive field of `layer` at `index` (without the batch axis; the middle unless given), on real pictures.

    `images` are one example as `trace` takes it, a list of examples, or float (N, C, H, W); `of` is the input whose places
    are meant, the picture unless given. `shown`, uint8 (C, H, W), is what to draw for the first. The theoretical
    field goes through every branch, dilation and stride of the graph; the effective one is measured. Raises `FieldError`
    for a layer that sees nothing of the input.
    """
    require_net(net)
    ready = Ready(net, executor)
    examples = [feed(ready, one, "receptive_field") for one in _one_by_one(images)]
    first = examples[0]
    if any(each.ready is not first.ready for each in examples):
        raise InputError("receptive_field: the examples must have one shape")
    prepared = prepare(ready, first)
    seen = first.main if not of else _find_input(first, of)
    node = named_node(prepared.graph, layer, {**first.inputs, **prepared.outputs})
    fields = receptive_fields(prepared.graph, seen)
    if node not in fields:
        other = "it is made of parameters alone" if not Graph([node]).inputs else "it depends on other inputs alone"
        raise FieldError(f"{layer}: sees nothing of {_called(seen)}; {other}")
    own = without_batch(node, node.shape)
    place = tuple(n // 2 for n in own) if index is None else tuple(index)
    if len(place) != len(own) or any(not -n <= i < n for i, n in zip(place, own, strict=False)):
        raise FieldError(f"{layer}: wants an index of {amount(len(own), 'number')} within {own}, got {place}")
    place = tuple(i % n for i, n in zip(place, own, strict=True))
    full = (0, *place) if has_batch(node) else place
    field = fields[node]
    bounds = field.at(full)
    if bounds is None:
        raise FieldError(f"{layer}: at {place} sees padding alone, nothing of {_called(seen)}")
    letters = Axes(prepared.graph)[seen]
    along = [axis for axis in places(seen.shape, letters)[0] if axis is not None]
    total = np.zeros(field.picture)
    if seen.dtype.startswith("float") and node.dtype.startswith("float"):
        slope = prepared.into(seen, node)
        upstream = np.zeros(node.shape, node.dtype)
        upstream[full] = 1
        for example in examples:
            size = np.moveaxis(np.abs(slope(example, upstream), dtype=np.float64), along, range(-len(along), 0))
            total += size.reshape(-1, *field.picture).sum(0)
    effective = total / len(examples)
    value = first.arrays[seen.name]
    image = as_ground(picture_of(value[0], letters) if has_batch(seen) else value) if shown is None else shown
    facts = field.size, field.jump, field.exact, effective, len(examples), image
    return ReceptiveField(layer, place, *bounds, *facts, seen.name, in_words(seen, bounds))


def _one_by_one(images: Given | Sequence[Given]) -> Sequence[Given]:
    """The examples that are meant: those of a list, the pictures of a batch, or one."""
    if isinstance(images, list) and images and (isinstance(images[0], Mapping) or np.ndim(cast(Any, images[0]))):
        return cast(Sequence[Given], images)
    if not isinstance(images, Mapping) and np.ndim(cast(Any, images)) == 4:
        batch = np.asarray(images)
        if len(batch):
            return list(batch)
        raise InputError(f"receptive_field: wants pictures, float (C, H, W) or (N, C, H, W), got none: {batch.shape}")
    return [cast(Given, images)]


def _find_input(fed: Fed, name: str) -> Tensor:
    found = fed.inputs.get(name)
    if found is None:
        raise FieldError(f"no input is called {name!r}{suggest(name, fed.inputs)}; {listed(name, fed.inputs)}")
    return found


def _called(source: Tensor) -> str:
    return "the picture" if source.name == INPUT else f"the input {source.name!r}"
