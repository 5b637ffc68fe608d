"""A network made ready to be traced: its graph, what is kept of it, and programs for both directions."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from pellucid.autodiff import gradients
from pellucid.graph import Constant, Graph, Tensor, input, topological
from pellucid.inference.building import Likeness
from pellucid.inference.fed import Fed
from pellucid.inference.layers import outputs_of_layers
from pellucid.inference.losses import Loss
from pellucid.inference.ready import Once, Ready, ReadyGraph
from pellucid.nn.axes import Axes
from pellucid.nn.receptive_field import Fields, receptive_fields
from pellucid.op import Array
from pellucid.scopes import scope
from pellucid.walks import replaced

if TYPE_CHECKING:
    from pellucid.executors import Program, Setting


class Prepared:
    """The graph of a network for one shape of each input, and the programs that run it on one executor.

    `kept` are the layers' outputs with the inputs; the last output of the graph is the loss, where there is one.
    """

    def __init__(self, ready: ReadyGraph, graph: Graph, setting: Setting) -> None:
        self.graph = graph
        self.kept = tuple(outputs_of_layers(graph).values())
        self.likeness = Likeness(graph)
        self._ready, self._setting = ready, setting
        self._slopes = Once()

    @cached_property
    def axes(self) -> Axes:
        """What the axes of its values are."""
        return Axes(self.graph)

    @cached_property
    def fields(self) -> dict[Tensor, dict[Tensor, Fields]]:
        """For each input that has places, what every node sees of it."""
        return {source: receptive_fields(self.graph, source) for source in self.graph.inputs if source.ndim}

    @property
    def executor(self) -> str:
        """Who computes."""
        return self._setting.executor

    @property
    def outputs(self) -> dict[str, Tensor]:
        """What the network gives, by name."""
        return self._ready.outputs

    @property
    def forward(self) -> Program:
        """Computes `kept` from the inputs."""
        return self._ready.program(self._setting, self.kept)

    def slopes_of(self, output: Tensor) -> Slopes:
        """The way back from an output of the graph."""
        return self._slopes.get(output, lambda: Slopes(self, output))

    def into(self, source: Tensor, node: Tensor) -> Callable[[Fed, Array], Array]:
        """A function from an example and an upstream of `node`'s shape to the gradient with regard to the input `source`."""
        upstream = self._ready.once(("upstream", node), lambda _: input(node.shape, node.dtype, "upstream"))
        program = self.program_of(("into", source, node), lambda: gradients(node, [source], upstream))

        def slope(fed: Fed, given: Array) -> Array:
            feeds = {**fed.feeds(program.graph.inputs), upstream: given}
            return program({i: feeds[i] for i in program.graph.inputs})[0]

        return slope

    def program_of(self, key: tuple[object, ...], build: Callable[[], list[Tensor]]) -> Program:
        """A program of what `build` makes of the graph; `key` tells what that is."""
        return self._ready.program_of(self._setting, key, build)


class Slopes:
    """Gradients of one output of a prepared graph; `upstream` is fed with that of what is asked for with regard to it."""

    def __init__(self, prepared: Prepared, output: Tensor) -> None:
        self.output = output
        self.upstream = input(output.shape, output.dtype, "upstream")
        self._prepared = prepared

    @cached_property
    def nodes(self) -> dict[Tensor, Tensor]:
        """For every floating node the node that computes the gradient with regard to it."""
        graph = self._prepared.graph
        nodes = [n for n in graph.nodes if n.dtype.startswith("float") and not isinstance(n.op, Constant)]
        return dict(zip(nodes, gradients(self.output, nodes, self.upstream), strict=True))

    @property
    def backward(self) -> tuple[Program, dict[Tensor, Tensor]]:
        """Computes the gradients of what is kept from its values, and the input that each of these is fed to."""
        kept, names = self._prepared.kept, self._prepared.graph.names

        def build() -> list[Tensor]:
            given = {n: input(n.shape, n.dtype, f"kept/{names[n]}") for n in kept}
            return replaced([self.nodes[n] for n in kept], given)

        program = self._prepared.program_of(("backward", self.upstream), build)
        inputs = {i.name: i for i in program.graph.inputs}
        return program, {n: inputs[f"kept/{names[n]}"] for n in kept if f"kept/{names[n]}" in inputs}


def prepare(ready: Ready, fed: Fed, loss: Loss | None = None, scores: Tensor | None = None) -> Prepared:
    """What is prepared for a network and an example; the same as the last time where the network and the shapes are.

    A `loss` is a function of `scores`, an output of the network (the only one unless given), and of the input `label`, the
    number of the true class. It is built again each time, which takes a millisecond; what was compiled for an equal one
    is kept.
    """
    found = fed.ready
    if loss is None:
        return found.once(("prepared", ready.setting), lambda graph: Prepared(found, graph, ready.setting))
    scores = found.output if scores is None else scores
    with scope("loss"):
        value = loss(scores, input(scores.shape[:1], "int64", "label"))
    outputs = [*found.graph.outputs, value.named("loss")]
    kept = found.facts.known
    last: Prepared | None = kept.get(("with loss", ready.setting))
    if last is None or not last.likeness.is_of(topological(outputs)):
        last = kept["with loss", ready.setting] = Prepared(found, Graph(outputs), ready.setting)
    return last
