"""Why convolution: fully connected, locally connected, and convolutional networks trained and measured side by side."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pellucid import nn
from pellucid.data import Dataset, Splits, Subset, load
from pellucid.errors import PellucidError
from pellucid.nn.summary import Summary
from pellucid.pictures import Answer, Chart, Grid, Page, Series
from pellucid.progress import long, progress
from pellucid.seeds import random_numbers
from pellucid.studies.shifts import ShiftRobustness, require_shifts, shift_robustness
from pellucid.text import amount, human_bytes
from pellucid.train import Callback, EpochReport, Evaluation, fit
from pellucid.train.starting import image_preprocessing
from pellucid.train.stopping import require_whole

CHANNELS = 16, 32
"""Maps of the first layer, at half the picture's resolution, and of the second, at a quarter."""
SMALL = 5000
"""Below so many training pictures a step sees 32 of them, else 128."""


class StudyError(PellucidError, ValueError):
    """Data or settings that the study cannot work with."""


@dataclass(frozen=True)
class Trained:
    """One network of the study: what it takes, and how it does on the test pictures."""

    name: str
    net: nn.Module
    summary: Summary
    test: Evaluation
    train_accuracy: float


@dataclass(frozen=True)
class ConvolutionStudy(Answer):
    """The networks in the order in which connections are given up, and what shifts do to them."""

    data: str
    shape: tuple[int, int, int]
    epochs: int
    trained_on: int
    networks: tuple[Trained, ...]
    robustness: ShiftRobustness

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        networks = {
            t.name: {
                "parameters": t.summary.total_parameters,
                "parameter_bytes": 4 * t.summary.total_parameters,
                "activation_bytes": t.summary.total_activation_bytes,
                "flops": t.summary.total_flops,
                "train_accuracy": t.train_accuracy,
                f"{t.test.part}_accuracy": t.test.accuracy,
            }
            for t in self.networks
        }
        return {
            "data": self.data,
            "shape": list(self.shape),
            "epochs": self.epochs,
            "trained_on": self.trained_on,
            "networks": networks,
            "robustness": self.robustness.to_dict(),
        }

    def grid(self) -> Grid:
        """Parameters, memory of weights and of one picture's activations, FLOPs, and accuracy."""
        rows = [
            [
                t.name,
                f"{t.summary.total_parameters:,}",
                human_bytes(4 * t.summary.total_parameters),
                human_bytes(t.summary.total_activation_bytes),
                f"{t.summary.total_flops:,}",
                f"{t.train_accuracy:.1%}",
                f"{t.test.accuracy:.1%}",
            ]
            for t in self.networks
        ]
        return Grid(
            ["network", "parameters", "weights", "activations", "FLOPs", "train", self.networks[0].test.part],
            rows,
            "lrrrrrr",
        )

    def __str__(self) -> str:
        size = "x".join(map(str, self.shape))
        head = (
            f"{self.data}, {size}: trained on {amount(self.trained_on, 'picture')} for {amount(self.epochs, 'epoch')}"
        )
        return "\n\n".join([head, str(self.grid()), str(self.robustness)])

    def chart(self) -> Chart:
        """Accuracy on test pictures against parameters, a point for each network."""
        series = tuple(Series(t.name, [t.summary.total_parameters], [t.test.accuracy], "points") for t in self.networks)
        test = self.networks[0].test
        note = f"{self.data}: {test.images}, {amount(self.epochs, 'epoch')}."
        return Chart(
            "Accuracy against parameters", "parameters", f"{test.part} accuracy", series, note, x_log=True, percent=True
        )

    def picture(self) -> Page:
        """The table, accuracy against parameters, and what shifts do."""
        parts = self.robustness.picture().parts
        return Page(f"Why convolution: {self.data}", (self.grid(), self.chart(), *parts))


@long
def why_convolution(
    data: str | Path | Splits = "digits",
    epochs: int = 15,
    shifts: Sequence[int] = (0, 1, 2, 3),
    seed: int = 0,
    *,
    image_size: int | None = None,
    limit: int = 0,
    executor: str = "auto",
) -> ConvolutionStudy:
    """Train networks that differ in how they connect, on the same real pictures, and measure what that changes.

    Every network makes 16 maps of half the picture's resolution and 32 of a quarter, then a score per class: from all
    pixels ("fully connected"), from 3x3 or 5x5 windows with weights of their own ("locally connected"), with shared weights
    ("convolution", stride 2), and convolution at full resolution followed by max or average pooling. None is trained on
    shifted pictures. `limit` takes so many training pictures (0: all), `image_size` scales a folder's pictures.
    """
    splits = data if isinstance(data, Splits) else load(data, image_size=image_size)
    if len(splits.shape) != 3:
        raise StudyError(f"{splits.train.name}: wants pictures (C, H, W), got data of shape {splits.shape}")
    if min(splits.shape[1:]) < 8:
        raise StudyError(f"{splits.train.name}: pictures must have at least 8x8 pixels, got {splits.shape[1:]}")
    require_shifts(shifts, splits.shape)
    if limit < 0:
        raise StudyError(f"limit: must not be negative, got {limit}")
    if limit:
        splits = replace(splits, train=_some(splits.train, limit, seed))
    preprocessing = image_preprocessing(splits.train)
    nets = networks(splits.shape, len(splits.classes))
    trained: list[Trained] = []
    with tempfile.TemporaryDirectory() as folder, progress("training", alone=True) as tell:
        for number, (name, net) in enumerate(nets.items()):
            teller = TellEpochs(tell, number * epochs, len(nets) * epochs)
            run = fit(
                net,
                splits,
                preprocessing=preprocessing,
                out=Path(folder) / str(number),
                callbacks=[teller],
                report=False,
                epochs=epochs,
                batch_size=min(len(splits.train), 32 if len(splits.train) < SMALL else 128),
                seed=seed,
                executor=executor,
                watch_every=0,
            )
            require_whole(run)
            assert run.test is not None
            accuracy = float(run.metrics[-1]["accuracy"])
            trained.append(Trained(name, net, net.summary(splits.shape), run.test, accuracy))
    robustness = shift_robustness(nets, splits.test, preprocessing, shifts, executor=executor)
    name = splits.source or splits.train.name
    return ConvolutionStudy(name, splits.shape, epochs, len(splits.train), tuple(trained), robustness)


def networks(shape: tuple[int, int, int], num_classes: int) -> dict[str, nn.Module]:
    """The five networks for pictures of `shape` (C, H, W), by name."""
    channels, rows, columns = shape
    first, second = CHANNELS
    kernel = 3 if min(rows, columns) < 20 else 5
    near = kernel // 2
    half, quarter = (-(-rows // 2), -(-columns // 2)), (-(-rows // 4), -(-columns // 4))
    sizes = (channels * rows * columns, first * half[0] * half[1], second * quarter[0] * quarter[1])

    def pooled(pool: Callable[[tuple[int, int]], nn.Module]) -> nn.Module:
        return nn.Sequential(
            conv1=nn.Conv2d(channels, first, kernel, padding=near),
            relu1=nn.ReLU(),
            pool1=pool(half),
            conv2=nn.Conv2d(first, second, kernel, padding=near),
            relu2=nn.ReLU(),
            pool2=pool(quarter),
            flatten=nn.Flatten(),
            output=nn.Linear(sizes[2], num_classes),
        )

    return {
        "fully connected": nn.Sequential(
            flatten=nn.Flatten(),
            fc1=nn.Linear(sizes[0], sizes[1]),
            relu1=nn.ReLU(),
            fc2=nn.Linear(sizes[1], sizes[2]),
            relu2=nn.ReLU(),
            output=nn.Linear(sizes[2], num_classes),
        ),
        "locally connected": nn.Sequential(
            local1=nn.LocallyConnected2d(channels, first, (rows, columns), kernel, 2, near),
            relu1=nn.ReLU(),
            local2=nn.LocallyConnected2d(first, second, half, kernel, 2, near),
            relu2=nn.ReLU(),
            flatten=nn.Flatten(),
            output=nn.Linear(sizes[2], num_classes),
        ),
        "convolution": nn.Sequential(
            conv1=nn.Conv2d(channels, first, kernel, 2, near),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(first, second, kernel, 2, near),
            relu2=nn.ReLU(),
            flatten=nn.Flatten(),
            output=nn.Linear(sizes[2], num_classes),
        ),
        "with max pooling": pooled(lambda size: nn.MaxPool2d(2, ceil_mode=True)),
        "with average pooling": pooled(nn.AdaptiveAvgPool2d),
    }


def _some(data: Dataset, limit: int, seed: int) -> Subset:
    """`limit` pictures chosen at random."""
    chosen = np.sort(random_numbers(seed).permutation(len(data))[:limit])
    return Subset(data, chosen, f"{data.name}[{len(chosen)}]")


class TellEpochs(Callback):
    """Passes epochs on to a progress bar of the whole study."""

    def __init__(self, tell: Callable[[int, int], None], before: int, total: int) -> None:
        self.tell, self.before, self.total = tell, before, total

    def on_epoch(self, report: EpochReport) -> None:
        self.tell(self.before + report.epoch + 1, self.total)
