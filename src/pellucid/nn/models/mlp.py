"""Multilayer perceptrons: fully connected layers with ReLU between them."""

from __future__ import annotations

from collections.abc import Sequence

from pellucid.nn.activations import ReLU
from pellucid.nn.layers import Flatten, Linear, Sequential
from pellucid.nn.models.registry import model
from pellucid.nn.module import Module


@model(head="output")
def mlp(
    num_classes: int = 10, in_channels: int = 1, image_size: int = 28, hidden: Sequence[int] = (200, 200)
) -> Sequential:
    """Flattened image -> hidden layers of the given widths -> one score per class"""
    parts: dict[str, Module] = {"flatten": Flatten()}
    features = in_channels * image_size * image_size
    for number, width in enumerate(hidden, 1):
        parts[f"fc{number}"] = Linear(features, width)
        parts[f"relu{number}"] = ReLU()
        features = width
    return Sequential(**parts, output=Linear(features, num_classes))
