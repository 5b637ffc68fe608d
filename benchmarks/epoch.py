"""Whole epochs: `pellucid train` on Fashion-MNIST beside a plain PyTorch script, and how busy the program is in them.

The script is what PyTorch's tutorials teach: a Dataset of tensors, a DataLoader with shuffling (with no worker and
with one; the better counts), LeNet-5, Adam, and an evaluation on the validation pictures after each epoch.
CIFAR-10 is read from the argument or PELLUCID_CIFAR10 (a folder or zip with train/ and test/), else left out.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from typing import Any

import numpy as np

import pellucid as pl
from pellucid.executors import native
from pellucid.train.callbacks import Callback, EpochReport, StepReport

EPOCHS, BATCH = 3, 64


class Watch(Callback):
    """Knows how long each epoch took (with its evaluation), and during which share of its steps the program ran."""

    def __init__(self) -> None:
        self.running = 0.0
        self.seconds: list[float] = []
        self.busy: list[float] = []
        self._start = self._running_before = self._running_in_steps = 0.0

    def on_start(self, first_epoch: int, epochs: int) -> None:
        self._start = time.perf_counter()

    def on_step(self, report: StepReport) -> None:
        self._running_in_steps = self.running - self._running_before

    def on_epoch(self, report: EpochReport) -> None:
        now = time.perf_counter()
        self.seconds.append(now - self._start)
        self.busy.append(self._running_in_steps / report.seconds)
        self._start, self._running_before = now, self.running


def our_epoch(data: pl.data.Splits, model: str) -> tuple[float, float]:
    """Seconds of the best epoch, and the busy share of the last."""
    watch = Watch()
    call = native.NativeProgram.__call__

    def timed(program: native.NativeProgram, feeds: Any = {}) -> Any:  # noqa: B006
        start = time.perf_counter()
        try:
            return call(program, feeds)
        finally:
            watch.running += time.perf_counter() - start

    net = pl.nn.models.build(model, num_classes=len(data.classes), in_channels=data.shape[0], image_size=data.shape[1])
    native.NativeProgram.__call__ = timed  # type: ignore[method-assign]
    try:
        with tempfile.TemporaryDirectory() as folder:
            settings: dict[str, Any] = {"epochs": EPOCHS, "batch_size": BATCH, "out": folder, "report": False}
            with pl.quiet():
                pl.fit(net, data, callbacks=[watch], **settings)
    finally:
        native.NativeProgram.__call__ = call  # type: ignore[method-assign]
    return min(watch.seconds), watch.busy[-1]


def their_epoch(data: pl.data.Splits, workers: int, channels_last: bool) -> float:
    """Best seconds of an epoch of the PyTorch script."""
    import torch
    from torch import nn

    def tensors(part: pl.data.Dataset) -> torch.utils.data.TensorDataset:
        images = part.images(np.arange(len(part))).astype(np.float32) / 255
        return torch.utils.data.TensorDataset(torch.from_numpy((images - 0.286) / 0.353), torch.from_numpy(part.labels))

    net: Any = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip
    layout: Any = torch.channels_last if channels_last else torch.contiguous_format
    net = net.to(memory_format=layout)
    optimizer = torch.optim.Adam(net.parameters(), 2e-3)
    train = torch.utils.data.DataLoader(tensors(data.train), BATCH, shuffle=True, num_workers=workers)
    validation = torch.utils.data.DataLoader(tensors(data.validation), BATCH)
    best = float("inf")
    for _ in range(EPOCHS):
        start = time.perf_counter()
        net.train()
        for images, labels in train:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(images.to(memory_format=layout)), labels)
            loss.backward()
            optimizer.step()
            loss.item()
        net.eval()
        with torch.inference_mode():
            sum((net(i.to(memory_format=layout)).argmax(1) == k).sum().item() for i, k in validation)
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    """Print the epoch's time on both sides, and the busy share on every data set there is."""
    fashion = pl.load("fashion-mnist")
    ours, busy = our_epoch(fashion, "lenet")
    cases = {
        f"{'channels_last, ' if last else ''}{workers} workers": (workers, last)
        for workers in (0, 1)
        for last in (False, True)
    }
    theirs = {name: their_epoch(fashion, *case) for name, case in cases.items()}
    best = min(theirs, key=lambda name: theirs[name])
    sides = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in theirs.items())
    print(
        f"Fashion-MNIST, LeNet-5: Pellucid {ours:.2f} s; PyTorch {sides}; best / ours = {theirs[best] / ours:.2f} (wanted 2)"
    )
    print(f"busy on Fashion-MNIST, LeNet-5      {busy:.1%} (wanted 95 %)")
    print(f"busy on digits, LeNet-5             {our_epoch(pl.load('digits'), 'lenet')[1]:.1%} (wanted 95 %)")
    cifar = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PELLUCID_CIFAR10", "")
    if cifar:
        print(
            f"busy on CIFAR-10, the deck's network {our_epoch(pl.load(cifar, image_size=32), 'deck')[1]:.1%} (wanted 95 %)"
        )
    else:
        print("CIFAR-10 left out: give its folder or zip as an argument or in PELLUCID_CIFAR10")


if __name__ == "__main__":
    main()
