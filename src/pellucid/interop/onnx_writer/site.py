"""A graph on its way into an ONNX file, as plain data: the operators written so far, and the place of the next one.

A network is written for batches of any size. Which dimensions grow with the batch is seen by building its graph twice,
for two sizes: the second is called the twin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pellucid.graph import Graph, Tensor
from pellucid.op import Array

ELEMENTS = {"float32": 1, "float64": 11, "int64": 7, "bool": 9}
"""ONNX's numbers of our element types."""


class Inexpressible(Exception):
    """A node that ONNX has no way to say; the message is the reason."""


@dataclass(frozen=True)
class Operator:
    """One operator of the file: its inputs and outputs name values; an attribute may be an array."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass
class Draft:
    """What is going to be written: the graph, its twin, names of values, operators so far; inputs, and outputs by name."""

    graph: Graph
    twin: Graph
    opset: int
    values: dict[Tensor, str]
    inputs: Sequence[Tensor]
    outputs: Sequence[tuple[str, Tensor]]
    operators: list[Operator] = field(default_factory=list[Operator])

    def __post_init__(self) -> None:
        self.taken = {*self.values.values(), *(name for name, _ in self.outputs)}
        self.twins = dict(zip(self.graph.nodes, self.twin.nodes, strict=True))

    def free_name(self, wanted: str) -> str:
        """`wanted`, with a number behind it if something is called so already."""
        name, number = wanted, 0
        while name in self.taken:
            number += 1
            name = f"{wanted}_{number}"
        self.taken.add(name)
        return name

    def sizes(self, node: Tensor) -> tuple[int | None, ...]:
        """The shape of a node, with None where it grows with the batch."""
        return tuple(a if a == b else None for a, b in zip(node.shape, self.twins[node].shape, strict=True))


@dataclass(frozen=True)
class Site:
    """Where a node is being written: `last` gives its value, `step` gives something on the way to it."""

    draft: Draft
    node: Tensor

    @property
    def name(self) -> str:
        """The node's name in the graph."""
        return self.draft.graph.names[self.node]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the values of the node's inputs."""
        return tuple(self.draft.values[i] for i in self.node.inputs)

    def value(self, tensor: Tensor) -> str:
        """Name of the value of another node."""
        return self.draft.values[tensor]

    def last(self, kind: str, *inputs: str, **attributes: Any) -> None:
        """The operator whose output is the node's value."""
        self._add(kind, self.name, (self.draft.values[self.node],), inputs, attributes)

    def all(self, kind: str, nodes: Sequence[Tensor], *inputs: str, **attributes: Any) -> None:
        """The operator whose outputs are the values of several nodes."""
        self._add(kind, self.name, tuple(self.draft.values[node] for node in nodes), inputs, attributes)

    def last_of(self, number: int, kind: str, *inputs: str, **attributes: Any) -> None:
        """The operator of whose outputs that of this number is the node's value; nobody reads those before it."""
        unread = (self.draft.free_name(f"{self.name}/unread_{n}") for n in range(number))
        self._add(kind, self.name, (*unread, self.draft.values[self.node]), inputs, attributes)

    def step_of(self, number: int, kind: str, *inputs: str, **attributes: Any) -> str:
        """An operator before the last; gives the name of its output of this number, the only one that is read."""
        name = self.draft.free_name(f"{self.name}/{kind.lower()}")
        unread = (self.draft.free_name(f"{name}/unread_{n}") for n in range(number))
        self._add(kind, name, (*unread, name), inputs, attributes)
        return name

    def step(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """An operator before the last; gives the name of its output."""
        return self.step_of(0, kind, *inputs, **attributes)

    def constant(self, value: Array | float, dtype: str) -> str:
        """A fixed value."""
        return self.step("Constant", value=np.asarray(value, dtype))

    def integers(self, values: Sequence[int]) -> str:
        """A fixed vector of whole numbers."""
        return self.constant(np.array(values, np.int64), "int64")

    def _add(
        self, kind: str, name: str, outputs: tuple[str, ...], inputs: tuple[str, ...], attributes: dict[str, Any]
    ) -> None:
        self.draft.operators.append(Operator(kind, name, inputs, outputs, attributes))
