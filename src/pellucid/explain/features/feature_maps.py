"""A network's layers to look at: what each makes of a picture, with gradients, and the filters that it does it with."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.errors import listed
from pellucid.explain.trace.drawn_values import drawn_values
from pellucid.explain.trace.tracing import Activation, Trace, require_trace
from pellucid.flags import flag
from pellucid.graph import Graph, Input, Tensor
from pellucid.inference.layers import LayerError, layer_of, named_node, outputs_of_layers
from pellucid.inference.ready import Ready
from pellucid.inference.shown import as_ground, as_pixels
from pellucid.nn import Module
from pellucid.nn.card import card_of, carded
from pellucid.nn.interface import Shapes, shapes_of
from pellucid.nn.required import require_net
from pellucid.op import Array
from pellucid.ops.convolution import Conv2d, ConvTranspose2d
from pellucid.pictures import Answer, HeatMap, Maps, Page, Picture, Tile, Tiles
from pellucid.text import amount

SCALES = ("shared", "each")


@dataclass(frozen=True)
class ActivationMaps(Answer):
    """What a layer gives for a picture, or the gradient there: `values` (K, H, W), or (K,) of a dense layer.

    `scale` is "shared", one for all maps, or "each", one for every map by itself: that shows form, not size.
    """

    layer: str
    values: Array
    gradient: bool
    scale: str

    @property
    def title(self) -> str:
        """What is shown."""
        return f"gradient at {self.layer}" if self.gradient else self.layer

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: the values."""
        return {
            "layer": self.layer,
            "gradient": self.gradient,
            "scale": self.scale,
            "shape": list(self.values.shape),
            "values": self.values.tolist(),
        }

    def __str__(self) -> str:
        flat = self.values.reshape(len(self.values), -1)
        shape = "x".join(map(str, self.values.shape))
        peaks = np.abs(flat).max(1)
        order = np.argsort(-peaks, kind="stable")
        equal = int((peaks[order[8:]] == peaks[order[7]]).sum()) if len(order) > 8 else 0
        strongest = ", ".join(map(str, order[:8])) + (f" and {equal} that reach as much as the last" if equal else "")
        with np.errstate(invalid="ignore", over="ignore"):  # the mean of both infinities is no number
            mean = flat.mean()
        return (
            f"{self.title}: {shape}, {flat.min():z.4g} to {flat.max():z.4g}, mean {mean:z.4g}, "
            f"{(flat == 0).mean():.1%} zeros\nlargest in units {strongest}"
        )

    def picture(self, limit: int = 64) -> Picture:
        """The maps side by side, at most `limit` of them; of a dense layer its outputs as bars."""
        what, signed = ("gradient", True) if self.gradient else ("activation", None)
        return drawn_values(self.title, self.values, what, scale=self.scale, signed=signed, limit=limit)


@dataclass(frozen=True)
class Stages(Answer):
    """Every stage of a network for one picture, from the picture to the scores; `picture()` is the page."""

    image: Tiles
    layers: tuple[ActivationMaps, ...]
    score: str
    limit: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: shape and range of each stage."""
        rows = [
            {
                "layer": maps.layer,
                "gradient": maps.gradient,
                "shape": list(maps.values.shape),
                "min": float(maps.values.min()),
                "max": float(maps.values.max()),
            }
            for maps in self.layers
        ]
        return {"score": self.score, "stages": rows}

    def __str__(self) -> str:
        return "\n".join([str(maps).partition("\n")[0] for maps in self.layers] + [self.score])

    def picture(self) -> Page:
        """The stages one below the other."""
        return Page("Stage by stage", (self.score, self.image, *(maps.picture(self.limit) for maps in self.layers)))


def activation_maps(trace: Trace, layer: str, scale: str = "shared", gradient: bool = False) -> ActivationMaps:
    """What `layer` gives for the traced picture, or with `gradient` the score's gradient with regard to that."""
    gradient = flag("activation_maps", "gradient", gradient, LayerError)
    require_trace(trace)
    if scale not in SCALES:
        raise LayerError(f"scale is one of {', '.join(SCALES)}, not {scale!r}")
    activation = trace[layer]
    values = activation.gradient if gradient else activation.value
    if values.ndim == 0 or not values.size:
        raise LayerError(f"{layer}: its output {values.shape} has no maps to show")
    return ActivationMaps(layer, activation.channels_first(values), gradient, scale)


@carded
def stages(
    trace: Trace,
    *,
    gradient: bool = False,
    scale: str = "shared",
    limit: int = 16,
    layers: Collection[str] = (),
) -> Stages:
    """What every layer, or each of `layers`, makes of the traced picture; with `gradient` the score's gradient there too.

    At most `limit` maps of each are drawn. Where the network's card has a preprocessing, the picture itself is shown as it was before that.
    """
    gradient = flag("stages", "gradient", gradient, LayerError)
    require_trace(trace)
    names = [n for n in trace if trace[n].value.size and trace[n].shape and not isinstance(trace[n].node.op, Input)]
    chosen = {n: trace[n].name if n in trace else n for n in layers}
    if missing := [n for n, name in chosen.items() if name not in names]:
        raise LayerError(f"no layer with maps is called {missing[0]!r}; {listed(missing[0], names)}")
    kinds = (False, True) if gradient else (False,)
    shown = [
        activation_maps(trace, n, scale, kind) for n in names if not layers or n in chosen.values() for kind in kinds
    ]
    score = f"score {trace.score:z.6g} of {trace.place.words}"
    return Stages(_entrance(trace), tuple(shown), score, limit)


def _entrance(trace: Trace) -> Tiles:
    """The picture, or what stands for one: a signal with a row for each channel."""
    main = Activation(trace, trace.fed.main)
    title = "the picture" if len(main.shape) == 3 else main.name
    if len(main.shape) != 3:
        return Tiles(
            title, (Tile(as_ground(main.value)),), 4, "shown from its smallest value (black) to its largest (white)"
        )
    known = card_of(trace.card).pictures
    image, how = as_pixels(main.as_picture if known is None else main.value, known)
    tiles = [Tile(image)] if len(image) in (1, 3) else [Tile(c[None], f"channel {k}") for k, c in enumerate(image)]
    return Tiles(title, tuple(tiles), 4, f"shown {how}")


@dataclass(frozen=True)
class Filters(Answer):
    """The weights of a convolution: `values` (filters, input channels, rows, columns), as PyTorch stores them."""

    layer: str
    values: Array
    limit: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: the weights."""
        return {"layer": self.layer, "shape": list(self.values.shape), "values": self.values.tolist()}

    def __str__(self) -> str:
        shape = "x".join(map(str, self.values.shape))
        norms = np.sqrt((self.values.astype(np.float64) ** 2).sum((1, 2, 3)))
        order = np.argsort(-norms, kind="stable")
        return (
            f"{self.layer}: {shape} weights, {self.values.min():z.4g} to {self.values.max():z.4g}\n"
            f"largest norms: {', '.join(f'{k} ({norms[k]:.3g})' for k in order[:5])}; "
            f"smallest: {', '.join(f'{k} ({norms[k]:.3g})' for k in order[::-1][:3])}"
        )

    def picture(self) -> Picture:
        """Filters of 3 channels in color, others with one map for each input channel; all on one scale.

        Filters of one pixel are drawn as one map of all their weights.
        """
        count, channels, *size = self.values.shape
        title = f"filters of {self.layer}, {'x'.join(map(str, self.values.shape))}"
        if channels == 3:
            shown = self.values[: self.limit]
            reach = float(np.abs(self.values).max()) or 1.0
            pixels = np.round(127.5 + 127.5 * shown / reach).astype(np.uint8)
            note = f"red, green and blue are the weights of the three channels: {-reach:z.4g} black, 0 gray, {reach:z.4g} full"
            note += f"; {len(shown)} of {amount(count, 'filter')}" if len(shown) < count else ""
            return Tiles(title, tuple(Tile(p, str(k)) for k, p in enumerate(pixels)), 8, note)
        if size == [1, 1]:
            places = range(channels), range(count)
            return HeatMap(title, "input channel", "filter", self.values[:, :, 0, 0], *places, signed=True)
        if channels == 1:
            return Maps.first(title, self.values[:, 0], self.limit, signed=True)
        rows, columns = min(count, max(1, self.limit // 8)), min(channels, 8)
        part = self.values[:rows, :columns].reshape(-1, *self.values.shape[2:])
        captions = tuple(f"{k}, of {c}" for k in range(rows) for c in range(columns))
        note = f"filter, of input channel; {rows} of {amount(count, 'filter')}, {columns} of {amount(channels, 'channel')} of each"
        return Maps(title, part, signed=True, captions=captions, columns=columns, note=note)


def filters(net: Module, shape: Shapes | None = None, layer: str = "", limit: int = 64) -> Filters:
    """The weights of the convolution `layer`, of the first one unless named; `shape` as `Module.summary` takes it.

    A layer that is used twice has the same weights in both places. At most `limit` filters or maps are drawn.
    """
    require_net(net)
    ready = Ready(net)
    asked = ready.graph(shapes_of(net, shape))
    found = _convolutions(asked.graph)
    if not found:
        raise LayerError("the network has no convolution")
    name = layer or next(iter(found))
    if name not in found:
        name = _convolution_of(asked.graph, name, found)
    node = found[name]
    weights = node.inputs[1]
    (values,) = asked.program(ready.setting, [weights])({})
    if isinstance(node.op, ConvTranspose2d):
        values = _by_output(values, node.op.groups)
    return Filters(name, values, limit)


def _by_output(weights: Array, groups: int) -> Array:
    """Weights (C, O/groups, kh, kw) of a transposed convolution as filters (O, C/groups, kh, kw)."""
    split = weights.reshape(groups, -1, *weights.shape[1:]).swapaxes(1, 2)
    return split.reshape(-1, *split.shape[2:])


def _convolution_of(graph: Graph, name: str, found: Mapping[str, Tensor]) -> str:
    """The layer among `found` whose convolution or output the node called `name` is."""
    node = named_node(graph, name)
    layer = layer_of(graph.names[node], set(outputs_of_layers(graph)))
    if layer not in found:
        raise LayerError(f"{name!r} is no convolution; {listed(name, found)}")
    return layer


def _convolutions(graph: Graph) -> dict[str, Tensor]:
    """The convolutions whose weights do not depend on the picture, by the layers' names."""
    layers = set(outputs_of_layers(graph))
    found: dict[str, Tensor] = {}
    for node, name in graph.names.items():
        if isinstance(node.op, Conv2d | ConvTranspose2d) and not Graph([node.inputs[1]]).inputs:
            found.setdefault(layer_of(name, layers), node)
    return found
