"""GoogLeNet: four branches of different kernels side by side (Szegedy et al. 2015), as in torchvision without its auxiliary heads.

As there, convolutions are followed by batch norm (which the paper did not have yet), and the third branch has 3x3
kernels where the paper has 5x5.
"""

from __future__ import annotations

from pellucid import ops
from pellucid.graph import Tensor
from pellucid.nn.activations import ReLU
from pellucid.nn.layers import BatchNorm2d, Conv2d, Dropout, Flatten, GlobalAvgPool2d, Linear, MaxPool2d, Sequential
from pellucid.nn.models.registry import model, require_size
from pellucid.nn.module import Module

_PAPER = "Szegedy et al. 2015, Going Deeper with Convolutions"
_INCEPTIONS = {
    "3a": (64, (96, 128), (16, 32), 32),
    "3b": (128, (128, 192), (32, 96), 64),
    "4a": (192, (96, 208), (16, 48), 64),
    "4b": (160, (112, 224), (24, 64), 64),
    "4c": (128, (128, 256), (24, 64), 64),
    "4d": (112, (144, 288), (32, 64), 64),
    "4e": (256, (160, 320), (32, 128), 128),
    "5a": (256, (160, 320), (32, 128), 128),
    "5b": (384, (192, 384), (48, 128), 128),
}
"""Channels of the four branches (table 1): 1x1; 1x1 then 3x3; 1x1 then "5x5"; pooling then 1x1."""


class ConvUnit(Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False)
        self.bn = BatchNorm2d(out_channels, eps=0.001)
        self.relu = ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.bn(self.conv(x)))


class Inception(Module):
    """Four branches that see the same input; their channels are concatenated."""

    def __init__(
        self, in_channels: int, single: int, middle: tuple[int, int], wide: tuple[int, int], pooled: int
    ) -> None:
        super().__init__()
        self.branch1 = ConvUnit(in_channels, single, 1)
        self.branch2 = Sequential(ConvUnit(in_channels, middle[0], 1), ConvUnit(*middle, 3))
        self.branch3 = Sequential(ConvUnit(in_channels, wide[0], 1), ConvUnit(*wide, 3))
        self.branch4 = Sequential(MaxPool2d(3, 1, 1), ConvUnit(in_channels, pooled, 1))
        self.out_channels = single + middle[1] + wide[1] + pooled

    def forward(self, x: Tensor) -> Tensor:
        return ops.concat([branch(x) for _, branch in self.children()], 1)


class GoogLeNet(Module):
    """A stem of three convolutions, nine inceptions, global average pooling and a linear layer."""

    def __init__(self, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.conv1 = ConvUnit(in_channels, 64, 7, 2)
        self.maxpool1 = MaxPool2d(3, 2, ceil_mode=True)
        self.conv2 = ConvUnit(64, 64, 1)
        self.conv3 = ConvUnit(64, 192, 3)
        self.maxpool2 = MaxPool2d(3, 2, ceil_mode=True)
        channels = 192
        for name, widths in _INCEPTIONS.items():
            if name in ("4a", "5a"):
                pool = MaxPool2d(3, 2, ceil_mode=True) if name == "4a" else MaxPool2d(2, 2, ceil_mode=True)
                setattr(self, f"maxpool{int(name[0]) - 1}", pool)
            inception = Inception(channels, *widths)
            setattr(self, f"inception{name}", inception)
            channels = inception.out_channels
        self.avgpool = GlobalAvgPool2d()
        self.flatten = Flatten()
        self.dropout = Dropout(0.2)
        self.fc = Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        for _, part in self.children():
            x = part(x)
        return x


@model(head="fc", paper=_PAPER)
def googlenet(num_classes: int = 1000, in_channels: int = 3, image_size: int = 224) -> GoogLeNet:
    """Nine inceptions: 1x1, 3x3 and pooling branches side by side"""
    require_size("googlenet", image_size, 15)
    return GoogLeNet(num_classes, in_channels)
