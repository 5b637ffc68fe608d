"""Fully connected layers of Fast R-CNN as products of two smaller ones, by their singular values (Girshick 2015, section 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pellucid.detect.errors import DetectorError
from pellucid.detect.fast_rcnn.network import FastRCNN
from pellucid.errors import listed, suggest
from pellucid.nn.layers import Linear, Sequential
from pellucid.plain import Array

LAYERS = {"fc1": 0, "fc2": 3}
"""The layers above the regions, and their places in the head."""
PARTS = {"fc1": 4, "fc2": 16}
"""Which part of its outputs a layer has as its rank unless said: 1,024 and 256 of 4,096, as in the paper."""


@dataclass(frozen=True)
class TruncatedLayer:
    """A layer after truncation to `rank` singular values, which have `share` of the sum of squares of its weights."""

    name: str
    inputs: int
    outputs: int
    rank: int
    share: float

    @property
    def products(self) -> tuple[int, int]:
        """Multiplications for a region, before and after."""
        return self.inputs * self.outputs, self.rank * (self.inputs + self.outputs)


def usual_ranks(net: FastRCNN) -> dict[str, int]:
    """Ranks that are taken unless said."""
    return {name: max(1, _sizes(net, name)[1] // part) for name, part in PARTS.items()}


def ranks_of(net: FastRCNN) -> dict[str, int]:
    """The ranks of the layers that were truncated."""
    pairs = {name: _pair(net, name) for name in LAYERS}
    return {name: first.out_features for name, (first, last) in pairs.items() if first is not last}


def narrow(net: FastRCNN, ranks: Mapping[str, int]) -> None:
    """Put two layers without values in the place of each that is named, with `rank` numbers between them. Raises `DetectorError`."""
    for name, rank in ranks.items():
        if name not in LAYERS:
            raise DetectorError(f"rank: there is no layer {name!r}{suggest(name, LAYERS)}; {listed(name, LAYERS)}")
        inputs, outputs = _sizes(net, name)
        if not 1 <= rank <= min(inputs, outputs):
            raise DetectorError(f"rank: that of {name} lies from 1 to {min(inputs, outputs)}, got {rank}")
        pair = Sequential(Linear(inputs, rank, bias=False), Linear(rank, outputs))
        setattr(net.head, str(LAYERS[name]), pair)


def truncate(net: FastRCNN, ranks: Mapping[str, int]) -> tuple[TruncatedLayer, ...]:
    """Make layers of `net` products, W = U S V': S V' of the largest singular values without a bias, then U with the layer's.

    All singular values give the same sums. One that was truncated before is taken as the product that it is. Raises `DetectorError`.
    """
    whole = {name: _weights(net, name) for name in ranks if name in LAYERS}
    narrow(net, ranks)
    made: list[TruncatedLayer] = []
    for name, rank in ranks.items():
        weight, bias = whole[name]
        left, values, right = np.linalg.svd(weight, full_matrices=False)
        first, second = _pair(net, name)
        first.weight.value = (values[:rank, None] * right[:rank]).astype(np.float32)
        second.weight.value = np.ascontiguousarray(left[:, :rank], np.float32)
        second.load_state_dict({"bias": bias}, strict=False)
        share = float((values[:rank] ** 2).sum() / max(float((values**2).sum()), np.finfo(float).tiny))
        made.append(TruncatedLayer(name, weight.shape[1], weight.shape[0], rank, share))
    return tuple(made)


def _pair(net: FastRCNN, name: str) -> tuple[Linear, Linear]:
    """The first and the last of the layers that one is made of: two, or twice the same."""
    layer = net.head[LAYERS[name]]
    first, *_, last = (layer, layer) if isinstance(layer, Linear) else tuple(one for _, one in layer.children())
    assert isinstance(first, Linear) and isinstance(last, Linear)
    return first, last


def _weights(net: FastRCNN, name: str) -> tuple[Array, Array]:
    """A layer's weights (outputs, inputs), float64, and its bias."""
    first, last = _pair(net, name)
    weight, bias = last.weight.value.astype(np.float64), last.state_dict()["bias"]
    return weight if first is last else weight @ first.weight.value.astype(np.float64), bias


def _sizes(net: FastRCNN, name: str) -> tuple[int, int]:
    """How many numbers a layer takes and gives."""
    first, last = _pair(net, name)
    return first.in_features, last.out_features
