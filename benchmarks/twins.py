"""The benchmarks' networks, each as Pellucid's and as PyTorch's: same layers, same step, same pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import pellucid as pl
from pellucid import nn
from pellucid.executors import Program
from pellucid.scopes import collect_updates

WIDTHS = (32, 32, 64, 64, 128, 128)


@dataclass(frozen=True)
class Twin:
    """A network in both libraries; `shape` is one picture's (C, H, W)."""

    name: str
    shape: tuple[int, int, int]
    batch: int
    ours: Callable[[], nn.Module]
    theirs: Callable[[], Any]

    def pictures(self, batch: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Random pictures and labels, always the same."""
        random = np.random.default_rng(0)
        count = batch or self.batch
        return random.standard_normal((count, *self.shape), np.float32), random.integers(0, 10, count)

    def our_step(self, precision: str = "float32", **settings: Any) -> Callable[[], object]:
        """One training step (cross-entropy, SGD with momentum) as a call without arguments."""
        program = self.training_program(precision, **settings)
        images, labels = self.pictures()
        feeds = {"images": images, "labels": labels}
        return lambda: program(feeds)

    def training_program(self, precision: str = "float32", **settings: Any) -> Program:
        """The program of that step."""
        net = self.ours().train()
        images = pl.input((self.batch, *self.shape), name="images")
        labels = pl.input((self.batch,), "int64", "labels")
        with collect_updates() as updates:
            loss = pl.cross_entropy(net(images), labels)
        parameters = net.parameters()
        for parameter, slope in zip(parameters, pl.gradients(loss, parameters), strict=True):
            velocity = pl.Parameter.of(np.zeros(parameter.shape, np.float32), trainable=False)
            updates[parameter], updates[velocity] = pl.sgd(parameter, slope, velocity, 0.01, momentum=0.9)
        return pl.compile([loss], updates=updates, precision=precision, **settings)

    def their_step(self, channels_last: bool, bfloat16: bool = False, compiled: bool = False) -> Callable[[], object]:
        """The same step in PyTorch."""
        import torch

        net, (images, labels) = self.theirs().train(), (torch.from_numpy(a) for a in self.pictures())
        if channels_last:
            net, images = (t.to(memory_format=torch.channels_last) for t in (net, images))
        optimizer = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)
        forward = torch.compile(net) if compiled else net

        def step() -> None:
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                loss = torch.nn.functional.cross_entropy(forward(images), labels)
            loss.backward()
            optimizer.step()

        return step

    def our_inference(self, batch: int) -> Callable[[], object]:
        """The forward pass on `batch` pictures."""
        images = pl.input((batch, *self.shape), name="images")
        program = pl.compile([self.ours().eval()(images)])
        feeds = {"images": self.pictures(batch)[0]}
        return lambda: program(feeds)

    def their_inference(self, batch: int, channels_last: bool) -> Callable[[], object]:
        """The same in PyTorch, under inference_mode."""
        import torch

        net, images = self.theirs().eval(), torch.from_numpy(self.pictures(batch)[0])
        if channels_last:
            net, images = (t.to(memory_format=torch.channels_last) for t in (net, images))

        def forward() -> object:
            with torch.inference_mode():
                return net(images)

        return forward

    def onnx_inference(self, batch: int) -> Callable[[], object]:
        """The same in ONNX Runtime, from PyTorch's export, with its default settings."""
        import io

        import onnxruntime
        import torch

        images = self.pictures(batch)[0]
        file = io.BytesIO()
        torch.onnx.export(self.theirs().eval(), (torch.from_numpy(images),), file, input_names=["images"], dynamo=False)
        session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
        return lambda: session.run(None, {"images": images})


def _our_lenet() -> nn.Module:
    return nn.Sequential(
        conv1=nn.Conv2d(1, 32, 5, padding=2), relu1=nn.ReLU(), pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(32, 64, 5, padding=2), relu2=nn.ReLU(), pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(), fc1=nn.Linear(64 * 49, 128), relu3=nn.ReLU(), fc2=nn.Linear(128, 10),
    )  # fmt: skip


def _their_lenet() -> Any:
    from torch import nn as their

    return their.Sequential(
        their.Conv2d(1, 32, 5, padding=2), their.ReLU(), their.MaxPool2d(2),
        their.Conv2d(32, 64, 5, padding=2), their.ReLU(), their.MaxPool2d(2),
        their.Flatten(), their.Linear(64 * 49, 128), their.ReLU(), their.Linear(128, 10),
    )  # fmt: skip


def _our_six(norm: bool) -> nn.Module:
    layers: dict[str, nn.Module] = {}
    channels = 3
    for number, width in enumerate(WIDTHS):
        layers[f"conv{number}"] = nn.Conv2d(channels, width, 3, padding=1, bias=not norm)
        if norm:
            layers[f"bn{number}"] = nn.BatchNorm2d(width)
        layers[f"relu{number}"] = nn.ReLU()
        if number % 2:
            layers[f"pool{number}"] = nn.MaxPool2d(2)
        channels = width
    return nn.Sequential(**layers, flatten=nn.Flatten(), fc=nn.Linear(128 * 16, 10))


def _their_six(norm: bool) -> Any:
    from torch import nn as their

    layers: list[Any] = []
    channels = 3
    for number, width in enumerate(WIDTHS):
        layers.append(their.Conv2d(channels, width, 3, padding=1, bias=not norm))
        layers += [their.BatchNorm2d(width)] * norm
        layers.append(their.ReLU())
        layers += [their.MaxPool2d(2)] * (number % 2)
        channels = width
    return their.Sequential(*layers, their.Flatten(), their.Linear(128 * 16, 10))


def _our_resnet() -> nn.Module:
    return nn.models.build("resnet18", num_classes=10, in_channels=3, image_size=32)


def _their_resnet() -> Any:
    import torch
    from torch import nn as their

    class Block(their.Module):
        def __init__(self, channels: int, width: int, stride: int) -> None:
            super().__init__()
            self.conv1, self.bn1 = their.Conv2d(channels, width, 3, stride, 1, bias=False), their.BatchNorm2d(width)
            self.conv2, self.bn2 = their.Conv2d(width, width, 3, 1, 1, bias=False), their.BatchNorm2d(width)
            plain = stride == 1 and channels == width
            shortcut = [] if plain else [their.Conv2d(channels, width, 1, stride, bias=False), their.BatchNorm2d(width)]
            self.shortcut = their.Sequential(*shortcut)

        def forward(self, x: Any) -> Any:
            y = torch.relu(self.bn1(self.conv1(x)))
            return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))

    layers: list[Any] = [their.Conv2d(3, 64, 3, 1, 1, bias=False), their.BatchNorm2d(64), their.ReLU()]
    channels = 64
    for number, width in enumerate((64, 128, 256, 512)):
        layers += [Block(channels, width, 2 if number else 1), Block(width, width, 1)]
        channels = width
    return their.Sequential(*layers, their.AdaptiveAvgPool2d(1), their.Flatten(), their.Linear(512, 10))


TWINS = {
    twin.name: twin
    for twin in (
        Twin("LeNet-size", (1, 28, 28), 64, _our_lenet, _their_lenet),
        Twin("6-conv", (3, 32, 32), 64, lambda: _our_six(False), lambda: _their_six(False)),
        Twin("6-conv with batch norm", (3, 32, 32), 64, lambda: _our_six(True), lambda: _their_six(True)),
        Twin("ResNet-18", (3, 32, 32), 32, _our_resnet, _their_resnet),
    )
}
