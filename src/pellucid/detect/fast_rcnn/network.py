"""Fast R-CNN's network: maps of the whole picture, made once; every region pooled to one size; two heads."""

from __future__ import annotations

import math
from collections import defaultdict

from pellucid import ops
from pellucid.errors import PellucidError
from pellucid.graph import Parameter, Tensor, topological
from pellucid.nn import Module
from pellucid.nn.activations import ReLU
from pellucid.nn.initializers import normal, zeros
from pellucid.nn.layers import BatchNorm2d, Dropout, Linear, Sequential
from pellucid.ops.indexing import Pad
from pellucid.scopes import inference_mode
from pellucid.walks import bottlenecks, depending

STRIDE = 16
"""Pixels of the picture from one element of the pooled maps to the next."""
BINS = 7
FIXED_STRIDE = 4
"""Layers up to this stride keep the weights that they were given (Girshick 2015, section 4.5)."""


class BackboneError(PellucidError, ValueError):
    """A network has no maps that regions could be pooled of."""


def maps_of(images: Tensor, scores: Tensor, stride: int = STRIDE) -> Tensor:
    """Of a network that makes `scores` of `images` the last maps of a stride that all later ones are made of.

    A part of the network that begins at this stride and goes on to a larger one, as a block that makes maps smaller, is left out.
    """
    nodes = topological([scores])
    strides: dict[str, set[int]] = defaultdict(set)
    for node in depending(nodes, [images]):
        if node.ndim == 4 and not isinstance(node.op, Pad):  # which makes small maps seem of another stride
            for part in _parts(node):
                strides[part].add(stride_of(images, node))
    going_on = {part for part, there in strides.items() if min(there) == stride < max(there)}
    layers = {_parts(n)[0] for n in nodes if n.inputs} - {part for n in nodes if n.inputs for part in _parts(n)[1:]}
    found = [
        n
        for n in bottlenecks([scores], images)
        if n.ndim == 4
        and stride_of(images, n) == stride
        and not ("/" in n.name and _parts(n)[0] in layers)
        and going_on.isdisjoint(_parts(n))
    ]
    if not found:
        raise BackboneError(
            f"this network has no maps with a stride of {stride} pixels that all its scores are made of; choose another backbone"
        )
    return found[-1]


def _parts(node: Tensor) -> list[str]:
    """The layer or part of the network that a node is of, and the parts that this lies in, from the inside out."""
    path = node.name.partition("/")[0].split(".")
    return [".".join(path[:count]) for count in range(len(path), 0, -1)]


def stride_of(images: Tensor, maps: Tensor) -> int:
    """Pixels from one element to the next: a power of 2 in all usual networks."""
    return 2 ** round(math.log2(max(1.0, images.shape[2] / max(1, maps.shape[2]))))


def learned_from(output: Tensor, images: Tensor, stride: int) -> set[Parameter]:
    """The weights and biases of layers that make `output` of images, whose maps have a stride of so many pixels or more, or that make none."""
    nodes = topological([output])
    seen = depending(nodes, [images])
    deep = [n for n in nodes if n in seen and (n.ndim != 4 or stride_of(images, n) >= stride)]
    weights = [i for node in deep for i in node.inputs if i not in seen]
    return {p for p in topological(weights) if isinstance(p, Parameter) and p.trainable}


class FastRCNN(Module):
    """`backbone` up to maps of stride 16, regions pooled to 7x7, two layers of `width`, and the heads `score` and `move`.

    Called with images (N, 3, H, W), boxes (R, 4) on them in pixels and the number of the picture of each (R,), gives scores
    (R, 1 + classes), the background first, and offsets (R, 4 * (1 + classes)). Batch norms of the backbone keep their statistics.
    """

    def __init__(self, backbone: Module, channels: int, num_classes: int, width: int = 1024) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = Sequential(
            Linear(channels * BINS * BINS, width), ReLU(), Dropout(), Linear(width, width), ReLU(), Dropout()
        )
        self.score = _head(width, num_classes + 1, 0.01)
        self.move = _head(width, 4 * (num_classes + 1), 0.001)

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, images: Tensor, boxes: Tensor, pictures: Tensor
    ) -> tuple[Tensor, Tensor]:
        return self.heads(self.pooled(self.maps(images), boxes, pictures))

    def maps(self, images: Tensor) -> Tensor:
        """Maps of the pictures, (N, C, H / 16, W / 16)."""
        with inference_mode():
            scores = self.backbone(images)
        return maps_of(images, scores)

    @staticmethod
    def pooled(maps: Tensor, boxes: Tensor, pictures: Tensor) -> Tensor:
        """The maps within each box, (R, C, 7, 7)."""
        return ops.roi_max_pool(maps, boxes, pictures, BINS, 1.0 / STRIDE)

    def heads(self, regions: Tensor) -> tuple[Tensor, Tensor]:
        """Scores and offsets of pooled regions."""
        y = self.head(ops.flatten(regions))
        return self.score(y), self.move(y)


def _head(inputs: int, outputs: int, deviation: float) -> Linear:
    """A linear layer that begins nearly at 0 (Girshick 2015, section 2.3)."""
    made = Linear(inputs, outputs)
    made.weight = Parameter(made.weight.shape, normal(std=deviation))
    made.bias = Parameter((outputs,), zeros())
    return made


def channels_of(backbone: Module) -> int:
    """How many channels the maps have that regions are pooled of."""
    with inference_mode():
        graph = backbone.graph((1, 3, 224, 224))
    return maps_of(graph.inputs[0], graph.outputs[0]).shape[1]


def fixed_parameters(net: FastRCNN, images: Tensor) -> set[Parameter]:
    """What training leaves as it is: batch norms of the backbone, its first layers, and what comes after the maps."""
    learning = learned_from(net.maps(images), images, 2 * FIXED_STRIDE)
    norms = {p for _, m in net.backbone.named_modules() if isinstance(m, BatchNorm2d) for p in m.parameters()}
    return {*net.backbone.named_parameters().values()} - (learning - norms)
