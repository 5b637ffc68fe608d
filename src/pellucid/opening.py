"""One way to open whatever a user names: a run's folder, a checkpoint, an ONNX file, or a model's name."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pellucid import models
from pellucid.data import PREPROCESSINGS, DataError, ImageInput, Preprocessing, imagenet_classes, usual_preprocessing
from pellucid.data.size import Size, parse_size, sides, written
from pellucid.errors import PellucidError, suggest
from pellucid.inference.prediction import Predictor, probabilities_of
from pellucid.inference.predictions import Predictions
from pellucid.inference.ready import Ready
from pellucid.interop import load_weights
from pellucid.interop.onnx_reader import stated
from pellucid.interop.weights import SUFFIXES
from pellucid.nn import Card, Module
from pellucid.nn.axes import in_layout, layout_of
from pellucid.nn.interface import InputSpec, main_input
from pellucid.nn.summary import inference_graph, scores_in_words
from pellucid.op import Array
from pellucid.pictures import Drawn, Page
from pellucid.plain import PlainError
from pellucid.progress import long, progress
from pellucid.train import Run, Task, load_run
from pellucid.train.checkpoint import stands
from pellucid.train.evaluation import evaluation_of, outputs_of, require_fitting
from pellucid.train.named_pictures import picture_of_run
from pellucid.train.places import pictures_at
from pellucid.train.run_folder import GRAPH, LAST
from pellucid.train.tasks import TASKS

__all__ = ["READERS", "Opened", "OpeningError", "open_model", "refuse"]

Options = Mapping[str, Any]


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
        return len(self.shape) == 3

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
        preprocessing = self.require_preprocessing()
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

    def require_preprocessing(self) -> Preprocessing:
        """How pictures become the network's input; raises `OpeningError` where that is not known."""
        if not self.takes_pictures:
            raise OpeningError(
                f"{self.source}: takes no pictures but {', '.join(map(str, self.net.input_specs()))}; give arrays of these, as .npy files"
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


def open_model(
    what: str | Path,
    *,
    num_classes: int = 0,
    in_channels: int = 0,
    image_size: Size | str = 0,
    pretrained: bool = False,
    weights: str | Path = "",
    preprocessing: str = "",
    set: Mapping[str, Any] | None = None,
) -> Opened:
    """Open a run's folder, a checkpoint (.safetensors), an ONNX file, or the model called `what`.

    The options are for a model's name: its sizes (0 takes the model's own), and its weights, which are random, those
    published for it (`pretrained`; what has weights of its own keeps them), or from a file (see `load_weights`). An ONNX
    file takes the sizes that it leaves open, and values for inputs (`set`), which are inputs no more. `image_size` is the
    side of a square, or rows and columns (also as "480x640"); a run or a model takes other sizes than its own where its network can, as those
    do that average over all places at the end. `preprocessing` (unit, symmetric or imagenet) says how pictures become the
    input of a network that does not say so itself; of weights from a file with 1000 classes, `imagenet` says that these are
    ImageNet's. Raises `OpeningError` for what is none of these.
    """
    size = parse_size(image_size) if isinstance(image_size, str) else image_size
    given = {"num_classes": num_classes, "in_channels": in_channels, "image_size": size, "weights": weights}
    options = {name: value for name, value in {**given, "set": set}.items() if value}
    path = Path(what)
    if set and path.suffix.lower() != ".onnx":
        raise OpeningError(f"{what}: set gives inputs of an ONNX file their values, and this is none")
    reader = _open_run if path.is_dir() else READERS.get(path.suffix.lower())
    if reader is not None:
        return _prepared(reader(path, options), preprocessing)
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        raise OpeningError(
            f"{path}: holds weights but no network; name the model that they are for: pl.open_model('resnet18', weights={str(path)!r})"
        )
    if path.is_file():
        raise OpeningError(f"{path}: not a file that can be opened; those end in {', '.join(READERS)}")
    opened = _prepared(_open_name(str(what), options, pretrained), preprocessing)
    if weights and preprocessing == "imagenet" and opened.net.config().get("num_classes") == len(imagenet_classes()):
        opened.net.card = replace(opened.net.card, classes=imagenet_classes())
    return opened


def _prepared(opened: Opened, preprocessing: str) -> Opened:
    """What was opened, with the preprocessing that the user names for it."""
    if not preprocessing:
        return opened
    if opened.preprocessing is not None:
        raise OpeningError(f"{opened.source}: knows how pictures become its input; preprocessing cannot be chosen")
    if not opened.takes_pictures:
        opened.require_preprocessing()  # which says so
    usual = usual_preprocessing(preprocessing, opened.shape, opened.layout)
    opened.net.card = replace(opened.net.card, preprocessing=usual)
    return opened


def _open_run(path: Path, options: Options) -> Opened:
    refuse(path, {n: v for n, v in options.items() if n != "image_size"})
    run = load_run(path)
    preprocessing = run.preprocessing
    if not isinstance(preprocessing, Preprocessing):
        raise OpeningError(f"{path}: its network takes {run.shape} numbers, no pictures; open it with pl.load_run")
    shape = (preprocessing.channels, *preprocessing.image_size)
    opened = Opened(run.net, shape, str(path), run, run.task, preprocessing.layout)
    return at_size(opened, options.get("image_size", 0))


def at_size(opened: Opened, size: Size) -> Opened:
    """The same network for pictures of another size; raises `OpeningError` where it cannot take them."""
    wanted = sides(size)
    if wanted is None or wanted == opened.shape[1:]:
        return opened
    changed = replace(opened, shape=(opened.shape[0], *wanted))
    try:
        inference_graph(opened.net, (1, *changed.input_shape))
    except PellucidError as error:
        raise OpeningError(f"{opened.source}: cannot take pictures of {written(wanted)}: {error}") from error
    if opened.preprocessing is not None:
        preprocessing = replace(opened.preprocessing, image_size=wanted)
        opened.net.card = replace(opened.net.card, preprocessing=preprocessing)
        if opened.run is not None:
            card = replace(opened.run.card, preprocessing=preprocessing)
            changed = replace(changed, run=replace(opened.run, card=card))
    return changed


def _open_name(name: str, options: Options, pretrained: bool) -> Opened:
    if not models.is_known(name):
        near, endings = suggest(name, models.names()), ", ".join(READERS)
        raise OpeningError(
            f"{name!r} is neither a run's folder, nor a file ({endings}), nor a model's name{near}; `pellucid models` lists models"
        )
    weights = options.get("weights")
    if weights and pretrained:
        raise OpeningError(
            f"{name}: has either published weights (pretrained) or those of the file {weights}, not both"
        )
    sizes = {option: value for option, value in options.items() if option != "weights"}
    asked = sides(options.get("image_size"))
    if asked is not None:
        sizes["image_size"] = max(asked)
    net = models.build(name, pretrained=pretrained, **sizes)
    config = net.config()
    shape = (config["in_channels"], config["image_size"], config["image_size"])
    if weights:
        load_weights(net, weights)
    return at_size(Opened(net, shape, name), asked or 0)


def refuse(path: Path, options: Options) -> None:
    """Raise `OpeningError` for options that a file does not take."""
    if options:
        raise OpeningError(f"{path}: {', '.join(options)} can be chosen for a model's name only; the file has its own")


def _open_onnx(path: Path, options: Options) -> Opened:
    if path.name == GRAPH and stands(path.with_name(LAST)):  # whose weights are in the checkpoints
        return _open_run(path.parent, options)
    refuse(path, {n: v for n, v in options.items() if n not in ("in_channels", "image_size", "set")})
    size = options.get("image_size", 0)
    net = models.open_onnx(path, options.get("in_channels", 0), size, preset=options.get("set"))
    if not net.input_shapes:
        raise OpeningError(f"{path}: its network takes nothing, so that there is nothing to ask it")
    try:
        found = stated.of_metadata(net.metadata)
    except PlainError as error:
        raise OpeningError(
            f"{path}: its metadata states classes or a preprocessing that make no sense ({error})"
        ) from error
    task = _task_of(found.task, path)
    main = main_input(net.input_specs())
    own = main.shape or ()
    if len(own) != 4:
        net.card = Card(found.classes or (), found.preprocessing)
        return Opened(net, own[1:], str(path), task=task)
    layout = layout_of(net)
    channels, height, width = (own[layout.index(letter)] for letter in "CHW")
    known = found.preprocessing
    if known is not None and (known.channels, *known.image_size, known.layout) != (channels, height, width, layout):
        known = replace(known, image_size=(height, width), layout=layout)
    net.card = Card(found.classes or (), known)
    places = {layout.index(letter) for letter in "HW"} & {*net.open_axes(main.name)}
    notes = (
        ()
        if size or not places
        else (
            (
                f"leaves the size of pictures open; {written((height, width))} is taken "
                "(--size HEIGHTxWIDTH, or image_size=, says another)"
            ),
        )
    )
    return Opened(net, (channels, height, width), str(path), None, task, layout, notes)


def _task_of(plain: dict[str, Any] | None, path: Path) -> Task | None:
    """The task that a file states, where it is not to tell classes apart."""
    if plain is None:
        return None
    kind = TASKS.get(str(plain.get("name")))
    if kind is None:
        raise OpeningError(f"{path}: was trained for {plain.get('name')!r:.40}, which is no task of Pellucid's own")
    try:
        return kind.from_dict(plain)
    except PlainError as error:
        raise OpeningError(f"{path}: its metadata states a task that makes no sense ({error})") from error


READERS: dict[str, Callable[[Path, Options], Opened]] = {".onnx": _open_onnx, ".safetensors": _open_run}
"""Who opens a file, by how its name ends."""
