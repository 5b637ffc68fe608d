"""Two pictures, two checkpoints or two networks built alike beside each other: layers, maps, one map."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pellucid import models
from pellucid.executors import TOLERANCE
from pellucid.explain import Trace
from pellucid.explain.networks.twins import MapComparison, compare_maps, divergences, layer_twins
from pellucid.graph import Input
from pellucid.lab.holdings import PICTURE, Library
from pellucid.lab.maps import LayerMaps, bytes_of
from pellucid.lab.network.layers import MOST_MAPS
from pellucid.lab.network.overview import pictures
from pellucid.lab.network.said import said
from pellucid.lab.network.view import LAYER, LOOK, MAP, VALUES, HeldNetworks, ViewParameter, again
from pellucid.lab.traces import Looked
from pellucid.nn.edits import fitting_edits
from pellucid.nn.grouping import kind_of
from pellucid.op import Array
from pellucid.pictures.colors import limits

ORDERS = ("first", "different")
PAIR = {
    **LOOK,
    "other": ViewParameter(
        "The network to compare with, such as another checkpoint of the run; the same one unless given."
    ),
    "against": ViewParameter("The picture to compare with; the same one unless given."),
}
TWIN_MAPS = {
    **PAIR,
    "layer": LAYER,
    "what": VALUES,
    "from": ViewParameter("The first of them.", 0),
    "count": ViewParameter(f"How many, at most {MOST_MAPS}.", 16),
    "side": ViewParameter("Rows and columns at most, every other left out; 0 for all.", 0),
    "order": ViewParameter("By their numbers, or those that differ most first.", "different", choices=ORDERS),
    "scale": ViewParameter("One scale for all, or each its own.", "shared", choices=("shared", "each")),
}
TWIN_MAP = {**PAIR, "layer": LAYER, "map": MAP, "what": VALUES}


def twins(held: HeldNetworks, given: dict[str, Any]) -> dict[str, Any]:
    """Every layer with its twin and how far they are apart, and what is said of both."""
    pair = Pair.of(held, given)
    first, a, b = pair.looks[0], *pair.traces
    apart = {found.a: found for found in divergences(a, b)}
    kinds = first.opened.net.layer_kinds()
    rows: list[dict[str, Any]] = []
    for x, y in layer_twins(a, b):
        own = a[x] if x is not None else b[str(y)]
        found = apart.get(x or "")
        rows.append(
            {
                "layer": x or "",
                "other": y or "",
                "shape": list(own.shape),
                "operation": kind_of(own.node, kinds),
                "input": isinstance(own.node.op, Input),
                **({"error": None} if found is None else _plain(asdict(found))),
            }
        )
    tolerance = TOLERANCE["float32"]
    begins = (r["layer"] for r in rows if not r["input"] and r["error"] is not None and not r["error"] <= tolerance)
    asked = _asked(held.holdings, given)
    return {
        "layers": rows,
        "tolerance": tolerance,
        "first": next(begins, ""),
        "looks": [_look(look) for look in pair.looks],
        **pair.edited(),
        **again("compare", asked, {}),
    }


def twin_maps(held: HeldNetworks, given: dict[str, Any]) -> dict[str, Any]:
    """Maps of a layer with their twins and the differences, each as bytes."""
    pair = Pair.of(held, given)
    (one, two), found = pair.layers(given)
    order = found.order if given["order"] == "different" else np.arange(one.count)
    numbers = order[given["from"] : given["from"] + min(given["count"], MOST_MAPS)]
    shown = [maps.sampled(given["side"]) for maps in (one, two)]
    far = _apart(*shown)
    signed = one.gradient or any(bool((maps.maps < 0).any()) for maps in (one, two))
    whole = limits(np.concatenate([one.maps, two.maps]), signed), limits(found.difference, True)

    def packed(k: int) -> dict[str, Any]:
        ends, apart = whole
        if given["scale"] == "each":
            ends = limits(np.stack([one.maps[k], two.maps[k]]), signed)
            apart = limits(found.difference[k], True)
        return {
            "map": k,
            "largest": float(found.largest[k]),
            "first": bytes_of(shown[0][k], ends),
            "second": bytes_of(shown[1][k], ends),
            "difference": bytes_of(far[k], apart),
        }

    return {
        "layer": found.layer,
        "other": found.other,
        "what": given["what"],
        "total": one.count,
        "size": one.size,
        "maps": [packed(int(k)) for k in numbers],
        **again("compare", _asked(held.holdings, given), {}),
    }


def twin_map(held: HeldNetworks, given: dict[str, Any]) -> dict[str, Any]:
    """One map of both: their numbers and the differences."""
    pair = Pair.of(held, given)
    (one, two), found = pair.layers(given)
    number = one.number(given["map"])
    signed = one.gradient or any(bool((maps.maps[number] < 0).any()) for maps in (one, two))
    return {
        "layer": found.layer,
        "other": found.other,
        "map": number,
        "what": given["what"],
        "size": one.size,
        "ends": limits(np.stack([maps.maps[number] for maps in (one, two)]), signed),
        "largest": float(found.largest[number]),
        "first": one.maps[number].tolist(),
        "second": two.maps[number].tolist(),
        "difference": found.difference[number].tolist(),
        **pair.edited(),
        **again("compare", _asked(held.holdings, given), {}),
    }


@dataclass(frozen=True)
class Pair:
    """Two looks: the second on what the first one reads of its picture, and with the edits that its network takes, as `compare` does it."""

    looks: tuple[Looked, Looked]
    edits: tuple[tuple[str, ...], tuple[str, ...]]
    notes: tuple[str, ...]
    """Which edits the second is without, and why."""

    @classmethod
    def of(cls, held: HeldNetworks, given: dict[str, Any]) -> Pair:
        """The two that were asked about."""
        model, picture = given["other"] or given["model"], given["against"] or given["picture"]
        other = held.holdings.network(model, "other" if given["other"] else "model")
        held.holdings.picture(picture, "against" if given["against"] else PICTURE)
        first = held.look(given)
        taken, notes = given["edit"], ()
        if model != given["model"]:
            taken, notes = fitting_edits(other.net, given["edit"])
        reader = "" if other.preprocessing == first.opened.preprocessing else given["model"]
        second = held.look({**given, "model": model, "picture": picture, "edit": taken, "reader": reader})
        return cls((first, second), (given["edit"], taken), tuple(f"In the second network {note}" for note in notes))

    @property
    def traces(self) -> tuple[Trace, Trace]:
        """Those of both."""
        first, second = self.looks
        return first.trace, second.trace

    def layers(self, given: dict[str, Any]) -> tuple[tuple[LayerMaps, LayerMaps], MapComparison]:
        """A layer and its twin as maps, compared."""
        a, b = self.traces
        gradient = given["what"] == "gradient"
        found = compare_maps(a, b, given["layer"], gradient=gradient)
        return (LayerMaps(a[found.layer], gradient), LayerMaps(b[found.other], gradient)), found

    def edited(self) -> dict[str, Any]:
        """The edits of each, and what the second is without."""
        return {"edits": [list(one) for one in self.edits], "notes": list(self.notes)}


def _asked(library: Library, given: dict[str, Any]) -> dict[str, Any]:
    """The question `compare` that gives the same numbers."""
    other = given["other"] or given["model"]
    return {
        "a": given["model"],
        "b": other,
        PICTURE: given["picture"],
        "second": given["against"],
        "layer": given.get("layer", ""),
        "gradient": given.get("what") == "gradient",
        "target": given["target"] if "layer" in given else "",
        "input": given["input"],
        "edit": given["edit"],
        "pretrained": any(models.is_known(name) for name in (given["model"], other)),
        **library.options(given["model"]),
    }


def _look(look: Looked) -> dict[str, Any]:
    """What a network was given, and what it says."""
    traced = look.trace
    asked = {"class": traced.label, "place": str(traced.place), "score": traced.score}
    return {**asked, "probability": traced.probability, "given": pictures(look)["given"], **said(look)}


def _apart(first: Array, second: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return second.astype(np.float64) - first.astype(np.float64)


def _plain(told: dict[str, Any]) -> dict[str, Any]:
    """Of a divergence what stands in a row, whose names are there already."""
    return {key: value for key, value in told.items() if key not in ("a", "b")}
