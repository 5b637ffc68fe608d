"""Who computes a network: the executor, and the layers that it leaves to NumPy's reference kernels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pellucid.executors import Setting, compile
from pellucid.executors.choice import resolved
from pellucid.nn import Module
from pellucid.nn.interface import Shapes, shapes_of
from pellucid.nn.summary import inference_graph, nodes_by_layer
from pellucid.text import some_of


@dataclass(frozen=True)
class Computing:
    """Who computes a network in inference: the executor, and the layers with ops that NumPy computes, by kind of op."""

    asked: str
    executor: str
    reference: Mapping[str, tuple[str, ...]]

    def plain(self) -> dict[str, Any]:
        """Plain data for JSON."""
        layers = {kind: list(names) for kind, names in self.reference.items()}
        return {
            "executor": self.asked,
            "computed_by": self.executor,
            "reference_kernels": list(layers),
            "reference_layers": layers,
        }

    def __str__(self) -> str:
        on = self.executor if self.asked != "auto" else f"{self.executor} (auto)"
        if self.executor == "reference":
            return f"computed on {on}, through the reference kernels: every layer, as NumPy computes the whole network"
        if not self.reference:
            return f"computed on {on}"
        kinds = [f"{kind} (in {some_of(names, 3)})" for kind, names in self.reference.items()]
        return f"computed on {on}, through the reference kernel: {', '.join(kinds)}"


def computing(net: Module, shapes: Shapes, executor: str, precision: str, threads: int) -> Computing:
    """Who computes what of a network in inference for inputs of these shapes, by name."""
    graph = inference_graph(net, shapes_of(net, shapes))
    chosen = resolved(Setting(executor, precision, threads), graph).executor
    fallbacks = compile(graph.outputs, executor=chosen, precision=precision, threads=threads).fallbacks
    found: dict[str, list[str]] = {}
    for output, inside in nodes_by_layer(graph, net.layer_kinds()).items():
        for kind in dict.fromkeys(type(node.op).__name__ for node in inside):
            if chosen == "reference" or kind in fallbacks:
                found.setdefault(kind, []).append(graph.names[output])
    found |= {kind: [] for kind in fallbacks if kind not in found}
    return Computing(executor, chosen, {kind: tuple(found[kind]) for kind in sorted(found)})
