"""Why the surest mistakes were made: the places of each picture that spoke for the wrong class, and for the right one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pellucid.data import Preprocessing
from pellucid.errors import PellucidError
from pellucid.explain.attribution import Attribution, attribute
from pellucid.inference.target import ScoreError
from pellucid.nn import Module
from pellucid.op import Array
from pellucid.pictures import Page, Tile, Tiles
from pellucid.train.evaluation import Evaluation
from pellucid.train.task import Parts

EXPLAINED = 6
"""Of the surest mistakes so many."""
TITLE = "Why the surest mistakes"


def why_wrong(net: Module, preprocessing: Any, evaluation: Any, dataset: Any) -> Parts:
    """The surest mistakes with the places that spoke for what each was taken for and for what it is; nothing where there are none."""
    if not (isinstance(evaluation, Evaluation) and isinstance(preprocessing, Preprocessing) and evaluation.most_wrong):
        return ()
    classes, shown = evaluation.classes, list[Tiles]()
    try:
        method = _method(net, preprocessing.normalize(dataset.image(0)[None])[0])
        for wrong in evaluation.most_wrong[:EXPLAINED]:
            image = dataset.image(wrong["index"])
            values = preprocessing.normalize(image[None])[0]
            tiles = [Tile(image, f"is {wrong['label']}")]
            for name in (wrong["prediction"], wrong["label"]):
                found = attribute(net, values, classes.index(name), method=method)
                tiles.append(Tile(_over(found, image), f"for {name}"))
            title = f"{wrong['label']}, taken for {wrong['prediction']} ({wrong['probability']:.0%})"
            shown.append(Tiles(title, tuple(tiles), 3))
    except PellucidError as error:
        return (Page(TITLE, (f"No map can be made of this network: {error}.",)),)
    words = (
        f"Beside each picture the places that spoke for the class it was taken for, then those that spoke for its own ({method}). "
        "More of one: pellucid attribute RUN PICTURE --target CLASS."
    )
    return (Page(TITLE, (words, *shown)),)


def _method(net: Module, values: Array) -> str:
    """Grad-CAM; where no layer has maps to read off, the gradient at the picture."""
    try:
        attribute(net, values, 0, method="grad-cam")
    except ScoreError:
        return "saliency"
    return "grad-cam"


def _over(found: Attribution, image: Array) -> Array:
    """The map over the picture, uint8 (3, H, W)."""
    return replace(found, pixels=image).overlay().pixels().transpose(2, 0, 1)
