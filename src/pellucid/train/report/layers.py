"""What every layer makes of a picture: of each size of maps the last layer, the others folded away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pellucid.data.image import shape_for
from pellucid.executors.choice import reference_program
from pellucid.explain.trace.drawn_values import drawn_values
from pellucid.inference.ready import Ready
from pellucid.nn.axes import Axes, picture_of
from pellucid.op import Array
from pellucid.pictures import Page, Picture, Tile, Tiles
from pellucid.pictures.tiles import drawable
from pellucid.text import amount
from pellucid.train.task import Parts

SHOWN, FOLDED = 8, 64
"""Maps of a layer: at first, and on demand."""


@dataclass(frozen=True)
class _Layer:
    """What a layer gives for the picture: maps (K, H, W), or one number for each of K."""

    name: str
    values: Array

    @property
    def places(self) -> tuple[int, ...]:
        """Rows and columns of its maps; () where it has none."""
        return self.values.shape[1:]

    def drawn(self, limit: int) -> Picture:
        return drawn_values(self.name, self.values, "activation", limit=limit, strongest=True)


def activations(run: Any, dataset: Any) -> Parts:
    """What the layers of a run's network make of the first picture of `dataset`."""
    image = dataset.image(0)
    layers = _recorded(run, dataset, image)
    stages: list[list[_Layer]] = []
    for layer in layers:
        if not (stages and stages[-1][-1].places == layer.places):
            stages.append([])
        stages[-1].append(layer)
    words = "Shown is the last layer at each size, with its strongest maps; the rest opens on a click."
    shown = drawable(image)
    picture = () if shown is None else (Tiles("The picture", (Tile(shown, run.task.caption(dataset, 0)),)),)
    last = [stage[-1].drawn(SHOWN) for stage in stages]
    return (words, *picture, *last, *(part for stage in stages for part in _folded(stage)))


def _recorded(run: Any, dataset: Any, image: Array) -> list[_Layer]:
    graph = Ready(run.net).graph((1, *shape_for(run.preprocessing, dataset.shape))).graph
    axes = Axes(graph)
    names = {path for path, module in run.net.named_modules() if path and not list(module.children())}
    values = reference_program([graph.outputs[0]]).record({graph.image: run.preprocessing.normalize(image[None])})
    return [
        _Layer(node.name, picture_of(value[0], axes[node]) if value.ndim == 4 else value[0].reshape(-1))
        for node, value in values.items()
        if node.name in names and value.size
    ]


def _folded(stage: list[_Layer]) -> list[Page]:
    """What opens on a click: more maps of the last layer of one size, and its other layers."""
    *others, last = stage
    parts: list[Page] = []
    if last.places and len(last.values) > SHOWN:
        parts.append(Page(f"More maps of {last.name}", (last.drawn(FOLDED),), folded=True))
    if others:
        size = "x".join(map(str, last.places))
        title = f"{amount(len(others), 'other layer')}{f' with maps of {size}' if size else ' without maps'}"
        parts.append(Page(title, tuple(layer.drawn(SHOWN) for layer in others), folded=True))
    return parts
