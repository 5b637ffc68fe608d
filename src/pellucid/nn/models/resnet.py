"""ResNet: layers that learn what to add to their input (He et al. 2016), with torchvision's names and layout."""

from __future__ import annotations

from pellucid.graph import Tensor
from pellucid.nn.activations import ReLU
from pellucid.nn.layers import BatchNorm2d, Conv2d, Flatten, GlobalAvgPool2d, Identity, Linear, MaxPool2d, Sequential
from pellucid.nn.models.registry import model, require_size
from pellucid.nn.module import Module

_PAPER = "He et al. 2016, Deep Residual Learning for Image Recognition"
_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


class BasicBlock(Module):
    """Two 3x3 convolutions whose result is added to the block's input."""

    expansion = 1

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = Conv2d(in_channels, width, 3, stride, 1, bias=False)
        self.bn1 = BatchNorm2d(width)
        self.relu = ReLU()
        self.conv2 = Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = BatchNorm2d(width)
        self.downsample = _shortcut(in_channels, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + self.downsample(x))


class Bottleneck(Module):
    """1x1, 3x3 and 1x1 convolutions whose result is added to the block's input; the stride is in the 3x3."""

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = BatchNorm2d(width)
        self.conv2 = Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = BatchNorm2d(width)
        self.conv3 = Conv2d(width, width * 4, 1, bias=False)
        self.bn3 = BatchNorm2d(width * 4)
        self.relu = ReLU()
        self.downsample = _shortcut(in_channels, width * 4, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        return self.relu(self.bn3(self.conv3(y)) + self.downsample(x))


def _shortcut(in_channels: int, out_channels: int, stride: int) -> Module:
    if stride == 1 and in_channels == out_channels:
        return Identity()
    return Sequential(Conv2d(in_channels, out_channels, 1, stride, bias=False), BatchNorm2d(out_channels))


class ResNet(Module):
    """A stem, four stages of blocks (`layer1` to `layer4`), global average pooling and a linear layer."""

    def __init__(self, depth: int, num_classes: int, in_channels: int, small_images: bool) -> None:
        super().__init__()
        block = BasicBlock if depth < 50 else Bottleneck
        self.conv1 = (
            Conv2d(in_channels, 64, 3, 1, 1, bias=False)
            if small_images
            else Conv2d(in_channels, 64, 7, 2, 3, bias=False)
        )
        self.bn1 = BatchNorm2d(64)
        self.relu = ReLU()
        self.maxpool = Identity() if small_images else MaxPool2d(3, 2, 1)
        channels = 64
        for number, count in enumerate(_BLOCKS[depth], 1):
            width = 32 * 2**number
            blocks: list[Module] = []
            for position in range(count):
                blocks.append(block(channels, width, 2 if number > 1 and position == 0 else 1))
                channels = width * block.expansion
            setattr(self, f"layer{number}", Sequential(*blocks))
        self.avgpool = GlobalAvgPool2d()
        self.flatten = Flatten()
        self.fc = Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        for _, part in self.children():
            x = part(x)
        return x


def _resnet(depth: int, num_classes: int, in_channels: int, image_size: int, small_images: bool | None) -> ResNet:
    require_size(f"resnet{depth}", image_size, 8)
    small = image_size <= 64 if small_images is None else small_images
    return ResNet(depth, num_classes, in_channels, small)


@model(head="fc", paper=_PAPER)
def resnet18(
    num_classes: int = 1000, in_channels: int = 3, image_size: int = 224, small_images: bool | None = None
) -> ResNet:
    """8 blocks of two 3x3 convolutions; `small_images` (default up to 64x64) starts with 3x3 and no pooling"""
    return _resnet(18, num_classes, in_channels, image_size, small_images)


@model(head="fc", paper=_PAPER)
def resnet34(
    num_classes: int = 1000, in_channels: int = 3, image_size: int = 224, small_images: bool | None = None
) -> ResNet:
    """16 blocks of two 3x3 convolutions"""
    return _resnet(34, num_classes, in_channels, image_size, small_images)


@model(head="fc", paper=_PAPER)
def resnet50(
    num_classes: int = 1000, in_channels: int = 3, image_size: int = 224, small_images: bool | None = None
) -> ResNet:
    """16 bottlenecks of 1x1, 3x3 and 1x1 convolutions"""
    return _resnet(50, num_classes, in_channels, image_size, small_images)


@model(head="fc", paper=_PAPER)
def resnet101(
    num_classes: int = 1000, in_channels: int = 3, image_size: int = 224, small_images: bool | None = None
) -> ResNet:
    """33 bottlenecks of 1x1, 3x3 and 1x1 convolutions"""
    return _resnet(101, num_classes, in_channels, image_size, small_images)


@model(head="fc", paper=_PAPER)
def resnet152(
    num_classes: int = 1000, in_channels: int = 3, image_size: int = 224, small_images: bool | None = None
) -> ResNet:
    """50 bottlenecks of 1x1, 3x3 and 1x1 convolutions"""
    return _resnet(152, num_classes, in_channels, image_size, small_images)
