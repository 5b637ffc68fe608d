"""AlexNet in the single-column form (Krizhevsky 2014, "One weird trick"), as in torchvision."""

from __future__ import annotations

from pellucid.graph import Tensor
from pellucid.nn.activations import ReLU
from pellucid.nn.layers import AdaptiveAvgPool2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, Sequential
from pellucid.nn.models.registry import model, require_size
from pellucid.nn.module import Module

_PAPER = "Krizhevsky 2014, One weird trick for parallelizing convolutional neural networks"


class AlexNet(Module):
    """Five convolutions (`features`), pooling to 6x6, three fully connected layers (`classifier`)."""

    def __init__(self, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.features = Sequential(
            Conv2d(in_channels, 64, 11, stride=4, padding=2),
            ReLU(),
            MaxPool2d(3, 2),
            Conv2d(64, 192, 5, padding=2),
            ReLU(),
            MaxPool2d(3, 2),
            Conv2d(192, 384, 3, padding=1),
            ReLU(),
            Conv2d(384, 256, 3, padding=1),
            ReLU(),
            Conv2d(256, 256, 3, padding=1),
            ReLU(),
            MaxPool2d(3, 2),
        )
        self.avgpool = AdaptiveAvgPool2d(6)
        self.flatten = Flatten()
        self.classifier = Sequential(
            Dropout(),
            Linear(256 * 36, 4096),
            ReLU(),
            Dropout(),
            Linear(4096, 4096),
            ReLU(),
            Linear(4096, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.flatten(self.avgpool(self.features(x))))


@model(head="classifier.6", paper=_PAPER)
def alexnet(num_classes: int = 1000, in_channels: int = 3, image_size: int = 224) -> AlexNet:
    """Five convolutions and three large linear layers: the network that made deep learning known"""
    require_size("alexnet", image_size, 63)
    return AlexNet(num_classes, in_channels)
