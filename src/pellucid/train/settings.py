"""The settings of training as a type: what an editor completes in a call of `fit`, and a type checker holds it to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TypedDict


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
    class_weights: str | Mapping[str, float]
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
    loss: str
