"""Attribution by a backward pass that ReLUs treat otherwise: guided backpropagation, and the deconvolutional network."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pellucid.explain.attribution.backward import (
    ACTIVATIONS,
    composites,
    counted,
    gradient_step,
    propagate,
)
from pellucid.explain.attribution.method import Asked, Found, method
from pellucid.graph import Constant, Tensor
from pellucid.inference.scores import ScoreGraph
from pellucid.ops.activation import Relu, Sigmoid, Softplus, Tanh, relu
from pellucid.ops.comparison import Clip, Maximum

Rule = Callable[[Tensor, Tensor, Tensor], Tensor]
"""What a ReLU hands on, of the node, the value that it is given, and what arrives."""


@method("Springenberg et al. 2015, Striving for Simplicity: The All Convolutional Net, figure 1")
def guided_backprop(asked: Asked) -> Found:
    """The gradient, but at each ReLU only what is positive goes on, where the ReLU was on.

    Rules are for ReLUs (also maximum with 0, and ReLU6); other activations hand on their gradient, as the note says.
    """

    def rule(node: Tensor, given: Tensor, upstream: Tensor) -> Tensor:
        (downstream,) = (part for value, part in gradient_step(node, relu(upstream)) if value is given)
        assert downstream is not None
        return downstream

    return _backward(asked, "guided", rule)


@method("Zeiler and Fergus 2014, Visualizing and Understanding Convolutional Networks, section 2.1")
def deconvnet(asked: Asked) -> Found:
    """The deconvolutional network: ReLUs hand on what arrives positive, wherever they were on or off.

    Max pooling puts what arrives to where the largest element was (the switches); convolutions are turned round. Rules are
    for ReLUs, as in guided backpropagation.
    """

    def rule(node: Tensor, given: Tensor, upstream: Tensor) -> Tensor:
        return relu(upstream)

    return _backward(asked, "deconvnet", rule)


def _backward(asked: Asked, key: str, rule: Rule) -> Found:
    def build(graph: ScoreGraph) -> list[Tensor]:
        def step(node: Tensor, upstream: Tensor) -> Iterable[tuple[Tensor, Tensor | None]]:
            given = rectified(node)
            return gradient_step(node, upstream) if given is None else [(given, rule(node, given, upstream))]

        return [graph.score, propagate(graph, graph.weights, step)]

    shape = asked.image.shape
    scores, arrived = asked.compute(key, build)
    return Found(asked.value(scores), arrived[0], note=asked.scores.graph(shape).once("rectifiers", _told))


def rectified(node: Tensor) -> Tensor | None:
    """What a ReLU, in whatever form, is given; None for other nodes."""
    if isinstance(node.op, Relu) or (isinstance(node.op, Clip) and node.op.low == 0 and node.op.high > 0):
        return node.inputs[0]
    if isinstance(node.op, Maximum):
        for value, other in (node.inputs, reversed(node.inputs)):
            if isinstance(other.op, Constant) and not other.op.value.any() and value.shape == node.shape:
                return value
    return None


def _told(graph: ScoreGraph) -> str:
    """What the rule was applied to, and which activations it left alone."""
    nodes = graph.graph.nodes
    changed = sum(rectified(n) is not None for n in nodes)
    found = composites(graph, ACTIVATIONS)
    inside = {n for match in found.values() for n in match.inside}
    others = [m.name for m in found.values()]
    others += [n.op.kind for n in nodes if isinstance(n.op, Sigmoid | Tanh | Softplus) and n not in inside]
    left = f"; with their plain gradient: {counted(others)}" if others else ""
    return f"rule applied to {changed} ReLUs{left}"
