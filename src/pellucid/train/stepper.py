"""Steps of training: the graph of a step compiled for every size of batch that comes, and run on batches."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.data import Batch
from pellucid.errors import NonFiniteError, PellucidError
from pellucid.executors import Program, compile, first_non_finite
from pellucid.executors.contract import not_finite
from pellucid.graph import Graph, Parameter, Tensor
from pellucid.op import Array
from pellucid.train.config import TrainConfig
from pellucid.train.step import TrainingGraph, training_graph
from pellucid.train.task import Task
from pellucid.train.tuning import Tuning


class DivergedError(PellucidError, ArithmeticError):
    """Training produced a NaN or an infinity; the message names the first node that made it."""


@dataclass(frozen=True)
class StepResult:
    """What a step computed: loss of the batch before the update, norm of the gradient, what the task counts."""

    loss: float
    gradient_norm: float
    counts: dict[str, float]
    gradient_norms: Array
    """Norm of each trained parameter's gradient, float32 (P,)."""


@dataclass(frozen=True)
class _Compiled:
    program: Program
    wanted: tuple[str, ...]
    targets: str
    """The name of the input that targets are fed to."""
    counted: tuple[str, ...]
    watched: tuple[Tensor, ...]
    """The nodes among which the first NaN is looked for."""


class Stepper:
    """Changes what `tuning` trains, step by step; the optimizer's `state` is fresh."""

    def __init__(self, tuning: Tuning, task: Task, config: TrainConfig, shape: tuple[int, ...]) -> None:
        self.tuning, self.task, self.config, self.shape = tuning, task, config, shape
        self.optimizer = config.make_optimizer()
        self.state = self.optimizer.state(tuning.parameters)
        self.setting: dict[str, Any] = {n: getattr(config, n) for n in ("executor", "precision", "threads")}
        self.from_features = False
        self._graphs: dict[int, TrainingGraph] = {}
        self._changed: tuple[Parameter, ...] = ()
        self._statistics: tuple[Parameter, ...] = ()
        self._compiled: dict[int, _Compiled] = {}

    def prepare(self, size: int) -> None:
        """Build the graph of a step on `size` examples. Raises where the network cannot be trained on so many at once."""
        self._graphs[size] = self._graph(size)

    def use_features(self) -> None:
        """From now on batches hold what the frozen part of the network makes of pictures."""
        self.from_features = True
        self._graphs.clear()

    @property
    def changed(self) -> Set[Parameter]:
        """The values that steps change: of the network, and the optimizer's."""
        return dict.fromkeys(self._changed).keys()

    def not_finite(self) -> str:
        """The first of the values that steps change which holds a NaN or an infinity, in words; "" where there is none."""
        for parameter in self._changed:
            if what := not_finite(parameter.value):
                return f"{parameter.name} became {what}"
        return ""

    def __call__(self, batch: Batch, rate: float, step: int) -> StepResult:
        """Step number `step` (from 0). Raises `NonFiniteError` where a number is not finite, or a value that it sets."""
        compiled = self._for(batch)
        loss, norm, *counts, norms = compiled.program(self._feeds(batch, rate, step))
        for statistic in self._statistics:  # made of activations, which no output of the step tells of
            if not np.isfinite(statistic.storage()).all():
                raise NonFiniteError(f"{statistic.name}: not finite")
        counted = {name: count.item() for name, count in zip(compiled.counted, counts, strict=True)}
        return StepResult(float(loss), float(norm), counted, norms)

    def blame(self, batch: Batch, rate: float, step: int) -> str:
        """Which node of the step is the first that is not finite; "" if it is none of those of the loss and its gradient."""
        watched, feeds = self._for(batch).watched, self._feeds(batch, rate, step)
        where = first_non_finite(watched, {i.name: feeds[i.name] for i in Graph(watched).inputs})
        return f"{where[0]} is the first node that is not finite ({where[1]})" if where else ""

    def _feeds(self, batch: Batch, rate: float, step: int) -> dict[str, Any]:
        compiled = self._for(batch)
        offered = {
            "images": batch.images,
            "features": batch.images,
            compiled.targets: batch.targets,
            "learning_rate": np.float32(rate),
            "step": np.int64(step),
        }
        return {name: offered[name] for name in compiled.wanted}

    def _for(self, batch: Batch) -> _Compiled:
        size = len(batch.images)
        if size not in self._compiled:
            self._compiled[size] = self._compile(size)
        return self._compiled[size]

    def _graph(self, size: int) -> TrainingGraph:
        graph = training_graph(
            self.tuning.net,
            (size, *self.shape),
            self.optimizer,
            self.state,
            self.task,
            self.config.seed,
            self.tuning,
            self.from_features,
        )
        self._changed = tuple(graph.updates)
        trained = {*self.tuning.parameters, *(p for kept in self.state for p in kept)}
        self._statistics = tuple(p for p in self._changed if p not in trained)
        return graph

    def _compile(self, size: int) -> _Compiled:
        graph = self._graphs.pop(size, None) or self._graph(size)
        outputs = (*graph.outputs, graph.gradient_norms)
        program = compile(outputs, updates=graph.updates, guard=True, **self.setting)
        names = tuple(i.name for i in program.graph.inputs)
        targets = self.task.target_input(size).name
        return _Compiled(program, names, targets, tuple(graph.counts), (graph.loss, graph.gradient_norm))
