"""`fit`: one graph of loss, gradients and updates, run batch after batch, with everything needed to go on after a stop."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Unpack

from pellucid.data import Batch, Inputs, Parts, Preparation
from pellucid.data.loader import Batches
from pellucid.data.points import short_name
from pellucid.data.sample import Normalizing
from pellucid.errors import NonFiniteError
from pellucid.flags import flag
from pellucid.interop.errors import OnnxError
from pellucid.nn import Module
from pellucid.nn.described import is_list
from pellucid.nn.required import require_net
from pellucid.plain import to_json
from pellucid.progress import long, progress
from pellucid.screen import visible
from pellucid.train.aim import Functions
from pellucid.train.arrays import Targets, Validation, one_validation, parts_for, targets_or_config
from pellucid.train.callbacks import (
    TENSORBOARD,
    Callback,
    EpochReport,
    Progress,
    StepReport,
    TensorBoard,
    called,
    metrics_csv,
)
from pellucid.train.checkpoint import load
from pellucid.train.checks import require_trainable, settled
from pellucid.train.config import TrainConfig, TrainError
from pellucid.train.evaluation import outputs_of
from pellucid.train.features import FeaturePredictor, compute_features
from pellucid.train.found import found
from pellucid.train.graph_file import graph_of, needs_graph
from pellucid.train.remarks import after_training, before_training
from pellucid.train.report import report_page
from pellucid.train.run import Run, split_record
from pellucid.train.run_folder import (
    BEST,
    CONFIG,
    GRAPH,
    LAST,
    LAYERS,
    METRICS,
    REMARKS,
    REPORT,
    RESULTS,
    SPLIT,
    TEST,
    VALIDATION,
    RunFolder,
    begun,
)
from pellucid.train.schedules import PLATEAU, factor, plateau_factor
from pellucid.train.settings import Settings, shows_settings
from pellucid.train.setup import Setup, network_of
from pellucid.train.starting import as_before
from pellucid.train.stepper import DivergedError, Fault, StepResult
from pellucid.train.stopping import stop_signals
from pellucid.train.task import Task
from pellucid.train.tasks import task_for


@shows_settings
@long
def fit(
    net: Module,
    data: Parts | Targets | Sequence[Any],
    y: Targets | TrainConfig | None = None,
    config: TrainConfig | None = None,
    *,
    validation: Validation = None,
    validation_split: float | None = None,
    task: Task | str | None = None,
    out: Path | str | None = None,
    resume: bool = False,
    changed_data: bool = False,
    preprocessing: Preparation | None = None,
    callbacks: Sequence[Callback] | None = (),
    tensorboard: bool = False,
    report: bool = True,
    **settings: Unpack[Settings],
) -> Run:
    """Train `net` on `data` and give the run: its folder, the best weights, and how they do on the test pictures
    (where the data has none, on those for validation).

    `data` is what `pl.load` gives, or inputs with their targets `y` in any arrays, also as a pair: pictures (N, C, H, W),
    (N, H, W, C) or (N, H, W), as the network takes them, or rows (N, F). Whole numbers and names in `y` are classes, floats
    (N,) or (N, M) numbers to predict. Arrays are cut 70:15:15 into parts; `validation` gives inputs and targets of their
    own, or (as `validation_split`) the share to hold out.
    Settings are those of `TrainConfig`: `pl.fit(net, data, epochs=5, optimizer="adam")`. Weights that the network was
    given (pretrained or loaded ones, those of an earlier run) are where training starts; the others are drawn from
    `seed`. The folder `out` (default: runs/<data>-<model>, numbered) gets config.toml, metrics.csv, last and best
    checkpoints and report.html; with `resume` training goes on from its last checkpoint, with the run's own settings, to the very same result.
    Data that is not what it was is refused then, unless `changed_data` says that it is meant.
    Without `preprocessing` pictures are normalized as the given weights want it, else by their own mean and spread. A `task`
    says what is learned of the data; without one, what it is made for: pictures with classes are told apart, of
    `pl.data.numbers` and `pl.data.load_numbers` the numbers are predicted (`loss` says by which error).
    """
    resume = flag("fit", "resume", resume, TrainError)
    changed_data = flag("fit", "changed_data", changed_data, TrainError)
    tensorboard = flag("fit", "tensorboard", tensorboard, TrainError)
    report = flag("fit", "report", report, TrainError)
    require_net(net)
    callbacks = called(callbacks)
    y, config = targets_or_config(y, config)
    plain, config, functions = Functions.taken_from(settings, config)
    data = parts_for(net, data, y, one_validation(validation, validation_split), task)
    model = (net.card.config or {}).get("model", type(net).__name__.lower())
    with begun(Path(out) if out else None, run_name(data.source, model), resume) as folder:
        stored = load(folder.path / LAST, arrays=False).config if resume else None
        return fit_in(
            folder,
            net,
            data,
            settled(data, config, plain, stored),
            task=task,
            resume=resume,
            changed_data=changed_data,
            preprocessing=preprocessing,
            callbacks=callbacks,
            tensorboard=tensorboard,
            report=report,
            functions=functions,
        )


def run_name(source: str, model: str) -> str:
    """What the folder of a run is called unless it is named."""
    return f"{short_name(source) or 'data'}-{'layers' if is_list(model) else Path(model).stem}"


def fit_in(
    folder: RunFolder,
    net: Module,
    data: Parts,
    config: TrainConfig,
    *,
    task: Task | str | None = None,
    resume: bool = False,
    changed_data: bool = False,
    preprocessing: Preparation | None = None,
    callbacks: Sequence[Callback] | None = (),
    tensorboard: bool = False,
    report: bool = True,
    functions: Functions | None = None,
) -> Run:
    """`fit` in a folder that `begun` gave. What is refused before the first step leaves the weights of `net` as they were."""
    task = task_for(data, config, task)
    config = config.of_task(task.name)
    require_trainable(data, task, config)
    resumed = folder.path if resume else None
    with as_before(net, given_too=resume or bool(config.start_from)):
        trainer = Trainer(Setup(net, data, task, config, preprocessing, resumed, changed_data, functions), folder)
        trainer.begin(called(callbacks), tensorboard)
    return trainer.run(report)


class Trainer:
    """Runs what was set up in a folder, epoch after epoch."""

    def __init__(self, setup: Setup, folder: RunFolder) -> None:
        self.setup, self.folder = setup, folder
        self.config, self.position, self.stepper, self.watch = setup.config, setup.position, setup.stepper, setup.watch
        self.loader, self.predictor = setup.loader, setup.predictor
        self.validation: tuple[Inputs, Normalizing | None] = setup.data.validation, setup.preprocessing
        self._coming: Batches | None = None
        self._observers: list[Callback] = []
        self.remarks: list[str] = []

    def _use_features(self, stopped: Callable[[], bool]) -> None:
        """Train on the features of the pictures, if they can be computed once and for all."""
        setup, config = self.setup, self.config
        useful = config.cache_features and setup.tuning.frozen and self.position.epoch < config.epochs
        if not useful or setup.changes_examples:
            return
        parts = setup.data.train, setup.data.validation
        with progress("computing features"):
            computed = compute_features(
                setup.tuning,
                parts,
                setup.preprocessing,
                config.batch_size,
                self.folder.path,
                self.stepper.setting,
                stopped,
            )
        if computed is not None and not stopped():
            self.stepper.use_features()
            self.loader = setup.training_loader(computed[0], None)
            self.validation = computed[1], None
            self.predictor = FeaturePredictor(setup.tuning, setup.input_shape, **self.stepper.setting)

    def run(self, report: bool) -> Run:
        """Train to the end, to an early stop, or to an interruption."""
        observers = self._observers
        status = "finished"
        with stop_signals() as stopped:
            self._use_features(stopped)
            for observer in observers:
                observer.on_start(self.position.epoch, self.config.epochs)
            try:
                while self.position.epoch < self.config.epochs and not self._out_of_patience():
                    if stopped() or not self._epoch(observers, stopped):
                        status = "interrupted"
                        break
            finally:
                if self._coming is not None:
                    self._coming.close()
                for observer in observers:
                    observer.on_end()
        if status == "finished" and self._out_of_patience():
            status = "stopped early"
        data = self.setup.data
        run = Run.load(self.folder.path, net=self.setup.net, status=status, task=self.setup.task)
        run = dataclasses.replace(run, aim=self.setup.aim)
        if status != "interrupted":
            evaluation = run.evaluate(data.test, executor=self.config.executor, part=data.test_part)
            self.remarks += after_training(self.setup, evaluation, self.position)
            run = dataclasses.replace(run, test=evaluation, remarks=tuple(self.remarks))
            self.folder.put(REMARKS, to_json(list(run.remarks), 1) if run.remarks else "")
            for name in {TEST, VALIDATION} - {f"{evaluation.part}.json"}:
                self.folder.put(name, "")
            self.folder.put(f"{evaluation.part}.json", run.test_json())
            if report:
                self.folder.put(REPORT, report_page(run, data.test).html())
        return run

    def begin(self, callbacks: Sequence[Callback], tensorboard: bool) -> None:
        """From here on the run can be resumed, and its files say what its last checkpoint does."""
        self.remarks += before_training(self.setup)
        told = "".join(f"note      {visible(remark)}\n" for remark in self.remarks)
        self._observers = [*callbacks, Progress(self.setup.task.measures, f"{found(self.setup)}\n{told}")]
        resumed = self.setup.resumed is not None
        if tensorboard or (resumed and (self.folder.path / TENSORBOARD).exists()):
            self._observers.append(TensorBoard(self.folder.path, self.position.rows, self.watch.rows()))
        for observer in self._observers:
            observer.on_setup(self.setup)
        if not resumed or self.setup.before is not None:
            self._save(LAST)
        if not self.position.is_end(self.config):  # what was measured of an epoch that was the best until now
            for name in RESULTS:
                self.folder.put(name, "")
        record = self.setup.record.placed_from(self.folder.path)
        known = split_record(self.folder.path) if self.setup.same_data else None
        if known is None or not {*record.places} <= {*known.places}:
            self.folder.put(SPLIT, to_json(record.to_dict(), 1))
        self._keep_graph()
        self.folder.put(CONFIG, self.config.to_toml())
        self.folder.put(LAYERS, self.watch.to_csv())
        self.folder.put(METRICS, metrics_csv(self.position.rows))

    def _keep_graph(self) -> None:
        """Keep what the network is made of again, where no name of a model does."""
        setup = self.setup
        network = network_of(setup.net)
        if not needs_graph(network) or (self.folder.path / GRAPH).exists():
            return
        try:
            self.folder.write(GRAPH, graph_of(setup.net, setup.input_shape, network))
        except OnnxError as error:
            self.remarks.append(f"the run keeps no graph of its network, so that commands cannot use it: {error}")

    def _out_of_patience(self) -> bool:
        return 0 < self.config.patience <= self.position.since_best

    def _lowered(self) -> float:
        """What the schedule `plateau` has lowered the learning rate to, as a share of it."""
        if self.config.schedule != PLATEAU:
            return 1.0
        losses = [row["validation_loss"] for row in self.position.comparable]
        return plateau_factor(losses, self.config.plateau_patience, self.config.plateau_factor)

    def _epoch(self, observers: Sequence[Callback], stopped: Callable[[], bool]) -> bool:
        """One epoch from where `position` stands; False when interrupted."""
        position, total = self.position, self.config.epochs * len(self.loader)
        started = time.perf_counter() - position.seconds
        rate = 0.0
        warmup = self.config.warmup_steps or round(self.config.warmup * len(self.loader))
        lowered = self.config.learning_rate * self._lowered()
        batches = self._coming or self.loader.epoch(position.epoch, position.batch)
        self._coming = None
        try:
            for batch in batches:
                rate = lowered * factor(self.config.schedule, position.step, total, warmup)
                for observer in observers:
                    observer.on_batch(batch, rate, position.step)
                if stopped():  # never after the last batch: an epoch that is through gets its row first
                    self._save(LAST)
                    return False
                before = self.watch.before(position.step)
                done = self._step(batch, rate)
                layers = self.watch.note(position.step, before, done.gradient_norms)
                report = StepReport(
                    position.epoch,
                    position.batch,
                    len(self.loader),
                    position.step,
                    done.plain_loss,
                    done.gradient_norm,
                    rate,
                    layers,
                    done.gradient_norms,
                )
                position.add(done.plain_loss, done.counts, len(batch.images))
                for observer in observers:
                    observer.on_step(report)
                position.seconds = time.perf_counter() - started
                every = self.config.checkpoint_every
                if every and position.step % every == 0 and position.batch < len(self.loader):
                    self._save(LAST)
            self._require_finite()
        finally:
            batches.close()
        seconds = time.perf_counter() - started
        if position.epoch + 1 < self.config.epochs:  # its first batches are made while this one is being evaluated
            self._coming = self.loader.epoch(position.epoch + 1)
        self._finish_epoch(observers, rate, seconds)
        return True

    def _finish_epoch(self, observers: Sequence[Callback], rate: float, seconds: float) -> None:
        position, task = self.position, self.setup.task
        with self.stepper.averaged():
            outputs = outputs_of(self.predictor, *self.validation, self.config.batch_size, task.scores)
        scores = task.evaluate(outputs, self.setup.data.validation, "validation")
        aim = self.setup.aim
        scores = aim.added_to(
            scores, task, outputs, self.setup.data.validation, self.config.batch_size, self.config.executor
        )
        loss = aim.loss_of(scores)
        if not math.isfinite(loss):
            raise self._diverged(Fault("", f"the loss of the validation pictures is {loss}"))
        value = loss if task.best_by == "loss" else task.value_of(scores)
        better = task.better(value, position.best)
        report = EpochReport(
            position.epoch,
            self.config.epochs,
            position.loss_sum / position.seen,
            task.averages(position.counts, position.seen),
            loss,
            scores.measures(),
            rate,
            seconds,
            better,
            scores.metrics if aim.metrics else {},
        )
        position.rows.append(report.noted(position.step))
        position.best = value if better else position.best
        position.since_best = 0 if better else position.since_best + 1
        position.begin_epoch(position.epoch + 1)
        if better:
            with self.stepper.averaged():
                self._save(BEST)
        self._save(LAST)
        self.folder.put(METRICS, metrics_csv(position.rows))
        for observer in observers:
            observer.on_epoch(report)

    def _step(self, batch: Batch, rate: float) -> StepResult:
        step = self.position.step
        try:
            return self.stepper(batch, rate, step)
        except NonFiniteError as error:
            fault = self.stepper.not_finite() or self.stepper.blame(batch, rate, step) or Fault("", str(error))
            raise self._diverged(fault, step, rate) from error

    def _require_finite(self) -> None:
        """Raise `DivergedError` if the last update left a value that is not finite; no checkpoint ever holds one."""
        if fault := self.stepper.not_finite():
            raise self._diverged(fault)

    def _diverged(self, fault: Fault, step: int | None = None, rate: float | None = None) -> DivergedError:
        step = self.position.step - 1 if step is None else step
        return DivergedError(
            f"training diverged in epoch {step // len(self.loader) + 1}, step {step}: {fault.words}. "
            "The last checkpoint is from before; try a lower learning rate",
            fault.where,
            step,
            rate,
        )

    def _save(self, name: str) -> None:
        self._require_finite()
        if name == LAST:  # first, so that the file never knows less than the checkpoint that a run is resumed from
            self.folder.put(LAYERS, self.watch.to_csv())
        self.folder.save(name, self.setup.checkpoint(state=name == LAST))
