"""What a run is made of before its first step, looked at whole: new, or as its last checkpoint says."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

from pellucid.data import (
    DataError,
    Inputs,
    Loader,
    Parts,
    Preparation,
    Preprocessing,
    SplitRecord,
)
from pellucid.data.mixing import Mixing
from pellucid.data.sample import Normalizing
from pellucid.executors import computed_by, computing_threads
from pellucid.graph import Tensor, input
from pellucid.inference.prediction import Predictor
from pellucid.nn import Card, Module
from pellucid.nn.axes import PICTURE, in_layout, layout_of
from pellucid.op import Array
from pellucid.scopes import inference_mode
from pellucid.text import amount
from pellucid.train.aim import Functions, aim_of, aimed
from pellucid.train.checkpoint import Checkpoint, CheckpointError, Position, load
from pellucid.train.checks import require_kept, require_same_data, require_start, try_sizes
from pellucid.train.config import TrainConfig, TrainError
from pellucid.train.layers import LayerWatch
from pellucid.train.mixed import mixed
from pellucid.train.run import split_record
from pellucid.train.run_folder import CONFIG, LAST, LAYERS
from pellucid.train.starting import are_images, start_from_run, starting_preprocessing
from pellucid.train.stepper import Stepper
from pellucid.train.task import Task
from pellucid.train.tuning import Tuning, head


class Setup:
    """Network, task, data and settings of a run, with the state that steps change; `resumed` is the folder to go on in.

    Raises where something in it would end the run late. The network then has other weights than before, see `as_before`.
    """

    def __init__(
        self,
        net: Module,
        data: Parts,
        task: Task,
        config: TrainConfig,
        preprocessing: Preparation | None = None,
        resumed: Path | None = None,
        changed_data: bool = False,
        functions: Functions | None = None,
    ) -> None:
        config = dataclasses.replace(config, threads=computing_threads(config.executor, config.threads))
        self.net, self.data, self.task, self.config, self.resumed = net, data, task, config, resumed
        self.computed_by = computed_by(config.executor, config.threads)
        self.record, self.same_data = SplitRecord.of(data, task.targets), False
        self.layout = layout_of(net, tuple(data.shape)) if are_images(data.train) else PICTURE
        self.input_shape = in_layout((1, *data.shape), self.layout)[1:] if are_images(data.train) else tuple(data.shape)
        self.aim = aim_of(config, task, functions or Functions())
        output = self._output()
        self.task = task.of_output(output)
        self.tuning = Tuning.of(net, output, config.freeze, config.learning_rates, config.learning_rate_decay)
        self.mixing = Mixing(config.mixup, config.cutmix, config.batch_size)
        self.before: TrainConfig | None = None
        """The settings that a run had until now which is to go on longer."""
        self.position = Position(counts=dict.fromkeys(task.counted, 0), best=task.worst)
        if resumed is None:
            self.preprocessing = self._start(output, preprocessing)
            self.stepper = self._stepper()
        else:
            checkpoint = self._checkpoint(resumed / LAST, changed_data)
            self.preprocessing = checkpoint.preprocessing
            self.stepper = self._stepper()
            self._restore(resumed / LAST, checkpoint)
        self.augmentation = config.make_augmentation()
        self._require_pictures()
        self.loader = self.training_loader(data.train, self.preprocessing)
        steps = config.epochs * len(self.loader)
        if resumed is None and config.warmup_steps >= steps:
            raise TrainError(
                f"warmup_steps must be fewer than the {steps} steps of the run ({amount(config.epochs, 'epoch')} of {len(self.loader)}), "
                f"got {config.warmup_steps}"
            )
        self.predictor = Predictor(net, **self.stepper.setting)
        self.watch = LayerWatch(self.tuning.parameters, config.watch_every, steps)
        if resumed is not None:
            if not self.same_data:
                self.position.restart_epoch(len(self.loader))
                self.position.change_data(self.task.worst)
            self.position.require_possible(config.epochs, len(self.loader))
            self._require_going_on()
            self.watch.restore(resumed / LAYERS, self.position.step)
        self._try_sizes()
        require_start("" if resumed is None else str(resumed / LAST), net, self.stepper.changed)

    @property
    def changes_examples(self) -> bool:
        """Whether the same example is another one each time it is shown."""
        return self.augmentation.active or self.mixing.active

    def _stepper(self) -> Stepper:
        return Stepper(self.tuning, mixed(aimed(self.task, self.aim), self.mixing), self.config, self.input_shape)

    def _require_pictures(self) -> None:
        """Raise `TrainError` for augmentation that examples are not made for."""
        change, shape = self.augmentation, self.data.shape
        if change.active and len(shape) != 3:
            raise TrainError(f"augmentation is for pictures (C, H, W), the examples are {shape}; leave it out")
        if change.recolors and not isinstance(self.preprocessing, Preprocessing):
            raise TrainError(
                "brightness, contrast, saturation and hue are for pictures of bytes (uint8), these have other numbers; leave them out"
            )
        if shape[0] != 3 and (change.saturation or change.hue):
            raise TrainError(
                f"saturation and hue are for pictures in color (3 channels), these have {shape[0]}; leave them out"
            )

    def training_loader(self, examples: Inputs, preprocessing: Normalizing | None) -> Loader:
        """The batches to train on; `examples` are the training part, or what frozen layers make of it."""
        config = self.config
        try:
            return Loader(
                examples,
                min(config.batch_size * config.accumulate, len(examples)),
                preprocessing,
                True,
                config.seed,
                self.augmentation,
                config.drop_last,
                self.task.targets(self.data.train),
                config.sampling,
                self.mixing,
            )
        except DataError as error:
            raise TrainError(str(error)) from error

    def checkpoint(self, state: bool = True) -> Checkpoint:
        """What a file must hold to go on from here; without the optimizer's `state` what is needed to use the network."""
        return Checkpoint(
            self.net.state_dict(),
            self._state() if state else {},
            Card(self.task.classes, self.preprocessing, network_of(self.net)),
            self.task.to_dict(),
            self.config,
            self.position,
            self.record.digest,
            self.computed_by,
        )

    def _state(self) -> dict[str, Array]:
        return {p.name: p.value for p in self.stepper.kept}

    def _output(self) -> Tensor:
        """What the network makes of one example. Raises if it does not fit the data."""
        with inference_mode():
            output = self.net(input((1, *self.input_shape), name="images"))
        self.task.require_output(self.task.scores(output).shape, self.data.shape)
        return output

    def _try_sizes(self) -> None:
        """Build all that will be computed; raises before anything is written where a batch is of a size that cannot be."""
        size, shape = self.config.batch_size, self.input_shape
        try_sizes(self.stepper.prepare, self.loader, self.config.drop_last)
        with inference_mode():
            for part in (self.data.validation, self.data.test):
                try_sizes(lambda n: self.predictor.output((n, *shape)), Loader(part, size, self.preprocessing))

    def _start(self, output: Tensor, preprocessing: Preparation | None) -> Preparation:
        """Weights to start with: those that the network was given, or an earlier run's; the others from the seed."""
        config = self.config
        if config.start_from:
            found, self.task = start_from_run(self.net, config.start_from, self.task, head(self.net, output))
            preprocessing = preprocessing or found
        self.net.initialize(config.seed, keep_given=True)
        given = any(p.given for p in self.net.parameters())
        if given and preprocessing is None:
            preprocessing = self.net.card.preprocessing
        if config.pretrained and not given:
            raise TrainError("pretrained: the network has no weights to start from; load some into it first")
        self.config = dataclasses.replace(config, pretrained=given)
        return starting_preprocessing(self.data.train, preprocessing, self.layout)

    def _checkpoint(self, path: Path, changed_data: bool) -> Checkpoint:
        """The checkpoint to go on from; raises where network, task, settings or data are others than the run's."""
        checkpoint = load(path)
        mine = network_of(self.net)
        if checkpoint.network != mine:
            differ = [
                f"{k} is {checkpoint.network.get(k)!r}, expected {mine.get(k)!r}"
                for k in sorted({*checkpoint.network, *mine})
                if checkpoint.network.get(k) != mine.get(k)
            ]
            raise CheckpointError(f"{path}: is of another architecture: {'; '.join(differ)}")
        if checkpoint.task["name"] != self.task.name:
            raise CheckpointError(f"{path}: its task is {checkpoint.task['name']!r}, not {self.task.name!r}")
        stored = checkpoint.config
        self.config = dataclasses.replace(
            self.config, pretrained=stored.pretrained
        )  # its weights are in the checkpoint
        self.config.require_same(stored)
        require_kept(path.parent / CONFIG, stored, self.config)
        if (self.config.epochs, self.config.patience) != (stored.epochs, stored.patience):
            self.before = stored
        if checkpoint.computed_by not in ("", self.computed_by):
            warnings.warn(
                f"the run was computed by {checkpoint.computed_by!r} and goes on by {self.computed_by!r}: "
                "its last bits will not be those of a run that was never stopped",
                stacklevel=5,
            )
        noted = split_record(path.parent)
        self.same_data = require_same_data(path.parent, checkpoint.data, noted, self.record, changed_data)
        self.task = checkpoint.task_of(self.task)
        self.task.require_fitting(str(path), checkpoint.preprocessing.shape, self.data.train)
        return checkpoint

    def _require_going_on(self) -> None:
        """Raise `TrainError` for a run that is asked for more epochs and has no patience for any."""
        config, since = self.config, self.position.since_best
        if self.before is not None and config.epochs > self.before.epochs and 0 < config.patience <= since:
            raise TrainError(
                f"{self.resumed}: it stopped early, as no epoch was better for {since}; for more epochs give it more patience "
                f"too: --patience {since + config.patience}, or 0 never to stop early (`patience=`)"
            )

    def _restore(self, path: Path, checkpoint: Checkpoint) -> None:
        """Go back to where a checkpoint was written."""
        kept = {p.name: p for p in self.stepper.kept}
        checkpoint.require_state(path, kept)
        self.net.load_state_dict(checkpoint.weights)
        for name, parameter in kept.items():
            parameter.value = checkpoint.state[name]
        self.position = checkpoint.position


def network_of(net: Module) -> dict[str, object]:
    """What says which network it is: the options of `nn.models.build`, of others the name of the class."""
    return dict(net.card.config or {"model": type(net).__name__})
