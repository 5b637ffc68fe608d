"""Every setting of a training run, typed; written to config.toml in the run's folder."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from pellucid.errors import PellucidError, unknown
from pellucid.executors import CHOICES, MOST_THREADS, PRECISIONS, default_executor, default_threads
from pellucid.given import settings_given, settle
from pellucid.plain import PlainError, read
from pellucid.seeds import SeedError, require_seed
from pellucid.train.schedules import factor

if TYPE_CHECKING:
    from pellucid.data import Augmentation
    from pellucid.train.optimizers import Optimizer


LOSSES = ("squared", "absolute", "huber")
"""What regression may make small: errors as the task `Regression` says."""
OWN = "own"
"""What a run notes as its loss where that is a function of one's own."""


class TrainError(PellucidError, ValueError):
    """A setting, data set or run folder that training cannot work with."""


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a run; those of the data are empty when the data was given as arrays.

    Default and help of each stand here, for `pl.fit` and for the command line, which calls it like the field, or its `option`;
    so does the task that is the `only` one to have it. `task` is noted, and follows from the data.
    """

    epochs: int = field(default=15, metadata={"help": "Times to go through the training pictures."})
    batch_size: int = field(default=32, metadata={"help": "Pictures per step.", "option": "batch"})
    learning_rate: float = field(
        default=0.0, metadata={"help": "Learning rate; 0 takes the optimizer's default.", "option": "lr"}
    )
    optimizer: str = field(default="adam", metadata={"help": "sgd, momentum, nesterov, rmsprop, adam or adamw."})
    weight_decay: float = field(default=0.0, metadata={"help": "Pull of every weight towards 0."})
    momentum: float = field(
        default=0.9, metadata={"help": "Share of the last update that the optimizers momentum and nesterov keep."}
    )
    schedule: str = field(
        default="cosine", metadata={"help": "constant, cosine, exponential, linear, one-cycle, plateau or step."}
    )
    warmup: float = field(
        default=0.0,
        metadata={"help": "Epochs over which the learning rate grows to its full size, before the schedule."},
    )
    warmup_steps: int = field(default=0, metadata={"help": "The same in steps."})
    plateau_patience: int = field(
        default=2,
        metadata={"help": "With --schedule plateau: epochs without a lower validation loss until the rate is lowered."},
    )
    plateau_factor: float = field(
        default=0.1, metadata={"help": "With --schedule plateau: what the rate is multiplied by."}
    )
    clip_norm: float = field(
        default=0.0,
        metadata={"help": "Longest gradient, over all weights together; longer ones are shortened. 0: any."},
    )
    clip_value: float = field(
        default=0.0, metadata={"help": "Largest element of a gradient; larger ones are cut off. 0: any."}
    )
    accumulate: int = field(
        default=1, metadata={"help": "Batches whose gradients are added up for each step, as of one large batch."}
    )
    ema: float = field(
        default=0.0,
        metadata={
            "help": "Average the weights over the steps with this decay, such as 0.999; the average is what is kept. 0: none."
        },
    )
    class_weights: str = field(
        default="",
        metadata={
            "help": "Weights of classes in the loss: balanced (by how rare each is), or NAME=NUMBER with commas between.",
            "only": "classification",
        },
    )
    sampling: str = field(
        default="shuffle",
        metadata={
            "help": "shuffle (every picture once an epoch), or balanced (every class equally often).",
            "only": "classification",
        },
    )
    label_smoothing: float = field(
        default=0.0, metadata={"help": "Share of the target spread over all classes.", "only": "classification"}
    )
    seed: int = field(default=0, metadata={"help": "Same seed, same run."})
    executor: str = field(
        default="auto",
        metadata={"help": "Who computes: native, reference or torch; auto takes native where it is built."},
    )
    precision: str = field(
        default="float32", metadata={"help": "float32, or bfloat16 (native: half the memory traffic)."}
    )
    threads: int = field(default=0, metadata={"help": "Threads that compute, 1024 at most; 0 takes every processor."})
    flip: bool = field(default=False, metadata={"help": "Mirror pictures at random."})
    shift: int = field(default=0, metadata={"help": "Move pictures at random by up to this many pixels."})
    rotation: float = field(default=0.0, metadata={"help": "Turn pictures at random by up to this many degrees."})
    zoom: float = field(
        default=0.0, metadata={"help": "Make pictures larger or smaller at random by up to this share."}
    )
    crop_scale: tuple[float, float] = field(
        default=(1.0, 1.0),
        metadata={"help": "Show a random window of the picture instead: its smallest and largest share of the area."},
    )
    crop_ratio: tuple[float, float] = field(
        default=(0.75, 4 / 3), metadata={"help": "Of such a window: smallest and largest width over height."}
    )
    brightness: float = field(default=0.0, metadata={"help": "Make pictures brighter or darker by up to this share."})
    contrast: float = field(default=0.0, metadata={"help": "Change contrast at random by up to this share."})
    saturation: float = field(default=0.0, metadata={"help": "Change how colorful they are by up to this share."})
    hue: float = field(default=0.0, metadata={"help": "Turn colors at random by up to this share of the color wheel."})
    erasing: float = field(default=0.0, metadata={"help": "How likely a random box of the picture is wiped out."})
    mixup: float = field(default=0.0, metadata={"help": "Blend pictures at random, by Beta(this, this); try 0.2."})
    cutmix: float = field(
        default=0.0,
        metadata={
            "help": "Show boxes of other pictures in them, as large as Beta(this, this) says; try 1.",
            "only": "classification",
        },
    )
    patience: int = field(
        default=0, metadata={"help": "Stop after this many epochs without a better one; 0 never stops."}
    )
    checkpoint_every: int = field(
        default=0, metadata={"help": "Also save every so many steps; 0 saves at epochs only."}
    )
    watch_every: int = field(
        default=20, metadata={"help": "Note every layer's gradient and update norms every so many steps; 0 never."}
    )
    data: str = field(
        default="", metadata={"help": "digits (the default), fashion-mnist, circles, or a folder (or .zip) of classes."}
    )
    image_size: int = field(
        default=0,
        metadata={
            "help": "Scale and crop a folder's pictures to this size; 0 keeps theirs, or takes what the first weights want."
        },
    )
    size: str = field(
        default="",
        metadata={"help": "The same as rows and columns, HEIGHTxWIDTH as in 48x64, for pictures that are no squares."},
    )
    channels: int = field(
        default=0,
        metadata={
            "help": "Read a folder's pictures in color (3) or gray (1); 0: as the first weights want, else color."
        },
    )
    on_bad_image: str = field(default="error", metadata={"help": "Unreadable pictures: error or skip."})
    model: str = field(
        default="",
        metadata={
            "help": "Which network, see `pellucid models` and `pellucid design`, or an ONNX file; default lenet (of points mlp), or that of --from."
        },
    )
    pretrained: bool = field(
        default=False, metadata={"help": "Start from the weights published for the model; the head is new."}
    )
    start_from: str = field(
        default="",
        metadata={"help": "Start from the weights of this run; with other classes the head is new.", "option": "from"},
    )
    freeze: str = field(
        default="",
        metadata={"help": "What not to train: backbone (all but the head), or paths of layers with commas between."},
    )
    learning_rates: dict[str, float] = field(
        default_factory=dict[str, float],
        metadata={"help": "Learning rate of the layers below a path; may be repeated.", "option": "lr-of"},
    )
    learning_rate_decay: float = field(
        default=1.0,
        metadata={
            "help": "Each layer learns this many times as fast as the next one; 1: all alike.",
            "option": "lr-decay",
        },
    )
    cache_features: bool = field(
        default=True, metadata={"help": "Compute what frozen layers make of pictures once, if these are not augmented."}
    )
    drop_last: bool = field(
        default=False, metadata={"help": "Leave out the last batch of an epoch if it is smaller than the others."}
    )

    task: str = field(
        default="classification",
        metadata={
            "help": "classification, or regression for a table of pictures with numbers (file,value).",
            "only": "-",
        },
    )
    loss: str = field(
        default="",
        metadata={
            "help": "What is made small: of numbers squared (the default), absolute or huber errors; of classes cross_entropy "
            "(the default), hinge, focal, binary_cross_entropy, squared_error, absolute_error or huber."
        },
    )
    metrics: str = field(
        default="",
        metadata={
            "help": "Also measured, with commas between: top5 (any number), f1, balanced-accuracy of classes; mae, rmse of numbers."
        },
    )

    def __post_init__(self) -> None:
        if isinstance(self.class_weights, Mapping):
            from pellucid.train.balance import weights_text

            object.__setattr__(self, "class_weights", weights_text(cast(Mapping[Any, Any], self.class_weights)))
        try:
            require_seed(self.seed)
        except SeedError as error:
            raise TrainError(str(error)) from error
        settle(self, TrainError)
        if self.task == "regression" and not self.loss:
            object.__setattr__(self, "loss", LOSSES[0])
        for name, low in (
            ("epochs", 1),
            ("batch_size", 1),
            ("patience", 0),
            ("checkpoint_every", 0),
            ("watch_every", 0),
            ("threads", 0),
            ("image_size", 0),
            ("channels", 0),
            ("warmup_steps", 0),
            ("plateau_patience", 1),
            ("accumulate", 1),
        ):
            if getattr(self, name) < low:
                raise TrainError(f"{name} must be at least {low}, got {getattr(self, name)}")
        if self.threads > MOST_THREADS:
            raise TrainError(
                f"threads must be at most {MOST_THREADS} (each takes memory of its own), got {self.threads}"
            )
        if not (math.isfinite(self.learning_rate) and self.learning_rate >= 0):
            raise TrainError(f"learning_rate must be a positive number, got {self.learning_rate}")
        for pattern, rate in self.learning_rates.items():
            if not (math.isfinite(rate) and rate > 0):
                raise TrainError(f"learning_rates: the factor of {pattern!r} must be a positive number, got {rate}")
        if not 0 < self.learning_rate_decay <= 1:
            raise TrainError(f"learning_rate_decay must lie in (0, 1], got {self.learning_rate_decay}")
        if not 0 <= self.label_smoothing < 1:
            raise TrainError(f"label_smoothing must lie in [0, 1), got {self.label_smoothing}")
        if not 0 <= self.warmup < self.epochs:
            raise TrainError(f"warmup must lie in [0, {self.epochs}), the number of epochs, got {self.warmup}")
        if self.warmup and self.warmup_steps:
            raise TrainError("warmup and warmup_steps say the same, in epochs and in steps; give one of them")
        for name in ("ema", "plateau_factor"):
            if not 0 <= getattr(self, name) < 1:
                raise TrainError(f"{name} must lie in [0, 1), got {getattr(self, name)}")
        factor(self.schedule, 0, 1)
        # not before a run has settings: a command's options need their defaults alone
        from pellucid.data import DataError, Mixing
        from pellucid.data.loader import SAMPLINGS
        from pellucid.data.size import parse_size
        from pellucid.inference.losses import LOSSES as CLASS_LOSSES
        from pellucid.train.balance import BALANCED, parsed_weights

        if self.class_weights != BALANCED:
            parsed_weights(self.class_weights)
        try:
            self.make_augmentation()
            Mixing(self.mixup, self.cutmix)
            parse_size(self.size)
        except DataError as error:
            raise TrainError(str(error)) from error
        losses = LOSSES if self.task == "regression" else (*LOSSES, *CLASS_LOSSES)
        for name, choices in (
            ("loss", losses if self.loss not in ("", OWN) else (self.loss,)),
            ("executor", CHOICES),
            ("precision", PRECISIONS),
            ("on_bad_image", ("error", "skip")),
            ("sampling", SAMPLINGS),
        ):
            if getattr(self, name) not in choices:
                raise unknown(name, getattr(self, name), choices)
        if self.executor == "auto":  # what a run was computed with is on record, so that it can be resumed alike
            object.__setattr__(self, "executor", default_executor())
        if self.threads == 0:
            object.__setattr__(self, "threads", default_threads())
        optimizer = self.make_optimizer()
        if self.learning_rate == 0:
            object.__setattr__(self, "learning_rate", optimizer.default_learning_rate)
        try:
            settings_given(TrainConfig, vars(self))  # what has no largest value of its own has that of a file
        except PlainError as error:
            raise TrainError(str(error)) from error

    def make_optimizer(self) -> Optimizer:
        """The optimizer that the settings name."""
        from pellucid.train.optimizers import Optimizer

        return Optimizer(self.optimizer, self.weight_decay, self.momentum, self.clip_norm, self.clip_value)

    def make_augmentation(self) -> Augmentation:
        """The random changes of pictures that the settings name."""
        from pellucid.data import Augmentation

        return Augmentation(**{each.name: getattr(self, each.name) for each in dataclasses.fields(Augmentation)})

    def to_dict(self) -> dict[str, Any]:
        """Plain data: what the task has no use for is left out, as is the task where classes are told apart."""
        unused = {each.name for each in dataclasses.fields(self) if each.metadata.get("only", self.task) != self.task}
        if self.task != "classification":
            unused.discard("task")
        unused |= {name for name in ("loss", "metrics") if not getattr(self, name)}
        return {name: value for name, value in dataclasses.asdict(self).items() if name not in unused}

    def to_toml(self) -> str:
        """The settings as TOML, one a line."""
        return "".join(f"{name} = {_toml(value)}\n" for name, value in self.to_dict().items())

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> TrainConfig:
        """Settings read back; unknown ones and those of another type are an error."""
        try:
            return read(cls, plain)
        except PlainError as error:
            raise TrainError(str(error)) from error

    def again(self, asked: dict[str, Any]) -> TrainConfig:
        """The settings to resume their run with, of which some are `asked` for again; raises `TrainError` where these differ."""
        model = str(asked.get("model") or "")
        if model.replace("-", "_") == self.model.replace("-", "_"):
            asked = {**asked, "model": self.model}
        config = dataclasses.replace(self, **asked)
        config.require_same(self)
        return config

    def of_task(self, name: str) -> TrainConfig:
        """The settings with the task noted; raises `TrainError` for one that another task has."""
        for each in dataclasses.fields(self):
            only = each.metadata.get("only", "-")
            if only not in ("-", name) and getattr(self, each.name) != each.default:
                raise TrainError(f"{each.name} is a setting of {only}, the task is {name}; leave it out")
        return dataclasses.replace(self, task=name)

    def require_same(self, stored: TrainConfig) -> None:
        """Raise `TrainError` naming the settings that differ from those a run was started with and that its result depends on.

        A run may go on to more epochs, with more patience, and with the same data in another place.
        """
        if names := self.differing(stored):
            differ = [f"{name} was {getattr(stored, name)!r}, is {getattr(self, name)!r}" for name in names]
            raise TrainError(
                f"the run was started with other settings: {'; '.join(differ)}. Resume with the same ones, or name none"
            )

    def differing(self, stored: TrainConfig) -> list[str]:
        """The names of the settings that a run which was started with those that are `stored` cannot go on with."""
        # the trainer warns of other threads, as of other instructions, and looks at the data itself
        free = ["checkpoint_every", "threads", "data"]
        free += ["epochs"] * (self.epochs > stored.epochs)
        free += ["patience"] * (stored.patience > 0 and (self.patience > stored.patience or self.patience == 0))
        names = [each.name for each in dataclasses.fields(self) if each.name not in free]
        return [name for name in names if getattr(self, name) != getattr(stored, name)]


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_toml(name)} = {_toml(inner)}' for name, inner in value.items())}}}"
    if isinstance(value, str):
        return f'"{value.translate(_ESCAPES)}"'
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, cast(Sequence[Any], value)))}]"
    return str(value).lower() if isinstance(value, bool) else repr(value)


_ESCAPES = {ord(c): f"\\{c}" for c in '"\\'} | {code: f"\\u{code:04x}" for code in (*range(32), 127)}
"""What a basic string of TOML cannot hold as it is."""
