"""SqueezeNet: 1x1 convolutions squeeze channels before 3x3 ones see them (Iandola et al. 2016), as in torchvision."""

from __future__ import annotations

from pellucid import ops
from pellucid.graph import Tensor
from pellucid.nn.activations import ReLU
from pellucid.nn.layers import Conv2d, Dropout, Flatten, GlobalAvgPool2d, MaxPool2d, Sequential
from pellucid.nn.models.registry import model, require_size
from pellucid.nn.module import Module

_PAPER = "Iandola et al. 2016, SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size"


class Fire(Module):
    """A 1x1 convolution to few channels, then a 1x1 and a 3x3 one side by side, their channels concatenated."""

    def __init__(self, in_channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = Conv2d(in_channels, squeezed, 1)
        self.squeeze_activation = ReLU()
        self.expand1x1 = Conv2d(squeezed, expanded, 1)
        self.expand1x1_activation = ReLU()
        self.expand3x3 = Conv2d(squeezed, expanded, 3, padding=1)
        self.expand3x3_activation = ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze_activation(self.squeeze(x))
        narrow = self.expand1x1_activation(self.expand1x1(x))
        wide = self.expand3x3_activation(self.expand3x3(x))
        return ops.concat([narrow, wide], 1)


class SqueezeNet(Module):
    """A convolution and eight `Fire` blocks with poolings between (`features`); a 1x1 convolution gives the scores."""

    def __init__(self, stem: Conv2d, pool_before: tuple[int, ...], num_classes: int) -> None:
        super().__init__()
        layers: list[Module] = [stem, ReLU()]
        channels = stem.out_channels
        for number in range(8):
            if number in pool_before:
                layers.append(MaxPool2d(3, 2, ceil_mode=True))
            layers.append(Fire(channels, 16 * (number // 2 + 1), 64 * (number // 2 + 1)))
            channels = 128 * (number // 2 + 1)
        self.features = Sequential(*layers)
        self.classifier = Sequential(Dropout(), Conv2d(channels, num_classes, 1), ReLU(), GlobalAvgPool2d())
        self.flatten = Flatten()

    def forward(self, x: Tensor) -> Tensor:
        return self.flatten(self.classifier(self.features(x)))


@model(head="classifier.1", paper=_PAPER)
def squeezenet1_0(num_classes: int = 1000, in_channels: int = 3, image_size: int = 224) -> SqueezeNet:
    """AlexNet's accuracy with a fiftieth of its parameters"""
    require_size("squeezenet1_0", image_size, 21)
    return SqueezeNet(Conv2d(in_channels, 96, 7, stride=2), (0, 3, 7), num_classes)


@model(head="classifier.1", paper=_PAPER)
def squeezenet1_1(num_classes: int = 1000, in_channels: int = 3, image_size: int = 224) -> SqueezeNet:
    """SqueezeNet 1.0 with a smaller first layer and earlier pooling: less than half the operations"""
    require_size("squeezenet1_1", image_size, 17)
    return SqueezeNet(Conv2d(in_channels, 64, 3, stride=2), (0, 2, 4), num_classes)
