"""What the network's room looks at: a network on a picture as layers, maps and cells, each a view at /api/v1/network/NAME."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from pellucid.errors import PellucidError, suggest
from pellucid.lab.answers import Query, problem_of
from pellucid.lab.holdings import Library
from pellucid.lab.network.cells import at
from pellucid.lab.network.layers import MOST_MAPS, ORDERS, maps, one_map
from pellucid.lab.network.numbers import numbers
from pellucid.lab.network.overview import OVERVIEW, begin, layers, overview
from pellucid.lab.network.pixel import pixel
from pellucid.lab.network.said import classes
from pellucid.lab.network.twins import PAIR, TWIN_MAP, TWIN_MAPS, twin_map, twin_maps, twins
from pellucid.lab.network.view import CELL, LAYER, LOOK, MAP, VALUES, HeldNetworks, View, ViewParameter
from pellucid.lab.network.walk import MOST_PATHS, walk
from pellucid.lab.traces import Traces
from pellucid.lab.wire import Problem
from pellucid.progress import quiet


class Views:
    """The views of one library, over the traces that it keeps."""

    def __init__(self, library: Library) -> None:
        self.held = HeldNetworks(library, Traces(library))

    def prepare(self) -> None:
        """Look at what the subject's page begins with, so that it is there when the page asks; what is wrong with it the page says."""
        with quiet(), suppress(PellucidError, Problem, OSError):
            begun = begin(self.held, {"model": self.held.holdings.subject})
            asked = {**{name: place.default for name, place in LOOK.items()}, **begun}
            layers(self.held, asked)  # the page asks them while the rest is computed
            self.held.look(asked).told  # noqa: B018 (kept for the overview)

    def answer(self, name: str, query: Query) -> dict[str, Any]:
        """A view as plain data. Raises `Problem`."""
        if name not in VIEWS:
            raise Problem(404, "No such view", f"{name:.60}{suggest(name, VIEWS)}", remedy="See /api/v1")
        view = VIEWS[name]
        try:
            return view.give(self.held, view.read(name, query))
        except PellucidError as error:
            raise problem_of(error) from error


VIEWS: dict[str, View] = {
    "begin": View(
        "What there is to look at, and what to begin with.",
        begin,
        {"model": ViewParameter("A network; the usual one unless given.")},
    ),
    "layers": View(
        "Every layer with its shape, what it reads and the block it is in, before anything is computed.", layers, LOOK
    ),
    "overview": View(
        "Every layer with its range, the classes, and the picture as the network got it.", overview, OVERVIEW
    ),
    "classes": View(
        "What the network says: the most likely classes, and what it said before the edits.", classes, LOOK
    ),
    "maps": View(
        "Maps of a layer as bytes: 0 for low to 254 for high, 255 for what is no number.",
        maps,
        {
            **LOOK,
            "layer": LAYER,
            "what": VALUES,
            "from": ViewParameter("The first of them.", 0),
            "count": ViewParameter(f"How many, at most {MOST_MAPS}.", 16),
            "side": ViewParameter("Rows and columns at most, every other left out; 0 for all.", 0),
            "order": ViewParameter(
                "By their numbers, or the largest by absolute value first.", "first", choices=ORDERS
            ),
            "scale": ViewParameter("One scale for all, or each its own besides.", "shared", choices=("shared", "each")),
        },
    ),
    "map": View(
        "One map: its numbers, the filter that makes it, the maps that it reads.",
        one_map,
        {**LOOK, "layer": LAYER, "map": MAP, "what": VALUES},
    ),
    "at": View(
        "One number, term by term: the value, or with what=gradient the score's gradient there.",
        at,
        {**LOOK, "layer": LAYER, "map": MAP, "cell": CELL, "what": VALUES},
    ),
    "numbers": View(
        "The filter, bias and other numbers that make a map, or a layer, each as an edit names it.",
        numbers,
        {
            **LOOK,
            "layer": LAYER,
            "map": MAP,
            "of": ViewParameter("Of a map, or of the layer.", "map", choices=("map", "layer")),
        },
    ),
    "pixel": View("The numbers that the network got at a place of the picture.", pixel, {**LOOK, "cell": CELL}),
    "walk": View(
        "The strongest paths from the score back to pixels, each step with its place.",
        walk,
        {**LOOK, "count": ViewParameter(f"How many, at most {MOST_PATHS}.", 5)},
    ),
    "twins": View("Two pictures or two networks beside each other, layer by layer.", twins, PAIR),
    "twin-maps": View("Maps of a layer with their twins and the differences, as bytes.", twin_maps, TWIN_MAPS),
    "twin-map": View("One map of both: their numbers and the differences.", twin_map, TWIN_MAP),
}


def view_addresses() -> list[dict[str, Any]]:
    """Every view with its parameters: what /api/v1 lists."""
    return [
        {
            "address": f"/api/v1/network/{name}",
            "says": view.says,
            "parameters": [
                {"name": key, "says": p.says, "required": p.required, "default": p.default, "choices": list(p.choices)}
                for key, p in view.takes.items()
            ],
        }
        for name, view in VIEWS.items()
    ]
