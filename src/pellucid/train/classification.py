"""The task of telling classes apart: cross entropy of scores, and the share of pictures that are recognized."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from pellucid import ops
from pellucid.data import DataError, Dataset, Labeled
from pellucid.data.sample import require_classes
from pellucid.given import settle
from pellucid.graph import Tensor, input
from pellucid.inference.losses import class_loss
from pellucid.inference.prediction import shares
from pellucid.nn.score_kind import class_scores, kind_of_scores, taken_for_logits
from pellucid.op import Array
from pellucid.real_numbers import share
from pellucid.text import amount, first_names
from pellucid.train.config import TrainError
from pellucid.train.evaluation import Evaluation, require_fitting
from pellucid.train.task import Measure, Task, TaskEvaluation

UNBALANCED = 10
"""How many times as many pictures one class has as another where it is said."""
PART_NAMES = {"train": "the training part", "validation": "validation", "test": "the test part"}


@dataclass(frozen=True)
class Classification(Task):
    """A score for each class; `label_smoothing` spreads that share of the target over all of them, and the loss is a mean
    weighted by `class_weights`, one for each class, if there are any.

    What the network's output is (logits, probabilities, a sigmoid of each) its graph says, and the loss is of the scores
    before a softmax or sigmoid. Classes are `independent` where each has a sigmoid of its own.
    """

    name: ClassVar[str] = "classification"
    measures: ClassVar[tuple[Measure, ...]] = (Measure("accuracy", "accuracy", "7.2%"),)
    counted: ClassVar[tuple[str, ...]] = ("correct",)
    loss_label: ClassVar[str] = "mean cross-entropy"
    best_by: ClassVar[str] = "accuracy"
    best_in_words: ClassVar[str] = "validation accuracy"
    greater_is_better: ClassVar[bool] = True
    worst: ClassVar[float] = -1.0

    classes: tuple[str, ...] = ()
    label_smoothing: float = 0.0
    independent: bool = False
    class_weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        settle(self, TrainError)
        share("classification", "label_smoothing", self.label_smoothing, TrainError)
        if self.class_weights and (len(self.class_weights) != len(self.classes) or not min(self.class_weights) > 0):
            raise TrainError(
                f"{amount(len(self.classes), 'class')} want as many positive weights, got {self.class_weights}"
            )

    def targets(self, dataset: Labeled) -> Array:
        return dataset.labels

    def target_input(self, count: int) -> Tensor:
        return input((count,), "int64", "labels")

    def require_output(self, output: tuple[int, ...], example: tuple[int, ...]) -> None:
        if output != (1, len(self.classes)):
            raise TrainError(
                f"the network makes {output[1:]} scores for images {example}, the data has {amount(len(self.classes), 'class')}"
            )

    def of_output(self, output: Tensor) -> Task:
        return replace(self, independent=taken_for_logits(kind_of_scores(output)).independent)

    def scores(self, output: Tensor) -> Tensor:
        return class_scores(output)

    def loss(self, output: Tensor, targets: Tensor) -> Tensor:
        return class_loss(output, targets, self.label_smoothing, self.independent, self.class_weights)

    def plain_loss(self, output: Tensor, targets: Tensor) -> Tensor | None:
        same = not self.label_smoothing and not self.class_weights
        return None if same else class_loss(output, targets, independent=self.independent)

    def weight(self, targets: Array) -> float:
        return float(np.array(self.class_weights)[targets].sum()) if self.class_weights else super().weight(targets)

    def counts(self, output: Tensor, targets: Tensor) -> dict[str, Tensor]:
        right = ops.equal(ops.argmax(output, 1), targets)
        return {"correct": ops.sum(ops.cast(right, "int64"))}

    def averages(self, counts: Mapping[str, float], seen: int) -> dict[str, float]:
        return {"accuracy": counts["correct"] / seen}

    def require_counts(self, counts: Mapping[str, Any], seen: int, batches: int) -> None:
        super().require_counts(counts, seen, batches)
        correct = counts["correct"]
        if type(correct) is not int or correct > seen:
            raise TrainError(f"{correct} of {amount(seen, 'picture')} in {batches} batches cannot be recognized")

    def evaluate(self, outputs: Array, dataset: Labeled, part: str = "") -> Evaluation:
        return Evaluation.of(outputs, dataset, part, self.independent)

    def answers(self, outputs: Array) -> Array:
        return shares(outputs, self.independent)

    def guesses(self, answer: Array, top: int) -> list[dict[str, Any]]:
        best = np.argsort(-answer, kind="stable")[: max(1, top)]
        return [{"class": self.classes[k], "probability": float(answer[k])} for k in best]

    def describe(self, dataset: Any) -> str:
        return amount(len(dataset.classes), "class") if hasattr(dataset, "classes") else "no classes"

    def fits(self, dataset: Any) -> bool:
        return getattr(dataset, "classes", None) == self.classes

    def require_targets(self, dataset: Labeled) -> None:
        if len(dataset.classes) < 2:
            raise TrainError(
                f"the data has one class only ({', '.join(dataset.classes)}); there is nothing to tell apart"
            )
        require_classes(dataset.name, dataset.labels, dataset.classes)

    def remarks(self, data: Any) -> list[str]:
        counts = {name: np.bincount(part.labels, minlength=len(self.classes)) for name, part in data.parts().items()}
        said: list[str] = []
        for part, of in counts.items():
            missing = [name for name, count in zip(self.classes, of, strict=True) if not count]
            if missing:
                they_are = "it is" if len(missing) == 1 else "they are"
                effect = "never learned" if part == "train" else "not measured there"
                where = PART_NAMES.get(part, part)
                said.append(f"{where} has no picture of {first_names(missing)}, so that {they_are} {effect}")
        train = counts["train"]
        most, least = int(train.argmax()), int(np.where(train > 0, train, train.max()).argmin())
        if train[most] >= UNBALANCED * train[least]:
            said.append(
                f"the classes are very unbalanced: {train[most]:,} pictures of {self.classes[most]} to learn from, "
                f"{train[least]:,} of {self.classes[least]}; look at each class's recall, not at accuracy alone"
            )
        return said

    def verdict(self, evaluation: TaskEvaluation) -> str:
        if not isinstance(evaluation, Evaluation):
            return ""
        counts = [row["count"] for row in evaluation.per_class()]
        share = max(counts) / sum(counts)
        if evaluation.accuracy > share or share == 1:
            return ""
        usual = self.classes[counts.index(max(counts))]
        return (
            f"nothing useful was learned: the accuracy of {evaluation.accuracy:.2%} is no better than that of always saying "
            f"{usual}, {share:.2%}"
        )

    def caption(self, dataset: Dataset, index: int) -> str:
        return dataset.classes[dataset.label(index)]

    def require_fitting(self, source: str, shape: tuple[int, ...], dataset: Any) -> None:
        if not hasattr(dataset, "classes"):
            raise DataError(f"{source}: tells classes apart, the data {dataset.name} has none")
        require_fitting(source, self.classes, shape, dataset)

    def going_on(self, earlier: Task) -> Task | None:
        return self if earlier.classes == self.classes else None
