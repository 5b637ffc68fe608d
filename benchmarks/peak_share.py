"""How much of the machine's float32 peak the 6-conv training step reaches.

The peak is what oneDNN's best convolution of that network reaches in the same run, multiplications in the padding
counted on both sides. Winograd's convolution takes fewer multiplications than the definition, so the share may exceed 1.
"""

from __future__ import annotations

import time

import numpy as np

import pellucid as pl
from pellucid.executors.contract import Signature
from pellucid.executors.native import NativeProgram
from twins import TWINS, WIDTHS


def best_convolution() -> float:
    """GFLOP/s of oneDNN's fastest forward convolution among those of the network, batch 64."""
    best = 0.0
    for channels, width, size in zip(WIDTHS, WIDTHS[1:], (32, 16, 16, 8, 8), strict=False):
        x = pl.input((64, channels, size, size), name="x")
        weight = pl.Parameter.of(np.full((width, channels, 3, 3), 0.01, np.float32))
        program = NativeProgram(Signature([pl.conv2d(x, weight, padding=1)], [], {}, False), without=["winograd"])
        report = program.report({"x": np.ones(x.shape, np.float32)}).to_dict()
        best = max(best, max(s["flops"] / s["seconds"] for s in report["steps"] if s["kind"] == "conv2d") / 1e9)
    return best


def main() -> None:
    """Print the peak, the step's rate with and without Winograd's convolution, and their ratios."""
    peak = best_convolution()
    twin = TWINS["6-conv"]
    images, labels = twin.pictures()
    print(f"oneDNN's best convolution            {peak:7.1f} GFLOP/s")
    for name, without in (("step", []), ("step without Winograd's convolution", ["winograd"])):
        signature = twin.training_program().signature
        program = NativeProgram(signature, without=without)
        feeds = {"images": images, "labels": labels}
        times = []
        for _ in range(20):
            start = time.perf_counter()
            program(feeds)
            times.append(time.perf_counter() - start)
        rate = sum(s.flops for s in program.plan.steps) / sorted(times)[10] / 1e9
        print(f"{name:<36} {rate:7.1f} GFLOP/s   {rate / peak:.2f} of the peak (wanted 0.8)")


if __name__ == "__main__":
    main()
