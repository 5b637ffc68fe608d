"""The numbers of a network that make one of its maps: each with the text by which it is edited."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pellucid.explain import Trace
from pellucid.explain.trace.terms import Column
from pellucid.lab.maps import LayerMaps
from pellucid.lab.network.view import HeldNetworks
from pellucid.nn.edits import HasFixed
from pellucid.nn.module import Module, parameter_places
from pellucid.op import Array

MOST_VALUES = 100
"""Numbers of a part that are told one by one."""


def numbers(held: HeldNetworks, given: dict[str, Any]) -> dict[str, Any]:
    """The filter, bias and other numbers that make a map, or of a layer all that do; and all names that may be edited."""
    look = held.look(given)
    one, net = LayerMaps(look.trace[given["layer"]]), look.opened.net
    known = editable(net)
    number = one.number(given["map"]) if given["of"] == "map" else None
    parts: list[dict[str, Any]] = []
    plain = held.holdings.network(given["model"]).net
    for name, index in _parts(look.trace, one, number, known).items():
        now, before = (_value(of, name)[index] for of in (net, plain))
        parts.append(
            {**_part(name, index, now), "edited": not np.array_equal(now, before, equal_nan=now.dtype.kind == "f")}
        )
    return {"layer": one.layer.name, "map": number, "parts": parts, "names": known}


def editable(net: Module) -> list[str]:
    """The names of all numbers that may be edited."""
    names = [name for name, _ in parameter_places(net)]
    return [*names, *net.fixed_names()] if isinstance(net, HasFixed) else names


def _value(net: Module, name: str) -> Array:
    parameter = dict(parameter_places(net)).get(name)
    if parameter is not None:
        return parameter.value
    assert isinstance(net, HasFixed)
    return net.fixed_value(name)[0]


def _in_words(place: int | slice) -> str:
    if isinstance(place, slice):
        return ":" if place == slice(None) else f"{place.start}:{place.stop}"
    return str(place)


def _part(name: str, index: tuple[int | slice, ...], part: Array) -> dict[str, Any]:
    """A part of a parameter: as an edit names it, its shape, and its numbers or how they are spread."""
    words = ",".join(map(_in_words, index))
    spread = {"min": part.min().item(), "max": part.max().item(), "mean": float(part.mean())} if part.size else {}
    told = {"values": part.tolist()} if part.size <= MOST_VALUES else {}
    return {
        "name": name,
        "at": f"{name}[{words}]" if index else name,
        "shape": list(part.shape),
        "size": part.size,
        **spread,
        **told,
    }


def _parts(
    trace: Trace, one: LayerMaps, number: int | None, known: Sequence[str]
) -> dict[str, tuple[int | slice, ...]]:
    """The parameters that a map is made of, by name, each with the part that no other map is made of."""
    others = {0, one.count - 1, *(() if number is None else (number - 1, number + 1))}
    own = 0 if number is None else number
    seen = {k: dict(_read(trace, one, k, known)) for k in [own, *sorted(others - {own})] if 0 <= k < one.count}
    if number is None:
        return {name: () for read in seen.values() for name in read}
    found: dict[str, tuple[int | slice, ...]] = {}
    for name, (places, shape) in seen[number].items():
        rest = [read[name][0] for k, read in seen.items() if k != number and name in read]
        index = [_of_axis(places[:, axis], [other[:, axis] for other in rest], size) for axis, size in enumerate(shape)]
        while index and index[-1] == slice(None):
            index.pop()
        found[name] = tuple(index)
    return found


def _of_axis(own: Array, others: Sequence[Array], size: int) -> int | slice:
    """What of an axis is a map's own: a place, a range, or all of it where other maps are made of the same."""
    low, high = int(own.min()), int(own.max())
    if size == 1 or all((int(other.min()), int(other.max())) == (low, high) for other in others):
        return slice(None)
    return low if low == high else slice(low, high + 1)


def _read(
    trace: Trace, one: LayerMaps, number: int, known: Sequence[str]
) -> Iterator[tuple[str, tuple[Array, tuple[int, ...]]]]:
    """The parameters that the middle of a map reads, with the places in them."""
    rows, columns = one.size
    names = set(known)
    found: dict[str, list[Column]] = {}
    for block in one.layer[one.place(number, (rows // 2, columns // 2))].terms.blocks:
        for column in block.columns:
            if (name := column.name.removeprefix("-")) in names and len(column.places):
                found.setdefault(name, []).append(column)
    for name, same in found.items():
        yield name, (np.concatenate([column.places for column in same]), same[0].node.shape)
