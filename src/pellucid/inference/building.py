"""How a network is built at the moment: what tells whether a graph that was made of it still is its graph."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from pellucid.nn import Module

_PLAIN = frozenset({bool, int, float, str, type(None)})


def how_built(net: Module) -> Hashable:
    """Its layers, their settings and which parameters they have; equal as long as these are the same.

    Settings are plain values, also within lists, tuples and dicts; of anything else it counts which object it is. What
    `forward` reads from outside of the network's layers is not seen.
    """
    parts: list[Hashable] = []
    for _, module in net.named_modules():
        parts += [type(module), id(module)]
        for name, value in vars(module).items():
            parts += [name, None if name == "training" else _setting(value)]
    return tuple(parts)


def _setting(value: Any) -> Hashable:
    kind = type(value)
    if kind in _PLAIN:
        return kind, value
    if kind in (list, tuple):
        return kind, tuple(map(_setting, value))
    if kind is dict:
        return kind, tuple((str(name), _setting(v)) for name, v in value.items())
    return kind, id(value)
