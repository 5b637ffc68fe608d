"""A LeNet-size training step, batch 64: every executor beside plain PyTorch, in one run."""

from __future__ import annotations

from common import interleaved
from twins import TWINS


def main() -> None:
    """Print medians of 15 interleaved repeats and the ratio to PyTorch at its best."""
    twin = TWINS["LeNet-size"]
    sides = {f"pellucid, {name} executor": twin.our_step(executor=name) for name in ("native", "reference", "torch")}
    sides |= {"PyTorch": twin.their_step(False), "PyTorch, channels_last": twin.their_step(True)}
    seconds = interleaved(sides, 15)
    best = min(v for n, v in seconds.items() if n.startswith("PyTorch"))
    for name, value in seconds.items():
        print(f"{name:<30} {value * 1000:7.1f} ms   PyTorch's best / this: {best / value:.2f}")


if __name__ == "__main__":
    main()
