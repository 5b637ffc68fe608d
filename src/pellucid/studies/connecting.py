"""Three ways to connect a layer to a picture, counted exactly: every pixel, a window, a window with shared weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.errors import PellucidError
from pellucid.nn.connectivity import Connectivity, compare_connectivity, three_ways
from pellucid.pictures import Answer, Chart, Grid, Page, Series
from pellucid.text import human_bytes

DRAWN = 400
"""Connections of a layer that are listed, at most."""
LARGEST = {"size": 1024, "channels": 4096, "maps": 4096, "layers": 50}
CHARTED = (4, 8, 16, 32, 64, 128, 256)
"""Sizes of pictures in the chart, beside the one that is asked about."""


class ConnectingError(PellucidError, ValueError):
    """Sizes that no layer has."""


@dataclass(frozen=True)
class Connection:
    """From a pixel of a row of the picture to a cell of the same row of the first map, with the number of its weight."""

    pixel: int
    cell: int
    weight: int


@dataclass(frozen=True)
class Way:
    """One way to connect: `connections` of all layers, different `weights` without biases, and the first layer's row as `drawn`."""

    name: str
    parameters: int
    weights: int
    connections: int
    flops: int
    drawn: tuple[Connection, ...]
    of_row: int

    @property
    def words(self) -> str:
        """How many connections are drawn, of how many."""
        return (
            f"{len(self.drawn):,} of {self.connections:,} connections are drawn, "
            f"of the {self.of_row:,} between one row of the picture and the same row of the first map"
        )


@dataclass(frozen=True)
class Connections(Answer):
    """Layers on a picture of `channels` x `size` x `size`, in three ways: each makes `maps` maps as large, through windows of `kernel` x `kernel`."""

    size: int
    channels: int
    maps: int
    kernel: int
    layers: int
    counted: Connectivity
    ways: tuple[Way, ...]

    @property
    def units(self) -> int:
        """Outputs of a layer."""
        return self.maps * self.size**2

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "size": self.size,
            "channels": self.channels,
            "maps": self.maps,
            "kernel": self.kernel,
            "layers": self.layers,
            "units": self.units,
            "ways": {
                way.name: {
                    "parameters": way.parameters,
                    "weights": way.weights,
                    "connections": way.connections,
                    "flops": way.flops,
                    "parameter_bytes": 4 * way.parameters,
                    "drawn": [[one.pixel, one.cell, one.weight] for one in way.drawn],
                    "words": way.words,
                }
                for way in self.ways
            },
        }

    def grid(self) -> Grid:
        """Parameters, connections, work and memory of each way."""
        rows = [
            [
                way.name,
                *(f"{n:,}" for n in (way.parameters, way.connections, way.flops)),
                human_bytes(4 * way.parameters),
            ]
            for way in self.ways
        ]
        titles = ["layers", "parameters", "connections", "FLOPs", "memory of parameters"]
        return Grid(titles, rows, "lrrrr", title=self.words)

    @property
    def words(self) -> str:
        """What is counted."""
        many = "1 layer" if self.layers == 1 else f"{self.layers} layers"
        return f"{self.channels}x{self.size}x{self.size} picture, {many} of {self.units:,} units ({self.maps} maps)"

    def chart(self) -> Chart:
        """Parameters over the picture's size, a line for each way."""
        sizes = sorted({*CHARTED, self.size})
        counts = [
            {name: net.num_parameters() for name, net in _ways(self, size).items()} for size in sizes if size >= 1
        ]
        series = tuple(Series(way.name, sizes, [count[way.name] for count in counts]) for way in self.ways)
        here = Series("this size", [self.size] * len(self.ways), [way.parameters for way in self.ways], "points")
        note = f"Layers: {self.layers}, maps: {self.maps}, kernel {self.kernel}x{self.kernel}; exact counts."
        title = "Parameters by the picture's size"
        return Chart(title, "rows and columns", "parameters", (*series, here), note, x_log=True, y_log=True)

    def picture(self) -> Page:
        """The table and the chart."""
        return Page(f"Three ways to connect: {self.words}", (self.grid(), self.chart()))

    def __str__(self) -> str:
        return f"{self.words}\n\n{self.grid()}"


def connectivity(size: int = 10, channels: int = 1, maps: int = 2, kernel: int = 3, layers: int = 1) -> Connections:
    """Count connections and parameters of layers that make `maps` maps of a picture's own size, connected in three ways.

    Every pixel with every unit ("fully connected"); a `kernel` x `kernel` window of zero-padded pixels with weights of its own
    for each unit ("locally connected"); the same window with weights that all places of a map share ("convolution"). `layers`
    follow one another. Raises `ConnectingError` for sizes below 1, and for an even kernel.
    """
    for name, value in (("size", size), ("channels", channels), ("maps", maps), ("layers", layers)):
        if not 1 <= value <= LARGEST[name]:
            raise ConnectingError(f"{name}: a whole number from 1 to {LARGEST[name]:,}, got {value}")
    if kernel < 1 or kernel % 2 == 0 or kernel > 2 * size - 1:
        raise ConnectingError(
            f"kernel: an odd number from 1 to {2 * size - 1} (it lies around each pixel of a {size}x{size} picture), got {kernel}"
        )
    counted = compare_connectivity((channels, size, size), maps, kernel, padding=kernel // 2, layers=layers)
    reads = [channels, *[maps] * (layers - 1)]
    cells = size**2
    inside = _windows(size, kernel) ** 2  # connections of all windows with pixels, none with the zeros around
    biases = {
        "fully connected": maps * cells * layers,
        "locally connected": maps * cells * layers,
        "convolution": maps * layers,
    }
    connections = {
        "fully connected": sum(c * cells * maps * cells for c in reads),
        "locally connected": sum(c * maps * inside for c in reads),
        "convolution": sum(c * maps * inside for c in reads),
    }
    ways: list[Way] = []
    for name, counts in counted.counts.items():
        drawn, of_row = _drawn(name, size, kernel)
        ways.append(
            Way(
                name,
                counts.parameters,
                counts.parameters - biases[name],
                connections[name],
                counts.flops,
                drawn,
                of_row,
            )
        )
    return Connections(size, channels, maps, kernel, layers, counted, tuple(ways))


def _ways(asked: Connections, size: int) -> dict[str, Any]:
    near = asked.kernel // 2
    return three_ways((asked.channels, size, size), asked.maps, asked.kernel, padding=near, layers=asked.layers)


def _windows(size: int, kernel: int) -> int:
    """Pixels of a row under all windows of `kernel` around its pixels, those beyond the row left out."""
    near = kernel // 2
    return sum(min(size - 1, at + near) - max(0, at - near) + 1 for at in range(size))


def _drawn(name: str, size: int, kernel: int) -> tuple[tuple[Connection, ...], int]:
    """The connections of evenly spaced cells, all of each, and how many there are between the two rows."""
    full, near = name == "fully connected", kernel // 2
    each = size if full else min(kernel, size)
    count = max(1, min(size, DRAWN // each))
    cells = sorted({int(at) for at in np.linspace(0, size - 1, count).round()}) if count > 1 else [size // 2]
    found: list[Connection] = []
    for cell in cells:
        low, high = (0, size - 1) if full else (max(0, cell - near), min(size - 1, cell + near))
        pixels = range(low, high + 1)
        if len(pixels) > DRAWN:
            pixels = [int(at) for at in np.linspace(low, high, DRAWN).round()]
        for pixel in pixels:
            weight = pixel - cell + near if name == "convolution" else len(found)
            found.append(Connection(pixel, cell, weight))
    return tuple(found), size * size if full else _windows(size, kernel)
