"""A network made ready to be traced: its graph, what is kept of it, and programs for both directions."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from pellucid.autodiff import gradients
from pellucid.graph import Constant, Graph, Tensor, input, topological
from pellucid.inference.building import Likeness
from pellucid.inference.layers import outputs_of_layers
from pellucid.inference.losses import Loss
from pellucid.inference.ready import Ready, ReadyGraph
from pellucid.op import Array, Shape
from pellucid.scopes import scope
from pellucid.walks import replaced

if TYPE_CHECKING:
    from pellucid.executors import Program, Setting
    from pellucid.nn import Module


class Prepared:
    """The graph of a network for one shape of input, and the programs that run it on one executor.

    `kept` are the layers' outputs with the picture; the last output of the graph is what gradients are of, the scores or
    a loss, and `upstream` is fed with the gradient of what is asked for with regard to it.
    """

    def __init__(self, ready: ReadyGraph, graph: Graph, setting: Setting) -> None:
        self.graph = graph
        self.kept = tuple(outputs_of_layers(graph).values())
        self.upstream = input(graph.outputs[-1].shape, graph.outputs[-1].dtype, "upstream")
        self.likeness = Likeness(graph)
        self._ready, self._setting = ready, setting

    @property
    def executor(self) -> str:
        """Who computes."""
        return self._setting.executor

    @property
    def forward(self) -> Program:
        """Computes `kept` from the picture."""
        return self._ready.program(self._setting, self.kept)

    @cached_property
    def gradient_nodes(self) -> dict[Tensor, Tensor]:
        """For every floating node the node that computes the gradient with regard to it."""
        nodes = [n for n in self.graph.nodes if n.dtype.startswith("float") and not isinstance(n.op, Constant)]
        return dict(zip(nodes, gradients(self.graph.outputs[-1], nodes, self.upstream), strict=True))

    @property
    def backward(self) -> tuple[Program, dict[Tensor, Tensor]]:
        """Computes the gradients of `kept` from their values, and the input that each of these is fed to."""

        def build() -> list[Tensor]:
            given = {n: input(n.shape, n.dtype, f"kept/{self.graph.names[n]}") for n in self.kept}
            return replaced([self.gradient_nodes[n] for n in self.kept], given)

        program = self._ready.program_of(self._setting, ("backward", self.upstream), build)
        inputs = {i.name: i for i in program.graph.inputs}
        names = {n: f"kept/{self.graph.names[n]}" for n in self.kept}
        return program, {n: inputs[name] for n, name in names.items() if name in inputs}

    def into_image(self, node: Tensor) -> Callable[[Array, Array], Array]:
        """A function from a picture (1, C, H, W) and an upstream of `node`'s shape to the gradient with regard to the picture."""
        image = self.graph.image
        upstream = self._ready.once(("upstream", node), lambda _: input(node.shape, node.dtype, "upstream"))
        key = "into picture", node
        program = self._ready.program_of(self._setting, key, lambda: gradients(node, [image], upstream))
        return lambda picture, given: program({image: picture, upstream: given})[0]


def prepare(net: Module, shape: Shape, dtype: str, executor: str, loss: Loss | None = None) -> Prepared:
    """What is prepared for `net` in inference; the same as the last time where the network and the input's shape are.

    A `loss` is a function of the scores and of the input `label`, the number of the true class. It is built again each time,
    which takes a millisecond; what was compiled for an equal one is kept.
    """
    ready = Ready(net, executor)
    found = ready.graph(shape, dtype)
    scores = found.output
    if loss is None:
        return found.once(("prepared", ready.setting), lambda graph: Prepared(found, graph, ready.setting))
    with scope("loss"):
        value = loss(scores, input(shape[:1], "int64", "label"))
    outputs = [scores, value.named("loss")]
    kept = found.facts.known
    last: Prepared | None = kept.get(("with loss", ready.setting))
    if last is None or not last.likeness.is_of(topological(outputs)):
        last = kept["with loss", ready.setting] = Prepared(found, Graph(outputs), ready.setting)
    return last
