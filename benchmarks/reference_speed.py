"""A LeNet-size training step, batch 64: the reference and torch executors beside plain PyTorch, in one run."""

from __future__ import annotations

import torch

from common import BATCH, interleaved, training_step


def plain_torch(channels_last: bool) -> object:
    """PyTorch's own step on the same network."""
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 32, 5, padding=2), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(32, 64, 5, padding=2), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(64 * 49, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10),
    )  # fmt: skip
    images = torch.randn(BATCH, 1, 28, 28)
    if channels_last:
        net, images = net.to(memory_format=torch.channels_last), images.to(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (BATCH,))
    optimizer = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(images), labels).backward()
        optimizer.step()

    return step


def main() -> None:
    """Print medians of 15 interleaved repeats and the ratio to PyTorch at its best."""
    sides = {}
    for executor in ("reference", "torch"):
        program, feeds = training_step(executor)
        sides[f"pellucid, {executor} executor"] = lambda p=program, f=feeds: p(f)
    sides["PyTorch"] = plain_torch(False)
    sides["PyTorch, channels_last"] = plain_torch(True)
    seconds = interleaved(sides, 15)
    best = min(v for n, v in seconds.items() if n.startswith("PyTorch"))
    for name, value in seconds.items():
        print(f"{name:<30} {value * 1000:7.1f} ms   PyTorch's best / this: {best / value:.2f}")


if __name__ == "__main__":
    main()
