"""MobileNet: depthwise and 1x1 convolutions (v1: Howard et al. 2017; v2: Sandler et al. 2018, as in torchvision)."""

from __future__ import annotations

from pellucid.graph import Tensor
from pellucid.nn.activations import ReLU, ReLU6
from pellucid.nn.layers import BatchNorm2d, Conv2d, Dropout, Flatten, GlobalAvgPool2d, Linear, Sequential
from pellucid.nn.models.registry import model, require_size
from pellucid.nn.module import Module

_V1 = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
"""Per block of v1: output channels and stride (table 1)."""
_V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Per stage of v2: expansion, output channels, blocks, stride of the first (table 2)."""


def _unit(
    in_channels: int, out_channels: int, kernel: int, stride: int, groups: int, activation: type[Module]
) -> Sequential:
    return Sequential(
        Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False),
        BatchNorm2d(out_channels),
        activation(),
    )


class InvertedResidual(Module):
    """1x1 to more channels, 3x3 per channel, 1x1 to few channels; added to the input where shapes allow."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        layers: list[Module] = [_unit(in_channels, hidden, 1, 1, 1, ReLU6)] if expansion != 1 else []
        layers += [
            _unit(hidden, hidden, 3, stride, hidden, ReLU6),
            Conv2d(hidden, out_channels, 1, bias=False),
            BatchNorm2d(out_channels),
        ]
        self.conv = Sequential(*layers)
        self.adds = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.adds else self.conv(x)


class MobileNet(Module):
    """Blocks (`features`), global average pooling, and a linear layer behind dropout (`classifier`)."""

    def __init__(self, layers: list[Module], channels: int, dropout: float, num_classes: int) -> None:
        super().__init__()
        self.features = Sequential(*layers)
        self.avgpool = GlobalAvgPool2d()
        self.flatten = Flatten()
        self.classifier = Sequential(Dropout(dropout), Linear(channels, num_classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.flatten(self.avgpool(self.features(x))))


@model(
    head="classifier.1",
    paper="Howard et al. 2017, MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
)
def mobilenet_v1(num_classes: int = 1000, in_channels: int = 3, image_size: int = 224) -> MobileNet:
    """Each 3x3 convolution split into one per channel and a 1x1 across channels"""
    require_size("mobilenet_v1", image_size, 32)
    layers: list[Module] = [_unit(in_channels, 32, 3, 2, 1, ReLU)]
    channels = 32
    for width, stride in _V1:
        layers += [_unit(channels, channels, 3, stride, channels, ReLU), _unit(channels, width, 1, 1, 1, ReLU)]
        channels = width
    return MobileNet(layers, channels, 0.001, num_classes)


@model(head="classifier.1", paper="Sandler et al. 2018, MobileNetV2: Inverted Residuals and Linear Bottlenecks")
def mobilenet_v2(num_classes: int = 1000, in_channels: int = 3, image_size: int = 224) -> MobileNet:
    """Inverted residuals: narrow between blocks, wide and depthwise inside"""
    require_size("mobilenet_v2", image_size, 32)
    layers: list[Module] = [_unit(in_channels, 32, 3, 2, 1, ReLU6)]
    channels = 32
    for expansion, width, count, stride in _V2:
        for position in range(count):
            layers.append(InvertedResidual(channels, width, stride if position == 0 else 1, expansion))
            channels = width
    return MobileNet([*layers, _unit(channels, 1280, 1, 1, 1, ReLU6)], 1280, 0.2, num_classes)
