"""The reference executor: NumPy, one node after another. It is the specification the others are judged against."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pellucid.executors.contract import Feeds, Signature
from pellucid.graph import Parameter, Tensor
from pellucid.op import Array
from pellucid.ops.shape import Move
from pellucid.walks import evaluate, finished


class ReferenceProgram:
    """Runs every node's `reference`, dropping each value after its last use."""

    fallbacks: tuple[str, ...] = ()

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self.graph = signature.graph
        self._drop = finished(self.graph.nodes, {*signature.outputs, *signature.updates.values()})
        signature.fitting.require(self._peak())

    def _peak(self) -> int:
        """Bytes of the values that have to be there at once, without those that may share the memory of others."""
        held = {n: 0 if isinstance(n.op, Move) else n.nbytes for n in self.graph.nodes}
        live = peak = 0
        for node, dropped in zip(self.graph.nodes, self._drop, strict=True):
            live += held[node]
            peak = max(peak, live)
            live -= sum(held[n] for n in dropped)
        return peak

    def __call__(self, feeds: Feeds = {}) -> tuple[Array, ...]:  # noqa: B006
        values = self.signature.check(feeds)
        with self.signature.computing, self.signature.fitting:
            for position, node in enumerate(self.graph.nodes):
                if node not in values:
                    values[node] = self._value(node, values)
                for value in self._drop[position]:
                    del values[value]
            results = tuple(np.array(values[output]) for output in self.signature.outputs)
            self.signature.require_finite(results)
            fresh = {p: np.array(values[new]) for p, new in self.signature.updates.items()}
            self.signature.set_parameters(fresh)
        return self.signature.given(results)

    def replay(self, feeds: Feeds = {}) -> Iterator[tuple[Tensor, Array]]:  # noqa: B006
        """Every node with its value, in order of computation; no parameter is changed."""
        values = self.signature.check(feeds)
        for position, node in enumerate(self.graph.nodes):
            if node not in values:
                with self.signature.fitting:
                    values[node] = self._value(node, values)
            yield node, values[node]
            for value in self._drop[position]:
                del values[value]

    def record(self, feeds: Feeds = {}) -> dict[Tensor, Array]:  # noqa: B006
        """Every node's value; no parameter is changed."""
        return {node: np.array(value) for node, value in self.replay(feeds)}

    def _value(self, node: Tensor, values: dict[Tensor, Array]) -> Array:
        if isinstance(node, Parameter):
            return node.value
        return evaluate(node, [values[i] for i in node.inputs], self.graph.names[node])
