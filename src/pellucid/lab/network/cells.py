"""One number of a network: the terms that it is the sum of, and where each of their factors is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pellucid.explain import Neuron, Summands, Trace
from pellucid.explain.trace.drawn_sums import Patch, patches
from pellucid.explain.trace.terms import Terms
from pellucid.lab.maps import LayerMaps
from pellucid.lab.network.numbers import editable
from pellucid.lab.network.view import LOOK, HeldNetworks, again, cell_of
from pellucid.shown import missed

MOST_TERMS = 40
"""Terms that are listed."""


def at(held: HeldNetworks, given: dict[str, Any]) -> dict[str, Any]:
    """One number: the terms that it is the sum of, or that its gradient is, and what it sees."""
    look = held.look(given)
    traced, known = look.trace, set(editable(look.opened.net))
    one = LayerMaps(traced[given["layer"]])
    place = one.place(one.number(given["map"]), cell_of(given["cell"]))
    gradient = given["what"] == "gradient"
    found = one.layer.why_gradient(place) if gradient else one.layer[place]
    told = {**_told(found), "terms": [_term(traced, found, k, known) for k in found.terms.strongest(MOST_TERMS)]}
    slope = None
    if one.layer.node in traced.gradient_nodes:
        slope = float(traced.gradients.of(traced.gradient_node(one.layer.node))[one.layer.place(place)])
    shown = [term["value"] for term in told["terms"]]
    rest = found.total - float(sum(shown))
    text = ",".join(map(str, place))
    asked = {key: given[key] for key in LOOK} | {"why_gradient": gradient}
    return {
        "at": f"{one.layer.name}[{text}]",
        "answer": told,
        "count": len(found.terms),
        "rest": rest,
        "missed": missed(shown if len(shown) == len(found.terms) else [*shown, rest], found.total),
        "rounding": (found.preactivation if isinstance(found, Neuron) else found.value) - found.total,
        "gradient": slope,
        "field": (found if isinstance(found, Neuron) else one.layer[place]).receptive_field,
        "score": traced.score,
        "patches": [_patch(traced, patch) for patch in patches(found.terms)],
        "text": str(found),
        **again("explain", {**asked, "at": f"{one.layer.name}[{text}]"}, held.holdings.options(given["model"])),
    }


def _told(found: Summands) -> dict[str, Any]:
    """A sum as the command line tells it, but for its terms, of which there may be tens of thousands."""
    return replace(found, terms=Terms(())).to_dict() | {"sum": found.total}


def _term(traced: Trace, found: Summands, number: int, known: set[str]) -> dict[str, Any]:
    term = found.terms[number]
    factors = [
        {
            "name": f.name,
            "index": list(f.index),
            "value": f.value,
            "inverse": f.inverse,
            "place": place_of(traced, f.name, f.index),
            "edit": _edit(f.name.removeprefix("-"), f.index) if f.name.removeprefix("-") in known else None,
        }
        for f in term.factors
    ]
    return {"value": term.value, "factors": factors}


def _edit(name: str, index: tuple[int, ...]) -> str:
    """How an edit names an element of a parameter."""
    return f"{name}[{','.join(map(str, index))}]" if index else name


def place_of(traced: Trace, name: str, index: tuple[int, ...]) -> dict[str, Any] | None:
    """Where a factor can be looked at: the layer, the map and the cell; None for a weight."""
    layer = name.removeprefix("-").removeprefix("grad/")
    if layer not in set(traced):
        return None
    number, cell = LayerMaps(traced[layer]).cell_of(index)
    return {"layer": layer, "map": number, "cell": f"{cell[0]},{cell[1]}"}


def _patch(traced: Trace, patch: Patch) -> dict[str, Any]:
    return {
        "read": patch.read,
        "weight": patch.weight,
        "total": patch.total,
        "channels": [
            {"channel": k, "sum": total, "values": v.tolist(), "weights": w.tolist(), "products": p.tolist()}
            for k, total, v, w, p in zip(
                patch.channels, patch.sums, patch.values, patch.weights, patch.products, strict=True
            )
        ],
    }
