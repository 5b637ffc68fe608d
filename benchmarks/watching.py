"""What watching the layers costs: seconds of training with the norms of every layer noted at no, each 20th and every step."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable

import pellucid as pl
from common import interleaved
from pellucid.data import ArrayDataset, Splits
from pellucid.data.sample import generator

EVERY = (0, 20, 1)


def main() -> None:
    """LeNet-5 on digits, the smallest of steps, and ResNet-18 on pictures of noise, 62 parameters of 11 million numbers."""
    noise = generator(0).integers(0, 256, (64, 3, 32, 32)).astype("uint8")
    pictures = ArrayDataset(noise, [k % 10 for k in range(len(noise))], [str(k) for k in range(10)])
    cases = {
        "LeNet-5, digits, batch 32": ("lenet", pl.load("digits"), 32, 5, 5),
        "ResNet-18, 32x32, batch 16": ("resnet18", Splits(pictures, pictures, pictures, "noise"), 16, 5, 2),
    }
    for what in sys.argv[1:] or cases:
        model, data, batch, epochs, repeats = cases[what]
        seconds = interleaved({f"{every}": training(model, data, batch, epochs, every) for every in EVERY}, repeats)
        ratios = ", ".join(f"every {every or 'none':<4} {seconds[f'{every}'] / seconds['0']:.3f}" for every in EVERY)
        print(f"{what:<28} {seconds['0']:7.2f} s   time relative to no watching: {ratios}", flush=True)


def training(model: str, data: Splits, batch: int, epochs: int, every: int) -> Callable[[], object]:
    """A function that trains anew."""

    def run() -> None:
        net = pl.nn.models.build(model, num_classes=10, in_channels=data.shape[0], image_size=data.shape[1])
        with tempfile.TemporaryDirectory() as folder:
            settings = {"epochs": epochs, "batch_size": batch, "watch_every": every, "out": folder, "report": False}
            with pl.quiet():
                pl.fit(net, data, **settings)

    return run


if __name__ == "__main__":
    main()
