"""What a copy of the lab holds of each room: a bounded set of answers, along every handle and down to some numbers of a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import isqrt
from pathlib import Path
from typing import Any

from pellucid.lab.answers import Query
from pellucid.lab.wire import Problem
from pellucid.plain import to_json
from pellucid.train.noted_steps import spread

Asked = tuple[str, Query]
"""A name below /api/v1, and what is asked of it."""
Ask = Callable[[str, Query], Any]
"""Gives the answer as plain data."""
Keeps = Callable[[Sequence[Query], Ask], Iterator[Asked]]
"""What a room keeps, by the questions that its page and its presets begin with, the page's own first."""

STEP, REACH = 0.25, 20
"""Of a formula's variable: how far apart its values are, and how many there are on either side."""
CELLS = 400
"""Of a convolution's output, the most that a copy holds one by one."""
MAPS, NUMBERS, PICTURES = 600, 2000, 2
"""Of a network: maps in all layers, numbers that are taken apart, and pictures."""
PIECES, UNITS = 16, (1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32)
"""Of an approximation: pieces that are added one by one, and numbers of units."""
AT_ONCE = ("relu", "sigmoid", "lattice")
"""Methods of approximation that compute without training."""
SIZES = (*range(2, 33), 40, 50, 64, 80, 100, 128, 160, 200, 224, 256)
"""Of a picture whose connections are counted."""
SNAPSHOTS = 16 * 2**20
"""Of a run: bytes of its snapshots, of which some are left out where there would be more."""
BOXES = 5
"""Of what a detector finds on a picture: boxes that are explained."""
METHODS_KEPT = ("grad-cam", "grad-cam++", "saliency", "gradient-x-input")
"""Of attribution: those that take one pass."""


def along_formulas(bases: Sequence[Query], ask: Ask) -> Iterator[Asked]:
    """Each formula, and each of its variables along a grid about its value."""
    for base in bases:
        yield "formula", base
        for place, (key, text) in enumerate(base):
            name, equals, value = text.partition("=")
            if key == "values" and equals:
                for k in range(-REACH, REACH + 1):
                    moved = ("values", f"{name}={float(value) + k * STEP:.15g}")
                    yield "formula", (*base[:place], moved, *base[place + 1 :])


def along_activations(bases: Sequence[Query], ask: Ask) -> Iterator[Asked]:
    """Each choice, every function alone, its settings along a grid, and the ends of the axis."""
    from pellucid.explain import activation_names

    yield from (("activation", base) for base in bases)
    for end in range(1, 21):
        yield "activation", (*bases[0], ("low", str(-end)))
        yield "activation", (*bases[0], ("high", str(end)))
    for name in activation_names():
        alone = (("names", name),)
        yield "activation", alone
        for setting in ask("activation", alone)["answer"]["settings"]:
            yield from (("activation", (*alone, ("names", f"{setting}={k / 4:g}"))) for k in range(-12, 13))


def along_convolutions(bases: Sequence[Query], ask: Ask) -> Iterator[Asked]:
    """Each choice, every known kernel and picture at hand, each handle along its way, and every cell where there are few."""
    from pellucid.data.samples import DATA
    from pellucid.studies.convolving import KERNELS, POOLINGS

    first = tuple(pair for pair in bases[0] if pair[0] in ("picture", "kernel"))
    handles = {
        "kernel": KERNELS,
        "picture": [f"{name}[{k}]" for name in DATA if "/" not in name for k in (0, 7, 143)],
        "stride": range(1, 4),
        "padding": range(4),
        "dilation": range(1, 4),
        "pool_size": range(1, 5),
        "pooling": POOLINGS,
        "bias": range(-255, 256, 51),
        "shift": [f"{k},0" for k in range(-3, 4)] + [f"0,{k}" for k in range(-3, 4)],
    }
    moved = [_with(first, name, str(value)) for name, values in handles.items() for value in values]
    for choice in [*bases, *moved]:
        try:
            output = ask("convolve", choice)["answer"]["output"]
        except Problem:  # a kernel that reaches over more than there is
            continue
        yield "convolve", choice
        rows, columns = len(output), len(output[0])
        if rows * columns <= CELLS:
            yield from (("convolve", _with(choice, "at", f"{i},{j}")) for i in range(rows) for j in range(columns))


def along_races(bases: Sequence[Query], ask: Ask) -> Iterator[Asked]:
    """Every surface that is known by name, with the optimizers of the page, and losses one by one."""
    from pellucid.explain import loss_names
    from pellucid.studies import PRESETS

    runners = tuple(pair for pair in bases[0] if pair[0] == "optimizers")
    for name in PRESETS:
        yield "surface", (("formula", name),)
        yield "descend", (("formula", name), *runners)
    yield from (("loss", (("names", name),)) for name in loss_names())


def along_approximations(bases: Sequence[Query], ask: Ask) -> Iterator[Asked]:
    """Each function by every method that computes at once, piece by piece, by some numbers of units, and the smallest network for it."""
    name = "approximation-steps"
    for base in bases:
        function = tuple(pair for pair in base if pair[0] in ("formula", "domain"))
        for method in AT_ONCE:
            own = _with(base, "method", method)
            yield name, own
            yield from ((name, _with(own, "step", str(k))) for k in range(PIECES + 1))
            yield "approximate", (*function, ("tolerance", "0.1"), ("method", method))
            if base == bases[0]:
                yield from ((name, _with(own, "units", str(units))) for units in UNITS)


def along_connections(bases: Sequence[Query], ask: Ask) -> Iterator[Asked]:
    """Each handle along its way, a picture moved by up to three cells, and some draws of the weights."""
    moved = {
        "size": SIZES,
        "maps": range(1, 17),
        "kernel": range(1, 10, 2),
        "layers": range(1, 6),
        "channels": range(1, 4),
    }
    for base in bases:
        yield from (("connectivity", _with(base, key, str(value))) for key, values in moved.items() for value in values)
    shifts = [f"{k},1" for k in range(-3, 4)] + [f"0,{k}" for k in range(-3, 4)]
    for kernel in moved["kernel"]:
        look = (("picture", "digits[143]"), ("shift", "0,1"), ("kernel", str(kernel)), ("seed", "0"))
        yield "shift-test", look
        if kernel == 3:
            yield from (("shift-test", _with(look, "shift", shift)) for shift in shifts)
            yield from (("shift-test", _with(look, "seed", str(seed))) for seed in range(4))


def into_networks(bases: Sequence[Query], ask: Ask) -> Iterator[Asked]:
    """A network on some pictures: every layer, its strongest maps, and of the first picture numbers down to their terms."""
    from pellucid.lab.network.overview import APART
    from pellucid.lab.network.view import WHAT

    yield "network/begin", ()
    begun = ask("network/begin", ())
    model = ("model", begun["model"])
    others = [("input", f"{one['name']}={one['usual']}") for one in begun["inputs"] if one["usual"]]
    pictures = list(dict.fromkeys([begun["picture"], *begun["pictures"]]))[:PICTURES]
    for place, picture in enumerate(pictures):
        look = (model, ("picture", picture), *others)
        yield "network/overview", (*look, ("classes", APART))
        yield "network/classes", look
        yield from (("attribute.drawn", (*look, ("method", method))) for method in METHODS_KEPT)
        try:
            overview = ask("network/overview", (*look, ("classes", APART)))
        except Problem:
            if place == 0:
                raise
            continue  # a network that takes the first picture and not this one
        rows, columns = (overview["given"] or {"size": (0, 0)})["size"]
        if rows * columns <= CELLS:
            yield from (("network/pixel", (*look, ("cell", f"{i},{j}"))) for i in range(rows) for j in range(columns))
        layers = overview["layers"]
        most = max(2, min(12, MAPS // len(layers)))
        side = 0 if place else max(1, min(3, isqrt(NUMBERS // (len(layers) * most))))
        for what in WHAT:
            for layer in layers:
                yield from _of_a_layer((*look, ("layer", layer["layer"])), layer, what, most, side, ask)


def into_detection(bases: Sequence[Query], ask: Ask) -> Iterator[Asked]:
    """Where objects may be on some photographs; of the detector that the copy is about what it finds there, and why its surest boxes are."""
    from pellucid.data.samples import PHOTOS

    yield "networks", ()
    detector = ask("networks", ())["detector"]
    pictures = [("picture", name) for name in [*PHOTOS][:PICTURES]]
    yield from (("proposals.drawn", (picture, ("most", "500"))) for picture in pictures)
    if detector:
        for picture in pictures:
            look = (("detector", detector), picture)
            yield "find-objects.drawn", look
            count = len(ask("find-objects.drawn", look)["answer"]["pictures"][0]["objects"])
            yield from (("explain-box.drawn", (*look, ("box", str(box)))) for box in range(min(count, BOXES)))


def along_training(bases: Sequence[Query], ask: Ask) -> Iterator[Asked]:
    """The run that the copy is about: its curves, its snapshots and what it learned from; else what a training may begin with."""
    yield from (("decision-plane", base) for base in bases)
    subject = ask("networks", ())["subject"]
    places = (Path(subject), Path(subject).parent) if subject else ()  # a run, or a checkpoint in it
    run = next((one for one in ask("training", ())["runs"] if Path(one["network"]) in places), None)
    if run is None:
        return
    name = run["run"]
    yield "training/look", tuple(pair for pair in bases[0] if pair[0] in ("data", "network", "image_size"))
    yield f"runs/{name}", ()
    yield f"runs/{name}/stages", ()
    yield "curves", (("runs", name),)
    for ending in ("", ".svg", ".png", ".csv"):
        yield f"learning-curves{ending}", (("runs", run["network"]),)
    steps = run["snapshots"]
    if steps:
        size = len(to_json(ask(f"runs/{name}/snapshots/{steps[-1]}", ())))
        for place in spread(len(steps), max(2, SNAPSHOTS // size)):
            yield f"runs/{name}/snapshots/{steps[place]}", ()


def _of_a_layer(look: Query, layer: dict[str, Any], what: str, most: int, side: int, ask: Ask) -> Iterator[Asked]:
    """The layer's maps as the room asks for them, `most` of them by themselves, and `side` times `side` cells of each."""
    from pellucid.lab.network.layers import ORDERS

    seen = (*look, ("what", what))
    strip = (*seen, ("side", "40"), ("order", "strongest"), ("count", "5"))
    yield "network/maps", strip
    for order in ORDERS:
        for scale in ("shared", "each"):
            grid = (*seen, ("order", order), ("scale", scale), ("count", "64"), ("side", "64"))
            yield "network/maps", grid
    (rows, columns) = layer["size"]
    strongest = ask(
        "network/maps", (*seen, ("order", "strongest"), ("scale", "shared"), ("count", "64"), ("side", "64"))
    )
    for number in strongest["numbers"][:most]:
        one = (*seen, ("map", str(number)))
        yield "network/map", one
        yield "network/numbers", (*look, ("map", str(number)))
        for row in _spread(rows, side):
            yield from (("network/at", (*one, ("cell", f"{row},{column}"))) for column in _spread(columns, side))


def _spread(length: int, count: int) -> list[int]:
    """So many places out of a length, evenly."""
    return sorted({(2 * k + 1) * length // (2 * count) for k in range(min(length, count))})


def _with(query: Query, name: str, value: str) -> Query:
    return (*(pair for pair in query if pair[0] != name), (name, value))
