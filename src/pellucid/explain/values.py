"""What the nodes of a graph are worth: kept by a trace, computed again from what is kept, or put in place of others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from pellucid.graph import Constant, Parameter, Tensor, topological
from pellucid.op import Array


class Values:
    """Values of nodes. Those that are not known are computed from those that are, and then known too."""

    def __init__(self, known: Mapping[Tensor, Array]) -> None:
        self.known = dict(known)

    def of(self, node: Tensor) -> Array:
        """The value of a node."""
        stack = [node]
        while stack:
            current = stack[-1]
            if current in self.known:
                stack.pop()
            elif isinstance(current, Parameter):
                self.known[current] = current.value
            elif isinstance(current.op, Constant):
                self.known[current] = current.op.value
            elif missing := [i for i in current.inputs if i not in self.known]:
                stack.extend(missing)
            else:
                with np.errstate(all="ignore"):  # NaN and infinity are values here
                    self.known[current] = np.asarray(current.op.reference(*(self.known[i] for i in current.inputs)))
        return self.known[node]

    def nbytes(self, nodes: Iterable[Tensor]) -> int:
        """Bytes that the known values of `nodes` take."""
        return sum(self.known[n].nbytes for n in nodes if n in self.known)


def replaced(outputs: Sequence[Tensor], given: Mapping[Tensor, Tensor]) -> list[Tensor]:
    """The same outputs, computed from other nodes where `given` has some."""
    new: dict[Tensor, Tensor] = dict(given)
    for node in topological(outputs):
        if node not in new:
            inputs = tuple(new[i] for i in node.inputs)
            same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
            new[node] = node if same else Tensor(node.op, inputs, node.shape, node.dtype, node.name)
    return [new[o] for o in outputs]
