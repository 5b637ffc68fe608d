"""report.html: what a run learned, in one self-contained page; and the page of an evaluation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pellucid.data import Preparation, Preprocessing
from pellucid.explain.features.feature_maps import filters
from pellucid.inference.layers import LayerError
from pellucid.nn import Module
from pellucid.op import Shape
from pellucid.pictures import Grid, Page
from pellucid.text import amount
from pellucid.train.report.layers import activations
from pellucid.train.report.mistakes import why_wrong
from pellucid.train.task import Parts, TaskEvaluation

if TYPE_CHECKING:
    from pellucid.train.run import Run


def report_page(run: Run, test: Any) -> Page:
    """The report of a finished run."""
    assert run.test is not None
    summary, *parts = _evaluated(run.test, test, run.net, run.preprocessing)
    chosen = f"Best of {amount(len(run.metrics), 'epoch')} by {run.task.best_in_words}."
    if run.test.part != "test":
        chosen += " The data has no test pictures: this is measured on those that also chose the epoch, so expect less of others."
    return Page(
        f"{run.network['model']} on {run.config.data or 'data'}",
        (
            summary,
            chosen,
            *(f"{remark[:1].upper()}{remark[1:]}." for remark in run.remarks),
            Page("Training", run.history.charts()),
            *parts,
            *_pictured(run, test),
            *_data(run),
            Page("Settings", (_settings(run),)),
        ),
    )


def evaluation_page(
    evaluation: TaskEvaluation, dataset: Any, net: Module | None = None, preprocessing: Preparation | None = None
) -> Page:
    """How a network does on `dataset`, with the pictures that it is most wrong about; where `net` is given, and why."""
    return Page(f"Evaluation on {dataset.name}", _evaluated(evaluation, dataset, net, preprocessing))


def _evaluated(
    evaluation: TaskEvaluation, dataset: Any, net: Module | None, preprocessing: Preparation | None
) -> Parts:
    words = evaluation.words()
    why = () if net is None else why_wrong(net, preprocessing, evaluation, dataset)
    return (f"{words[:1].upper()}{words[1:]}.", *evaluation.parts(dataset), *why)


def _pictured(run: Run, test: Any) -> Parts:
    """What there is to see of a network that takes pictures."""
    if not isinstance(run.preprocessing, Preprocessing):
        return ()
    summary = replace(run.net.summary(run.preprocessing.arranged(test.shape)), name=run.network["model"])
    return (
        *_filters(run.net, summary.input_shape),
        Page("What the layers make of one picture", activations(run, test)),
        Page("The network", (summary.drawing(), Page("Its layers as a table", (summary.grid(),), folded=True))),
    )


def _filters(net: Module, shape: Shape) -> Parts:
    """The filters of the first convolution, if there is one."""
    try:
        found = filters(net, shape)
    except LayerError:
        return ()
    return (Page("First-layer filters", (found.picture(),)),)


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
