"""A run: the folder that training leaves, and the network in it made usable again."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.data import Preparation, SplitRecord
from pellucid.errors import PellucidError, UnknownNameError
from pellucid.files import read_limited, reason_of
from pellucid.inference.prediction import Predictor
from pellucid.interop.errors import OnnxError
from pellucid.nn import Card, Module
from pellucid.op import Array
from pellucid.pictures import Answer, Grid, Page
from pellucid.plain import parse_json, read, to_json
from pellucid.progress import long, progress
from pellucid.text import amount
from pellucid.train.aim import Aim, aim_of
from pellucid.train.arrays import examples_for, to_measure
from pellucid.train.checkpoint import CheckpointError, find, load, stands
from pellucid.train.config import TrainConfig, TrainError
from pellucid.train.curves import what_curves_show
from pellucid.train.evaluation import outputs_of
from pellucid.train.graph_file import network_in
from pellucid.train.history import History
from pellucid.train.places import pictures_at
from pellucid.train.run_folder import REMARKS, SPLIT
from pellucid.train.task import Task


@dataclass(frozen=True)
class Run(Answer):
    """A trained network with what it needs: `net`, `task`, `card`, `config`, `metrics` (one dict per epoch).

    `data` says how its data was split; None where the folder does not have that.
    """

    folder: Path
    net: Module
    task: Task
    card: Card
    config: TrainConfig
    metrics: tuple[dict[str, Any], ...]
    status: str = "loaded"
    test: Any = None
    """How it does on the test pictures (a `TaskEvaluation`: of classes an `Evaluation`), where that was measured."""
    data: SplitRecord | None = None
    remarks: tuple[str, ...] = ()
    """What there is to say of it that its numbers do not, each a sentence."""
    aim: Aim = field(default_factory=Aim)
    """Its loss and metrics beside the task's; of a run that is loaded those that have names."""
    other_data: int = 0
    """How many of its first epochs were measured on other data, before a change that was accepted."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that it tells apart; empty where its task is another."""
        return self.task.classes

    @property
    def preprocessing(self) -> Preparation:
        """How examples become the network's input."""
        assert self.card.preprocessing is not None
        return self.card.preprocessing

    @property
    def network(self) -> dict[str, Any]:
        """The arguments from which the network is made again, with the name of its `model`."""
        return dict(self.card.config or {})

    @classmethod
    def load(
        cls,
        path: Path | str,
        which: str = "best",
        net: Module | None = None,
        status: str = "loaded",
        task: Task | None = None,
    ) -> Run:
        """The run in a folder (its best checkpoint, or `which="last"`), or a checkpoint file.

        A network of your own is made of the graph that the run keeps, as it computes in inference; one that is given as
        `net` gets the checkpoint's weights. A `task` that is not one of Pellucid's own must be given.
        """
        path, file = Path(path), find(path, which)
        last = file.with_name("last.safetensors")
        checkpoint = load(file)
        try:
            task = checkpoint.task_of(task)
            aim = aim_of(checkpoint.config, task)
        except (CheckpointError, TrainError, UnknownNameError) as error:
            raise CheckpointError(f"{file}: {error}") from error
        try:
            if net is None:
                net = network_in(file, checkpoint)
            else:
                net.load_state_dict(checkpoint.weights)
        except (CheckpointError, OnnxError):
            raise
        except PellucidError as error:
            raise CheckpointError(f"{file}: its weights do not fit the network: {error}") from error
        net.card = Card(task.classes, checkpoint.preprocessing)
        newest = load(last) if stands(last) and last != file else checkpoint
        config, position = newest.config, newest.position  # a run may have gone on longer since its best epoch
        folder = path if path.is_dir() else path.parent
        return cls(
            folder,
            net.eval(),
            task,
            checkpoint.card,
            config,
            tuple(position.rows),
            status,
            data=split_record(folder),
            remarks=kept_remarks(folder),
            aim=aim,
            other_data=position.other_data,
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example that the network takes."""
        return self.preprocessing.shape

    @long
    def evaluate(
        self, dataset: Any, y: Any = None, executor: str = "auto", part: str = "", on_bad_image: str = "error"
    ) -> Any:
        """How the network does on `dataset`, whose targets and shape must be those it was trained on.

        Or on inputs with their targets `y`, in any arrays, as `pl.fit` takes them, also as a pair. Or on a folder or archive,
        of which `pl.data.to_measure` says what is measured, or a table of numbers. A `TaskEvaluation`, of classes an
        `Evaluation`; `part` says which part of the data it is; `on_bad_image` "skip" leaves out unreadable pictures of a
        folder, which are an error otherwise.
        """
        if isinstance(y, str):  # without y in between, as before there was one
            y, executor, part = None, y, part if executor == "auto" else executor
        if isinstance(dataset, str | Path):
            found = pictures_at(dataset, self.preprocessing, self.classes, not self.classes, on_bad_image)
            dataset, part = found.dataset, part or found.part
        elif not hasattr(dataset, "images"):
            dataset = to_measure(self.net, self.task, dataset, y, self.preprocessing)
        self.task.require_fitting(str(self.folder), self.shape, dataset)
        with progress("evaluating"):
            predictor = Predictor(self.net, executor)
            outputs = outputs_of(predictor, dataset, self.preprocessing, self.config.batch_size, self.task.scores)
        found = self.task.evaluate(outputs, dataset, part)
        return self.aim.added_to(found, self.task, outputs, dataset, self.config.batch_size, executor)

    @long
    def predict(self, inputs: Any, executor: str = "auto") -> Array:
        """What the network says of inputs (N, ...) as they are, pixels or other numbers, in any arrays, as `pl.fit` takes them.

        Class probabilities (N, K), or numbers (N, M) in the targets' own units; float64.
        """
        inputs = examples_for(str(self.folder), inputs, self.shape, self.preprocessing)
        predictor, size = Predictor(self.net, executor), self.config.batch_size
        starts = range(0, max(1, len(inputs)), size)
        batches = (self.preprocessing.normalize(inputs[start : start + size]) for start in starts)
        return self.task.answers(np.concatenate([predictor.logits(batch, self.task.scores) for batch in batches]))

    @property
    def history(self) -> History:
        """Its curves over the epochs, and what its steps did to the layers."""
        weights = self.net.named_parameters()
        return History.of(self.folder, self.metrics, weights, type(self.task), self.config, self.other_data)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: how it ended, the result on the test pictures if they were measured, and its epochs."""
        tested = {} if self.test is None else {self.test.part or "test": self.test.to_dict()}
        return {
            "run": str(self.folder),
            "status": self.status,
            **tested,
            "epochs": list(self.metrics),
            "remarks": list(self.remarks),
            "curves": what_curves_show(self.metrics[self.other_data :]),
        }

    def __str__(self) -> str:
        result = [] if self.test is None else [self.test.headline()]
        return ", ".join([f"{self.folder}: {self.status}", amount(len(self.metrics), "epoch"), *result])

    def picture(self) -> Page:
        """Its curves over the epochs, and how it does on the test pictures; report.html has more."""
        result = [] if self.test is None else [f"{self.test.words()}."]
        rows = [[name, str(value)] for name, value in self.config.to_dict().items()]
        settings = Page("Settings", (Grid(["setting", "value"], rows, "ll"),), folded=True)
        return Page(str(self.folder), (str(self), *result, *self.history.charts(), settings))

    def test_json(self) -> str:
        """The test result as JSON."""
        return to_json(self.test.to_dict() if self.test else None, 1)


def split_record(folder: Path) -> SplitRecord | None:
    """How the data of the run in `folder` was split, if that is written there."""
    file = folder / SPLIT
    if not file.is_file():
        return None
    try:
        return SplitRecord.from_dict(parse_json(read_limited(file, 2**30)))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{file}: cannot be read ({reason_of(error)}); without that file the data is split anew"
        ) from error


def kept_remarks(folder: Path) -> tuple[str, ...]:
    """The remarks on the run in `folder`; none where there is no such file."""
    file = folder / REMARKS
    if not file.is_file():
        return ()
    try:
        return read(tuple[str, ...], parse_json(read_limited(file, 2**20)))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file}: cannot be read ({error}); the run does without it") from error


def load_run(path: Path | str, which: str = "best", net: Module | None = None, *, task: Task | None = None) -> Run:
    """The run in a folder: `pl.load_run("runs/digits-lenet")`; `which` is "best" or "last".

    A network of your own is made of the graph that the run keeps, as it computes in inference; build it and give it as
    `net` to train it further. A task of your own must be given as `task`.
    """
    if which not in ("best", "last"):
        raise CheckpointError(f"which must be 'best' or 'last', got {which!r}")
    return Run.load(path, which, net, task=task)
