"""The maps of a layer, and one of them with what it is made of."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.explain import LayerError, filters
from pellucid.lab.columns import sources
from pellucid.lab.maps import LayerMaps, bytes_of
from pellucid.lab.network.view import LOOK, HeldNetworks, again
from pellucid.lab.traces import Looked

MOST_MAPS, INPUTS = 256, 12
"""Maps in one answer, and input maps beside a map."""
ORDERS = ("first", "strongest")


def maps(held: HeldNetworks, given: dict[str, Any]) -> dict[str, Any]:
    """Maps of a layer as bytes: 0 for `low` to 254 for `high`, 255 for what is no number."""
    one = LayerMaps(held.look(given).trace[given["layer"]], given["what"] == "gradient")
    count = min(given["count"], MOST_MAPS)
    order = one.strongest() if given["order"] == "strongest" else np.arange(one.count)
    numbers = order[given["from"] : given["from"] + count]
    shown = one.sampled(given["side"], numbers)
    asked = {k: given[k] for k in (*LOOK, "layer")} | {"gradient": one.gradient}
    return {
        "layer": one.layer.name,
        "what": given["what"],
        "total": one.count,
        "numbers": numbers.tolist(),
        "size": one.size,
        **bytes_of(shown, one.ends),
        "each": [bytes_of(m, one.ends_of(m)) for m in shown] if given["scale"] == "each" else None,
        **again("activations", asked, held.holdings.options(given["model"])),
    }


def one_map(held: HeldNetworks, given: dict[str, Any]) -> dict[str, Any]:
    """One map: its numbers, the filter that makes it, and the maps that this reads."""
    look = held.look(given)
    one = LayerMaps(look.trace[given["layer"]], given["what"] == "gradient")
    number = one.number(given["map"])
    values = one.maps[number]
    asked = {k: given[k] for k in (*LOOK, "layer")} | {"gradient": one.gradient}
    return {
        "layer": one.layer.name,
        "map": number,
        "what": given["what"],
        "values": values.tolist(),
        "ends": one.ends,
        "reads": _reads(look, one, number),
        **again("activations", asked, held.holdings.options(given["model"])),
    }


def _reads(look: Looked, one: LayerMaps, number: int) -> dict[str, Any]:
    """What a map is made of: kernels and the maps they go over, or the map of the same number of each layer that is read."""
    traced, name = look.trace, one.layer.name
    layers = sources({layer: traced[layer].node for layer in traced})[name]
    try:
        found = filters(look.opened.net, look.opened.shapes(), name).values
    except LayerError:
        found = np.zeros(0)
    if len(found) != one.count:  # no convolution, or one over a sequence, which is one map
        same = [LayerMaps(traced[layer]) for layer in layers]
        fit = [m for m in same if m.count == one.count]
        return {"layers": layers, "kernels": 0, "shown": [_small(m, number) for m in fit]}
    weights, below = found[number], LayerMaps(traced[layers[0]])
    offset = (
        number * below.count // max(1, one.count) // len(weights) * len(weights) if len(weights) < below.count else 0
    )
    sizes = np.sqrt((weights.astype(np.float64) ** 2).sum((1, 2)))
    strongest = np.argsort(-sizes, kind="stable")[:INPUTS]
    shown = [{**_small(below, offset + int(k)), "kernel": weights[k].tolist()} for k in strongest]
    return {"layers": layers, "kernels": len(weights), "shown": shown}


def _small(maps: LayerMaps, number: int) -> dict[str, Any]:
    (shown,) = maps.sampled(48, np.array([number]))
    return {"layer": maps.layer.name, "map": number, **bytes_of(shown, maps.ends)}
