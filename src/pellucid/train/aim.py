"""What a run makes small and measures beside its task's own: a loss by name or of one's own, and metrics."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np

from pellucid import ops
from pellucid.autodiff import gradients
from pellucid.errors import unknown
from pellucid.executors import compile
from pellucid.graph import Parameter, Tensor, input, topological
from pellucid.inference.losses import LOSSES as CLASS_LOSSES
from pellucid.inference.losses import Loss
from pellucid.op import Array
from pellucid.tensor import Input
from pellucid.train.checkpoint import VALIDATION
from pellucid.train.classification import Classification
from pellucid.train.config import LOSSES, OWN, TrainConfig, TrainError
from pellucid.train.known_metrics import Metric, find_metric, known_metrics
from pellucid.train.regression import Regression
from pellucid.train.task import Added, Objective, Task

_COLUMNS = ("epoch", "epochs", "loss", "learning_rate", "seconds", "best", "step")
_USUAL = {"", "cross_entropy", *LOSSES}


@dataclass(frozen=True)
class Functions:
    """The functions of one's own that a call gave: no file holds them."""

    loss: Loss | None = None
    metrics: Mapping[str, Metric] = field(default_factory=dict[str, Metric])

    @classmethod
    def taken_from(
        cls, settings: Mapping[str, Any], config: TrainConfig | None
    ) -> tuple[dict[str, Any], TrainConfig | None, Functions]:
        """Settings and `config` in which functions gave way to their names, and the functions."""
        settings = dict(settings)
        loss, own = settings.get("loss"), dict[str, Metric]()
        if loss is not None and not isinstance(loss, str):
            if not callable(loss):
                raise TrainError(f"loss must be a name or a function of output and targets, got {type(loss).__name__}")
            settings["loss"] = OWN
        metrics = settings.get("metrics")
        if metrics is not None and not isinstance(metrics, str):
            settings["metrics"], own = _named(metrics)
        functions = cls(cast(Loss, loss) if settings.get("loss") == OWN and callable(loss) else None, own)
        if config is not None and (functions.loss is not None or own):
            names = {name: settings.pop(name) for name in ("loss", "metrics") if name in settings}
            config = dataclasses.replace(config, **names)
        return settings, config, functions


def _named(metrics: Any) -> tuple[str, dict[str, Metric]]:
    """The names of metrics with commas between, and those of them that are functions."""
    if isinstance(metrics, Mapping):
        given = list(cast(Mapping[str, Any], metrics).items())
    elif isinstance(metrics, Sequence):
        each = cast(Sequence[Any], metrics)
        given = [(m, None) if isinstance(m, str) else (getattr(m, "__name__", type(m).__name__), m) for m in each]
    else:
        raise TrainError(
            f"metrics must be names, or a dict of functions by name, got {type(metrics).__name__}: metrics={{'mine': function}}"
        )
    own = {name: function for name, function in given if function is not None}
    for name, function in own.items():
        if not callable(function):
            raise TrainError(
                f"metrics: {name!r} must be a function of outputs and targets, got {type(function).__name__}"
            )
        if not re.fullmatch(r"[A-Za-z_][\w-]*", name):
            raise TrainError(f"metrics: {name!r} is no name of a column; take letters, digits, _ and -")
        if name.startswith(VALIDATION):
            raise TrainError(
                f"metrics: {name!r} begins with {VALIDATION}, as the columns of what is measured on validation do; "
                f"give your function another name, such as {name.removeprefix(VALIDATION) + '_of_mine'!r}"
            )
    return ",".join(name for name, _ in given), own


@dataclass(frozen=True)
class Aim:
    """The `loss` that stands in the place of the task's, if any, and the metrics that are measured beside its measures."""

    loss: Loss | None = None
    metrics: Mapping[str, Metric] = field(default_factory=dict[str, Metric])

    def lost(self, output: Tensor, targets: Tensor) -> Tensor:
        """The loss of a batch, a scalar; raises `TrainError` for one that cannot be made small."""
        assert self.loss is not None
        loss = cast(Any, self.loss(output, targets))
        wanted = f"a scalar, the mean over the batch, or ({output.shape[0]},), one for each example"
        if not isinstance(loss, Tensor):
            raise TrainError(
                f"loss: must give a tensor of the graph, made with pellucid.ops, got {type(loss).__name__}; want {wanted}"
            )
        if loss.shape not in ((), output.shape[:1]) or not loss.dtype.startswith("float"):
            raise TrainError(f"loss: must give {wanted}, got {loss.dtype} {loss.shape}; take ops.mean of it")
        if not _differentiable(loss, output):
            raise TrainError(
                "loss: has no gradient with regard to the network's output, so nothing would be learned; it must be made of "
                "the output by differentiable ops (not argmax, comparisons or rounding)"
            )
        return ops.mean(loss) if loss.shape else loss

    def value(self, task: Task, outputs: Array, targets: Array, size: int, executor: str) -> float:
        """The mean loss of outputs (N, ...), computed in batches of `size`."""
        total = 0.0
        programs: dict[int, Any] = {}
        for start in range(0, len(outputs), size):
            part = outputs[start : start + size].astype(np.float32)
            count = len(part)
            truth = task.target_input(count)
            if count not in programs:
                programs[count] = compile([self.lost(input(part.shape, name="output"), truth)], executor=executor)
            feeds = {"output": part, truth.name: targets[start : start + size]}
            wanted = {each.name for each in programs[count].graph.inputs}
            (loss,) = programs[count]({name: feeds[name] for name in wanted})
            total += float(loss) * count
        return total / len(outputs)

    def added_to(self, evaluation: Any, task: Task, outputs: Array, dataset: Any, size: int, executor: str) -> Any:
        """The evaluation of outputs (N, ...) of a data set with what is measured besides."""
        if self.loss is None and not self.metrics:
            return evaluation
        loss = None if self.loss is None else self.value(task, outputs, task.targets(dataset), size, executor)
        answers = task.answers(outputs)
        truth = dataset.targets if isinstance(task, Regression) else task.targets(dataset)
        metrics = {name: _number(name, metric(answers, truth)) for name, metric in self.metrics.items()}
        return dataclasses.replace(evaluation, added=Added(loss, metrics))

    def loss_of(self, evaluation: Any) -> float:
        """The loss of an evaluation that is what training makes small."""
        return evaluation.loss if self.loss is None else evaluation.added.loss


@dataclass(frozen=True)
class Aimed:
    """A `task` whose loss gave way to that of an `aim`: what a step learns."""

    task: Objective
    aim: Aim

    def target_input(self, count: int) -> Tensor:
        return self.task.target_input(count)

    def scores(self, output: Tensor) -> Tensor:
        return self.task.scores(output)

    def loss(self, output: Tensor, targets: Tensor) -> Tensor:
        return self.aim.lost(output, targets)

    def plain_loss(self, output: Tensor, targets: Tensor) -> Tensor | None:
        return None

    def weight(self, targets: Array) -> float:
        return float(len(targets))

    def counts(self, output: Tensor, targets: Tensor) -> dict[str, Tensor]:
        return self.task.counts(output, targets)


def aimed(task: Task, aim: Aim) -> Objective:
    """What a step learns: the task, with the loss of `aim` where that has one."""
    return task if aim.loss is None else Aimed(task, aim)


def aim_of(config: TrainConfig, task: Task, functions: Functions | None = None) -> Aim:
    """What the settings and the functions that were given say; raises for names that are unknown.

    Without `functions` those of one's own are left out: a run that is only used does without them.
    """
    metrics, own = {}, functions or Functions()
    if not isinstance(task, Classification | Regression):
        for measure in task.measures:
            if measure.name in _COLUMNS or measure.name.startswith(VALIDATION):
                raise TrainError(
                    f"the task {task.name} calls a measure {measure.name!r}, as a column of every run is called; give it another name"
                )
        if config.loss or config.metrics:
            raise TrainError(
                f"a task of your own ({task.name}) says its loss and measures itself; leave loss and metrics out"
            )
        return Aim()
    for name in filter(None, (each.strip() for each in config.metrics.split(","))):
        if name in metrics:
            raise TrainError(f"metrics: {name!r} is named twice; name it once")
        found = find_metric(task, name)
        if name in own.metrics:
            if found is not None or name in (*_COLUMNS, *(m.name for m in task.measures)):
                raise TrainError(f"metrics: {name!r} is measured by Pellucid; give your own function another name")
            found = own.metrics[name]
        if found is not None:
            metrics[name] = found
        elif functions is not None:
            known = known_metrics(task)
            raise TrainError(
                f"{unknown('metric', name, known)}. A function of your own is given anew each time, also to resume: "
                f"metrics={{{name!r}: function}} in pl.fit"
            )
    return Aim(_loss(config, task, functions), metrics)


def _loss(config: TrainConfig, task: Task, functions: Functions | None) -> Loss | None:
    """The loss in the place of the task's; None for the task's own."""
    classes = isinstance(task, Classification)
    if config.loss == OWN:
        if functions is not None and functions.loss is None:
            raise TrainError(
                "loss: is a function of the run's own, which no file holds; give it, also to resume: pl.fit(..., loss=function)"
            )
        loss = None if functions is None else functions.loss
    else:
        names = CLASS_LOSSES if classes else LOSSES
        if config.loss and config.loss not in names:
            raise unknown("loss", config.loss, names)
        loss = CLASS_LOSSES[config.loss] if classes and config.loss not in ("", "cross_entropy") else None
    if loss is not None and (config.label_smoothing or config.class_weights):
        raise TrainError(
            f"label_smoothing and class_weights are for cross-entropy, the loss is {config.loss!r}; leave them out"
        )
    return loss


def loss_label(config: TrainConfig, usual: str) -> str:
    """What the curves of the loss are called."""
    if config.loss == OWN:
        return "loss of one's own"
    return usual if config.loss in _USUAL else f"mean {config.loss.replace('_', ' ')}"


def _differentiable(loss: Tensor, output: Tensor) -> bool:
    """Whether a gradient comes to `output`: one that does not is made of zeros alone."""
    (slope,) = gradients(loss, [output])
    nodes = topological([slope])
    if any(isinstance(node, Parameter) or isinstance(node.op, Input) for node in nodes):
        return True
    (value,) = compile([slope], executor="reference")({})
    return bool(np.any(value))


def _number(name: str, value: Any) -> float:
    """What a metric gave, as a number; raises `TrainError` where it is none."""
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "fiub":
        raise TrainError(f"metrics: {name!r} must give one number, got {array.dtype} {array.shape}")
    return float(array.reshape(()))
