"""report.html: what a run learned, in one self-contained page; and the page of an evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pellucid.data import Preprocessing
from pellucid.data.image import shape_for
from pellucid.executors.choice import reference_program
from pellucid.inference.ready import Ready
from pellucid.nn.axes import Axes, picture_of
from pellucid.pictures import Grid, Maps, Page, Picture, Tile, Tiles
from pellucid.train.task import Parts, TaskEvaluation

if TYPE_CHECKING:
    from pellucid.train.run import Run


def report_page(run: Run, test: Any) -> Page:
    """The report of a finished run."""
    assert run.test is not None
    summary, *parts = _evaluated(run.test, test)
    chosen = f"Best of {len(run.metrics)} epochs by {run.task.best_in_words}."
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
            *_pictured(run, test),
            *_data(run),
            Page("Settings", (_settings(run),)),
        ),
    )


def evaluation_page(evaluation: TaskEvaluation, dataset: Any) -> Page:
    """How a network does on `dataset`, with the pictures that it is most wrong about."""
    return Page(f"Evaluation on {dataset.name}", _evaluated(evaluation, dataset))


def _evaluated(evaluation: TaskEvaluation, dataset: Any) -> Parts:
    words = evaluation.words()
    return (f"{words[:1].upper()}{words[1:]}.", *evaluation.parts(dataset))


def _filters(run: Run) -> Parts:
    for name, parameter in run.net.named_parameters().items():
        if parameter.ndim == 4:
            weight = parameter.value
            what = f"{name}: {weight.shape[0]} filters of {weight.shape[1]} channels"
            maps = weight.reshape(-1, *weight.shape[2:])
            names = tuple(f"{k // weight.shape[1]}.{k % weight.shape[1]}" for k in range(len(maps)))
            drawn = Maps.first(what, maps, 96, signed=True, captions=names, note="filter.channel")
            return (Page("First-layer filters", (drawn,)),)
    return ()


def _pictured(run: Run, test: Any) -> Parts:
    """What there is to see of a network that takes pictures."""
    if not isinstance(run.preprocessing, Preprocessing):
        return ()
    return (
        Page("Every layer's activations for one picture", _activations(run, test)),
        Page("The network", (run.net.summary(run.preprocessing.arranged(test.shape)).grid(),)),
    )


def _activations(run: Run, test: Any) -> Parts:
    """Every layer's output for the first test picture."""
    image = test.image(0)
    graph = Ready(run.net).graph((1, *shape_for(run.preprocessing, test.shape))).graph
    axes = Axes(graph)
    layers = {path for path, module in run.net.named_modules() if path and not list(module.children())}
    values = reference_program([graph.outputs[0]]).record({graph.image: run.preprocessing.normalize(image[None])})
    shown: list[Picture] = [Tiles("The picture", (Tile(image, run.task.caption(test, 0)),))]
    for node, value in values.items():
        if node.name in layers and value.size:
            maps = picture_of(value[0], axes[node]) if value.ndim == 4 else value.reshape(1, 1, -1)
            shown.append(Maps.first(f"{node.name} {'x'.join(map(str, value.shape[1:]))}", maps, 32))
    return tuple(shown)


def _data(run: Run) -> Parts:
    """What is in each part of the data, and what was left out of it."""
    if run.data is None:
        return ()
    counts = Grid(["part", "pictures"], [[name, str(part.count)] for name, part in run.data.parts.items()], "lr")
    left_out = [*run.data.notes, *(f"skipped {line}" for line in run.data.skipped)]
    return (Page("The data", (counts, *left_out)),)


def _settings(run: Run) -> Grid:
    rows = [[name, str(value)] for name, value in run.config.to_dict().items()]
    return Grid(["setting", "value"], rows, "ll")
