"""The settings of training as a type: what an editor completes in a call of `fit`, and a type checker holds it to."""

from __future__ import annotations

import os
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
    label_smoothing: float
    seed: int
    executor: str
    precision: str
    threads: int
    flip: bool
    shift: int
    rotation: float
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
