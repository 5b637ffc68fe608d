"""An example architecture to learn with: (conv - relu - conv - relu - pool) three times, then fully connected."""

from __future__ import annotations

from pellucid.nn.activations import ReLU
from pellucid.nn.layers import Conv2d, Flatten, Linear, MaxPool2d, Sequential
from pellucid.nn.models.registry import model, require_size
from pellucid.nn.module import Module


@model(head="fc")
def deck(num_classes: int = 10, in_channels: int = 3, image_size: int = 32, width: int = 16) -> Sequential:
    """Six 3x3 convolutions of `width` channels in three stages, each halved by max pooling; one linear layer"""
    require_size("deck", image_size, 8)
    parts: dict[str, Module] = {}
    channels = in_channels
    for stage in (1, 2, 3):
        for number in (1, 2):
            parts[f"conv{stage}_{number}"] = Conv2d(channels, width, 3, padding=1)
            parts[f"relu{stage}_{number}"] = ReLU()
            channels = width
        parts[f"pool{stage}"] = MaxPool2d(2)
    return Sequential(**parts, flatten=Flatten(), fc=Linear(width * (image_size // 8) ** 2, num_classes))
