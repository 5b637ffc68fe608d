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
    image: tuple[int, int, int] = (1, 28, 28),
    out_channels: int = 8,
    kernel_size: int = 5,
    *,
    padding: int = 0,
    layers: int = 1,
) -> Connectivity:
    """Count what it takes to make `out_channels` maps from an image (C, H, W) in the three ways, and so again for further `layers`."""
    ways = three_ways(image, out_channels, kernel_size, padding=padding, layers=layers)
    return Connectivity({name: net.summary(image) for name, net in ways.items()})


def three_ways(
    image: tuple[int, int, int], out_channels: int, kernel_size: int, *, padding: int = 0, layers: int = 1
) -> dict[str, Module]:
    """The networks that are compared, by name; their weights take no memory before they are looked at."""
    full: dict[str, Module] = {"flatten": Flatten()}
    local: dict[str, Module] = {}
    shared: dict[str, Module] = {}
    channels, height, width = image
    for number in range(1, layers + 1):
        mark = "" if number == 1 else str(number)
        rows, columns = (size + 2 * padding - kernel_size + 1 for size in (height, width))
        shared[f"layer{mark}"] = Conv2d(channels, out_channels, kernel_size, padding=padding)
        local[f"layer{mark}"] = LocallyConnected2d(
            channels, out_channels, (height, width), kernel_size, padding=padding
        )
        full[f"fc{mark}"] = Linear(channels * height * width, out_channels * rows * columns)
        channels, height, width = out_channels, rows, columns
    return {
        "fully connected": Sequential(**full),
        "locally connected": Sequential(**local),
        "convolution": Sequential(**shared),
    }
