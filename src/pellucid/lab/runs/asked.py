"""What a run is asked to be: data and network by name, settings, seed; and what `fit` takes, made of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pellucid.errors import PellucidError
from pellucid.plain import read

MOST_NAME = 80
_NAME = re.compile(rf"[A-Za-z0-9][\w.-]{{0,{MOST_NAME - 1}}}", re.ASCII)
_ELSEWHERE = ("data", "model", "pretrained", "seed", "task")
"""Settings that have a place of their own, or follow from the data."""


class AskedError(PellucidError, ValueError):
    """A run cannot be what it is asked to be; `where` is the part of the body that says so."""

    def __init__(self, message: str, where: str = "") -> None:
        super().__init__(message)
        self.where = where


@dataclass(frozen=True)
class DataAsked:
    """Data by its name, as `pl.load` takes it."""

    name: str = "digits"


@dataclass(frozen=True)
class NetworkAsked:
    """A network as `models.build` takes it."""

    model: str = "lenet"
    pretrained: bool = False


@dataclass(frozen=True)
class AskedRun:
    """A run: `settings` are those of `TrainConfig`; it waits before its first step if `paused`, and does at most `pace` steps a second, 0 for any."""

    data: DataAsked = field(default_factory=DataAsked)
    network: NetworkAsked = field(default_factory=NetworkAsked)
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    seed: int = 0
    name: str = ""
    paused: bool = False
    pace: float = 0.0

    def __post_init__(self) -> None:
        if self.name and not _NAME.fullmatch(self.name):
            raise AskedError(
                f"a run's name has letters, digits, '-', '_' and '.', at most {MOST_NAME}, got {self.name!r:.100}",
                "name",
            )
        if not 0 <= self.pace < float("inf"):
            raise AskedError(f"pace is a number of steps a second, 0 for any, got {self.pace}", "pace")
        for name in _ELSEWHERE:
            if name in self.settings:
                raise AskedError(
                    f"{name} is no setting here: it stands beside them, or follows from the data", "settings"
                )

    @classmethod
    def of(cls, plain: Any) -> AskedRun:
        """What a body says; raises `PlainError` and `AskedError`."""
        return read(cls, plain)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, of which `of` makes the same again."""
        return asdict(self)

    def config(self, data: str = "") -> Any:
        """The settings, typed, as the command line would note them; `data` is what its name means. Raises `TrainError`."""
        from pellucid.train import TrainConfig

        own = {"data": data or self.data.name, "model": self.network.model, "seed": self.seed}
        return TrainConfig.from_dict({**self.settings, **own})

    def network_and_data(self, data: str) -> tuple[Any, Any, Any]:
        """The network, the parts of the data, and the settings. Raises a `PellucidError` for what is not there or does not fit."""
        from dataclasses import replace

        from pellucid.data import load
        from pellucid.data.size import parse_size, sides, written
        from pellucid.train.starting import Origin, origin_of_published, origin_of_run

        config = self.config(data)
        if config.start_from:
            origin = origin_of_run(config.start_from)
        elif self.network.pretrained:
            origin = origin_of_published(self.network.model)
        else:
            origin = Origin({"model": self.network.model})
        asked = sides(parse_size(config.size)) or sides(config.image_size)
        _, channels = origin.picture(0, config.channels)
        if asked is None and origin.preprocessing is not None:
            asked = origin.preprocessing.image_size
        parts = load(data, image_size=asked, channels=channels, on_bad_image=config.on_bad_image)
        shape = tuple(parts.shape)
        in_channels, side = (shape[0], max(shape[1:])) if len(shape) == 3 else (shape[0], 1)
        net = origin.build(
            self.network.pretrained, num_classes=len(parts.classes), in_channels=in_channels, image_size=side
        )
        square = asked is not None and asked[0] == asked[1]
        noted = {
            "model": origin.options["model"],
            "channels": channels,
            "image_size": asked[0] if asked is not None and square else 0,
            "size": "" if asked is None or square else written(asked),
        }
        return net, parts, replace(config, **noted)
