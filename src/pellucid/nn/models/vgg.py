"""VGG: stacks of 3x3 convolutions between poolings (Simonyan and Zisserman 2015), as in torchvision."""

from __future__ import annotations

from pellucid.graph import Tensor
from pellucid.nn.activations import ReLU
from pellucid.nn.layers import (
    AdaptiveAvgPool2d,
    BatchNorm2d,
    Conv2d,
    Dropout,
    Flatten,
    Linear,
    MaxPool2d,
    Sequential,
)
from pellucid.nn.models.registry import model, require_size
from pellucid.nn.module import Module

_PAPER = "Simonyan and Zisserman 2015, Very Deep Convolutional Networks for Large-Scale Image Recognition"
_STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_WIDTHS = (64, 128, 256, 512, 512)


class VGG(Module):
    """Convolutions (`features`), pooling to 7x7, three fully connected layers (`classifier`)."""

    def __init__(self, depth: int, num_classes: int, in_channels: int, batch_norm: bool) -> None:
        super().__init__()
        layers: list[Module] = []
        channels = in_channels
        for count, width in zip(_STAGES[depth], _WIDTHS, strict=True):
            for _ in range(count):
                layers.append(Conv2d(channels, width, 3, padding=1))
                layers += [BatchNorm2d(width), ReLU()] if batch_norm else [ReLU()]
                channels = width
            layers.append(MaxPool2d(2))
        self.features = Sequential(*layers)
        self.avgpool = AdaptiveAvgPool2d(7)
        self.flatten = Flatten()
        self.classifier = Sequential(
            Linear(512 * 49, 4096),
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
def vgg11(num_classes: int = 1000, in_channels: int = 3, image_size: int = 224, batch_norm: bool = False) -> VGG:
    """8 convolutions of 3x3 and three large linear layers; `batch_norm` adds batch norm"""
    return _vgg(11, num_classes, in_channels, image_size, batch_norm)


@model(head="classifier.6", paper=_PAPER)
def vgg13(num_classes: int = 1000, in_channels: int = 3, image_size: int = 224, batch_norm: bool = False) -> VGG:
    """10 convolutions of 3x3 and three large linear layers"""
    return _vgg(13, num_classes, in_channels, image_size, batch_norm)


@model(head="classifier.6", paper=_PAPER)
def vgg16(num_classes: int = 1000, in_channels: int = 3, image_size: int = 224, batch_norm: bool = False) -> VGG:
    """13 convolutions of 3x3 and three large linear layers"""
    return _vgg(16, num_classes, in_channels, image_size, batch_norm)


@model(head="classifier.6", paper=_PAPER)
def vgg19(num_classes: int = 1000, in_channels: int = 3, image_size: int = 224, batch_norm: bool = False) -> VGG:
    """16 convolutions of 3x3 and three large linear layers"""
    return _vgg(19, num_classes, in_channels, image_size, batch_norm)


def _vgg(depth: int, num_classes: int, in_channels: int, image_size: int, batch_norm: bool) -> VGG:
    require_size(f"vgg{depth}", image_size, 32)
    return VGG(depth, num_classes, in_channels, batch_norm)
