"""Multilayer perceptrons: fully connected layers with ReLU between them."""

from __future__ import annotations

from collections.abc import Sequence

from pellucid.nn.activations import ReLU
from pellucid.nn.layers import Flatten, Linear, Sequential
from pellucid.nn.models.registry import model


@model
def mlp(
    num_classes: int = 10, in_channels: int = 1, image_size: int = 28, hidden: Sequence[int] = (200, 200)
) -> Sequential:
    """Flattened image -> hidden layers of the given widths -> one score per class"""
    net = Sequential(flatten=Flatten())
    features = in_channels * image_size * image_size
    for number, width in enumerate(hidden, 1):
        setattr(net, f"fc{number}", Linear(features, width))
        setattr(net, f"relu{number}", ReLU())
        features = width
    net.output = Linear(features, num_classes)
    return net
