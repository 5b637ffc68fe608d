"""What a network says of regions: the vector before its last layer ("fc7"), and its last maps ("pool5"), many regions at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.data import Preprocessing
from pellucid.detect.backbones import built
from pellucid.detect.config import DetectionConfig
from pellucid.detect.errors import DetectorError
from pellucid.detect.keeping import kept
from pellucid.detect.rcnn.crops import CropSettings, squares_of
from pellucid.executors import Program, compile
from pellucid.graph import Tensor
from pellucid.inference.layers import find_layer, layer_before_head
from pellucid.nn import Module
from pellucid.plain import Array
from pellucid.scopes import inference_mode
from pellucid.walks import bottlenecks

VERSION = 2
"""Of crops and features: another one makes others of the same region."""
FEW, MANY = 8, 64
"""Crops that a program is compiled for: many as long as there are as many, then few at a time, the last of which are filled up."""
MOST_SIDE, MOST_CONTEXT = 1024, 10.0
MOST_NUMBERS = 10_000
"""Numbers of the maps of a region, at most: those of AlexNet, 9,216, are kept as they are; larger maps are averaged over parts."""


class Backbone:
    """A network that describes regions, cut out as `crop` says; without it as the settings do."""

    def __init__(
        self, net: Module, preprocessing: Preprocessing, config: DetectionConfig, crop: CropSettings | None = None
    ) -> None:
        self.net, self.preprocessing, self.config = net, preprocessing, config
        self.crop = crop or CropSettings(config.crop_size or preprocessing.image_size[0], config.context)
        self.side = self.crop.side
        usual = preprocessing.channels == 3 and preprocessing.layout == "NCHW"
        if not usual or not 2 * self.crop.padding < self.side <= MOST_SIDE:
            raise DetectorError(
                f"{config.backbone}: regions of {preprocessing.channels} channels and {self.side} pixels cannot be cut out with a context of "
                f"{self.crop.padding}; wants 3 channels and a crop_size of more than {2 * self.crop.padding}, up to {MOST_SIDE}"
            )
        if not 0 <= self.crop.context <= MOST_CONTEXT:
            raise DetectorError(
                f"{config.backbone}: regions cannot be enlarged by {self.crop.context} times their size; wants 0 to {MOST_CONTEXT}"
            )
        self._programs: dict[int, Program] = {}
        self._digest = b""

    def crops(self, image: Array, boxes: Array) -> Array:
        """Regions (R, 4) of a picture uint8 (3, H, W) as the network sees them, float32 (R, 3, side, side)."""
        return squares_of(image, boxes, self.crop, self.preprocessing)

    def described(self, image: Array, boxes: Array) -> tuple[Array, Array]:
        """Of regions (R, 4) of a picture the vectors (R, D) and maps (R, M), float32."""
        return self.described_squares(len(boxes), lambda first, end: self.crops(image, boxes[first:end]))

    def described_squares(self, count: int, squares: Callable[[int, int], Array]) -> tuple[Array, Array]:
        """Vectors and maps of `count` squares, those from `first` to before `end` being what `squares(first, end)` gives."""
        vectors, maps = list[Array](), list[Array]()
        for first, size in parts_of(count):
            part = min(size, count - first)
            images = np.zeros((size, 3, self.side, self.side), np.float32)
            images[:part] = squares(first, first + part)
            made = self._program(len(images))({"images": images})
            vectors.append(np.array(made[0][:part]))
            maps.append(np.array(made[1][:part]))
        return np.concatenate(vectors), np.concatenate(maps)

    def vectors(self, image: Array, boxes: Array) -> Array:
        """The vectors alone, float16, kept from when they were computed before."""
        return self._of_boxes("vectors", image, boxes, 0)

    def maps(self, image: Array, boxes: Array) -> Array:
        """The maps alone, float16, kept from when they were computed before."""
        return self._of_boxes("maps", image, boxes, 1)

    def _of_boxes(self, what: str, image: Array, boxes: Array, which: int) -> Array:
        of = np.ascontiguousarray(boxes, np.float64).tobytes()
        return self.kept(what, image, of, len(boxes), lambda: self.described(image, boxes)[which])

    def kept(self, what: str, image: Array, of: bytes, count: int, make: Callable[[], Array]) -> Array:
        """What `make` gives of `count` squares (N, D), float16, kept by `what` it is `of` an image, how it is cut out, and the weights."""
        if not self._digest:
            self._digest = _digest(self.net)
        told = f"{VERSION} {what} {self.config.backbone} {self.crop} {self.preprocessing} {image.shape}"
        return kept(
            "features",
            (told.encode(), self._digest, image.tobytes(), of),
            lambda found: found.ndim == 2 and len(found) == count and found.dtype == np.float16,
            lambda: _halved(make()),
        )

    def outputs(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Images (N, 3, side, side), the vectors (N, D) and the maps (N, M) that the network makes of them."""
        with inference_mode():
            graph = self.net.graph((count, 3, self.side, self.side), "images")
            images = graph.inputs[0]
            vector = find_layer(graph, layer_before_head(graph))
            if vector.ndim not in (2, 4):
                raise DetectorError(
                    f"{self.config.backbone}: what its last layer sees has the shape {vector.shape}, not one vector for each picture; "
                    "choose another backbone"
                )
            maps = [t for t in bottlenecks([vector], images) if t.ndim == 4 and t.shape[2] * t.shape[3] > 1]
            return images, _flat(vector), ops.flatten(_pooled(maps[-1] if maps else images))

    def _program(self, count: int) -> Program:
        if count not in self._programs:
            images, vectors, maps = self.outputs(count)
            setting: dict[str, Any] = {"executor": self.config.executor, "threads": self.config.threads}
            self._programs[count] = compile((vectors, maps), inputs=(images,), **setting)
        return self._programs[count]


def parts_of(count: int) -> list[tuple[int, int]]:
    """Where each part of so many crops begins, and for how many its program is; one part of none."""
    many = count // MANY * MANY
    return [(k, MANY) for k in range(0, many, MANY)] + [(k, FEW) for k in range(many, max(1, count), FEW)]


def _flat(values: Tensor) -> Tensor:
    """One vector for each picture: maps by their means."""
    return values if values.ndim == 2 else ops.flatten(ops.global_average_pool2d(values))


def _pooled(maps: Tensor) -> Tensor:
    """Maps as fine as `MOST_NUMBERS` allows."""
    channels, height, width = maps.shape[1:]
    side = max(1, int((MOST_NUMBERS / channels) ** 0.5))
    if side >= max(height, width):
        return maps
    return ops.adaptive_average_pool2d(maps, (min(side, height), min(side, width)))


def _halved(values: Array) -> Array:
    most = float(np.finfo(np.float16).max)
    return np.clip(values, -most, most).astype(np.float16)


def _digest(net: Module) -> bytes:
    """Of all weights, by name."""
    digest = hashlib.sha256()
    for name, values in sorted(net.state_dict().items()):
        digest.update(f"{name} {values.dtype} {values.shape}".encode() + np.ascontiguousarray(values).tobytes())
    return digest.digest()


def backbone_of(config: DetectionConfig, classes: int = 0, untrained: bool = False) -> Backbone:
    """The network that settings ask for, with its weights unless `untrained`; to be fine-tuned for so many classes, and background."""
    outputs = {"num_classes": classes + 1} if config.fine_tune else {}
    net, way = built(config, untrained, in_channels=3, **outputs)
    if not untrained:
        net.initialize(config.seed, keep_given=True)
    return Backbone(net, way, config)
