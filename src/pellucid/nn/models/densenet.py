"""DenseNet: every layer sees the features of all before it (Huang et al. 2017), with torchvision's names and layout."""

from __future__ import annotations

from pellucid import ops
from pellucid.graph import Tensor
from pellucid.nn.activations import ReLU
from pellucid.nn.layers import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    Sequential,
)
from pellucid.nn.models.registry import model, require_size
from pellucid.nn.module import Module

_PAPER = "Huang et al. 2017, Densely Connected Convolutional Networks"
_BLOCKS = {121: (6, 12, 24, 16), 161: (6, 12, 36, 24), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}


class DenseLayer(Module):
    """Norm, ReLU and a 1x1 convolution, then norm, ReLU and a 3x3 one; its new channels stand behind the input's."""

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        self.norm1 = BatchNorm2d(in_channels)
        self.relu1 = ReLU()
        self.conv1 = Conv2d(in_channels, 4 * growth, 1, bias=False)
        self.norm2 = BatchNorm2d(4 * growth)
        self.relu2 = ReLU()
        self.conv2 = Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        new = self.conv1(self.relu1(self.norm1(x)))
        return ops.concat([x, self.conv2(self.relu2(self.norm2(new)))], 1)


class DenseNet(Module):
    """A stem, four dense blocks with halving transitions between (`features`), pooling and a linear layer."""

    def __init__(self, depth: int, num_classes: int, in_channels: int) -> None:
        super().__init__()
        growth, channels = (48, 96) if depth == 161 else (32, 64)
        parts: dict[str, Module] = {
            "conv0": Conv2d(in_channels, channels, 7, 2, 3, bias=False),
            "norm0": BatchNorm2d(channels),
            "relu0": ReLU(),
            "pool0": MaxPool2d(3, 2, 1),
        }
        for block, count in enumerate(_BLOCKS[depth], 1):
            layers = {f"denselayer{i + 1}": DenseLayer(channels + i * growth, growth) for i in range(count)}
            parts[f"denseblock{block}"] = Sequential(**layers)
            channels += count * growth
            if block < 4:
                parts[f"transition{block}"] = Sequential(
                    norm=BatchNorm2d(channels),
                    relu=ReLU(),
                    conv=Conv2d(channels, channels // 2, 1, bias=False),
                    pool=AvgPool2d(2),
                )
                channels //= 2
        self.features = Sequential(**parts, norm5=BatchNorm2d(channels))
        self.relu = ReLU()
        self.avgpool = GlobalAvgPool2d()
        self.flatten = Flatten()
        self.classifier = Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        for _, part in self.children():
            x = part(x)
        return x


def _densenet(depth: int, num_classes: int, in_channels: int, image_size: int) -> DenseNet:
    require_size(f"densenet{depth}", image_size, 29)
    return DenseNet(depth, num_classes, in_channels)


@model(head="classifier", paper=_PAPER)
def densenet121(num_classes: int = 1000, in_channels: int = 3, image_size: int = 224) -> DenseNet:
    """58 dense layers that each add 32 channels"""
    return _densenet(121, num_classes, in_channels, image_size)


@model(head="classifier", paper=_PAPER)
def densenet161(num_classes: int = 1000, in_channels: int = 3, image_size: int = 224) -> DenseNet:
    """78 dense layers that each add 48 channels"""
    return _densenet(161, num_classes, in_channels, image_size)


@model(head="classifier", paper=_PAPER)
def densenet169(num_classes: int = 1000, in_channels: int = 3, image_size: int = 224) -> DenseNet:
    """82 dense layers that each add 32 channels"""
    return _densenet(169, num_classes, in_channels, image_size)


@model(head="classifier", paper=_PAPER)
def densenet201(num_classes: int = 1000, in_channels: int = 3, image_size: int = 224) -> DenseNet:
    """98 dense layers that each add 32 channels"""
    return _densenet(201, num_classes, in_channels, image_size)
