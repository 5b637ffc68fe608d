"""ZFNet: AlexNet with smaller first kernels (Zeiler and Fergus 2014, figure 3)."""

from __future__ import annotations

from pellucid.graph import Tensor
from pellucid.nn.activations import ReLU
from pellucid.nn.layers import (
    AdaptiveAvgPool2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    Sequential,
)
from pellucid.nn.models.registry import model, require_size
from pellucid.nn.module import Module

_PAPER = "Zeiler and Fergus 2014, Visualizing and Understanding Convolutional Networks"


class ZFNet(Module):
    """Five convolutions (`features`), pooling to 6x6, three fully connected layers (`classifier`)."""

    def __init__(self, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.features = Sequential(
            Conv2d(in_channels, 96, 7, stride=2, padding=1),
            ReLU(),
            MaxPool2d(3, 2, padding=1),
            LocalResponseNorm(5, k=2.0),
            Conv2d(96, 256, 5, stride=2),
            ReLU(),
            MaxPool2d(3, 2, padding=1),
            LocalResponseNorm(5, k=2.0),
            Conv2d(256, 384, 3, padding=1),
            ReLU(),
            Conv2d(384, 384, 3, padding=1),
            ReLU(),
            Conv2d(384, 256, 3, padding=1),
            ReLU(),
            MaxPool2d(3, 2),
        )
        self.avgpool = AdaptiveAvgPool2d(6)
        self.flatten = Flatten()
        self.classifier = Sequential(
            Linear(256 * 36, 4096),
            ReLU(),
            Dropout(),
            Linear(4096, 4096),
            ReLU(),
            Dropout(),
            Linear(4096, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.flatten(self.avgpool(self.features(x))))


@model(head="classifier.6", paper=_PAPER)
def zfnet(num_classes: int = 1000, in_channels: int = 3, image_size: int = 224) -> ZFNet:
    """AlexNet with a 7x7 first kernel of stride 2: finer first features"""
    require_size("zfnet", image_size, 55)
    return ZFNet(num_classes, in_channels)
