"""A network on a picture as a whole: every layer with its range, the classes, the picture."""

from __future__ import annotations

import base64
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from pellucid.data.photo import Photo
from pellucid.examples import RANDOM
from pellucid.inference.target import find_target, why_no_gradient
from pellucid.lab.holdings import AT_HAND
from pellucid.lab.network.said import classes
from pellucid.lab.network.view import LOOK, HeldNetworks, ViewParameter, again
from pellucid.lab.traces import Looked
from pellucid.op import Array
from pellucid.opening import Opened
from pellucid.pictures.colors import png

ORIGINAL = 320
"""Pixels of the longer side of a picture as it was sent."""
APART = "apart"
OVERVIEW = {
    **LOOK,
    "classes": ViewParameter(
        "With the classes, or these apart, by the view of this name.", "with", choices=("with", APART)
    ),
}
"""Classes are those of `predict`, whose program is another one than the trace's: apart, the layers are there sooner."""


def begin(held: HeldNetworks, given: dict[str, Any]) -> dict[str, Any]:
    """What there is to look at, and what to begin with."""
    model = given["model"] or held.holdings.usual()
    opened = held.holdings.network(model)
    at_hand = [*(["test[3]", "test[0]"] if opened.run is not None else []), "digits[143]", *AT_HAND]
    main = opened.main.name
    return {
        "model": model,
        "picture": _usual(opened),
        "takes": str(opened.main),
        "note": _why_no_picture(opened),
        "inputs": [
            {
                "name": one.name,
                "says": str(one),
                "optional": one.optional,
                "usual": "" if one.optional else RANDOM + ":0",
            }
            for one in opened.net.input_specs()
            if one.name != main
        ],
        "networks": held.holdings.ready(),
        "pictures": [*at_hand, f"{RANDOM}:0", *held.holdings.sent()],
        "classes": list(opened.classes),
    }


def _usual(opened: Opened) -> str:
    """What to look at first: a picture, or random numbers where the network takes none."""
    if _why_no_picture(opened):
        return f"{RANDOM}:0"
    return "test[3]" if opened.run is not None else "digits[143]" if opened.shape[0] == 1 else "sample:china"


def _why_no_picture(opened: Opened) -> str:
    """Why no picture can be given to a network, "" where one can."""
    if not opened.takes_pictures:
        return f"It takes no pictures but {opened.main}: random numbers, numbers of your own, or an array (.npy) stand for one."
    if opened.preprocessing is None:
        return (
            "It does not say how pictures become its input, so it is given random numbers. "
            "Start the lab with --preprocessing unit, symmetric or imagenet to give it pictures."
        )
    return ""


def layers(held: HeldNetworks, given: dict[str, Any]) -> dict[str, Any]:
    """What the overview has of every layer and of the picture before anything is computed."""
    look = held.begun(given)
    if look.target is not None:
        find_target(look.prepared.outputs, look.target, look.opened.classes, whole=True)  # raises where there is none
    return _known(look)


def _known(look: Looked) -> dict[str, Any]:
    return {
        "layers": look.layers,
        "no_gradient": why_no_gradient(look.prepared.outputs),
        **pictures(look),
    }


def overview(held: HeldNetworks, given: dict[str, Any]) -> dict[str, Any]:
    """Every layer with its shape and range, the most likely classes, and the picture as the network got it."""
    look = held.look(given)
    known = _known(look)
    rows = [{**row, **column} for row, column in zip(look.told["layers"], known["layers"], strict=True)]
    asked = {key: given[key] for key in LOOK}
    return {
        **look.told,
        **known,
        "layers": rows,
        "memory": look.trace.memory(),
        **({} if given["classes"] == APART else classes(held, given)),
        **again("trace", asked, held.holdings.options(given["model"])),
    }


_DRAWN: WeakKeyDictionary[Looked, dict[str, Any]] = WeakKeyDictionary()


def pictures(look: Looked) -> dict[str, Any]:
    """The picture as the network got it, and as it was sent; None where there is none. Kept as long as the trace is."""
    if look not in _DRAWN:
        pixels, original = look.example.pixels, look.example.original
        given = None if pixels is None else {"size": list(pixels.shape[1:]), "png": _as_png(pixels)}
        _DRAWN[look] = {"given": given, "original": None if original is None else _original(original())}
    return _DRAWN[look]


def _original(photo: Photo) -> dict[str, Any]:
    high, wide = photo.pixels.shape[1:]
    part = [photo.rows, photo.columns]
    return {"size": [high, wide], "given": part, "png": _as_png(photo.within(ORIGINAL).pixels)}


def _as_png(pixels: Array) -> str:
    shown = np.moveaxis(pixels if len(pixels) == 3 else np.repeat(pixels[:1], 3, 0), 0, -1)
    return f"data:image/png;base64,{base64.b64encode(png(shown)).decode()}"
