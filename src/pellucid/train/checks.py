"""What would end a run late, looked at before its first step: settings, data, and every size of batch that will come."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.data import Loader, Parts, SplitRecord
from pellucid.errors import PellucidError, listed, suggest
from pellucid.executors import available_executors, compile
from pellucid.files import reason_of
from pellucid.graph import Parameter, input
from pellucid.nn import Module
from pellucid.ops import relu
from pellucid.train.config import TrainConfig, TrainError
from pellucid.train.run_folder import noted_settings
from pellucid.train.task import Task


def settled(
    data: Parts, config: TrainConfig | None, settings: Mapping[str, object], stored: TrainConfig | None = None
) -> TrainConfig:
    """The settings to train on `data` with, given whole or one by one; those of a run that is `stored` are its own."""
    if config is None:
        config = TrainConfig(**_known(settings)) if stored is None else stored.again(_known(settings))
    elif settings:
        raise TrainError(f"give either a config or single settings, got both: {', '.join(settings)}")
    return config if config.data else dataclasses.replace(config, data=data.source)


def require_trainable(data: Parts, task: Task, config: TrainConfig) -> None:
    """Raise `TrainError` or `DataError` where task and settings do not fit the data or this machine."""
    task.require_targets(data.train)
    for what, part in (("training", data.train), ("validation", data.validation), ("test", data.test)):
        _require_fitting(what, part, data, task)
    if reason := available_executors()[config.executor]:
        raise TrainError(f"executor {config.executor!r} cannot be used here: {reason}")
    compile([relu(input((1,)))], executor=config.executor, precision=config.precision, threads=config.threads)


def _known(settings: Mapping[str, object]) -> dict[str, Any]:
    names = [f.name for f in dataclasses.fields(TrainConfig)]
    for name in settings:
        if name not in names:
            raise TrainError(f"fit has no setting {name!r}{suggest(name, names)}; {listed(name, names)}")
    return dict(settings)


def _require_fitting(what: str, part: Any, data: Parts, task: Task) -> None:
    """Raise `TrainError` for a part of the data that training would come to in vain."""
    if len(part) == 0:
        raise TrainError(f"the {what} set {part.name} has no picture; every part of the data needs some")
    if not task.fits(part) or part.shape != data.shape:
        raise TrainError(
            f"the {what} set {part.name} has {task.describe(part)} and pictures {part.shape}, the training set "
            f"{data.train.name} {task.describe(data.train)} and pictures {data.shape}; they must be the same"
        )
    task.require_targets(part)


def require_same_data(folder: Path, digest: str, stored: SplitRecord | None, now: SplitRecord, accept: bool) -> bool:
    """Whether the data is what the checkpoint with this digest was trained on; raises `TrainError` unless it is, or `accept`.

    `stored` is what the run noted of its data, for words about what changed; a change that was accepted is noted there.
    """
    if digest in ("", now.digest):
        return True
    changes = ("its pictures, labels or parts are others",) if stored is None else stored.changes(now)
    if not changes:
        return False
    what = f"{folder}: since its last checkpoint the data changed: {'; '.join(changes)}"
    if not accept:
        raise TrainError(
            f"{what}. Bring it back as it was, start a new run, or go on as it is with --changed-data (`changed_data=True`)"
        )
    warnings.warn(f"{what}; the run goes on with it, at the start of the epoch that it was in", stacklevel=4)
    return False


def require_kept(file: Path, stored: TrainConfig, now: TrainConfig) -> None:
    """Raise `TrainError` where the config.toml of a run was changed: it goes on with the settings of its checkpoint, and those of `now`.

    What the checkpoint has gone on to since (it is written first) is no change, nor is what a run may go on with in any case.
    """
    if not file.exists():
        return
    remedy = "Bring the file back as it was, or remove it: it is written anew"
    try:
        noted = TrainConfig.from_dict(noted_settings(file))
    except (OSError, ValueError) as error:
        raise TrainError(
            f"{file}: cannot be read ({reason_of(error)}). A run goes on with the settings of its checkpoint. {remedy}"
        ) from error
    names = [name for name in stored.differing(noted) if getattr(noted, name) != getattr(now, name)]
    if not names:
        return
    differ = [f"{name} is {getattr(noted, name)!r}, was {getattr(stored, name)!r}" for name in names]
    longer = {name: getattr(noted, name) for name in ("epochs", "patience") if name in names}
    asked = " ".join(f"--{name} {value}" for name, value in longer.items())
    ways = f". To go on longer, say {asked} (`{'`, `'.join(f'{n}={v}' for n, v in longer.items())}`)" if longer else ""
    raise TrainError(
        f"{file}: was changed, and a run goes on with the settings of its checkpoint: {'; '.join(differ)}. {remedy}{ways}"
    )


def require_start(source: str, net: Module, changed: Set[Parameter]) -> None:
    """Raise `TrainError` where a value that training starts with, from the file `source` if any, makes it senseless.

    That is a NaN anywhere, and an infinity in what training changes.
    """
    for parameter in dict.fromkeys((*net.named_parameters().values(), *changed)):
        value = parameter.value
        senseless = ~np.isfinite(value) if parameter in changed else np.isnan(value)
        if bad := int(senseless.sum()):
            sort = "a NaN" if np.isnan(value).any() else "an infinity"
            raise TrainError(
                f"{source or 'the network'}: training would start from {sort}: {parameter.name} holds numbers that are "
                f"not finite in {bad} of {value.size} elements. Start from other weights"
            )


def try_sizes(build: Callable[[int], object], loader: Loader, drop_last: bool | None = None) -> None:
    """Build what computes on a batch, for every size of batch that `loader` gives.

    Raises `TrainError` where all can be computed but the last; it says how to do without, where training (`drop_last`).
    """
    size, *rest = loader.sizes
    build(size)
    for last in rest:
        try:
            build(last)
        except PellucidError as error:
            where = f"the last batch of {loader.dataset.name} has {last} of its {len(loader.dataset)} pictures"
            remedy = "" if drop_last is None else "leave it out with --drop-last (`drop_last=True`), or "
            raise TrainError(
                f"{where}, which cannot be computed alone: {error}. To go on, {remedy}choose another batch size"
            ) from error
