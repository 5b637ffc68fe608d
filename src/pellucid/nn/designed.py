"""A network that was designed as a list of layers: its layers with their parameters, and its Python."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pellucid.op import Shape
from pellucid.pictures import Answer, Grid, Page


@dataclass(frozen=True)
class DesignedLayer:
    """A layer of a network: its name, kind, the settings that a list says of it, what it gives (without the batch), its parameters.

    `text` is "" of layers that the list does not have: the output, and those of a model by name.
    """

    name: str
    kind: str
    shape: Shape
    parameters: int
    text: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Design(Answer):
    """A network for examples of `shape`, layer by layer, with its parameters, and the Python that builds it."""

    network: str
    shape: Shape
    classes: int
    layers: tuple[DesignedLayer, ...]
    parameters: int
    python: str
    listed: bool
    """Whether it is a list of layers, which can be changed one by one, and no model by name."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        rows = [{**asdict(one), "shape": list(one.shape)} for one in self.layers]
        return {**vars(self), "shape": list(self.shape), "layers": rows}

    def grid(self) -> Grid:
        """A row for each layer."""
        rows = [[one.name, one.kind, size_of(one.shape), f"{one.parameters:,}"] for one in self.layers]
        return Grid(["layer", "kind", "gives", "parameters"], [*rows, ["all", "", "", f"{self.parameters:,}"]], "llrr")

    def __str__(self) -> str:
        return f"{self.grid()}\n\n{self.python}"

    def picture(self) -> Page:
        """The layers, and the Python that builds them."""
        return Page(f"{self.network}, for {size_of(self.shape)}", (self.grid(), *self.python.splitlines()))


def size_of(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "one number"
