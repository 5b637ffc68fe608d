"""Every setting of a training run, typed; written to config.toml in the run's folder."""

from __future__ import annotations

import dataclasses
import math
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pellucid.data import Augmentation, DataError
from pellucid.errors import PellucidError, unknown
from pellucid.executors import CHOICES, MOST_THREADS, PRECISIONS, default_executor, default_threads
from pellucid.plain import PlainError, read
from pellucid.seeds import SeedError, require_seed
from pellucid.train.optimizers import Optimizer
from pellucid.train.schedules import factor


class TrainError(PellucidError, ValueError):
    """A setting, data set or run folder that training cannot work with."""


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a run; those of the data are empty when the data was given as arrays."""

    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 0.0
    optimizer: str = "adam"
    weight_decay: float = 0.0
    momentum: float = 0.9
    schedule: str = "cosine"
    label_smoothing: float = 0.0
    seed: int = 0
    executor: str = "auto"
    precision: str = "float32"
    threads: int = 0
    flip: bool = False
    shift: int = 0
    rotation: float = 0.0
    patience: int = 0
    checkpoint_every: int = 0
    watch_every: int = 20
    data: str = ""
    image_size: int = 0
    channels: int = 3
    on_bad_image: str = "error"
    model: str = ""
    pretrained: bool = False
    start_from: str = ""
    freeze: str = ""
    learning_rates: dict[str, float] = field(default_factory=dict[str, float])
    learning_rate_decay: float = 1.0
    cache_features: bool = True
    drop_last: bool = False

    def __post_init__(self) -> None:
        for each in dataclasses.fields(self):
            object.__setattr__(self, each.name, _plain(each.name, getattr(self, each.name)))
        try:
            require_seed(self.seed)
        except SeedError as error:
            raise TrainError(str(error)) from error
        for name, low in (
            ("epochs", 1),
            ("batch_size", 1),
            ("patience", 0),
            ("checkpoint_every", 0),
            ("watch_every", 0),
            ("threads", 0),
            ("image_size", 0),
            ("channels", 0),
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
        factor(self.schedule, 0, 1)
        try:
            Augmentation(self.flip, self.shift, self.rotation)
        except DataError as error:
            raise TrainError(str(error)) from error
        for name, choices in (("executor", CHOICES), ("precision", PRECISIONS), ("on_bad_image", ("error", "skip"))):
            if getattr(self, name) not in choices:
                raise unknown(name, getattr(self, name), choices)
        if self.executor == "auto":  # what a run was computed with is on record, so that it can be resumed alike
            object.__setattr__(self, "executor", default_executor())
        if self.threads == 0:
            object.__setattr__(self, "threads", default_threads())
        optimizer = self.make_optimizer()
        if self.learning_rate == 0:
            object.__setattr__(self, "learning_rate", optimizer.default_learning_rate)

    def make_optimizer(self) -> Optimizer:
        """The optimiser that the settings name."""
        return Optimizer(self.optimizer, self.weight_decay, self.momentum)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return dataclasses.asdict(self)

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
        model = str(asked.get("model", ""))
        if model.replace("-", "_") == self.model.replace("-", "_"):
            asked = {**asked, "model": self.model}
        config = dataclasses.replace(self, **asked)
        config.require_same(self)
        return config

    def require_same(self, stored: TrainConfig) -> None:
        """Raise `TrainError` naming the settings that differ from those a run was started with and that its result depends on."""
        free = ("checkpoint_every", "threads")  # the trainer warns of other threads, as of other instructions
        differ = [
            f"{field.name} was {getattr(stored, field.name)!r}, is {getattr(self, field.name)!r}"
            for field in dataclasses.fields(self)
            if field.name not in free and getattr(self, field.name) != getattr(stored, field.name)
        ]
        if differ:
            raise TrainError(
                f"the run was started with other settings: {'; '.join(differ)}. Resume with the same ones, or name none"
            )


def _plain(name: str, value: Any) -> Any:
    """A setting as plain data: NumPy's numbers and paths are what they say. Raises `TrainError` for what no file can hold."""
    if isinstance(value, dict):
        return {_plain(name, key): _plain(name, inner) for key, inner in value.items()}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise TrainError(
            f"{name}: {value!r} is not UTF-8, so a run cannot note it; give the file or folder another name"
        )
    return value


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_toml(name)} = {_toml(inner)}' for name, inner in value.items())}}}"
    if isinstance(value, str):
        return f'"{value.translate(_ESCAPES)}"'
    return str(value).lower() if isinstance(value, bool) else repr(value)


_ESCAPES = {ord(c): f"\\{c}" for c in '"\\'} | {code: f"\\u{code:04x}" for code in (*range(32), 127)}
"""What a basic string of TOML cannot hold as it is."""
