"""Walking a network's tape backwards with rules of one's own in place of the gradients': nodes like any others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pellucid.graph import Tensor, constant
from pellucid.inference.scores import ScoreGraph
from pellucid.ops.shape import broadcast_to
from pellucid.recognition import find_composites
from pellucid.scopes import root_scope, scope
from pellucid.templates import Match
from pellucid.walks import depending

Step = Callable[[Tensor, Tensor], Iterable[tuple[Tensor, "Tensor | None"]]]
"""From a node and what arrives at it to what is handed on: pairs of a node before it and what arrives there."""


def propagate(graph: ScoreGraph, start: Tensor, step: Step) -> Tensor:
    """What arrives at the picture when `start` leaves the scores and every node hands on what `step` says.

    Several parts that arrive at a node are added, so a layer used twice or a value read twice is right.
    """
    behind = depending(graph.graph.nodes, [graph.image])
    arriving: dict[Tensor, Tensor] = {graph.score: start}
    with root_scope(), scope("back"):
        for node in reversed(graph.graph.nodes):
            if node is graph.image or node not in arriving:
                continue
            with scope(node.name):
                for value, part in step(node, arriving.pop(node)):
                    if part is not None and value in behind:
                        arriving[value] = arriving[value] + part if value in arriving else part
        nothing = broadcast_to(constant(0.0, graph.image.dtype), graph.image.shape)
        return arriving.get(graph.image, nothing)


def gradient_step(node: Tensor, upstream: Tensor) -> Iterable[tuple[Tensor, Tensor | None]]:
    """What the gradient's rule hands on."""
    return zip(node.inputs, node.op.gradient(node, upstream), strict=True) if node.op.differentiable else ()


ACTIVATIONS = ("hard_swish", "selu", "mish", "silu", "gelu", "elu", "leaky_relu", "prelu")
"""Activation functions made of several nodes."""


def composites(graph: ScoreGraph, names: Iterable[str]) -> Mapping[Tensor, Match]:
    """The functions of these names that the scores are made of, by their outputs."""
    wanted = set(names)
    return find_composites([graph.score], lambda match: match.name in wanted)


def counted(kinds: Iterable[str]) -> str:
    """`["relu", "relu", "clip"]` -> `"2 relu, 1 clip"`"""
    found = list(kinds)
    return ", ".join(f"{found.count(kind)} {kind}" for kind in dict.fromkeys(found))
