"""A run as the lab leaves it, with every step noted and snapshots, trained within this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pellucid as pl
from pellucid.lab.runs.control import Control
from pellucid.lab.runs.observer import Observer
from pellucid.lab.runs.trail import Trail

SMALL = "Conv2d 4 3, ReLU, Flatten"


def train(folder: Path, data: str = "digits", network: str = SMALL, **settings: Any) -> Path:
    """Train in `folder`; gives it."""
    trail = Trail(folder)
    given = {"epochs": 2, "batch_size": 400, "learning_rate": 0.01, **settings}
    asked = {"data": {"name": data}, "network": {"model": network, "pretrained": False}, "settings": given, "seed": 3}
    observer = Observer(Control(), trail, lambda said: None)
    splits = pl.load(data)
    size = splits.shape[-1] if len(splits.shape) == 3 else 1
    net = pl.nn.models.build(network, num_classes=len(splits.classes), in_channels=splits.shape[0], image_size=size)

    class Begin(pl.train.Callback):
        def on_setup(self, setup: Any) -> None:
            trail.begin(asked)

    pl.fit(net, splits, out=folder, seed=3, report=False, callbacks=[Begin(), observer], **given)
    trail.put("end", {"state": "finished"})
    return folder
