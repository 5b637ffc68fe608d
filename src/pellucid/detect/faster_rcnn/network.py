"""Faster R-CNN's network: Fast R-CNN's, with a small one beside its heads that says of every anchor whether it is an object."""

from __future__ import annotations

import numpy as np

from pellucid import ops
from pellucid.detect.fast_rcnn.network import FastRCNN
from pellucid.graph import Parameter, Tensor, input
from pellucid.nn import Module
from pellucid.nn.initializers import normal, zeros
from pellucid.nn.layers import Conv2d
from pellucid.plain import Array


class ProposalNetwork(Module):
    """A layer of `width` channels that looks at 3x3 elements, and two of 1x1: `objectness` and `offsets` of `anchors` boxes at each.

    Called with maps (N, C, H, W) gives objectness (N, anchors * H * W), a logit for each, and offsets (N, anchors * H * W, 4), both
    in the order of `placed`. (Ren et al. 2015, section 3.1)
    """

    def __init__(self, channels: int, width: int, anchors: int) -> None:
        super().__init__()
        self.look = _layer(channels, width, 3)
        self.objectness = _layer(width, anchors, 1)
        self.offsets = _layer(width, 4 * anchors, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.said(self.seen(x))

    def seen(self, maps: Tensor) -> Tensor:
        """What the layer of 3x3 elements sees, (N, width, H, W)."""
        return ops.relu(self.look(maps))

    def said(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Objectness and offsets of what is seen."""
        objectness, offsets = self.objectness(seen), self.offsets(seen)
        pictures, anchors, rows, columns = objectness.shape
        each = ops.transpose(ops.reshape(offsets, (pictures, anchors, 4, rows * columns)), (0, 1, 3, 2))
        count = anchors * rows * columns
        return ops.reshape(objectness, (pictures, count)), ops.reshape(each, (pictures, count, 4))


class FasterRCNN(FastRCNN):
    """Fast R-CNN with a network that proposes regions, `propose`; `anchors` (A, 4) are those of the first element of the maps."""

    def __init__(
        self, backbone: Module, channels: int, num_classes: int, width: int, anchors: Array, proposal_width: int
    ) -> None:
        super().__init__(backbone, channels, num_classes, width)
        self.propose = ProposalNetwork(channels, proposal_width, len(anchors))
        self.anchors = np.asarray(anchors, np.float64)
        self._sizes: dict[tuple[int, int], tuple[int, int]] = {}

    def map_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of the maps of a canvas."""
        if size not in self._sizes:
            _, _, rows, columns = self.maps(input((1, 3, *size), name="images")).shape
            self._sizes[size] = (rows, columns)
        return self._sizes[size]


def _layer(inputs: int, outputs: int, size: int) -> Conv2d:
    """A convolution that begins nearly at 0 (Ren et al. 2015, section 3.1.3)."""
    made = Conv2d(inputs, outputs, size, padding=size // 2)
    made.weight = Parameter(made.weight.shape, normal(std=0.01))
    made.bias = Parameter((outputs,), zeros())
    return made
