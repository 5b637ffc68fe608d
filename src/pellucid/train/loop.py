"""`fit`: one graph of loss, gradients and updates, run batch after batch, with everything needed to go on after a stop."""

from __future__ import annotations

import dataclasses
import math
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pellucid.data import Augmentation, Batch, DataError, Labelled, Loader, Preprocessing, SplitRecord, Splits
from pellucid.data.loader import Batches
from pellucid.errors import NonFiniteError
from pellucid.executors import computed_by, computing_threads
from pellucid.graph import Tensor, input
from pellucid.inference.prediction import Predictor
from pellucid.nn import Module
from pellucid.plain import to_json
from pellucid.progress import long, progress
from pellucid.scopes import inference_mode
from pellucid.train.callbacks import (
    TENSORBOARD,
    Callback,
    EpochReport,
    Progress,
    StepReport,
    TensorBoard,
    metrics_csv,
)
from pellucid.train.checkpoint import Checkpoint, CheckpointError, Position, load
from pellucid.train.checks import require_same_data, require_start, require_trainable, settled, try_sizes
from pellucid.train.config import TrainConfig, TrainError
from pellucid.train.evaluation import evaluate, require_fitting
from pellucid.train.features import FeaturePredictor, compute_features
from pellucid.train.layers import LayerWatch
from pellucid.train.report import report_page
from pellucid.train.run import Run, split_record
from pellucid.train.run_folder import BEST, CONFIG, LAST, LAYERS, METRICS, REPORT, SPLIT, RunFolder, begun
from pellucid.train.schedules import factor
from pellucid.train.starting import as_before, start_from_run, starting_preprocessing
from pellucid.train.stepping import DivergedError, Stepper, StepResult
from pellucid.train.stopping import stop_signals
from pellucid.train.tuning import Tuning, head


@long
def fit(
    net: Module,
    data: Splits,
    config: TrainConfig | None = None,
    *,
    out: Path | str | None = None,
    resume: bool = False,
    changed_data: bool = False,
    preprocessing: Preprocessing | None = None,
    callbacks: Sequence[Callback] = (),
    tensorboard: bool = False,
    report: bool = True,
    **settings: Any,
) -> Run:
    """Train `net` on `data` and give the run: its folder, the best weights, and how they do on the test pictures
    (where the data has none, on those for validation).

    Settings are those of `TrainConfig`: `pl.fit(net, data, epochs=5, optimizer="adam")`. Weights that the network was
    given (pretrained or loaded ones, those of an earlier run) are where training starts; the others are drawn from
    `seed`. The folder `out` (default: runs/<data>-<model>, numbered) gets config.toml, metrics.csv, last and best
    checkpoints and report.html; with `resume` training goes on from its last checkpoint, to the very same result.
    Data that is not what it was is refused then, unless `changed_data` says that it is meant.
    Without `preprocessing` pictures are normalised as the given weights want it, else by their own mean and spread.
    """
    config = settled(data, config, settings)
    model = getattr(net, "model_config", {}).get("model", type(net).__name__.lower())
    with begun(Path(out) if out else None, run_name(data.source, model), resume) as folder:
        return fit_in(
            folder,
            net,
            data,
            config,
            resume=resume,
            changed_data=changed_data,
            preprocessing=preprocessing,
            callbacks=callbacks,
            tensorboard=tensorboard,
            report=report,
        )


def run_name(source: str, model: str) -> str:
    """What the folder of a run is called unless it is named."""
    return f"{Path(source).stem or 'data'}-{Path(model).stem}"


def fit_in(
    folder: RunFolder,
    net: Module,
    data: Splits,
    config: TrainConfig,
    *,
    resume: bool = False,
    changed_data: bool = False,
    preprocessing: Preprocessing | None = None,
    callbacks: Sequence[Callback] = (),
    tensorboard: bool = False,
    report: bool = True,
) -> Run:
    """`fit` in a folder that `begun` gave. What is refused before the first step leaves the weights of `net` as they were."""
    require_trainable(data, config)
    with as_before(net, given_too=resume or bool(config.start_from)):
        trainer = Trainer(net, data, config, folder.path, preprocessing, resume, changed_data)
        trainer.begin(callbacks, tensorboard)
    return trainer.run(report)


class Trainer:
    """The state of one run."""

    def __init__(
        self,
        net: Module,
        data: Splits,
        config: TrainConfig,
        folder: Path,
        preprocessing: Preprocessing | None,
        resume: bool,
        changed_data: bool = False,
    ) -> None:
        config = dataclasses.replace(config, threads=computing_threads(config.executor, config.threads))
        self.net, self.data, self.config, self.resume = net, data, config, resume
        self.folder = RunFolder(folder)
        self.computed_by = computed_by(config.executor, config.threads)
        output = self._output()
        self.tuning = Tuning.of(net, output, config.freeze, config.learning_rates, config.learning_rate_decay)
        self.stepper = Stepper(self.tuning, config, data.shape)
        self.record, self.same_data = SplitRecord.of(data), False
        self.position = Position()
        if resume:
            self.preprocessing = self._restore(folder / LAST, changed_data)
        else:
            self.preprocessing = self._start(output, preprocessing)
        self.augmentation = Augmentation(config.flip, config.shift, config.rotation)
        self.loader = self._loader(data.train, self.preprocessing)
        self.validation: tuple[Labelled, Preprocessing | None] = data.validation, self.preprocessing
        self.predictor = Predictor(net, **self.stepper.setting)
        self.watch = LayerWatch(self.tuning.parameters, config.watch_every, config.epochs * len(self.loader))
        if resume:
            if not self.same_data:
                self.position.restart_epoch(len(self.loader))
            self.position.require_possible(config.epochs, len(self.loader))
            self.watch.restore(folder / LAYERS, self.position.step)
        self._coming: Batches | None = None
        self._observers: list[Callback] = []
        self._try_sizes()
        require_start(str(folder / LAST) if resume else "", net, self.stepper.changed)

    def _try_sizes(self) -> None:
        """Build all that will be computed; raises before anything is written where a batch is of a size that cannot be."""
        size, shape = self.config.batch_size, self.data.shape
        try_sizes(self.stepper.prepare, self.loader, self.config.drop_last)
        with inference_mode():
            for part in (self.data.validation, self.data.test):
                try_sizes(lambda n: self.predictor.output((n, *shape)), Loader(part, size, self.preprocessing))

    def _loader(self, examples: Labelled, preprocessing: Preprocessing | None) -> Loader:
        config = self.config
        try:
            return Loader(
                examples, config.batch_size, preprocessing, True, config.seed, self.augmentation, config.drop_last
            )
        except DataError as error:
            raise TrainError(str(error)) from error

    def _start(self, output: Tensor, preprocessing: Preprocessing | None) -> Preprocessing:
        """Weights to start with: those that the network was given, or an earlier run's; the others from the seed."""
        config = self.config
        if config.start_from:
            found = start_from_run(self.net, config.start_from, self.data.classes, head(self.net, output))
            preprocessing = preprocessing or found
        self.net.initialize(config.seed, keep_given=True)
        given = any(p.given for p in self.net.parameters())
        if given and preprocessing is None:
            carried = getattr(self.net, "preprocessing", None)
            preprocessing = carried if isinstance(carried, Preprocessing) else None
        if config.pretrained and not given:
            raise TrainError("pretrained: the network has no weights to start from; load some into it first")
        self.config = dataclasses.replace(config, pretrained=given)
        return starting_preprocessing(self.data.train, preprocessing)

    def _use_features(self, stopped: Callable[[], bool]) -> None:
        """Train on the features of the pictures, if they can be computed once and for all."""
        config, data = self.config, self.data
        useful = config.cache_features and self.tuning.frozen and self.position.epoch < config.epochs
        if not useful or self.augmentation.active:
            return
        parts = data.train, data.validation
        with progress("computing features") as tell:
            computed = compute_features(
                self.tuning,
                parts,
                self.preprocessing,
                config.batch_size,
                self.folder.path,
                self.stepper.setting,
                tell,
                stopped,
            )
        if computed is not None and not stopped():
            self.stepper.use_features()
            self.loader = self._loader(computed[0], None)
            self.validation = computed[1], None
            self.predictor = FeaturePredictor(self.tuning, data.shape, **self.stepper.setting)

    def _output(self) -> Tensor:
        """The scores for one picture. Raises before anything is written if the network does not fit the data."""
        shape = (1, *self.data.shape)
        with inference_mode():
            output = self.net(input(shape, name="images"))
        if output.shape != (1, len(self.data.classes)):
            raise TrainError(
                f"the network makes {output.shape[1:]} scores for images {shape[1:]}, the data has {len(self.data.classes)} classes"
            )
        return output

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
        run = Run.load(self.folder.path, net=self.net, status=status)
        if status != "interrupted":
            evaluation = run.evaluate(self.data.test, self.config.executor)
            evaluation = dataclasses.replace(evaluation, part=self.data.test_part)
            run = dataclasses.replace(run, test=evaluation)
            self.folder.put(f"{evaluation.part}.json", run.test_json())
            if report:
                self.folder.put(REPORT, report_page(run, self.data.test).html())
        return run

    def begin(self, callbacks: Sequence[Callback], tensorboard: bool) -> None:
        """From here on the run can be resumed, and its files say what its last checkpoint does."""
        self._observers = [*callbacks, Progress()]
        if tensorboard or (self.resume and (self.folder.path / TENSORBOARD).exists()):
            self._observers.append(TensorBoard(self.folder.path, self.position.rows, self.watch.rows()))
        if not self.resume:
            self._save(LAST)
        if not (self.same_data and (self.folder.path / SPLIT).exists()):
            self.folder.put(SPLIT, to_json(self.record.to_dict(), 1))
        self.folder.put(CONFIG, self.config.to_toml())
        self.folder.put(LAYERS, self.watch.to_csv())
        self.folder.put(METRICS, metrics_csv(self.position.rows))

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
                before = self.watch.before(position.step)
                done = self._step(batch, rate)
                layers = self.watch.note(position.step, before, done.gradient_norms)
                report = StepReport(
                    position.epoch,
                    position.batch,
                    len(self.loader),
                    position.step,
                    done.loss,
                    done.gradient_norm,
                    rate,
                    layers,
                )
                position.step += 1
                position.batch += 1
                position.loss_sum += done.loss * len(batch.labels)
                position.correct += done.correct
                position.seen += len(batch.labels)
                for observer in observers:
                    observer.on_step(report)
                every = self.config.checkpoint_every
                if stopped():
                    self._save(LAST)
                    return False
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
        position = self.position
        scores = evaluate(self.net, *self.validation, self.config.batch_size, predictor=self.predictor)
        if not math.isfinite(scores.loss):
            raise self._diverged(f"the loss of the validation pictures is {scores.loss}")
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
            what = self.stepper.not_finite() or self.stepper.blame(batch, rate, step) or str(error)
            raise self._diverged(what, step) from error

    def _require_finite(self) -> None:
        """Raise `DivergedError` if the last update left a value that is not finite; no checkpoint ever holds one."""
        if what := self.stepper.not_finite():
            raise self._diverged(what)

    def _diverged(self, what: str, step: int | None = None) -> DivergedError:
        step = self.position.step - 1 if step is None else step
        return DivergedError(
            f"training diverged in epoch {step // len(self.loader) + 1}, step {step}: {what}. "
            "The last checkpoint is from before; try a lower learning rate"
        )

    def _save(self, name: str) -> None:
        self._require_finite()
        if name == LAST:  # first, so that the file never knows less than the checkpoint that a run is resumed from
            self.folder.put(LAYERS, self.watch.to_csv())
        checkpoint = Checkpoint(
            self.net.state_dict(),
            {p.name: p.value for kept in self.stepper.state for p in kept},
            getattr(self.net, "model_config", {"model": type(self.net).__name__}),
            self.data.classes,
            self.preprocessing,
            self.config,
            self.position,
            self.record.digest,
            self.computed_by,
        )
        self.folder.save(name, checkpoint)

    def _restore(self, path: Path, changed_data: bool) -> Preprocessing:
        """Go back to where a checkpoint was written; gives the run's preprocessing."""
        checkpoint = load(path)
        mine = getattr(self.net, "model_config", {"model": type(self.net).__name__})
        if checkpoint.network != mine:
            differ = [
                f"{k} is {checkpoint.network.get(k)!r}, expected {mine.get(k)!r}"
                for k in sorted({*checkpoint.network, *mine})
                if checkpoint.network.get(k) != mine.get(k)
            ]
            raise CheckpointError(f"{path}: is of another architecture: {'; '.join(differ)}")
        stored = checkpoint.config
        self.config = dataclasses.replace(
            self.config, pretrained=stored.pretrained
        )  # its weights are in the checkpoint
        self.config.require_same(stored)
        if checkpoint.computed_by not in ("", self.computed_by):
            warnings.warn(
                f"the run was computed by {checkpoint.computed_by!r} and goes on by {self.computed_by!r}: "
                "its last bits will not be those of a run that was never stopped",
                stacklevel=4,
            )
        noted = split_record(path.parent)
        self.same_data = require_same_data(path.parent, checkpoint.data, noted, self.record, changed_data)
        kept = {p.name: p for state in self.stepper.state for p in state}
        checkpoint.require_state(path, kept)
        self.net.load_state_dict(checkpoint.weights)
        for name, parameter in kept.items():
            parameter.value = checkpoint.state[name]
        self.position = checkpoint.position
        preprocessing = checkpoint.preprocessing
        require_fitting(
            str(path), checkpoint.classes, (preprocessing.channels, *preprocessing.image_size), self.data.train
        )
        return preprocessing
