"""Steps of training: the graph of a step compiled for every size of batch that comes, and run on batches."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from pellucid.data import Batch
from pellucid.errors import NonFiniteError, PellucidError
from pellucid.executors import Program, compile, first_non_finite
from pellucid.executors.contract import not_finite
from pellucid.graph import Graph, Parameter, Tensor
from pellucid.nn.initializers import zeros
from pellucid.op import Array
from pellucid.train.averaging import fresh_averages, in_place
from pellucid.train.config import TrainConfig
from pellucid.train.step import Gathering, TrainingGraph, training_graph
from pellucid.train.task import Objective
from pellucid.train.tuning import Tuning


class DivergedError(PellucidError, ArithmeticError):
    """Training produced a NaN or an infinity; the message names the first node that made it.

    `where` is its name, or that of the value which became so, "" where it is neither; `step` and `rate` those of the step.
    """

    def __init__(self, message: str, where: str = "", step: int = 0, rate: float | None = None) -> None:
        super().__init__(message)
        self.where, self.step, self.rate = where, step, rate


class Fault(NamedTuple):
    """What is first not finite: the name of a node or a parameter, and the fault in words."""

    where: str
    words: str


@dataclass(frozen=True)
class StepResult:
    """What a step computed: loss of the batch before the update, norm of the gradient, what the task counts."""

    loss: float
    gradient_norm: float
    counts: dict[str, float]
    gradient_norms: Array
    """Norm of each trained parameter's gradient, float32 (P,)."""
    plain_loss: float
    """The loss as validation measures it."""


_Kind = tuple[int, bool]
"""How many examples a program computes at once, and whether it changes the weights."""


@dataclass(frozen=True)
class _Compiled:
    program: Program
    wanted: tuple[str, ...]
    targets: str
    """The name of the input that targets are fed to."""
    counted: tuple[str, ...]
    has_plain: bool
    watched: tuple[Tensor, ...]
    """The nodes among which the first NaN is looked for."""


class Stepper:
    """Changes what `tuning` trains, step by step; the optimizer's `state` is fresh."""

    def __init__(self, tuning: Tuning, task: Objective, config: TrainConfig, shape: tuple[int, ...]) -> None:
        self.tuning, self.task, self.config, self.shape = tuning, task, config, shape
        self.optimizer = config.make_optimizer()
        self.state = self.optimizer.state(tuning.parameters)
        self.setting: dict[str, Any] = {n: getattr(config, n) for n in ("executor", "precision", "threads")}
        trained = tuning.parameters
        self._sums = (
            {p: Parameter(p.shape, zeros(), p.dtype, f"sum/{p.name}", trainable=False) for p in trained}
            if config.accumulate > 1
            else {}
        )
        own = [p for p in tuning.net.parameters() if p not in tuning.frozen]
        self.averages = fresh_averages(own) if config.ema else {}
        self.from_features = False
        self._graphs: dict[_Kind, TrainingGraph] = {}
        self._changed: tuple[Parameter, ...] = ()
        self._statistics: tuple[Parameter, ...] = ()
        self._compiled: dict[_Kind, _Compiled] = {}

    @property
    def kept(self) -> tuple[Parameter, ...]:
        """What is needed to go on with, beside the weights: the optimizer's state, and averages of the weights."""
        return (*(p for state in self.state for p in state), *self.averages.values())

    @contextmanager
    def averaged(self) -> Generator[None]:
        """Inside, the network has the averages of its weights, where these are kept, for weights."""
        with in_place(self.averages):
            yield

    def prepare(self, size: int) -> None:
        """Build the graph of a step on `size` examples. Raises where the network cannot be trained on so many at once."""
        for kind in self._kinds(size):
            self._graphs[kind] = self._graph(kind)

    def _kinds(self, size: int) -> Iterator[_Kind]:
        """The parts that a batch of `size` is computed in."""
        part = self.config.batch_size if self._sums else size
        for start in range(0, size, part):
            yield min(part, size - start), start + part >= size

    def use_features(self) -> None:
        """From now on batches hold what the frozen part of the network makes of pictures."""
        self.from_features = True
        self._graphs.clear()

    @property
    def changed(self) -> Set[Parameter]:
        """The values that steps change: of the network, and the optimizer's."""
        return dict.fromkeys(self._changed).keys()

    def not_finite(self) -> Fault | None:
        """The first of the values that steps change which holds a NaN or an infinity."""
        for parameter in self._changed:
            if what := not_finite(parameter.value):
                return Fault(parameter.name, f"{parameter.name} became {what}")
        return None

    def __call__(self, batch: Batch, rate: float, step: int) -> StepResult:
        """Step number `step` (from 0). Raises `NonFiniteError` where a number is not finite, or a value that it sets."""
        loss = plain = 0.0
        counted: dict[str, float] = {}
        norm, norms = 0.0, np.empty(0)
        for compiled, feeds, share in self._parts(batch, rate, step):
            own_loss, own_norm, *counts, norms = compiled.program(feeds)
            for statistic in self._statistics:  # made of activations, which no output of the step tells of
                if not np.isfinite(statistic.held()).all():
                    raise NonFiniteError(f"{statistic.name}: not finite")
            own_plain = counts.pop() if compiled.has_plain else own_loss
            if share == 1:  # so that what is computed whole is what it was, to the bit
                loss, plain = float(own_loss), float(own_plain)
            else:
                loss += float(own_loss) * share
                plain += float(own_plain) * len(feeds[compiled.targets]) / len(batch.images)
            for name, count in zip(compiled.counted, counts, strict=True):
                counted[name] = counted.get(name, 0) + count.item()
            norm = float(own_norm)
        return StepResult(loss, norm, counted, norms, plain)

    def blame(self, batch: Batch, rate: float, step: int) -> Fault | None:
        """Which node of the step is the first that is not finite; None if it is none of those of the loss and its gradient."""
        for compiled, feeds, _ in self._parts(batch, rate, step):
            where = first_non_finite(compiled.watched, {i.name: feeds[i.name] for i in Graph(compiled.watched).inputs})
            if where:
                return Fault(where[0], f"{where[0]} is the first node that is not finite ({where[1]})")
        return None

    def in_parts(self, batch: Batch, rate: float, step: int) -> Iterator[tuple[TrainingGraph, dict[str, Any]]]:
        """The graph of each part that a batch is computed in and what it is fed, to be looked at before the step is done."""
        for kind, (_, feeds, _) in zip(self._kinds(len(batch.images)), self._parts(batch, rate, step), strict=True):
            yield self._graph(kind), feeds

    def _parts(self, batch: Batch, rate: float, step: int) -> Iterator[tuple[_Compiled, dict[str, Any], float]]:
        """What computes each part of a batch, what it is fed, and the part's share in the loss."""
        whole, start = self.task.weight(batch.targets), 0
        for number, kind in enumerate(self._kinds(len(batch.images))):
            compiled, part = self._for(kind), slice(start, start + kind[0])
            start = part.stop
            images, targets = batch.images[part], batch.targets[part]
            share = self.task.weight(targets) / whole
            offered = {
                "images": images,
                "features": images,
                compiled.targets: targets,
                "learning_rate": np.float32(rate),
                "step": np.int64(step * self.config.accumulate + number),
                "update": np.int64(step),
                "share": np.float32(share),
                "kept": np.float32(number > 0),
            }
            yield compiled, {name: offered[name] for name in {*compiled.wanted, compiled.targets}}, share

    def _for(self, kind: _Kind) -> _Compiled:
        if kind not in self._compiled:
            self._compiled[kind] = self._compile(kind)
        return self._compiled[kind]

    def _graph(self, kind: _Kind) -> TrainingGraph:
        size, last = kind
        graph = training_graph(
            self.tuning.net,
            (size, *self.shape),
            self.optimizer,
            self.state,
            self.task,
            self.config.seed,
            self.tuning,
            self.from_features,
            Gathering(self._sums, last) if self._sums else None,
            self.averages,
            self.config.ema,
        )
        if last:
            trained = {*self.tuning.parameters, *self.kept}
            self._changed = tuple(graph.updates)
            self._statistics = tuple(p for p in self._changed if p not in trained)
        return graph

    def _compile(self, kind: _Kind) -> _Compiled:
        graph = self._graphs.pop(kind, None) or self._graph(kind)
        outputs = (*graph.outputs, graph.gradient_norms)
        program = compile(outputs, updates=graph.updates, guard=True, **self.setting)
        names = tuple(i.name for i in program.graph.inputs)
        targets = self.task.target_input(kind[0]).name
        has_plain = graph.plain_loss is not None
        watched = graph.loss, graph.gradient_norm
        return _Compiled(program, names, targets, tuple(graph.counts), has_plain, watched)
