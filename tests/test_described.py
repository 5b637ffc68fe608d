"""Networks as plain text: what is built is what the same layers in Python are, and what does not fit names its layer."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import pellucid as pl
from pellucid import nn
from pellucid.nn.described import KINDS, described, is_list, layer_kinds, read_layers, written

PICTURE = (1, 8, 8)


@pytest.mark.parametrize(
    ("text", "shape", "classes", "wanted"),
    [
        ("Linear 4, Tanh, Linear 2", (2,), 0, lambda: nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 2))),
        ("linear 4, tanh", (2,), 3, lambda: nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 3))),
        ("", (2,), 2, lambda: nn.Sequential(nn.Linear(2, 2))),
        (
            "Conv2d 8 3 padding=1 bias=false, BatchNorm2d, ReLU, MaxPool2d 2x4, Flatten, Linear 5",
            PICTURE, 10,
            lambda: nn.Sequential(
                nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d((2, 4)), nn.Flatten(),
                nn.Linear(64, 5), nn.Linear(5, 10),
            ),
        ),
        ("Conv2d 4 3", PICTURE, 2, lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 2))),
        (
            "LocallyConnected2d 2 3, GlobalAvgPool2d, Flatten, Maxout 3, Dropout 0.25", PICTURE, 0,
            lambda: nn.Sequential(
                nn.LocallyConnected2d(1, 2, (8, 8), 3), nn.GlobalAvgPool2d(), nn.Flatten(), nn.Maxout(2, 3), nn.Dropout(0.25)
            ),
        ),
    ],
)  # fmt: skip
def test_a_list_is_what_its_layers_are(text: str, shape: tuple[int, ...], classes: int, wanted: Any) -> None:
    net, own, answer = described(text, shape, classes), wanted(), pl.design(text, shape, classes)
    assert [p.shape for p in net.parameters()] == [p.shape for p in own.parameters()]
    assert net.summary(shape).total_parameters == own.summary(shape).total_parameters == answer.parameters
    assert [row.shape for row in answer.layers][-1] == own.summary(shape).rows[-1].output_shape
    assert sum(row.parameters for row in answer.layers) == answer.parameters
    assert read_layers(answer.network) == read_layers(text)
    done = subprocess.run([sys.executable, "-c", answer.python], capture_output=True, text=True, check=True)
    assert done.stdout == f"{net.summary(shape)}\n"


@pytest.mark.parametrize(
    ("text", "layer", "words"),
    [
        ("Linear 4, Liner 3", 2, "'Liner' (did you mean 'Linear'?)"),
        ("Linear", 1, "(Linear): wants out_features, as in Linear 4"),
        ("Linear 4 true 7", 1, "'7' is one too many"),
        ("Linear x", 1, "wants a whole number, got 'x'"),
        ("Tanh, Linear 4.5", 2, "wants a whole number"),
        ("Linear 4 bais=true", 1, "(did you mean 'bias'?)"),
        ("Linear 4 out_features=4", 1, "is said twice"),
        ("Linear 0", 1, "(linear1), which reads 2: Linear: out_features must be at least 1, got 0"),
        ("Linear 4,,Tanh", 2, "is empty"),
        ("Linear 3, Conv2d 8 3", 2, "(conv1): reads a row of 3 numbers, it wants maps"),
        ("Linear 4, MaxPool2d 2", 2, "(maxpool1), which reads 4"),
        ("Linear 99999999999", 1, "at most 65,536"),
        ("Linear 1e5", 1, "wants a whole number"),
        ("Linear 65536, Tanh, Linear 65536", 3, "makes 4,295,229,440 parameters, at most 20,000,000"),
        ("Dropout 1.5", 1, "p must lie in"),
        ("Linear __import__('os')", 1, "wants a whole number"),
        (", ".join(["Tanh"] * 65), 0, "at most 64 layers"),
        ("Tanh" + " " * 4000, 0, "at most 4000 characters"),
    ],
)  # fmt: skip
def test_what_does_not_fit_names_its_layer(text: str, layer: int, words: str) -> None:
    with pytest.raises(nn.DesignError) as told:
        pl.design(text, (2,), 2)
    assert (told.value.layer, told.value.where) == (layer, f"layer {layer}" if layer else "")
    assert words in str(told.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Linear 4", "layer 1 (linear1): reads 1 maps of 8x8, it wants a row of numbers; put Flatten before it"),
        ("Conv2d 8 9", "layer 1 (conv1), which reads 1x8x8"),
        ("ConvTranspose2d 8 3 stride=4096x4096", "gives 2,147,483"),
    ],
)
def test_pictures_that_a_layer_does_not_take(text: str, words: str) -> None:
    with pytest.raises(nn.DesignError, match="layer 1") as told:
        pl.design(text, PICTURE, 2)
    assert words in str(told.value).replace("\n", " ") or text.startswith("ConvT")


def test_every_kind_can_be_added_as_it_begins_and_is_written_as_it_is_read() -> None:
    for row in layer_kinds():
        shape = (4,) if row["kind"] in ("Linear", "Maxout", "BatchNorm1d") else (4, 8, 8)
        assert pl.design(row["start"], shape, 2).network == row["start"]
        assert is_list(row["start"])
        assert row["says"]
    assert {row["kind"] for row in layer_kinds()} == set(KINDS) <= set(nn.__all__)
    given = "Conv2d 8 3 padding=1x2, LeakyReLU 0.125, Linear 3 false"
    assert written(read_layers(given)) == given
    plain = [{"kind": "Conv2d", "out_channels": 8, "kernel_size": 3, "padding": [1, 2]}, "LeakyReLU 0.125", "Flatten"]
    assert (
        described(plain, PICTURE, 2).num_parameters()
        == described(", ".join(["Conv2d 8 3 padding=1x2", *plain[1:]]), PICTURE, 2).num_parameters()
    )  # type: ignore[list-item]
    for wrong in ([{"kind": "Linear", "out_features": "4"}], [{"out_features": 4}], ["Linear 4, Tanh"], [7]):
        with pytest.raises(nn.DesignError, match="layer 1"):
            described(wrong, (2,), 2)  # type: ignore[arg-type]


def test_a_list_is_a_model_by_name() -> None:
    net = nn.models.build("linear 4, tanh", num_classes=3, in_channels=2, image_size=1)
    assert net.config() == {"model": "Linear 4, Tanh", "num_classes": 3, "in_channels": 2, "image_size": 1}
    assert (nn.models.is_known("Conv2d 8 3, ReLU"), nn.models.is_known("liner 4"), nn.models.is_known("my run")) == (
        True,
        False,
        False,
    )
    assert nn.models.build("Conv2d 8 3").summary((1, 28, 28)).rows[-1].output_shape == (10,)
    lenet = pl.design("lenet", PICTURE, 10)
    assert (lenet.listed, lenet.parameters) == (False, nn.models.build("lenet", image_size=8).num_parameters())
    with pytest.raises(pl.PellucidError, match="square"):
        pl.design("lenet", (1, 8, 9), 10)
    with pytest.raises(pl.PellucidError, match="did you mean 'lenet'"):
        pl.design("lenett", PICTURE, 10)
