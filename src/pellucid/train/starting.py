"""What a run starts with: the network, weights of an earlier run, and the preprocessing that weights are used to."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pellucid import models
from pellucid.data import Inputs, Preparation, Preprocessing, Standardization, channel_statistics
from pellucid.graph import Parameter
from pellucid.models import published
from pellucid.nn import Module, ModuleError
from pellucid.train.checkpoint import Checkpoint, CheckpointError, find, load
from pellucid.train.config import TrainError
from pellucid.train.graph_file import is_own, opened
from pellucid.train.run_folder import GRAPH
from pellucid.train.task import Task


@dataclass(frozen=True)
class Origin:
    """The options of `nn.models.build` that a network is made with, and the pictures that its weights are used to."""

    options: dict[str, Any]
    preprocessing: Preprocessing | None = None
    graph: Path | None = None
    """The file that a run keeps of the network, where it was made of one, with the checkpoint that has its weights."""
    checkpoint: Checkpoint | None = None
    weights: str = ""
    """A file of weights to start from, "" for none."""

    def build(self, pretrained: bool = False, **options: Any) -> Module:
        """The network, with the options that are given in the place of its own."""
        if self.graph is None or self.checkpoint is None:
            given: dict[str, Any] = {"weights": self.weights} if self.weights else {}
            return models.build(**{**self.options, **options, **given}, pretrained=pretrained)
        return opened(self.graph, self.checkpoint, options["num_classes"])

    def picture(self, image_size: int, channels: int) -> tuple[int, int]:
        """Side and channels of the pictures to read: as asked for, and where that is 0 as the weights are used to."""
        known = self.preprocessing
        if known is None:
            return image_size, channels or 3
        if channels not in (0, known.channels):
            raise TrainError(
                f"the weights to start from are used to pictures of {known.channels} channels, not {channels}; "
                "leave --channels out, then pictures are read as they want them"
            )
        square = known.image_size[0] if known.image_size[0] == known.image_size[1] else 0
        return image_size or square, known.channels


def origin_of_run(path: str, model: str = "") -> Origin:
    """A network like that of a run or checkpoint, which `model` is the name of, if it is given."""
    file = find(path)
    checkpoint = load(file)
    found: str = checkpoint.network["model"]
    if is_own(checkpoint.network):
        raise CheckpointError(
            f"{file}: its network is a {found} of your own; start from it with pl.fit(start_from=...)"
        )
    if model and model.replace("-", "_") != found:
        raise TrainError(f"{file}: its network is {found}, not {model}; leave --model out")
    if not isinstance(checkpoint.preprocessing, Preprocessing):
        raise TrainError(
            f"{file}: its network takes rows of numbers, no pictures; start from it with pl.fit(start_from=...)"
        )
    return _origin(file, checkpoint, checkpoint.preprocessing)


def origin_to_resume(file: Path, checkpoint: Checkpoint) -> Origin:
    """The network that the run of a `checkpoint`, read from `file`, is to go on with."""
    if is_own(checkpoint.network):
        raise CheckpointError(
            f"{file}: its network is a {checkpoint.network['model']} of your own; go on with it in Python: "
            f"pl.fit(net, data, out={str(file.parent)!r}, resume=True)"
        )
    return _origin(file, checkpoint)


def _origin(file: Path, checkpoint: Checkpoint, preprocessing: Preprocessing | None = None) -> Origin:
    graph = file.with_name(GRAPH)
    kept = (graph, checkpoint) if graph.is_file() else (None, None)
    return Origin(checkpoint.network, preprocessing, *kept)


def origin_of_published(model: str) -> Origin:
    """A model with the weights published for it; raises `PublishedError` where there are none or they are not installed."""
    source = published(model)
    source.path()
    return Origin({"model": model}, source.preprocessing)


def start_from_run(net: Module, path: str, task: Task, head: Collection[Parameter]) -> tuple[Preparation, Task]:
    """Give `net` the weights of a run or checkpoint, without its head where the task is another.

    Gives the preprocessing that those weights are used to, and the task to go on with.
    """
    file = find(path)
    checkpoint = load(file)
    kept = task.going_on(checkpoint.task_of(task)) if checkpoint.task["name"] == task.name else None
    new = () if kept is not None else [n for n, p in net.named_parameters().items() if p in head]
    try:
        net.load_state_dict(checkpoint.weights, leave=new)
    except ModuleError as error:
        raise CheckpointError(f"{file}: cannot be started from: {error}") from error
    return checkpoint.preprocessing, kept or task


@contextlib.contextmanager
def as_before(net: Module, given_too: bool) -> Generator[None]:
    """What is raised inside leaves the values of `net` as they were; those that it was given change there only if `given_too`."""
    kept = {p: p.copied() for p in net.named_parameters().values() if given_too or not p.given}
    try:
        yield
    except BaseException:
        for parameter, copy in kept.items():
            parameter.become(copy)
        raise


def starting_preprocessing(data: Inputs, known: Preparation | None, layout: str = "NCHW") -> Preparation:
    """How `data` becomes the network's input: as its weights are used to, else by mean and spread of the data.

    `layout` is the order in which the network takes the axes of pictures.
    """
    if not are_images(data):
        if known is None:
            return Standardization.of(data)
        if known.shape != data.shape or not isinstance(known, Standardization):
            raise TrainError(f"the weights are used to {known}; the examples of {data.name} are {data.shape}")
        return known
    if known is not None and not isinstance(known, Preprocessing):
        raise TrainError(f"the weights are used to {known}; {data.name} has pictures")
    return image_preprocessing(data, known, layout)


def image_preprocessing(data: Inputs, known: Preprocessing | None = None, layout: str = "NCHW") -> Preprocessing:
    """How pictures become the network's input."""
    channels, size = data.shape[0], (data.shape[1], data.shape[2])
    if known is None:
        return Preprocessing(size, channels, *channel_statistics(data), layout=layout)
    if known.channels != channels:
        raise TrainError(
            f"the weights are used to pictures of {known.channels} channels, those of {data.name} have {channels}"
        )
    return Preprocessing(size, channels, known.mean, known.std, layout=layout)


def are_images(data: Inputs) -> bool:
    """Whether the examples are (C, H, W) of bytes."""
    return len(data.shape) == 3 and data.images(np.arange(1)).dtype == np.uint8
