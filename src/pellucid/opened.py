"""What was opened: a network with what is known about it, and what it says of pictures."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.data import PREPROCESSINGS, DataError, ImageInput, Preparation, Preprocessing, Standardization
from pellucid.errors import PellucidError
from pellucid.inference.prediction import Predictor, probabilities_of
from pellucid.inference.predictions import Predictions
from pellucid.inference.ready import Ready
from pellucid.nn import Edit, Module, edited
from pellucid.nn.axes import in_layout
from pellucid.nn.interface import InputSpec, main_input
from pellucid.nn.summary import scores_in_words
from pellucid.op import Array
from pellucid.pictures import Drawn, Page
from pellucid.progress import long, progress
from pellucid.train import Run, Task
from pellucid.train.evaluation import evaluation_of, outputs_of, require_fitting
from pellucid.train.named_pictures import picture_of_run
from pellucid.train.places import pictures_at


class OpeningError(PellucidError, ValueError):
    """What was named cannot be opened, or does not know enough for what is asked of it."""


@dataclass(frozen=True)
class Opened(Drawn):
    """A network with what is known about it.

    `shape` (C, H, W) is that of its images, whose axes it takes in the order that `layout` says, or, without the batch
    axis, that of the input that stands for them; `source` names it in messages; `run` is the training run that it came
    from, if any, and `task` what it was trained for; where that is not known, its output is taken for scores of classes.
    Classes and preprocessing are those on the network's card.
    """

    net: Module
    shape: tuple[int, ...]
    source: str
    run: Run | None = None
    task: Task | None = None
    layout: str = "NCHW"
    notes: tuple[str, ...] = ()
    """What was taken because nobody said it."""
    on_bad_image: str = ""
    """What becomes of unreadable pictures of data: "error", "skip", or as its run was told."""

    def __str__(self) -> str:
        size = "x".join(map(str, self.shape))
        return f"{self.source}: {type(self.net).__name__} for {size}, {self.net.num_parameters():,} parameters"

    def picture(self) -> Page:
        return Page(self.source, (str(self), *self.notes, self.net.summary(self.shapes()).picture()))

    def edited(self, edits: Sequence[Edit | str]) -> Opened:
        """The same with other numbers in its network, which itself stays as it is; see `nn.edited`."""
        if not edits:
            return self
        net = edited(self.net, edits)
        return replace(self, net=net, run=None if self.run is None else replace(self.run, net=net))

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one picture, or of what stands for it, as the network takes it."""
        return in_layout((1, *self.shape), self.layout)[1:] if self.takes_pictures else self.shape

    @property
    def main(self) -> InputSpec:
        """The input that is the picture, or stands for one."""
        specs = self.net.input_specs()
        return main_input(specs) if specs else InputSpec("input", (1, *self.shape))

    @property
    def takes_pictures(self) -> bool:
        """Whether one of its inputs is a picture (C, H, W)."""
        return len(self.shape) == 3 and self.standardization is None

    @property
    def standardization(self) -> Standardization | None:
        """How rows of numbers become the input of a network that was trained on such; None where it was not."""
        known = None if self.run is None else self.run.preprocessing
        return known if isinstance(known, Standardization) else None

    @property
    def tells_classes(self) -> bool:
        """Whether it gives a row of numbers for each picture, scores of classes or what its task says, and nothing else."""
        if self.task is not None:
            return True
        graph = Ready(self.net).graph(self.shapes()).graph
        return self.takes_pictures and scores_in_words(graph) != ""

    def shapes(self, batch: int = 1) -> dict[str, tuple[int, ...]]:
        """The shapes of its inputs by name, for so many examples at once."""
        stated = {s.name: s.shape for s in self.net.input_specs() if s.shape is not None}
        if self.takes_pictures and len(stated) == 1:
            stated = {name: (*shape[:1], *self.input_shape) for name, shape in stated.items()}
        shapes = stated or {"input": (1, *self.input_shape)}
        return {name: (batch, *shape[1:]) if shape[:1] == (1,) else shape for name, shape in shapes.items()}

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of its classes; none where what was opened does not say."""
        return self.net.card.classes

    @property
    def preprocessing(self) -> Preprocessing | None:
        """How pictures become its input; None where what was opened does not say."""
        return self.net.card.pictures

    def predict(
        self,
        images: Sequence[Path | str],
        top: int = 5,
        executor: str = "auto",
        batch_size: int = 32,
        on_bad_image: str = "error",
    ) -> list[dict[str, Any]]:
        """For each picture, a file or a name, its most likely classes: {"image", "predictions": [{"class", "probability"}], "scores"}.

        "scores" says what the network's are: "logits", "probabilities", "log-probabilities", "sigmoid" (a probability of
        each class for itself), or "unknown", and then there are no probabilities, and predictions have the "score" itself.
        Of a network that predicts numbers: [{"target", "value", "unit"}].

        With `on_bad_image="skip"` a file that is no readable picture has no predictions, and says why as "error"; so does
        always a picture whose scores are not numbers.
        """
        answers = Predictions()
        for place, (answer, image) in enumerate(self.predictions(images, top, executor, batch_size, on_bad_image)):
            answers.append(answer)
            answers.keep(place, image)
        return answers

    def predictions(
        self,
        images: Iterable[Path | str | bytes],
        top: int = 5,
        executor: str = "auto",
        batch_size: int = 32,
        on_bad_image: str = "error",
    ) -> Iterator[tuple[dict[str, Any], Array | None]]:
        """What `predict` gives, one picture after another as they are asked for, with the picture itself, uint8 (C, H, W).

        Of pictures as bytes the name is "standard input"; what is no readable picture is None.
        """
        if on_bad_image not in ("error", "skip"):
            raise OpeningError(f"on_bad_image must be 'error' or 'skip', got {on_bad_image!r}")
        self.require_preprocessing()
        predictor, left = Predictor(self.net, executor), iter(images)
        while files := list(itertools.islice(left, batch_size)):
            names = ["standard input" if isinstance(file, bytes) else str(file) for file in files]
            found: dict[int, dict[str, Any]] = {}
            pictures: dict[int, ImageInput] = {}
            for place, file in enumerate(files):
                try:
                    pictures[place] = self.input(file)
                except DataError as error:
                    if on_bad_image == "error":
                        raise
                    found[place] = {"predictions": [], "error": str(error)}
            if pictures:
                answered = self._answers(predictor, np.stack([read.values for read in pictures.values()]), top)
                found |= dict(zip(pictures, answered, strict=True))
            for place, name in enumerate(names):
                none = {"predictions": [], "error": f"{name}: its scores are not numbers"}
                pixels = pictures[place].pixels if place in pictures else None
                yield {"image": name, **(found[place] or none)}, pixels

    def _answers(self, predictor: Predictor, images: Array, top: int) -> list[dict[str, Any]]:
        """For each picture its most likely classes, or what else the task makes of the outputs; {} without numbers."""
        kind, task = predictor.kind(images.shape), self.task
        told = {} if task is not None and not task.classes else {"scores": kind.name}
        if task is not None:
            rows = task.answers(predictor.logits(images, task.scores))
            return [{"predictions": task.guesses(row, top), **told} if np.isfinite(row).all() else {} for row in rows]
        outputs = predictor.logits(images)
        known = probabilities_of(outputs, kind)
        value, rows = ("score", outputs.reshape(kind.rows.shape)) if known is None else ("probability", known)

        def guesses(row: Array) -> list[dict[str, Any]]:
            best = np.argsort(-row, kind="stable")[: max(1, top)]
            return [{"class": self._class(int(k), len(row)), value: float(row[k])} for k in best]

        return [{"predictions": guesses(row), **told} if np.isfinite(row).all() else {} for row in rows]

    def input(self, path: Path | str | bytes) -> ImageInput:
        """A picture as this network's input: what it takes as `values`, to be drawn as `pixels`.

        `path` is a file, or the name of a picture: "digits[143]", "sample:china"; of a run "test[3]" too. Or what is in a file.
        """
        if isinstance(path, bytes):
            preprocessing = self.require_preprocessing()
            pixels = preprocessing.read(path)
            return ImageInput(pixels, preprocessing.normalize(pixels), "standard input")
        found = self.require_preprocessing().input(self.named(path))
        return replace(found, source=str(path))

    def named(self, path: Path | str) -> Path | str:
        """What a picture is called by everybody that the run calls so; anything else as it is."""
        return path if self.run is None else picture_of_run(self.run, str(path))

    def read(self, path: Path) -> Array:
        """A picture file as this network's uint8 (C, H, W)."""
        return self.require_preprocessing().read(Path(self.named(path)))

    @long
    def evaluate(self, dataset: Any, executor: str = "auto", part: str = "") -> Any:
        """How the network does on `dataset`, whose classes (or targets) and shape must be those it knows.

        An `Evaluation`, or what the task of its run makes; `part` says which part of the data it is. A folder, archive or
        table may be named, see `Run.evaluate`.
        """
        preprocessing = self.standardization or self.require_preprocessing()
        if isinstance(dataset, str | Path):
            numbers = self.task is not None and not self.classes
            found = pictures_at(dataset, preprocessing, self.classes, numbers, self.on_bad_image or "error")
            dataset, part = found.dataset, part or found.part
        if self.run is not None:
            return self.run.evaluate(dataset, executor=executor, part=part)
        if self.task is None:
            require_fitting(self.source, self.classes, self.shape, dataset)
        else:
            self.task.require_fitting(self.source, self.shape, dataset)
        predictor = Predictor(self.net, executor)
        with progress("evaluating"):
            if self.task is None:
                return evaluation_of(predictor, dataset, preprocessing, part=part)
            outputs = outputs_of(predictor, dataset, preprocessing, reading=self.task.scores)
            return self.task.evaluate(outputs, dataset, part)

    @property
    def preparation(self) -> Preparation | None:
        """How pictures, or rows of numbers, become its input; None where what was opened does not say."""
        return self.standardization or self.preprocessing

    def _inputs(self) -> Sequence[InputSpec]:
        """What it takes, where it was trained on rows of numbers the shape of one."""
        return self.net.input_specs() if self.standardization is None else [InputSpec("rows", self.shape, "of numbers")]

    def require_preprocessing(self) -> Preprocessing:
        """How pictures become the network's input; raises `OpeningError` where that is not known."""
        if not self.takes_pictures:
            taken = ", ".join(map(str, self._inputs()))
            raise OpeningError(
                f"{self.source}: takes no pictures but {taken}; give these as arrays (.npy files), or as in [[1, 2], [3, 4]]"
            )
        if self.preprocessing is None:
            raise OpeningError(
                f"{self.source}: it is not known how pictures become its input; say preprocessing ({', '.join(PREPROCESSINGS)})"
            )
        return self.preprocessing

    def _class(self, number: int, count: int) -> str:
        if self.classes and len(self.classes) != count:
            raise OpeningError(f"{self.source}: gives {count} scores but knows {len(self.classes)} classes")
        return self.classes[number] if self.classes else f"class {number}"
