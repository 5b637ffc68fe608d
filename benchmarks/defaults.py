"""Which defaults training should have: what one other epochs, batch size, label smoothing or rotation gives.

python benchmarks/defaults.py [--data digits] [--model lenet] [--seeds 3] [--limit 0]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import pellucid as pl
from pellucid.data import Subset
from pellucid.train import TrainConfig

OTHERS: dict[str, tuple[Any, ...]] = {
    "epochs": (10, 25),
    "batch_size": (64,),
    "label_smoothing": (0.05,),
    "rotation": (5.0,),
}


def main() -> None:
    """Print accuracy and cross-entropy on the test pictures, means over the seeds, for the defaults and for each other value."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--model", default="lenet")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--limit", type=int, default=0, help="train on so many pictures, measure on as many; 0: all")
    options = parser.parse_args()
    data = pl.load(options.data)
    if options.limit:
        random = np.random.default_rng(0)
        train, test = (
            Subset(part, np.sort(random.permutation(len(part))[: options.limit]), part.name)
            for part in (data.train, data.test)
        )
        data = replace(data, train=train, validation=test, test=test)
    names = {name: getattr(TrainConfig(), name) for name in OTHERS}
    print(f"{options.data}, {options.model}: {len(data.train)} pictures, {options.seeds} seeds; defaults {names}")
    print(f"{'':<22}  accuracy  (lowest)  cross-entropy  seconds")
    for name, value in [("defaults", None), *((n, v) for n, values in OTHERS.items() for v in values)]:
        settings = {} if value is None else {name: value}
        runs, start = list[pl.train.Evaluation](), time.perf_counter()
        for seed in range(options.seeds):
            runs.append(trained(options.model, data, seed=seed, **settings))
        found, seconds = [run.accuracy for run in runs], (time.perf_counter() - start) / options.seeds
        loss = np.mean([run.loss for run in runs])
        title = name if value is None else f"{name} {value:g}"
        print(f"{title:<22}  {np.mean(found):8.2%}  {min(found):8.2%}  {loss:13.4f}  {seconds:7.1f}", flush=True)


def trained(model: str, data: pl.data.Splits, **settings: Any) -> pl.train.Evaluation:
    """How the best epoch of a run does on the test pictures."""
    sizes = {"num_classes": len(data.classes), "in_channels": data.shape[0], "image_size": data.shape[1]}
    with tempfile.TemporaryDirectory() as folder, pl.quiet():
        net = pl.nn.models.build(model, **sizes)
        return pl.fit(net, data, out=Path(folder) / "run", watch_every=0, report=False, **settings).test


if __name__ == "__main__":
    main()
