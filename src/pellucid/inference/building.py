"""How a network is built at the moment: what tells whether a graph that was made of it still is its graph."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from pellucid.graph import Graph, Parameter, Tensor
from pellucid.nn import Module
from pellucid.nn.module import PLAIN


def how_built(net: Module) -> Hashable:
    """Its layers, their settings and which parameters they have; equal as long as these are the same.

    Settings are plain values, also within lists, tuples and dicts; of anything else it counts which object it is. What
    `forward` reads from outside of the network's layers is not seen.
    """
    owner = net._owner  # pyright: ignore[reportPrivateUsage]
    if owner is None or owner() is not net:
        net.named_parameters()  # gives the parameters names, which would change what is found here
    parts: list[Hashable] = []
    for _, module in net.named_modules():
        parts += [type(module), id(module)]
        for name, value in vars(module).copy().items():  # others may be building it for the first time
            parts += [name, None if name in _SAYING_NOTHING else _setting(value)]
    return tuple(parts)


_SAYING_NOTHING = ("training", "card")
"""Attributes that no graph in inference depends on."""


def _setting(value: Any) -> Hashable:
    kind = type(value)
    if kind in PLAIN:
        return kind, value
    if kind in (list, tuple):
        return kind, tuple(map(_setting, value))
    if kind is dict:
        return kind, tuple((str(name), _setting(v)) for name, v in value.items())
    return kind, id(value)


class Likeness:
    """A graph as it was when it was made, to compare others with."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._called = [n.name for n in graph.nodes]

    def is_of(self, nodes: Sequence[Tensor]) -> bool:
        """Whether `nodes`, in topological order, compute the same of the same parameters under the same names."""
        if len(nodes) != len(self.graph) or any(n.name != own for n, own in zip(nodes, self._called, strict=True)):
            return False
        partner: dict[Tensor, Tensor] = {}
        for own, node in zip(self.graph.nodes, nodes, strict=True):
            partner[own] = node
            if own is node:
                continue
            same_inputs = len(own.inputs) == len(node.inputs) and all(
                partner[a] is b for a, b in zip(own.inputs, node.inputs, strict=True)
            )
            same = not isinstance(own, Parameter) and own.op == node.op
            if not (same and same_inputs and (own.shape, own.dtype) == (node.shape, node.dtype)):
                return False
        return True
