"""Asking a trained network: probabilities for pictures, and how well it does on a data set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from pellucid.data import DataError, Dataset, Inputs, Labeled, Loader, Preprocessing
from pellucid.data.arrays import array_of
from pellucid.data.image import shape_for
from pellucid.data.sample import Normalizing, name_of
from pellucid.errors import ShapeError
from pellucid.inference.prediction import Predictor, Reading, mean_loss, require_scores_for, shares
from pellucid.nn import Module
from pellucid.nn.card import OfCard, card_of, preparation_for
from pellucid.nn.required import require_net
from pellucid.nn.score_kind import class_scores, taken_for_logits
from pellucid.op import Array
from pellucid.pictures import Answer, Grid, Page, Tile, Tiles
from pellucid.pictures.tiles import drawable
from pellucid.progress import long, progress, tell
from pellucid.renamed import old_property
from pellucid.text import amount, first_names
from pellucid.train.arrays import Targets, examples_for, to_measure
from pellucid.train.calibration import Calibration
from pellucid.train.places import pictures_at
from pellucid.train.task import Added, Parts

_MOST_CLASSES, _MOST_PAIRS = 30, 30
NO_CLASS = -1
"""What a picture is taken for whose scores are not numbers."""


def predict(
    net: Module,
    images: Any,
    batch_size: int = 64,
    executor: str = "auto",
    *,
    preprocessing: Normalizing | OfCard | None = "card",
) -> Array:
    """Class probabilities (N, K) for images (N, C, H, W), of which there may be none; float64.

    Pixels, whole numbers from 0 to 255 in any arrays as `fit` takes them, become the network's input as its card says (or
    `preprocessing`); so do other numbers where it was trained on such. Else these are taken as they are, normalized.
    """
    require_net(net)
    prepared = preparation_for(net, preprocessing)
    values = array_of("predict: images", images)
    pixels = values.dtype.kind in "iu" and isinstance(prepared, Preprocessing)
    if prepared is not None and (pixels or not isinstance(prepared, Preprocessing)):
        shape = getattr(prepared, "shape", values.shape[1:])
        values = prepared.normalize(examples_for("predict: images", values, shape, prepared))
    elif values.ndim != 4:
        raise ShapeError(f"predict: wants images of shape (N, C, H, W), got {values.shape}")
    return Predictor(net, executor).probabilities(values, batch_size)


def require_fitting(source: str, classes: tuple[str, ...], shape: tuple[int, ...], dataset: Labeled) -> None:
    """Raise `DataError` for data whose classes or image shape (C, H, W) are not those that the network `source` knows."""
    if dataset.classes != classes:
        raise DataError(
            f"{source}: knows the classes {first_names(classes)}, the data {dataset.name} has {first_names(dataset.classes)}"
        )
    if dataset.shape != shape:
        raise DataError(f"{source}: wants images {shape}, the data {dataset.name} has {dataset.shape}")


LISTED = 5
"""Of the surest mistakes so many are listed in text."""


@dataclass(frozen=True)
class Evaluation(Answer):
    """How a network does on a data set. `confusion[i, j]` counts pictures of class i taken for class j.

    Pictures whose scores are not numbers are taken for no class: they count as not recognized, and make the loss NaN.
    """

    accuracy: float
    loss: float
    confusion: Array
    classes: tuple[str, ...]
    most_wrong: tuple[dict[str, Any], ...]
    """Misclassified pictures, the surest mistakes first: index, name, label, prediction, probability."""
    calibration: Calibration
    unanswered: tuple[int, ...] = ()
    """Of each class the pictures whose scores are not numbers; empty where there are none."""
    part: str = ""
    """Which part of the data was measured: "test", "validation", "train" or "all"; "" where that is not known."""
    independent: bool = False
    """Whether each class has a probability of its own, which the loss is the mean binary cross-entropy of."""
    added: Added = field(default_factory=Added)
    """The loss that training made small, where `loss` is another, and the run's metrics."""

    @classmethod
    def of(cls, scores: Array, dataset: Labeled, part: str = "", independent: bool = False) -> Evaluation:
        """That of a network which makes class scores (N, K) of the pictures of a data set; classes may be `independent`."""
        require_scores_for(scores, dataset.labels)
        probabilities, truth = shares(scores, independent), dataset.labels
        answered = np.isfinite(probabilities).all(1)
        taken_for = np.where(answered, probabilities.argmax(1), NO_CLASS)
        num_classes = probabilities.shape[1]
        confusion = np.zeros((num_classes, num_classes), np.int64)
        np.add.at(confusion, (truth[answered], taken_for[answered]), 1)
        sure = probabilities.max(1)
        wrong = np.flatnonzero(answered & (taken_for != truth))
        wrong = wrong[np.argsort(-sure[wrong], kind="stable")][:24]
        unanswered = () if answered.all() else tuple(np.bincount(truth[~answered], minlength=num_classes).tolist())
        mistakes = tuple(
            {
                "index": int(i),
                "name": name_of(dataset, int(i)),
                "label": dataset.classes[truth[i]],
                "prediction": dataset.classes[taken_for[i]],
                "probability": float(sure[i]),
            }
            for i in wrong
        )
        return cls(
            float(np.mean(taken_for == truth)),
            mean_loss(scores, truth, independent),
            confusion,
            dataset.classes,
            mistakes,
            Calibration.of(probabilities[answered], truth[answered]),
            unanswered,
            part,
            independent,
        )

    @property
    def count(self) -> int:
        """Number of pictures."""
        return int(self.confusion.sum()) + self.not_numbers

    @property
    def not_numbers(self) -> int:
        """Number of pictures whose scores are not numbers."""
        return sum(self.unanswered)

    @property
    def images(self) -> str:
        """`359 test pictures`"""
        kind = {"train": "training ", "validation": "validation ", "test": "test "}.get(self.part, "")
        return f"{amount(self.count, kind + 'picture')}"

    pictures = old_property("images")

    @property
    def warning(self) -> str:
        """A word about scores that are not numbers, where there are any."""
        if not self.not_numbers:
            return ""
        return (
            f"The scores of {self.not_numbers} of {amount(self.count, 'picture')} are not numbers (NaN); "
            "these count as not recognized. Look for NaN or infinities in the network's weights"
        )

    def per_class(self) -> list[dict[str, Any]]:
        """Precision, recall, their harmonic mean F1, and number of pictures of each class; None for 0/0."""
        found = np.diag(self.confusion)
        predicted = self.confusion.sum(0)
        actual = self.confusion.sum(1) + np.array(self.unanswered or [0] * len(self.classes))

        def share(part: Any, whole: Any) -> float | None:
            return float(part / whole) if whole else None

        return [
            {
                "class": name,
                "precision": share(found[i], predicted[i]),
                "recall": share(found[i], actual[i]),
                "f1": share(2 * found[i], predicted[i] + actual[i]),
                "count": int(actual[i]),
            }
            for i, name in enumerate(self.classes)
        ]

    def class_grid(self) -> Grid:
        """`per_class` as a table."""
        rows = [
            [
                r["class"],
                *("—" if r[k] is None else f"{r[k]:.1%}" for k in ("precision", "recall", "f1")),
                str(r["count"]),
            ]
            for r in self.per_class()
        ]
        return Grid(["class", "precision", "recall", "F1", "pictures"], rows, "lrrrr")

    def __str__(self) -> str:
        warning = f"{self.warning}\n\n" if self.warning else ""
        surest = f"\n\nsurest mistakes\n{self.mistakes()}" if self.most_wrong else ""
        return f"{self.words()}\n\n{warning}{self.class_grid()}\n\n{self.calibration}{surest}"

    def measures(self) -> dict[str, float]:
        """The measures beside the loss, by name."""
        return {"accuracy": self.accuracy}

    @property
    def metrics(self) -> dict[str, float]:
        """The run's metrics, by name."""
        return dict(self.added.metrics)

    def headline(self) -> str:
        """The result in one line."""
        return f"accuracy {self.accuracy:.2%} on {amount(self.count, 'picture')}"

    def words(self) -> str:
        """Accuracy and loss, and on what."""
        loss = f"{self.loss:z.4f}" if math.isfinite(self.loss) else "not a number"
        kind = "binary cross-entropy" if self.independent else "cross-entropy"
        return f"accuracy {self.accuracy:.2%} on {self.images}, mean {kind} {loss}{self.added.words()}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "part": self.part,
            "count": self.count,
            "not_numbers": self.not_numbers,
            "accuracy": self.accuracy,
            "loss": self.loss,
            "classes": self.per_class(),
            "calibration": self.calibration.to_dict(),
            "confusion": self.confusion.tolist(),
            "most_wrong": list(self.most_wrong),
            **self.added.to_dict(),
        }

    def parts(self, dataset: Dataset) -> Parts:
        """What a page shows of it, with pictures of `dataset`, which it was measured on."""
        return (
            *([f"{self.warning}."] if self.warning else []),
            *self._measured(),
            Page("Most wrong pictures", (self._mistakes(dataset), *self._named())),
        )

    def picture(self) -> Page:
        """Accuracy, what is taken for what, every class, and calibration; `parts` has the pictures too."""
        warning = [f"{self.warning}."] if self.warning else []
        return Page(f"Evaluation on {self.images}", (f"{self.words()}.", *warning, *self._measured()))

    def _measured(self) -> Parts:
        return (
            Page("Which class is taken for which", (self._confused(),)),
            Page("Every class", (self.class_grid(),)),
            Page("Is it as often right as it is sure?", (self.calibration.picture(),)),
        )

    def _confused(self) -> Grid:
        """Counts by true class (rows) and predicted class (columns), shaded by share of the row; of many classes the pairs."""
        counts, classes = self.confusion, self.classes
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

    def mistakes(self, count: int = LISTED) -> Grid:
        """The surest mistakes as a table, with the names that every command takes."""
        rows = [[w["name"], w["label"], w["prediction"], f"{w['probability']:.1%}"] for w in self.most_wrong[:count]]
        return Grid(["picture", "is", "taken for", "probability"], rows, "lllr")

    def _named(self) -> Parts:
        return (self.mistakes(len(self.most_wrong)),) if self.most_wrong else ()

    def _mistakes(self, dataset: Dataset) -> Tiles | Grid | str:
        if not self.most_wrong:
            return "None: every picture is recognized."
        drawn = [drawable(dataset.image(wrong["index"])) for wrong in self.most_wrong]
        tiles = tuple(
            Tile(image, f"{wrong['probability']:.0%} {wrong['prediction']}\nis {wrong['label']}")
            for image, wrong in zip(drawn, self.most_wrong, strict=True)
            if image is not None
        )
        if len(tiles) == len(drawn):
            note = "With which probability each is taken for what, and what it is."
            return Tiles("The surest mistakes", tiles, 5, note)
        rows = [[str(w["index"]), w["label"], w["prediction"], f"{w['probability']:.0%}"] for w in self.most_wrong]
        return Grid(["example", "true", "taken for", "probability"], rows, "rllr", title="The surest mistakes")


@long
def evaluate(
    net: Module,
    dataset: Labeled | Targets | Sequence[Any] | str | Path,
    y: Targets | Normalizing | OfCard | None = "card",
    batch_size: int = 64,
    executor: str = "auto",
    predictor: Predictor | None = None,
    on_bad_image: str = "error",
    *,
    preprocessing: Normalizing | OfCard | None = "card",
) -> Evaluation:
    """Accuracy, mean cross-entropy, confusion matrix, calibration and the surest mistakes of `net` on `dataset`.

    Or on inputs with their classes `y`, in any arrays, as `fit` takes them, also as a pair; where the network's card names
    no classes they are numbers. Or on a folder or archive of pictures, of which `pl.data.to_measure` says what is measured;
    with `on_bad_image="skip"` without those that are unreadable.
    With `preprocessing` None values are taken as they are, else as the card says or as given; it may stand in the place
    of `y`.
    """
    require_net(net)
    if y is None or isinstance(y, str) or hasattr(y, "normalize"):
        y, preprocessing = None, cast(Any, y) if preprocessing == "card" else preprocessing
    part, prepared = "", preparation_for(net, preprocessing)
    if isinstance(dataset, str | Path):
        found = pictures_at(dataset, prepared, card_of(net).classes, on_bad_image=on_bad_image)
        dataset, part = cast(Labeled, found.dataset), found.part
    measured = dataset if hasattr(dataset, "images") else to_measure(net, None, dataset, y, cast(Any, prepared))
    if not hasattr(measured, "labels"):
        raise DataError(
            f"{cast(Labeled, measured).name}: has no classes; measure a network that predicts numbers by its run: run.evaluate(data)"
        )
    predictor = predictor or Predictor(net, executor)
    with progress("evaluating"):
        return evaluation_of(predictor, cast(Labeled, measured), prepared, batch_size, part)


def evaluation_of(
    predictor: Predictor, dataset: Labeled, preprocessing: Normalizing | None, batch_size: int = 64, part: str = ""
) -> Evaluation:
    """How a network does, of whose scores no more is known than its graph says."""
    kind = taken_for_logits(predictor.kind((1, *shape_for(preprocessing, dataset.shape))))
    scores = outputs_of(predictor, dataset, preprocessing, batch_size, class_scores)
    return Evaluation.of(scores, dataset, part, kind.independent)


def outputs_of(
    predictor: Predictor,
    dataset: Inputs,
    preprocessing: Normalizing | None,
    batch_size: int = 64,
    reading: Reading | None = None,
) -> Array:
    """What a network makes of every example of a data set, (N, ...), in their order; with a `reading` what that takes of it."""
    outputs: list[Array] = []
    done = 0
    with closing(Loader(dataset, batch_size, preprocessing).epoch(0)) as batches:
        for batch in batches:
            outputs.append(predictor.logits(batch.images, reading))
            done += len(batch.images)
            tell(done, len(dataset))
    return np.concatenate(outputs)
