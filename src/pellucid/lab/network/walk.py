"""The strongest paths from the score back to pixels, each step a place that can be looked at."""

from __future__ import annotations

from typing import Any

from pellucid.explain import walk_back
from pellucid.lab.network.cells import place_of
from pellucid.lab.network.view import LOOK, HeldNetworks, again

MOST_PATHS = 50


def walk(held: HeldNetworks, given: dict[str, Any]) -> dict[str, Any]:
    """The paths as `walk-back` tells them, with the layer, map and cell of each step."""
    look = held.look(given)
    traced = look.trace
    count = max(1, min(given["count"], MOST_PATHS))
    found = walk_back(traced, count, biases=False, shown=look.example.pixels)
    told = found.to_dict()
    for path in told["paths"]:
        for step in path["steps"]:
            step["place"] = place_of(traced, step["layer"], tuple(step["index"]))
    asked = {key: given[key] for key in LOOK} | {"count": count}
    words = " ".join(found.notes())
    return {
        **told,
        "words": words,
        "part": found.drawing().part(),
        **again("walk-back", asked, held.holdings.options(given["model"])),
    }
