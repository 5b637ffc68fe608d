"""report.html: what a run learned, in one self-contained page; and the page of an evaluation."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from pellucid.data import Dataset
from pellucid.executors.choice import reference_program
from pellucid.graph import Graph, input
from pellucid.pictures import Grid, Page, Picture, Tile, Tiles, map_tiles
from pellucid.scopes import inference_mode
from pellucid.train.evaluation import Evaluation

if TYPE_CHECKING:
    from pellucid.train.run import Run

_MOST_CLASSES, _MOST_PAIRS = 30, 30
Parts = tuple[Picture | Grid | str, ...]


def report_page(run: Run, test: Dataset) -> Page:
    """The report of a finished run."""
    assert run.test is not None
    summary, *parts = _evaluated(run.test, test)
    chosen = f"Best of {len(run.metrics)} epochs by validation accuracy."
    if run.test.part != "test":
        chosen += " The data has no test pictures: this is measured on those that also chose the epoch, so expect less of others."
    return Page(
        f"{run.network['model']} on {run.config.data or 'data'}",
        (
            summary,
            chosen,
            Page("Training", run.history.charts()),
            *parts,
            *_filters(run),
            Page("Every layer's activations for one picture", _activations(run, test)),
            Page("The network", (run.net.summary(test.shape).grid(),)),
            *_data(run),
            Page("Settings", (_settings(run),)),
        ),
    )


def evaluation_page(evaluation: Evaluation, dataset: Dataset) -> Page:
    """How a network does on `dataset`, with the pictures that it is most wrong about."""
    return Page(f"Evaluation on {dataset.name}", _evaluated(evaluation, dataset))


def _evaluated(evaluation: Evaluation, dataset: Dataset) -> Parts:
    return (
        f"Accuracy {evaluation.words()}.",
        *([f"{evaluation.warning}."] if evaluation.warning else []),
        Page("Most wrong pictures", (_mistakes(evaluation, dataset),)),
        Page("Which class is taken for which", (_confusion(evaluation),)),
        Page("Every class", (evaluation.class_grid(),)),
        Page("Is it as often right as it is sure?", (evaluation.calibration.picture(),)),
    )


def _confusion(evaluation: Evaluation) -> Grid:
    """Counts by true class (rows) and predicted class (columns), shaded by share of the row; of many classes the pairs."""
    counts, classes = evaluation.confusion, evaluation.classes
    if len(classes) > _MOST_CLASSES:
        wrong = counts * (1 - np.eye(len(classes), dtype=counts.dtype))
        most = [divmod(int(k), len(classes)) for k in np.argsort(-wrong, None, kind="stable")[:_MOST_PAIRS]]
        rows = [[classes[i], classes[j], str(wrong[i, j])] for i, j in most if wrong[i, j]]
        return Grid(["true", "taken for", "pictures"], rows, "llr")
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    signed = shares * (2 * np.eye(len(classes)) - 1)
    rows = [[name, *(str(n) if n else "" for n in row)] for name, row in zip(classes, counts, strict=True)]
    shades = [[0.0, *row] for row in signed.tolist()]
    return Grid(["true \\ predicted", *classes], rows, "l" + "r" * len(classes), shades)


def _mistakes(evaluation: Evaluation, dataset: Dataset) -> Tiles | str:
    if not evaluation.most_wrong:
        return "None: every picture is recognised."
    tiles = [
        Tile(dataset.image(wrong["index"]), f"{wrong['probability']:.0%} {wrong['prediction']}\nis {wrong['label']}")
        for wrong in evaluation.most_wrong
    ]
    note = "With which probability each is taken for what, and what it is."
    return Tiles("The surest mistakes", tuple(tiles), 5, note)


def _filters(run: Run) -> Parts:
    for name, parameter in run.net.named_parameters().items():
        if parameter.ndim == 4:
            weight = parameter.value
            what = f"{name}: {weight.shape[0]} filters of {weight.shape[1]} channels"
            maps = weight.reshape(-1, *weight.shape[2:])
            names = tuple(f"{k // weight.shape[1]}.{k % weight.shape[1]}" for k in range(len(maps)))
            tiles = map_tiles(what, maps, signed=True, limit=96, captions=names, note="filter.channel")
            return (Page("First-layer filters", (tiles,)),)
    return ()


def _activations(run: Run, test: Dataset) -> Parts:
    """Every layer's output for the first test picture."""
    image = test.image(0)
    with inference_mode():
        graph = Graph([run.net(input((1, *test.shape), name="picture"))])
    layers = {path for path, module in run.net.named_modules() if path and not list(module.children())}
    values = reference_program([graph.outputs[0]]).record({"picture": run.preprocessing.normalize(image[None])})
    shown: list[Picture] = [Tiles("The picture", (Tile(image, run.classes[test.label(0)]),))]
    for node, value in values.items():
        if node.name in layers and value.size:
            maps = value[0] if value.ndim == 4 else value.reshape(1, 1, -1)
            shown.append(map_tiles(f"{node.name} {'x'.join(map(str, value.shape[1:]))}", maps, limit=32))
    return tuple(shown)


def _data(run: Run) -> Parts:
    """What is in each part of the data, and what was left out of it."""
    if run.data is None:
        return ()
    counts = Grid(["part", "pictures"], [[name, str(part.count)] for name, part in run.data.parts.items()], "lr")
    left_out = [*run.data.notes, *(f"skipped {line}" for line in run.data.skipped)]
    return (Page("The data", (counts, *left_out)),)


def _settings(run: Run) -> Grid:
    rows = [[name, str(value)] for name, value in dataclasses.asdict(run.config).items()]
    return Grid(["setting", "value"], rows, "ll")
