"""Fully connected, locally connected and convolution layers of the same output, counted side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pellucid.nn.layers import Conv2d, Flatten, Linear, LocallyConnected2d, Sequential
from pellucid.nn.module import Module
from pellucid.nn.summary import Summary
from pellucid.pictures import Answer, Grid
from pellucid.text import human_bytes


@dataclass(frozen=True)
class Connectivity(Answer):
    """The summaries of the three layers, in the order in which connections are given up."""

    summaries: dict[str, Summary]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: parameters, FLOPs and parameter bytes (float32) of each layer."""
        return {
            name: {"parameters": s.total_parameters, "flops": s.total_flops, "parameter_bytes": 4 * s.total_parameters}
            for name, s in self.summaries.items()
        }

    def picture(self) -> Grid:
        """The table."""
        rows = [
            [name, f"{row['parameters']:,}", f"{row['flops']:,}", human_bytes(row["parameter_bytes"])]
            for name, row in self.to_dict().items()
        ]
        titles = ["layer", "parameters", "FLOPs", "memory of parameters"]
        return Grid(titles, rows, "lrrr", title="Three ways to make the same maps")

    def __str__(self) -> str:
        return str(self.picture())


def compare_connectivity(
    image: tuple[int, int, int] = (1, 28, 28), out_channels: int = 8, kernel_size: int = 5
) -> Connectivity:
    """Count what it takes to make `out_channels` maps from an image (C, H, W) in the three ways."""
    channels, height, width = image
    rows, columns = height - kernel_size + 1, width - kernel_size + 1
    layers: dict[str, Module] = {
        "convolution": Sequential(layer=Conv2d(channels, out_channels, kernel_size)),
        "locally connected": Sequential(layer=LocallyConnected2d(channels, out_channels, (height, width), kernel_size)),
        "fully connected": Sequential(
            flatten=Flatten(), fc=Linear(channels * height * width, out_channels * rows * columns)
        ),
    }
    order = ("fully connected", "locally connected", "convolution")
    return Connectivity({name: layers[name].summary(image) for name in order})
