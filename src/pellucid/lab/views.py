"""What the network's room looks at: a network on a picture as layers, maps and cells, each a view at /api/v1/network/NAME."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pellucid.data.photo import Photo
from pellucid.errors import PellucidError, suggest
from pellucid.explain import LayerError, Neuron, Summands, Trace, filters
from pellucid.explain.trace.drawn_sums import Patch, patches
from pellucid.explain.trace.terms import Terms
from pellucid.lab.answers import Query, command, problem_of, python
from pellucid.lab.columns import blocks, sources
from pellucid.lab.holdings import Library
from pellucid.lab.maps import LayerMaps, bytes_of
from pellucid.lab.traces import Looked, Traces
from pellucid.lab.wire import Problem
from pellucid.nn.grouping import kind_of
from pellucid.op import Array
from pellucid.pictures.colors import png
from pellucid.questions import all_questions

MOST_MAPS, MOST_TEXT, MOST_TERMS, TOP, INPUTS = 256, 300, 40, 5, 12
"""Maps in one answer, characters of a parameter, terms that are listed, classes, and input maps beside a map."""
ORIGINAL = 320
"""Pixels of the longer side of a picture as it was sent."""
WHAT = ("value", "gradient")
ORDERS = ("first", "strongest")


@dataclass(frozen=True)
class Place:
    """A parameter of a view."""

    says: str
    default: Any = ""
    required: bool = False
    choices: tuple[str, ...] = ()


MODEL = Place("A network that /api/v1/networks lists.", required=True)
PICTURE = Place("A picture at hand, or the name of one that was sent.", required=True)
TARGET = Place("Whose score is asked about: a class, by name or number; the highest unless given.")
LAYER = Place("A layer of the overview.", required=True)
MAP = Place("The number of a map.", 0)
VALUES = Place("The values, or the score's gradient with regard to them.", "value", choices=WHAT)
LOOK = {"model": MODEL, "picture": PICTURE, "target": TARGET}


@dataclass(frozen=True)
class View:
    """A view: what it says, the parameters it takes, and the function that gives it."""

    says: str
    give: Callable[[Views, dict[str, Any]], dict[str, Any]]
    takes: Mapping[str, Place] = field(default_factory=dict[str, Place])


class Views:
    """The views of one library, over the traces that it keeps."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.traces = Traces(library)

    def answer(self, name: str, query: Query) -> dict[str, Any]:
        """A view as plain data. Raises `Problem`."""
        if name not in VIEWS:
            raise Problem(404, "No such view", f"{name:.60}{suggest(name, VIEWS)}", remedy="See /api/v1")
        view = VIEWS[name]
        try:
            return view.give(self, _given(name, view, query))
        except PellucidError as error:
            raise problem_of(error) from error

    def begin(self, given: dict[str, Any]) -> dict[str, Any]:
        """What there is to look at, and what to begin with."""
        model = given["model"] or self.library.usual()
        opened = self.library.network(model)
        channels = opened.shape[0] if opened.takes_pictures else 0
        usual = "test[3]" if opened.run is not None else "digits[143]" if channels == 1 else "sample:china"
        told = self.library.told()
        at_hand = [*(["test[3]", "test[0]"] if opened.run is not None else []), "digits[143]", *told["at_hand"]]
        return {
            "model": model,
            "picture": usual,
            "networks": self.library.ready(),
            "pictures": [*at_hand, *told["pictures"]],
            "classes": list(opened.classes),
        }

    def overview(self, given: dict[str, Any]) -> dict[str, Any]:
        """Every layer with its shape and range, the most likely classes, and the picture as the network got it."""
        look = self._look(given)
        traced, opened = look.trace, look.opened
        told = traced.to_dict()
        rows = told.pop("layers")
        names = [row["layer"] for row in rows]
        kinds = opened.net.layer_kinds()
        read, blocked = sources(traced, names), blocks(rows)
        for row, block in zip(rows, blocked, strict=True):
            one = LayerMaps(traced[row["layer"]])
            operation = kind_of(one.layer.node, kinds)
            row |= {
                "maps": one.count,
                "size": one.size,
                "operation": operation,
                "reads": read[row["layer"]],
                "block": block,
            }
        (predicted,) = opened.predict([look.file], TOP)
        asked = {"model": given["model"], "picture": given["picture"], "target": given["target"]}
        return {
            **told,
            "layers": rows,
            "top": predicted["predictions"],
            "scores": predicted.get("scores", ""),
            "given": _given_picture(look),
            "original": None if look.example.original is None else _original(look.example.original()),
            **_again("trace", asked, self.library.options(given["model"])),
        }

    def maps(self, given: dict[str, Any]) -> dict[str, Any]:
        """Maps of a layer as bytes: 0 for `low` to 254 for `high`, 255 for what is no number."""
        one = LayerMaps(self._look(given).trace[given["layer"]], given["what"] == "gradient")
        count = min(given["count"], MOST_MAPS)
        order = one.strongest() if given["order"] == "strongest" else np.arange(one.count)
        numbers = order[given["from"] : given["from"] + count]
        shown = one.sampled(given["side"])[numbers]
        return {
            "layer": one.layer.name,
            "what": given["what"],
            "total": one.count,
            "numbers": numbers.tolist(),
            "size": one.size,
            **bytes_of(shown, one.ends),
            "each": [bytes_of(m, one.ends_of(m)) for m in shown] if given["scale"] == "each" else None,
        }

    def map(self, given: dict[str, Any]) -> dict[str, Any]:
        """One map: its numbers, the filter that makes it, and the maps that this reads."""
        look = self._look(given)
        one = LayerMaps(look.trace[given["layer"]], given["what"] == "gradient")
        number = one.number(given["map"])
        values = one.maps[number]
        asked = {k: given[k] for k in ("model", "picture", "layer", "target")} | {"gradient": one.gradient}
        return {
            "layer": one.layer.name,
            "map": number,
            "what": given["what"],
            "values": values.tolist(),
            "ends": one.ends,
            "reads": self._reads(look, one, number),
            **_again("activations", asked, self.library.options(given["model"])),
        }

    def at(self, given: dict[str, Any]) -> dict[str, Any]:
        """One number: the terms that it is the sum of, or that its gradient is, and what it sees."""
        traced = self._look(given).trace
        one = LayerMaps(traced[given["layer"]])
        place = one.place(one.number(given["map"]), _cell(given["cell"]))
        gradient = given["what"] == "gradient"
        found = one.layer.why_gradient(place) if gradient else one.layer[place]
        told = {**_told(found), "terms": [_term(traced, found, k) for k in found.terms.strongest(MOST_TERMS)]}
        slope = None
        if one.layer.node in traced.gradient_nodes:
            slope = float(traced.gradients.of(traced.gradient_node(one.layer.node))[one.layer.place(place)])
        text = ",".join(map(str, place))
        asked = {k: given[k] for k in ("model", "picture", "target")} | {"why_gradient": gradient}
        return {
            "at": f"{one.layer.name}[{text}]",
            "answer": told,
            "count": len(found.terms),
            "rest": found.total - float(sum(term["value"] for term in told["terms"])),
            "rounding": (found.preactivation if isinstance(found, Neuron) else found.value) - found.total,
            "gradient": slope,
            "field": (found if isinstance(found, Neuron) else one.layer[place]).receptive_field,
            "score": traced.score,
            "patches": [_patch(traced, patch) for patch in patches(found.terms)],
            "text": str(found),
            **_again("explain", {**asked, "at": f"{one.layer.name}[{text}]"}, self.library.options(given["model"])),
        }

    def _look(self, given: dict[str, Any]) -> Looked:
        return self.traces.of(given["model"], given["picture"], given["target"])

    def _reads(self, look: Looked, one: LayerMaps, number: int) -> dict[str, Any]:
        """What a map is made of: kernels and the maps they go over, or the map of the same number of each layer that is read."""
        traced, name = look.trace, one.layer.name
        layers = sources(traced, list(traced))[name]
        try:
            weights = filters(look.opened.net, look.opened.shapes(), name).values[number]
        except LayerError:
            same = [LayerMaps(traced[layer]) for layer in layers]
            fit = [m for m in same if m.count == one.count]
            return {"layers": layers, "kernels": 0, "shown": [_small(m, number) for m in fit]}
        below = LayerMaps(traced[layers[0]])
        offset = (
            number * below.count // max(1, one.count) // len(weights) * len(weights)
            if len(weights) < below.count
            else 0
        )
        sizes = np.sqrt((weights.astype(np.float64) ** 2).sum((1, 2)))
        strongest = np.argsort(-sizes, kind="stable")[:INPUTS]
        shown = [{**_small(below, offset + int(k)), "kernel": weights[k].tolist()} for k in strongest]
        return {"layers": layers, "kernels": len(weights), "shown": shown}


def _small(maps: LayerMaps, number: int) -> dict[str, Any]:
    shown = maps.sampled(48)[number]
    return {"layer": maps.layer.name, "map": number, **bytes_of(shown, maps.ends)}


def _told(found: Summands) -> dict[str, Any]:
    """A sum as the command line tells it, but for its terms, of which there may be tens of thousands."""
    return replace(found, terms=Terms(())).to_dict() | {"sum": found.total}


def _term(traced: Trace, found: Summands, number: int) -> dict[str, Any]:
    term = found.terms[number]
    factors = [
        {
            "name": f.name,
            "index": list(f.index),
            "value": f.value,
            "inverse": f.inverse,
            "place": _place(traced, f.name, f.index),
        }
        for f in term.factors
    ]
    return {"value": term.value, "factors": factors}


def _place(traced: Trace, name: str, index: tuple[int, ...]) -> dict[str, Any] | None:
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


def _cell(text: str) -> tuple[int, int]:
    try:
        row, column = map(int, text.split(","))
    except ValueError:
        raise Problem(400, "No cell", f"cell wants a row and a column such as 3,4, got {text!r:.40}", "cell") from None
    return row, column


def _given_picture(look: Looked) -> dict[str, Any] | None:
    pixels = look.example.pixels
    return None if pixels is None else {"size": list(pixels.shape[1:]), "png": _as_png(pixels)}


def _original(photo: Photo) -> dict[str, Any]:
    high, wide = photo.pixels.shape[1:]
    part = [photo.rows, photo.columns]
    return {"size": [high, wide], "given": part, "png": _as_png(photo.within(ORIGINAL).pixels)}


def _as_png(pixels: Array) -> str:
    shown = np.moveaxis(pixels if len(pixels) == 3 else np.repeat(pixels[:1], 3, 0), 0, -1)
    return f"data:image/png;base64,{base64.b64encode(png(shown)).decode()}"


def _again(name: str, given: dict[str, Any], options: Mapping[str, str]) -> dict[str, Any]:
    """How a question is asked again: by its address, on the command line and in Python."""
    question = all_questions()[name]
    asked = {key: value for key, value in given.items() if value not in ("", False, None)}
    pairs = [[key, "true" if value is True else str(value)] for key, value in asked.items()]
    return {
        "question": name,
        "pairs": pairs,
        "command": command(question, asked, options),
        "python": python(question, asked, options),
    }


def _given(name: str, view: View, query: Query) -> dict[str, Any]:
    """What was asked, with what is usual where nothing is said. Raises `Problem`."""
    given = {key: place.default for key, place in view.takes.items()}
    seen: set[str] = set()
    for key, text in query:
        if key not in view.takes:
            raise Problem(
                400,
                "No such parameter",
                f"{key:.60}{suggest(key, view.takes)}",
                key,
                f"{name} takes {', '.join(view.takes)}",
            )
        if key in seen or len(text) > MOST_TEXT:
            raise Problem(400, "Twice, or too long", f"{key} is given once, in at most {MOST_TEXT} characters", key)
        seen.add(key)
        given[key] = _whole(key, text) if isinstance(given[key], int) else text
        if (choices := view.takes[key].choices) and text not in choices:
            raise Problem(400, "No such choice", f"{key} is {' or '.join(choices)}, not {text!r:.40}", key)
    for key, place in view.takes.items():
        if place.required and not given[key]:
            raise Problem(400, "A parameter is missing", f"{name} wants {key}: {place.says}", key)
    return given


def _whole(key: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 8):
        raise Problem(400, "No number", f"{key} wants a whole number from 0, got {text!r:.40}", key)
    return int(text)


VIEWS: dict[str, View] = {
    "begin": View(
        "What there is to look at, and what to begin with.",
        Views.begin,
        {"model": Place("A network; the usual one unless given.")},
    ),
    "overview": View(
        "Every layer with its range, the classes, and the picture as the network got it.", Views.overview, LOOK
    ),
    "maps": View(
        "Maps of a layer as bytes: 0 for low to 254 for high, 255 for what is no number.",
        Views.maps,
        {
            **LOOK,
            "layer": LAYER,
            "what": VALUES,
            "from": Place("The first of them.", 0),
            "count": Place(f"How many, at most {MOST_MAPS}.", 16),
            "side": Place("Rows and columns at most, every other left out; 0 for all.", 0),
            "order": Place("By their numbers, or the largest by absolute value first.", "first", choices=ORDERS),
            "scale": Place("One scale for all, or each its own besides.", "shared", choices=("shared", "each")),
        },
    ),
    "map": View(
        "One map: its numbers, the filter that makes it, the maps that it reads.",
        Views.map,
        {**LOOK, "layer": LAYER, "map": MAP, "what": VALUES},
    ),
    "at": View(
        "One number, term by term: the value, or with what=gradient the score's gradient there.",
        Views.at,
        {**LOOK, "layer": LAYER, "map": MAP, "cell": Place("A row and a column, such as 3,4.", "0,0"), "what": VALUES},
    ),
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
