"""What the nodes of a graph are worth: kept by a trace, or computed again from what is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pellucid.graph import Parameter, Tensor, topological
from pellucid.op import Array
from pellucid.walks import evaluate


class Values:
    """Values of nodes. Those that are not known are computed from those that are, and then known too."""

    def __init__(self, known: Mapping[Tensor, Array]) -> None:
        self.known = dict(known)

    def of(self, node: Tensor) -> Array:
        """The value of a node."""
        if node in self.known:  # most are, and a walk begins with all that are
            return self.known[node]
        for needed in topological([node], self.known):
            if isinstance(needed, Parameter):
                self.known[needed] = needed.value
            else:
                self.known[needed] = evaluate(needed, [self.known[i] for i in needed.inputs])
        return self.known[node]

    def nbytes(self, nodes: Iterable[Tensor]) -> int:
        """Bytes that the known values of `nodes` take."""
        return sum(self.known[n].nbytes for n in nodes if n in self.known)
