"""Fully connected, locally connected and convolution layers of the same output, counted side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pellucid.nn.grouping import nodes_by_layer
from pellucid.nn.layers import Conv2d, Flatten, Linear, LocallyConnected2d, Sequential
from pellucid.nn.module import Module
from pellucid.nn.summary import inference_graph
from pellucid.pictures import Answer, Grid
from pellucid.text import human_bytes


@dataclass(frozen=True)
class WayCounts:
    """What one way takes: exact whole numbers."""

    parameters: int
    flops: int


@dataclass(frozen=True)
class Connectivity(Answer):
    """Counts of the three ways, in the order in which connections are given up."""

    counts: dict[str, WayCounts]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: parameters, FLOPs and parameter bytes (float32) of each way."""
        return {
            name: {"parameters": s.parameters, "flops": s.flops, "parameter_bytes": 4 * s.parameters}
            for name, s in self.counts.items()
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
    return Connectivity({name: WayCounts(net.num_parameters(), _flops(net, image)) for name, net in ways.items()})


def _flops(net: Module, image: tuple[int, int, int]) -> int:
    """Those of the layers, as a summary counts them; without its receptive fields, for which large pictures are followed pixel by pixel."""
    graph = inference_graph(net, (1, *image))
    return sum(n.op.cost(n).flops for inside in nodes_by_layer(graph, net.layer_kinds()).values() for n in inside)


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
