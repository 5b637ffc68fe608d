"""A LeNet-size network on Fashion-MNIST reaches 90 % of the test pictures (torch executor)."""

from __future__ import annotations

import sys
import tempfile
import time

import pellucid as pl


def main() -> None:
    """Train for some epochs (5, or the number given) and print the accuracy."""
    epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    data = pl.load("fashion-mnist")
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        accuracy = train(data, epochs, folder)
        print(
            f"{epochs} epochs in {time.perf_counter() - start:.0f} s: {accuracy:.2%} of {len(data.test)} test pictures"
        )
    if accuracy < 0.9:
        sys.exit("below 90 %")


def train(data: pl.data.Splits, epochs: int, folder: str) -> float:
    """Train in a folder and give the test accuracy."""
    net = pl.nn.models.build("lenet", num_classes=10, in_channels=1, image_size=28, width=24)
    run = pl.fit(net, data, epochs=epochs, executor="torch", out=folder, report=False)
    assert run.test is not None
    return run.test.accuracy


if __name__ == "__main__":
    main()
