"""What the units of a network do over a data set: how often each is active, which are dead, which are saturated."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.autodiff import gradients
from pellucid.data import Dataset
from pellucid.data.image import shape_for
from pellucid.data.sample import require_part
from pellucid.graph import Graph, Tensor
from pellucid.inference.layers import (
    LayerError,
    activation_functions,
    find_unit,
    per_unit,
)
from pellucid.inference.reading import read_images, some_images
from pellucid.inference.ready import Ready
from pellucid.nn import Module
from pellucid.nn.axes import Axes
from pellucid.nn.card import card_of, carded
from pellucid.nn.required import require_net
from pellucid.op import Array
from pellucid.pictures import Answer, Chart, Grid, Page, Picture, Series
from pellucid.progress import long
from pellucid.recognition import find_composites
from pellucid.renamed import old_property
from pellucid.text import WIDTH, amount, named_table, some_of, wrapped

FLAT, SHARE = 0.01, 0.9
_SHOWN = 24
"""Units that are named in text."""


@dataclass(frozen=True)
class LayerUnits(Answer):
    """The units of one layer: arrays (K,) with a number for each channel, or each output of a dense layer.

    `function` is the layer's activation function, "" where it has none. `active` is the share of positions, over all
    pictures, where the output is above 0; `active_images` of the pictures that have such a position; `flat` of the
    positions where the output is not 0 and the function's derivative nearly is (NaN without a function).
    """

    layer: str
    function: str
    positions: int
    active: Array
    active_images: Array
    active_pictures = old_property("active_images")
    flat: Array
    mean: Array
    low: Array
    high: Array
    share: float

    @property
    def dead(self) -> list[int]:
        """Units whose output is 0 at every position of every picture."""
        return np.flatnonzero((self.low == 0) & (self.high == 0)).tolist()

    @property
    def saturated(self) -> list[int]:
        """Units that are flat at more than the stated share of positions."""
        return np.flatnonzero(self.flat > self.share).tolist()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        arrays = {"active": self.active, "active_pictures": self.active_images, "flat": self.flat}
        arrays |= {"mean": self.mean, "min": self.low, "max": self.high}
        columns = {name: values.tolist() for name, values in arrays.items()}
        if not self.function:
            columns["flat"] = [None] * len(self.flat)
        names = ("layer", "function", "positions", "dead", "saturated")
        return {
            **{name: getattr(self, name) for name in names},
            "units": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)],
        }

    def __str__(self) -> str:
        rest = len(self.active) - _SHOWN
        return f"{self.grid(_SHOWN)}" + (f"\nand {rest} more units" if rest > 0 else "")

    def picture(self) -> Page:
        """How active the units are, and the table of all of them."""
        return Page(f"Units of {self.layer}", (self.chart(), self.grid(len(self.active))))

    def chart(self) -> Chart:
        """How often each unit is active."""
        ranked = np.sort(self.active)[::-1]
        note = f"{len(self.dead)} dead, {len(self.saturated)} saturated of {amount(len(ranked), 'unit')}"
        series = (Series("", range(len(ranked)), ranked.tolist(), "bars"),)
        title = f"{self.layer}: how often its units are active"
        return Chart(title, "unit, the most active first", "share of positions", series, note, percent=True)

    def grid(self, count: int) -> Grid:
        """A row for each of `count` units: dead and saturated ones first, then those rarest active."""
        dead, saturated = set(self.dead), set(self.saturated)
        troubled = [k in dead or k in saturated for k in range(len(self.active))]
        order = sorted(range(len(self.active)), key=lambda k: (not troubled[k], self.active[k]))
        rows = [
            [
                str(k),
                f"{self.active[k]:.1%}",
                f"{self.active_images[k]:.1%}",
                "" if np.isnan(self.flat[k]) else f"{self.flat[k]:.1%}",
                *(f"{values[k]:z.4g}" for values in (self.mean, self.low, self.high)),
                "dead" if k in dead else "saturated" if k in saturated else "",
            ]
            for k in order[:count]
        ]
        return Grid(["unit", "active", "in pictures", "flat", "mean", "min", "max", ""], rows, "rrrrrrrl")


@dataclass(frozen=True)
class UnitReport(Answer):
    """Dead and saturated units of one or all layers over `count` pictures of `data`; `rule` says what that means."""

    layers: tuple[LayerUnits, ...]
    data: str
    count: int
    flat: float
    share: float

    @property
    def rule(self) -> str:
        """What makes a unit dead or saturated."""
        return (
            "dead: its output is 0 at every position of every picture; saturated: at more than "
            f"{self.share:.0%} of the positions its output is not 0 and its activation function's derivative is below "
            f"{self.flat:g}; active: its output is above 0"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        facts = {"data": self.data, "count": self.count, "flat_below": self.flat, "share": self.share}
        return {**facts, "rule": self.rule, "layers": [layer.to_dict() for layer in self.layers]}

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Column titles and text cells: a row for each layer."""
        rows = [
            [
                u.layer,
                u.function,
                str(len(u.active)),
                str(len(u.dead)),
                "" if np.isnan(u.flat).all() else str(len(u.saturated)),
                f"{u.active.mean():.1%}",
                some_of([*map(str, u.dead)], 2),
            ]
            for u in self.layers
        ]
        return ["layer", "function", "units", "dead", "saturated", "active", "dead units"], rows

    def __str__(self) -> str:
        parts = [f"{amount(self.count, 'picture')} of {self.data}", named_table(*self.cells(), "llrrrrl", WIDTH)]
        if len(self.layers) == 1:
            parts += ["", str(self.layers[0])]
        return "\n".join([*parts, "", wrapped(self.rule)])

    def picture(self) -> Page:
        """The tables, and how active the units of each layer are."""
        parts: list[Picture | str] = [f"{amount(self.count, 'picture')} of {self.data}. {self.rule.capitalize()}."]
        parts.append(Grid(*self.cells(), "llrrrrl"))
        for units in self.layers:
            parts.append(units.chart())
            if len(self.layers) == 1:
                parts.append(units.grid(len(units.active)))
        return Page(f"Units over {self.data}", tuple(parts))


@carded
@long
def unit_statistics(
    net: Module,
    dataset: Dataset,
    layer: str | None = None,
    *,
    flat: float = FLAT,
    share: float = SHARE,
    limit: int = 0,
    batch_size: int = 0,
    executor: str = "auto",
) -> UnitReport:
    """Dead and saturated units of `layer`, or of every activation function, in one pass over the pictures.

    A unit is a channel of maps, or an output of a dense layer. A layer that an activation function is applied to,
    directly or after batch norm, is judged by that function's output. Dead: the output is 0 at every position of every
    picture; saturated: at more than `share` of the positions the output is not 0 and the function's derivative is
    below `flat` in absolute value. At most `limit` pictures, evenly spread, are read (0: all), as many at
    once as keep the network's values within 1 GiB unless `batch_size` is given.
    """
    require_net(net)
    require_part(dataset)
    ready = Ready(net, executor)
    graph = ready.graph((1, *shape_for(card_of(net).preprocessing, dataset.shape))).graph
    axes = Axes(graph)
    judged = _judged(graph, layer)
    counted = [_Count(graph.names[node], function, node, axes.channel_axis(node)) for node, function, _ in judged]

    def ask(graph: Graph) -> list[Tensor]:
        axes = Axes(graph)
        measured = (_measures(n, axes.channel_axis(n), source, flat) for n, _, source in _judged(graph, layer))
        return [value for measures in measured for value in measures]

    part, _ = some_images(dataset, limit)
    batches = read_images(
        ready,
        part,
        ("units", layer, flat),
        ask,
        card_of(net).preprocessing,
        batch_size=batch_size,
        title="watching units",
    )
    for _, values in batches:
        for number, count in enumerate(counted):
            count.add(*values[5 * number : 5 * number + 5])
    units = tuple(count.result(share) for count in counted)
    return UnitReport(units, part.name, counted[0].pictures, flat, share)


def _judged(graph: Graph, layer: str | None) -> list[tuple[Tensor, str, Tensor | None]]:
    """What is looked at: outputs, each with the name of its activation function and what that is applied to."""
    functions = activation_functions(graph)
    if layer is None:
        if not functions:
            raise LayerError("the network has no activation function; name a layer")
        return [(node, name, source) for node, (name, source) in functions.items()]
    node = find_unit(graph, layer, 0)
    following = {source: output for output, (_, source) in functions.items()}
    norms = find_composites(graph.outputs, lambda match: match.name == "batch_norm")
    normed = next((output for output, match in norms.items() if match.tensors["x"] is node), node)
    candidates = (node, following.get(node, node), following.get(normed, node))
    judged = next((c for c in candidates if c in functions), None)
    return [(node, "", None)] if judged is None else [(judged, *functions[judged])]


def _measures(node: Tensor, axis: int, source: Tensor | None, flat: float) -> list[Tensor]:
    """Per picture and unit, (N, K): positions above 0, flat ones, the sum, minus the smallest and the largest value."""
    value = per_unit(node, axis)
    above = ops.cast(value > 0.0, node.dtype)
    still = above
    if source is not None:
        (slope,) = gradients(node, [source])
        small = ops.cast(ops.absolute(per_unit(slope, axis)) < flat, node.dtype)
        still = small * ops.cast(ops.not_equal(value, 0.0), node.dtype)
    return [ops.sum(above, 2), ops.sum(still, 2), ops.sum(value, 2), ops.max(-value, 2), ops.max(value, 2)]


class _Count:
    """What the units of one layer did so far, summed in float64."""

    def __init__(self, layer: str, function: str, node: Tensor, axis: int) -> None:
        units = node.shape[axis]
        self.layer, self.function = layer, function
        self.positions = math.prod(n for k, n in enumerate(node.shape) if k not in (0, axis))
        self.pictures = 0
        self.sums = np.zeros((4, units))
        self.ends = np.full((2, units), -np.inf)

    def add(self, above: Array, still: Array, total: Array, lowest: Array, highest: Array) -> None:
        """Take in the measures of a batch, each (N, K)."""
        self.pictures += len(above)
        self.sums += [v.sum(0, dtype=np.float64) for v in (above, above > 0, still, total)]
        self.ends = np.maximum(self.ends, [lowest.max(0), highest.max(0)])

    def result(self, share: float) -> LayerUnits:
        """The shares, means and ends."""
        above, seen, still, total = self.sums
        places = self.pictures * self.positions
        flat = still / places if self.function else np.full(len(still), np.nan)
        return LayerUnits(
            self.layer,
            self.function,
            self.positions,
            active=above / places,
            active_images=seen / self.pictures,
            flat=flat,
            mean=total / places,
            low=0 - self.ends[0],
            high=self.ends[1],
            share=share,
        )
