"""The order of nodes: files may list them in any, each is computed after all that it reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

from pellucid.interop.errors import OnnxError


class Listed(Protocol):
    """What a file lists: something that reads values by name and makes others."""

    @property
    def outputs(self) -> Sequence[str]: ...

    def reads(self) -> Iterable[str]: ...


N = TypeVar("N", bound=Listed)


def in_order(nodes: Sequence[N]) -> tuple[N, ...]:
    """The nodes, each after those whose outputs it reads, else as they are listed; an `OnnxError` names those in a circle."""
    makers: dict[str, int] = {}
    for number, node in enumerate(nodes):
        for name in filter(None, node.outputs):
            if name in makers:
                raise OnnxError(f"{node}: its output {name!r} is that of {nodes[makers[name]]} as well")
            makers[name] = number
    order: dict[int, None] = {}
    for number in range(len(nodes)):
        if number not in order:
            _visit(number, nodes, makers, order)
    return tuple(nodes[number] for number in order)


def _visit(start: int, nodes: Sequence[Listed], makers: Mapping[str, int], order: dict[int, None]) -> None:
    """Put a node into the order, behind all that it needs."""
    way: dict[int, Iterator[str]] = {start: iter(nodes[start].reads())}
    while way:
        number, names = next(reversed(way.items()))
        name = next(names, None)
        if name is None:
            del way[number]
            order[number] = None
        elif (maker := makers.get(name)) in way:
            circle = [str(nodes[k]) for k in list(way)[list(way).index(maker) :]]
            shown = ", ".join(circle[:5]) + (f" and {len(circle) - 5} more" if len(circle) > 5 else "")
            raise OnnxError(f"{nodes[number]}: its input {name!r} is not computed before it: {shown} form a circle")
        elif maker is not None and maker not in order:
            way[maker] = iter(nodes[maker].reads())
