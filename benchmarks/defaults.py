"""Which defaults training should have: validation accuracy by epochs, batch size, label smoothing and rotation.

python benchmarks/defaults.py [--data digits] [--model lenet] [--seeds 3] [--limit 0]
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

import pellucid as pl
from pellucid.data import Subset

EPOCHS, BATCHES, SMOOTHINGS, ROTATIONS = (10, 15, 25), (32, 64), (0.0, 0.05), (0.0, 5.0)


def main() -> None:
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
    sizes = {"num_classes": len(data.classes), "in_channels": data.shape[0], "image_size": data.shape[1]}
    print(f"{options.data}, {options.model}: {len(data.train)} pictures, best epoch of {options.seeds} seeds")
    print("epochs  batch  smoothing  rotation  accuracy  (lowest)  cross-entropy  seconds")
    for epochs, batch, smoothing, rotation in itertools.product(EPOCHS, BATCHES, SMOOTHINGS, ROTATIONS):
        found, losses, start = list[float](), list[float](), time.perf_counter()
        for seed in range(options.seeds):
            with tempfile.TemporaryDirectory() as folder:
                run = pl.fit(
                    pl.nn.models.build(options.model, **sizes),
                    data,
                    out=Path(folder) / "run",
                    epochs=epochs,
                    batch_size=batch,
                    label_smoothing=smoothing,
                    rotation=rotation,
                    seed=seed,
                    watch_every=0,
                    progress=False,
                    report=False,
                )
            found.append(run.test.accuracy)
            losses.append(run.test.loss)
        seconds = (time.perf_counter() - start) / options.seeds
        print(
            f"{epochs:>6}  {batch:>5}  {smoothing:>9}  {rotation:>8}  {np.mean(found):8.2%}  {min(found):8.2%}  "
            f"{np.mean(losses):13.4f}  {seconds:7.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
