"""A LeNet-size network on Fashion-MNIST: accuracy in float32 and bfloat16, and whether bfloat16 costs any of it."""

from __future__ import annotations

import sys
import tempfile
import time

import pellucid as pl


def main() -> None:
    """Train for some epochs (5, or the number given) from three seeds in both precisions and print the accuracies."""
    epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    data = pl.load("fashion-mnist")
    means: dict[str, float] = {}
    for precision in ("float32", "bfloat16"):
        found: list[float] = []
        for seed in range(3):
            with tempfile.TemporaryDirectory() as folder:
                start = time.perf_counter()
                found.append(train(data, epochs, folder, precision, seed))
                seconds = time.perf_counter() - start
            print(
                f"{precision}, seed {seed}: {epochs} epochs in {seconds:.0f} s, {found[-1]:.2%} of {len(data.test)} test pictures"
            )
        means[precision] = sum(found) / len(found)
    difference = (means["bfloat16"] - means["float32"]) * 100
    print(
        f"means {means['float32']:.2%} and {means['bfloat16']:.2%}: bfloat16 {difference:+.2f} points (wanted within 0.3)"
    )
    if min(means.values()) < 0.9:
        sys.exit("below 90 %")


def train(data: pl.data.Splits, epochs: int, folder: str, precision: str, seed: int) -> float:
    """Train in a folder and give the test accuracy."""
    net = pl.nn.models.build("lenet", num_classes=10, in_channels=1, image_size=28, width=24)
    run = pl.fit(net, data, epochs=epochs, batch_size=64, precision=precision, seed=seed, out=folder, report=False)
    assert run.test is not None
    return run.test.accuracy


if __name__ == "__main__":
    main()
