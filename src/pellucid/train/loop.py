"""`fit`: one graph of loss, gradients and updates, run batch after batch, with everything needed to go on after a stop."""

from __future__ import annotations

import dataclasses
import signal
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.data import Augmentation, Batch, DataError, Loader, Preprocessing, Splits, channel_statistics
from pellucid.data.loader import Batches
from pellucid.errors import NonFiniteError, PellucidError
from pellucid.executors import Program, available_executors, compile, first_non_finite
from pellucid.files import write_atomically
from pellucid.graph import Graph, Tensor, input
from pellucid.nn import Module
from pellucid.train.callbacks import Callback, EpochReport, Progress, StepReport, TensorBoard, write_metrics
from pellucid.train.checkpoint import Checkpoint, CheckpointError, Position, load, save
from pellucid.train.config import TrainConfig, TrainError
from pellucid.train.evaluation import Predictor, evaluate
from pellucid.train.report import write_report
from pellucid.train.run import Run
from pellucid.train.schedules import factor
from pellucid.train.step import training_graph


class DivergedError(PellucidError, ArithmeticError):
    """Training produced a NaN or an infinity; the message names the first node that made it."""


def fit(
    net: Module,
    data: Splits,
    config: TrainConfig | None = None,
    *,
    out: Path | str | None = None,
    resume: bool = False,
    callbacks: Sequence[Callback] = (),
    progress: bool = True,
    tensorboard: bool = False,
    report: bool = True,
    **settings: Any,
) -> Run:
    """Train `net` on `data` and give the run: its folder, the best weights, and how they do on the test pictures.

    Settings are those of `TrainConfig`: `pl.fit(net, data, epochs=5, optimizer="adam")`. The weights start anew from
    `seed`. The folder `out` (default: runs/<data>-<model>, numbered) gets config.toml, metrics.csv, last and best
    checkpoints and report.html; with `resume` training goes on from its last checkpoint, to the very same result.
    """
    if config is None:
        config = TrainConfig(**_known(settings))
    elif settings:
        raise TrainError(f"give either a config or single settings, got both: {', '.join(settings)}")
    if not config.data:
        config = dataclasses.replace(config, data=data.source)
    if len(data.classes) < 2:
        raise TrainError(f"the data has one class only ({', '.join(data.classes)}); there is nothing to tell apart")
    if reason := available_executors()[config.executor]:
        raise TrainError(f"executor {config.executor!r} cannot be used here: {reason}")
    return _Trainer(net, data, config, Path(out) if out else _new_folder(net, data)).run(
        resume, callbacks, progress, tensorboard, report
    )


def _known(settings: dict[str, Any]) -> dict[str, Any]:
    from pellucid.errors import suggest

    names = [f.name for f in dataclasses.fields(TrainConfig)]
    for name in settings:
        if name not in names:
            raise TrainError(f"fit has no setting {name!r}{suggest(name, names)}; there are: {', '.join(names)}")
    return settings


def _new_folder(net: Module, data: Splits) -> Path:
    model = getattr(net, "model_config", {}).get("model", type(net).__name__.lower())
    base = f"{Path(data.source).stem or 'data'}-{model}"
    number = 1
    while (folder := Path("runs") / (base if number == 1 else f"{base}-{number}")).exists():
        number += 1
    return folder


class _Trainer:
    """The state of one run."""

    def __init__(self, net: Module, data: Splits, config: TrainConfig, folder: Path) -> None:
        self.net, self.data, self.config, self.folder = net, data, config, folder
        mean, std = channel_statistics(data.train)
        self.preprocessing = Preprocessing(data.shape[1:], data.shape[0], mean, std)
        augmentation = Augmentation(config.flip, config.shift, config.rotation)
        try:
            self.loader = Loader(data.train, config.batch_size, self.preprocessing, True, config.seed, augmentation)
        except DataError as error:
            raise TrainError(str(error)) from error
        net.initialize(config.seed)
        self.optimizer = config.make_optimizer()
        self.parameters = net.parameters()
        self.state = self.optimizer.state(self.parameters)
        self.position = Position()
        self._coming: Batches | None = None
        self._programs: dict[int, tuple[Program, tuple[str, ...], list[Tensor]]] = {}
        self.predictor = Predictor(net, config.executor, config.precision, config.threads)
        self._check_output()

    def _check_output(self) -> None:
        """Raise before anything is written if the network does not fit the data."""
        shape = (1, *self.data.shape)
        self.net.eval()
        output = self.net(input(shape, name="images"))
        if output.shape != (1, len(self.data.classes)):
            raise TrainError(
                f"the network makes {output.shape[1:]} scores for images {shape[1:]}, the data has {len(self.data.classes)} classes"
            )

    def run(self, resume: bool, callbacks: Sequence[Callback], progress: bool, tensorboard: bool, report: bool) -> Run:
        """Train to the end, to an early stop, or to an interruption."""
        last = self.folder / "last.safetensors"
        if resume:
            self._restore(last)
        elif self.folder.exists() and any(self.folder.iterdir()):
            raise TrainError(f"{self.folder}: exists and is not empty; resume it, or choose another folder")
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / "config.toml", self.config.to_toml().encode())
        observers = [
            *callbacks,
            *([Progress()] if progress else []),
            *([TensorBoard(self.folder)] if tensorboard else []),
        ]
        status = "finished"
        with _stop_signals() as stopped:
            for observer in observers:
                observer.on_start(self.position.epoch, self.config.epochs)
            try:
                while self.position.epoch < self.config.epochs and not self._out_of_patience():
                    if not self._epoch(observers, stopped):
                        status = "interrupted"
                        break
            finally:
                if self._coming is not None:
                    self._coming.close()
                for observer in observers:
                    observer.on_end()
        if status == "finished" and self._out_of_patience():
            status = "stopped early"
        run = Run.load(self.folder, net=self.net, status=status)
        if status != "interrupted":
            evaluation = run.evaluate(self.data.test, self.config.executor, progress)
            run = dataclasses.replace(run, test=evaluation)
            write_atomically(self.folder / "test.json", run.test_json().encode())
            if report:
                write_report(run, self.data.test)
        return run

    def _out_of_patience(self) -> bool:
        return 0 < self.config.patience <= self.position.since_best

    def _epoch(self, observers: Sequence[Callback], stopped: Callable[[], bool]) -> bool:
        """One epoch from where `position` stands; False when interrupted."""
        position, total = self.position, self.config.epochs * len(self.loader)
        started = time.perf_counter()
        rate = 0.0
        batches = self._coming or self.loader.epoch(position.epoch, position.batch)
        self._coming = None
        try:
            for batch in batches:
                rate = self.config.learning_rate * factor(self.config.schedule, position.step, total)
                loss, norm, correct = self._step(batch, rate)
                report = StepReport(position.epoch, position.batch, len(self.loader), position.step, loss, norm, rate)
                position.step += 1
                position.batch += 1
                position.loss_sum += loss * len(batch.labels)
                position.correct += correct
                position.seen += len(batch.labels)
                for observer in observers:
                    observer.on_step(report)
                every = self.config.checkpoint_every
                if stopped():
                    self._save("last")
                    return False
                if every and position.step % every == 0 and position.batch < len(self.loader):
                    self._save("last")
        finally:
            batches.close()
        seconds = time.perf_counter() - started
        if position.epoch + 1 < self.config.epochs:  # its first batches are made while this one is being evaluated
            self._coming = self.loader.epoch(position.epoch + 1)
        self._finish_epoch(observers, rate, seconds)
        return True

    def _finish_epoch(self, observers: Sequence[Callback], rate: float, seconds: float) -> None:
        position = self.position
        scores = evaluate(
            self.net, self.data.validation, self.preprocessing, self.config.batch_size, predictor=self.predictor
        )
        better = scores.accuracy > position.best
        report = EpochReport(
            position.epoch,
            self.config.epochs,
            position.loss_sum / position.seen,
            position.correct / position.seen,
            scores.loss,
            scores.accuracy,
            rate,
            seconds,
            better,
        )
        position.rows.append({**dataclasses.asdict(report), "epoch": position.epoch + 1, "step": position.step})
        position.best = max(position.best, scores.accuracy)
        position.since_best = 0 if better else position.since_best + 1
        position.epoch += 1
        position.batch, position.loss_sum, position.correct, position.seen = 0, 0.0, 0, 0
        if better:
            self._save("best")
        self._save("last")
        write_metrics(self.folder / "metrics.csv", position.rows)
        for observer in observers:
            observer.on_epoch(report)

    def _step(self, batch: Batch, rate: float) -> tuple[float, float, int]:
        size = len(batch.labels)
        if size not in self._programs:
            self._programs[size] = self._compile(size)
        program, wanted, watched = self._programs[size]
        offered = {
            "images": batch.images,
            "labels": batch.labels,
            "learning_rate": np.float32(rate),
            "step": np.int64(self.position.step),
        }
        feeds = {name: offered[name] for name in wanted}
        try:
            loss, norm, correct = program(feeds)
        except NonFiniteError as error:
            of_loss = {i.name: feeds[i.name] for i in Graph(watched).inputs}
            where = first_non_finite(watched, of_loss)
            what = f"{where[0]} is the first node that is not finite ({where[1]})" if where else str(error)
            raise DivergedError(
                f"training diverged in epoch {self.position.epoch + 1}, step {self.position.step}: {what}. "
                "The last checkpoint is from before; try a lower learning rate"
            ) from error
        return float(loss), float(norm), int(correct)

    def _compile(self, size: int) -> tuple[Program, tuple[str, ...], list[Tensor]]:
        """The training step for batches of `size`, the names of what it is fed, and the nodes to watch for NaN."""
        config = self.config
        step = training_graph(
            self.net, (size, *self.data.shape), self.optimizer, self.state, config.label_smoothing, config.seed
        )
        program = compile(
            step.outputs,
            updates=step.updates,
            executor=config.executor,
            guard=True,
            precision=config.precision,
            threads=config.threads,
        )
        return program, tuple(i.name for i in program.graph.inputs), [step.loss, step.gradient_norm]

    def _save(self, name: str) -> None:
        checkpoint = Checkpoint(
            self.net.state_dict(),
            {p.name: p.value for kept in self.state for p in kept},
            getattr(self.net, "model_config", {"model": type(self.net).__name__}),
            self.data.classes,
            self.preprocessing.to_dict(),
            dataclasses.asdict(self.config),
            self.position,
        )
        save(self.folder / f"{name}.safetensors", checkpoint)

    def _restore(self, path: Path) -> None:
        checkpoint = load(path)
        mine = getattr(self.net, "model_config", {"model": type(self.net).__name__})
        if checkpoint.network != mine:
            differ = [
                f"{k} is {checkpoint.network.get(k)!r}, expected {mine.get(k)!r}"
                for k in sorted({*checkpoint.network, *mine})
                if checkpoint.network.get(k) != mine.get(k)
            ]
            raise CheckpointError(f"{path}: is of another architecture: {'; '.join(differ)}")
        self.config.require_same(TrainConfig.from_dict(checkpoint.config))
        if checkpoint.classes != self.data.classes:
            raise CheckpointError(
                f"{path}: was trained on classes {checkpoint.classes}, the data has {self.data.classes}"
            )
        self.net.load_state_dict(checkpoint.weights)
        for parameter in (p for kept in self.state for p in kept):
            parameter.value = checkpoint.state[parameter.name]
        self.position = checkpoint.position


@contextmanager
def _stop_signals() -> Generator[Callable[[], bool]]:
    """Gives a function that says whether SIGINT or SIGTERM came; the second one ends the process as usual."""
    came = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield came.is_set
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, frame: object) -> None:
        came.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, note)
    try:
        yield came.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
