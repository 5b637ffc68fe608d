"""The one data structure everybody shares: the graph that tensors form."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pellucid.errors import GraphError, unknown
from pellucid.parameter import Initializer, Parameter
from pellucid.renamed import old_property
from pellucid.tensor import Call, Constant, Input, Tensor, apply, as_tensors, constant, input, of_arrays, topological
from pellucid.text import amount

__all__ = [
    "Call",
    "Constant",
    "Graph",
    "Initializer",
    "Input",
    "Parameter",
    "Tensor",
    "apply",
    "as_tensors",
    "constant",
    "distinct_names",
    "input",
    "of_arrays",
    "tensors_of",
    "topological",
    "unique_names",
]


class Graph(Sequence[Tensor]):
    """Everything that `outputs` need, in topological order, under unique names. Immutable.

    `graph["conv1"]` is the node of that name, `graph.names[node]` the name of a node. `output_names` are those of the
    outputs as a network gives them, else `out0`, `out1`, and so on. Printing gives a table.
    """

    __slots__ = ("_by_name", "names", "nodes", "output_names", "outputs")

    outputs: tuple[Tensor, ...]
    output_names: tuple[str, ...]
    nodes: tuple[Tensor, ...]
    names: Mapping[Tensor, str]
    _by_name: Mapping[str, Tensor]

    def __init__(self, outputs: Sequence[Tensor] | Mapping[str, Tensor]) -> None:
        named = isinstance(outputs, Mapping)
        made = tensors_of("a graph's outputs", outputs.values() if named else outputs)
        names_of = tuple(outputs) if named else tuple(f"out{n}" for n in range(len(made)))
        nodes = tuple(topological(made))
        names = unique_names(nodes)
        object.__setattr__(self, "outputs", made)
        object.__setattr__(self, "output_names", names_of)
        object.__setattr__(self, "nodes", nodes)
        object.__setattr__(self, "names", types.MappingProxyType(names))
        object.__setattr__(self, "_by_name", {name: node for node, name in names.items()})

    def __setattr__(self, attribute: str, value: Any) -> None:
        raise GraphError(f"a graph is immutable, {attribute!r} cannot be set; build a new one from other outputs")

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The nodes that must be fed."""
        return tuple(n for n in self.nodes if isinstance(n.op, Input))

    @property
    def image(self) -> Tensor:
        """The first input of shape (N, C, H, W); a `GraphError` where the outputs need none."""
        found = next((i for i in self.inputs if i.ndim == 4), None)
        if found is None:
            raise GraphError(f"{self!r}: what it computes depends on no picture (N, C, H, W)")
        return found

    picture = old_property("image")

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters the outputs depend on."""
        return tuple(n for n in self.nodes if isinstance(n, Parameter))

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            if key not in self._by_name:
                raise unknown("node", key, self._by_name)
            return self._by_name[key]
        return self.nodes[key]

    def find(self, name: str) -> Tensor | None:
        """The node of that name; None where there is none."""
        return self._by_name.get(name)

    def __len__(self) -> int:
        return len(self.nodes)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.nodes)

    def difference(self, other: Graph) -> str:
        """The first difference from another graph: names, ops, inputs, shapes, values of parameters; "" if there is none."""
        from pellucid.graph_view import difference

        return difference(self, other)

    def __str__(self) -> str:
        from pellucid.graph_view import table

        return table(self)

    def __repr__(self) -> str:
        return f"Graph({amount(len(self.nodes), 'node')}, outputs: {', '.join(self.names[o] for o in self.outputs)})"

    def svg(self) -> str:
        """A drawing of the graph from left to right; many nodes are folded by their names."""
        from pellucid.graph_view import diagram

        return diagram(self).svg()

    def _repr_html_(self) -> str:
        from pellucid.graph_view import diagram

        return diagram(self).fragment()


def unique_names(nodes: Sequence[Tensor]) -> dict[Tensor, str]:
    """A name for each node: its own, or where several share it, with `_1`, `_2`, ... for all but one of them.

    The one is the first that was given the name, as layers are; else a parameter, an input, or the first in order of the
    nodes. No name that is made up is another node's own.
    """

    def rank(node: Tensor) -> int:
        return 0 if node.is_named else 1 if isinstance(node, Parameter) else 2 if isinstance(node.op, Input) else 3

    ranked = sorted(nodes, key=rank)
    names = dict(zip(ranked, distinct_names([n.name for n in ranked]), strict=True))
    return {node: names[node] for node in nodes}


def distinct_names(wanted: Sequence[str]) -> list[str]:
    """The names, of which the first of several that are equal stays and the others get `_1`, `_2`, ... behind them."""
    taken = set(wanted)
    seen: set[str] = set()
    counters: dict[str, int] = {}
    found: list[str] = []
    for own in wanted:
        name = own
        while own in seen and name in taken:
            counters[own] = counters.get(own, 0) + 1
            name = f"{own}_{counters[own]}"
        seen.add(own)
        taken.add(name)
        found.append(name)
    return found


def tensors_of(what: str, given: object) -> tuple[Tensor, ...]:
    """Several tensors that a call gave, of one its rows; a `GraphError`, which says `what` they are for, where they are none."""
    some: tuple[Any, ...] = tuple(given) if isinstance(given, Iterable) else (given,)
    for one in some:
        if not isinstance(one, Tensor):
            how = "; a network gives tensors of inputs, net(x)" if callable(one) else ""
            raise GraphError(f"{what} are tensors, got {type(one).__name__}{how}")
    return some
