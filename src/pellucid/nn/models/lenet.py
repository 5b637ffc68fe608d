"""LeNet-5 in its common form: two convolutions with max pooling, then three fully connected layers (LeCun et al. 1998)."""

from __future__ import annotations

from pellucid.nn.activations import ReLU
from pellucid.nn.layers import Conv2d, Flatten, Linear, MaxPool2d, Sequential
from pellucid.nn.models.registry import model, require_size

_PAPER = "LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition"


@model(head="fc3", paper=_PAPER)
def lenet(num_classes: int = 10, in_channels: int = 1, image_size: int = 28, width: int | None = None) -> Sequential:
    """conv - relu - pool twice, then 120 - 84 - classes; 3x3 kernels and more channels on images smaller than 20x20

    At 28x28 or 32x32 it has 61,706 parameters. LeCun's table of 1998 adds up to 60,000: there the second convolution saw only
    some of the channels (1,516 parameters instead of 2,416), poolings had a factor and a bias per channel (12 and 32), and
    the last layer's 850 were fixed patterns.

    `width` is the number of channels of the first convolution (6, or 24 on small images); the second has more.
    """
    require_size("lenet", image_size, 8)
    small = image_size < 20
    first = width or (24 if small else 6)
    second = first * 2 if small else first * 8 // 3
    kernel, padding = (3, 1) if small else (5, 2 if image_size <= 28 else 0)
    after = ((image_size + 2 * padding - kernel + 1) // 2 + (2 if small else 0) - kernel + 1) // 2
    return Sequential(
        conv1=Conv2d(in_channels, first, kernel, padding=padding),
        relu1=ReLU(),
        pool1=MaxPool2d(2),
        conv2=Conv2d(first, second, kernel, padding=1 if small else 0),
        relu2=ReLU(),
        pool2=MaxPool2d(2),
        flatten=Flatten(),
        fc1=Linear(second * after * after, 120),
        relu3=ReLU(),
        fc2=Linear(120, 84),
        relu4=ReLU(),
        fc3=Linear(84, num_classes),
    )
