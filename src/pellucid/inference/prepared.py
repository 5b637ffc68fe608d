"""A network made ready to be traced: its graph, and programs for both directions, kept as long as the network stays the same."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from pellucid.autodiff import gradients
from pellucid.executors import compile
from pellucid.graph import Constant, Graph, Parameter, Tensor, input, topological
from pellucid.inference.building import how_built
from pellucid.inference.layers import outputs_of_layers
from pellucid.inference.losses import Loss
from pellucid.op import Array, Shape
from pellucid.scopes import inference_mode, scope
from pellucid.walks import replaced

if TYPE_CHECKING:
    from pellucid.executors import Program
    from pellucid.nn import Module


class Prepared:
    """The graph of a network for one shape of input, and the programs that run it on one executor.

    `kept` are the layers' outputs with the picture; the last output of the graph is what gradients are of, the scores or
    a loss, and `upstream` is fed with the gradient of what is asked for with regard to it.
    """

    def __init__(self, graph: Graph, executor: str) -> None:
        self.graph = graph
        self.executor = executor
        self.kept = tuple(outputs_of_layers(graph).values())
        self.upstream = input(graph.outputs[-1].shape, graph.outputs[-1].dtype, "upstream")
        self.built: Hashable = None
        self._called = [n.name for n in graph.nodes]
        self._into_picture: dict[Tensor, tuple[Program, Tensor]] = {}

    @cached_property
    def forward(self) -> Program:
        """Computes `kept` from the picture."""
        return compile(self.kept, self.graph.inputs, executor=self.executor)

    @cached_property
    def gradient_nodes(self) -> dict[Tensor, Tensor]:
        """For every floating node the node that computes the gradient with regard to it."""
        nodes = [n for n in self.graph.nodes if n.dtype.startswith("float") and not isinstance(n.op, Constant)]
        return dict(zip(nodes, gradients(self.graph.outputs[-1], nodes, self.upstream), strict=True))

    @cached_property
    def backward(self) -> tuple[Program, dict[Tensor, Tensor]]:
        """Computes the gradients of `kept` from their values, and the input that each of these is fed to."""
        given = {n: input(n.shape, n.dtype, f"kept/{self.graph.names[n]}") for n in self.kept}
        wanted = [self.gradient_nodes[n] for n in self.kept]
        program = compile(replaced(wanted, given), executor=self.executor)
        used = set(program.graph.inputs)
        return program, {node: new for node, new in given.items() if new in used}

    def into_picture(self, node: Tensor) -> Callable[[Array, Array], Array]:
        """A function from a picture (1, C, H, W) and an upstream of `node`'s shape to the gradient with regard to the picture."""
        (image,) = (i for i in self.graph.inputs if i.ndim == 4)
        if node not in self._into_picture:
            upstream = input(node.shape, node.dtype, "upstream")
            program = compile(gradients(node, [image], upstream), [image, upstream], executor=self.executor)
            self._into_picture[node] = program, upstream
        program, upstream = self._into_picture[node]
        return lambda picture, given: program({image: picture, upstream: given})[0]

    def is_of(self, nodes: Sequence[Tensor]) -> bool:
        """Whether `nodes`, in topological order, compute the same of the same parameters under the same names."""
        if len(nodes) != len(self.graph) or any(n.name != own for n, own in zip(nodes, self._called, strict=True)):
            return False
        partner: dict[Tensor, Tensor] = {}
        for own, node in zip(self.graph.nodes, nodes, strict=True):
            partner[own] = node
            same_inputs = len(own.inputs) == len(node.inputs) and all(
                partner[a] is b for a, b in zip(own.inputs, node.inputs, strict=True)
            )
            same = own is node if isinstance(own, Parameter) else own.op == node.op
            if not (same and same_inputs and (own.shape, own.dtype) == (node.shape, node.dtype)):
                return False
        return True


_LOCK = threading.Lock()
_PREPARED: weakref.WeakKeyDictionary[Module, dict[tuple[str, bool], Prepared]] = weakref.WeakKeyDictionary()


def prepare(net: Module, shape: Shape, dtype: str, executor: str, loss: Loss | None = None) -> Prepared:
    """What is prepared for `net` in inference; the same as the last time where the network and the input's shape are.

    A `loss` is a function of the scores and of the input `label`, the number of the true class.

    Whether they are is seen by how the network is built. Where that has changed, or with a loss, the graph is built again,
    which takes milliseconds; what was compiled for an equal graph is kept.
    """
    place = (executor, loss is not None)
    built = (how_built(net), shape, dtype)
    with _LOCK:
        known = _PREPARED.setdefault(net, {})
        last = known.get(place)
    if loss is None and last is not None and last.built == built:
        return last
    with inference_mode():
        outputs = [net(input(shape, dtype, "image"))]
    if loss is not None:
        with scope("loss"):
            value = loss(outputs[0], input(shape[:1], "int64", "label"))
        outputs.append(value.named("loss"))
    if last is None or not last.is_of(topological(outputs)):
        last = known[place] = Prepared(Graph(outputs), executor)
    last.built = built
    return last
