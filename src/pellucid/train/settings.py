"""The settings of training as a type: what an editor completes in a call of `fit`, and a type checker holds it to."""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, TypeVar

from pellucid.graph import Tensor
from pellucid.op import Array
from pellucid.train.config import TrainConfig

F = TypeVar("F", bound=Callable[..., Any])


class Settings(TypedDict, total=False):
    """The fields of `TrainConfig`, which has the default and the meaning of each; all may be left out.

    Data and task are arguments of `fit` itself.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: str
    weight_decay: float
    momentum: float
    schedule: str
    warmup: float
    warmup_steps: int
    plateau_patience: int
    plateau_factor: float
    clip_norm: float
    clip_value: float
    accumulate: int
    ema: float
    class_weights: str | Mapping[str, float] | Mapping[int, float]
    sampling: str
    label_smoothing: float
    seed: int
    executor: str
    precision: str
    threads: int
    flip: bool
    shift: int
    rotation: float
    zoom: float
    crop_scale: tuple[float, float]
    crop_ratio: tuple[float, float]
    brightness: float
    contrast: float
    saturation: float
    hue: float
    erasing: float
    mixup: float
    cutmix: float
    patience: int
    checkpoint_every: int
    watch_every: int
    image_size: int
    size: str
    channels: int
    on_bad_image: str
    model: str
    pretrained: bool
    start_from: str | os.PathLike[str]
    freeze: str
    learning_rates: dict[str, float]
    learning_rate_decay: float
    cache_features: bool
    drop_last: bool
    loss: str | Callable[[Tensor, Tensor], Tensor]
    metrics: str | Sequence[str | Callable[[Array, Array], float]] | Mapping[str, Callable[[Array, Array], float]]


def shows_settings(function: F) -> F:
    """Let whoever asks for the signature of `function` see every setting with its default in the place of `**settings`.

    Its docstring ends with what each means.
    """
    own = inspect.signature(function)
    kept = [each for each in own.parameters.values() if each.kind is not inspect.Parameter.VAR_KEYWORD]
    settings = [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default={} if each.default is dataclasses.MISSING else each.default,
            annotation=each.type,
        )
        for each in dataclasses.fields(TrainConfig)
        if each.name not in own.parameters
    ]
    vars(function)["__signature__"] = own.replace(parameters=[*kept, *settings])
    shown = {each.name: each.default for each in settings}
    lines = (
        f"        {each.name}: {each.metadata['help']} Default: {shown[each.name]!r}."
        for each in dataclasses.fields(TrainConfig)
        if each.name in shown
    )
    function.__doc__ = "\n".join([(function.__doc__ or "").rstrip(), "", "    Settings:", *lines, "    "])
    return function
