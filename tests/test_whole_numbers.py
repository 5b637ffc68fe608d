"""Sizes, axes, labels and positions are whole numbers: NumPy's are as good as Python's, and fractions are never cut in silence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.data import ArrayDataset, Augmentation, DataError, Mixing, Preprocessing, Standardization, Subset
from pellucid.errors import DTypeError, PellucidError

Made = Callable[[Any], Any]
X4, X2, PICKS = pl.input((2, 4, 8, 8)), pl.input((4, 6, 3)), pl.input((4,), "int64", "picks")
KERNELS, BOXES = pl.input((4, 4, 3, 3)), pl.input((3, 4))
OPS: dict[str, Made] = {
    "input": lambda n: pl.input((n, 3)),
    "reshape": lambda n: pl.reshape(X2, (n, 36)),
    "broadcast_to": lambda n: pl.broadcast_to(X2, (n, 4, 6, 3)),
    "transpose": lambda n: pl.transpose(X2, (n, 0, 1)),
    "flatten": lambda n: pl.flatten(X4, n),
    "concat": lambda n: pl.concat([X2, X2], n),
    "flip": lambda n: pl.flip(X2, n),
    "pad": lambda n: pl.pad(X2, ((n, 1), (0, 0), (0, 0))),
    "repeat": lambda n: pl.repeat(X2, (n, 1, 1)),
    "resample": lambda n: pl.resample(X2, np.ones((5, 3)), n),
    "gather": lambda n: pl.gather(X2, PICKS, n),
    "take_along": lambda n: pl.take_along(X2, pl.input((4, 6, 3), "int64"), n),
    "sum": lambda n: pl.sum(X2, n),
    "sums": lambda n: pl.sum(X2, (0, n)),
    "mean": lambda n: pl.mean(X2, n),
    "argmax": lambda n: pl.argmax(X2, n),
    "softmax": lambda n: pl.softmax(X2, n),
    "log_sum_exp": lambda n: pl.log_sum_exp(X2, n),
    "top_k": lambda n: pl.top_k(X2, n)[0],
    "one_hot": lambda n: pl.one_hot(PICKS, n),
    "maxout": lambda n: pl.maxout(X4, n),
    "max_pool2d": lambda n: pl.max_pool2d(X4, n),
    "max_pool2d-stride": lambda n: pl.max_pool2d(X4, 2, (1, n)),
    "average_pool2d": lambda n: pl.average_pool2d(X4, 5, padding=n),
    "adaptive_average_pool2d": lambda n: pl.adaptive_average_pool2d(X4, n),
    "adaptive_max_pool2d": lambda n: pl.adaptive_max_pool2d(X4, n),
    "conv2d-stride": lambda n: pl.conv2d(X4, KERNELS, stride=n),
    "conv2d-groups": lambda n: pl.conv2d(X4, pl.input((4, 2, 3, 3)), groups=n),
    "conv_transpose2d": lambda n: pl.conv_transpose2d(X4, KERNELS, padding=n),
    "unfold": lambda n: pl.unfold(X4, n),
    "group_norm": lambda n: pl.group_norm(X4, n),
    "layer_norm": lambda n: pl.layer_norm(X4, n),
    "local_response_norm": lambda n: pl.local_response_norm(X4, n),
    "roi_align": lambda n: pl.roi_align(X4, BOXES, pl.input((3,), "int64"), 2, sampling_ratio=n),
    "roi_max_pool": lambda n: pl.roi_max_pool(X4, BOXES, pl.input((3,), "int64"), n),
    "non_max_suppression": lambda n: pl.non_max_suppression(pl.input((1, 5, 4)), pl.input((1, 2, 5)), n),
}
ALL_AXES = ("sum", "mean", "flip", "softmax", "log_sum_exp")
"""Of which None means all axes."""
LAYERS: dict[str, Made] = {
    "Linear": lambda n: nn.Linear(n, 3),
    "Conv2d": lambda n: nn.Conv2d(n, 4, n, stride=n, groups=n),
    "ConvTranspose2d": lambda n: nn.ConvTranspose2d(2, n, 3, stride=n, dilation=n),
    "LocallyConnected2d": lambda n: nn.LocallyConnected2d(1, n, (8, 8), n),
    "LocallyConnected2d-size": lambda n: nn.LocallyConnected2d(1, 2, (8, n), 2),
    "BatchNorm2d": lambda n: nn.BatchNorm2d(n),
    "GroupNorm": lambda n: nn.GroupNorm(n, 4),
    "LayerNorm": lambda n: nn.LayerNorm(n),
    "LayerNorm-several": lambda n: nn.LayerNorm((3, n)),
    "LocalResponseNorm": lambda n: nn.LocalResponseNorm(n),
    "MaxPool2d": lambda n: nn.MaxPool2d(5, padding=n),
    "AvgPool2d": lambda n: nn.AvgPool2d(n, stride=n),
    "AdaptiveAvgPool2d": lambda n: nn.AdaptiveAvgPool2d(n),
    "PReLU": lambda n: nn.PReLU(n),
    "Maxout": lambda n: nn.Maxout(3, n, 2),
    "LSTM": lambda n: nn.LSTM(3, 4, n),
    "LSTM-proj": lambda n: nn.LSTM(3, 4, proj_size=n),
    "lenet": lambda n: pl.models.lenet(num_classes=n),
    "resnet18": lambda n: nn.models.build("resnet18", in_channels=n),
}


@pytest.mark.parametrize("name", OPS)
def test_ops_take_numpys_whole_numbers(name: str) -> None:
    def told(n: Any) -> list[Any]:
        return [(node.op, node.shape) for node in pl.Graph([OPS[name](n)])]

    assert told(np.int64(2)) == told(np.array(2)) == told(2)
    assert all(type(size) is int for _, shape in told(np.int32(2)) for size in shape)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_take_numpys_whole_numbers(name: str) -> None:
    assert str(LAYERS[name](np.int64(2))) == str(LAYERS[name](2))


@pytest.mark.parametrize("given", [2.5, np.float64(1.5), True, "2", None, [2.5, 2.5]])
@pytest.mark.parametrize("name", [*OPS, *LAYERS])
def test_what_is_no_whole_number_is_told(name: str, given: Any) -> None:
    if given is None and name in ALL_AXES:
        return
    with pytest.raises(PellucidError):
        (OPS | LAYERS)[name](given)


def test_a_network_of_numpys_numbers_is_kept_with_its_settings() -> None:
    net = nn.models.build("lenet", num_classes=np.arange(7).max() + 1)
    assert net.config()["num_classes"] == 7
    assert type(net.config()["num_classes"]) is int


def data(labels: Any = (0, 1, 1)) -> ArrayDataset:
    return ArrayDataset(np.zeros((3, 1, 4, 4), np.uint8), labels, ["a", "b"])


@pytest.mark.parametrize("labels", [[0.5, 1, 1], [np.nan, 1, 0], ["0", "1", "1"], [0, None, 1]])
def test_labels_are_whole_numbers(labels: Any) -> None:
    with pytest.raises(DataError, match="labels must be whole numbers, got"):
        data(labels)
    with pytest.raises(PellucidError, match="labels must be whole numbers, got"):
        pl.detect.Objects(np.array([[0.0, 0, 3, 3]] * 3), labels, np.zeros(3, bool))
    assert data([0.0, 1.0, 1.0]).labels.tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("positions", "words"),
    [
        ([0.5, 1], "positions must be whole numbers, got 0.5"),
        ([True, False, True], "np.flatnonzero"),
        ([0, 3], "position 3 lies outside of arrays with 3 examples"),
        ([-4], "position -4 lies outside"),
    ],
)
def test_positions_of_examples(positions: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        Subset(data(), positions, "some")
    assert Subset(data(), np.array([2.0, 0.0]), "some").labels.tolist() == [1, 0]


def test_objects_are_lists_or_arrays_that_fit_together() -> None:
    found = pl.detect.Objects([[0, 0, 3, 3]], [1], [False])  # type: ignore[arg-type]
    assert found.boxes.dtype == np.float64
    assert (found.labels == 1).tolist() == [True]
    assert found.boxes[~found.difficult].shape == (1, 4)
    with pytest.raises(PellucidError, match="1 boxes want as many labels"):
        pl.detect.Objects(found.boxes, np.array([0, 1]), found.difficult)


def test_masked_numbers_are_never_taken_for_numbers() -> None:
    masked = np.ma.masked_array(np.float32([[1, 2]]), [[False, True]])
    none = np.ma.masked_array(np.float32([[1, 2]]), False)
    net = nn.Linear(2, 1, bias=False)
    net.initialize(0)
    before = net.state_dict()
    program = pl.compile(net(pl.input((1, 2))))
    for take in (
        lambda array: program({"x": array}),
        pl.constant,
        pl.graph.Parameter.of,
        lambda array: net.load_state_dict({"weight": array}),
    ):
        with pytest.raises(DTypeError, match="are masked"):
            take(masked)
        take(none)
    assert net.state_dict()["weight"].tolist() == [[1, 2]] != before["weight"].tolist()
    with pytest.raises(DataError, match="are masked"):
        pl.predict(net, masked[None, None])


def test_detections_are_lists_or_arrays_that_fit_together() -> None:
    found = pl.detect.Detections([[0, 0, 3, 3], [1, 1, 2, 2]], [1, 0], [0.5, 0.25])  # type: ignore[arg-type]
    assert found.scores[found.labels == 1].tolist() == [0.5]
    assert pl.detect.Detections([], [], []).boxes.shape == (0, 4)  # type: ignore[arg-type]
    for labels, scores in (([0.5, 1], [0.5, 0.5]), ([0], [0.5, 0.5]), ([0, 1], [0.5])):
        with pytest.raises(PellucidError, match="labels"):
            pl.detect.Detections(found.boxes, np.array(labels), np.array(scores))


def test_objects_are_of_classes_that_there_are() -> None:
    objects = pl.detect.Objects(np.array([[0.0, 0, 3, 3]]), np.array([2]), np.zeros(1, bool))

    def pictures(names: tuple[str, ...] = ("first",), classes: tuple[str, ...] = ("cat", "dog")) -> Any:
        return pl.detect.PicturesWithBoxes(
            "mine", classes, names, (objects,), ((8, 8),), lambda _: np.zeros((3, 8, 8), np.uint8)
        )

    with pytest.raises(DataError, match=r"mine: first has an object of class 2; there are 2, numbered from 0"):
        pictures()
    with pytest.raises(DataError, match="2 names, objects of 1 and 1 sizes"):
        pictures(("first", "second"), ("cat", "dog", "eel"))
    assert pictures(classes=("cat", "dog", "eel")).counts() == {"cat": 0, "dog": 0, "eel": 1}


PREPARED: dict[str, Any] = {"image_size": (8, 8), "channels": 3, "mean": (0.5, 0.25, 0.5), "std": (1.0, 2.0, 1.0)}


def test_settings_of_pictures_are_what_their_fields_say() -> None:
    plain = Preprocessing(**PREPARED)
    numpys = {"image_size": np.array([8, 8]), "channels": np.int64(3), "mean": np.array(plain.mean), "std": [1, 2, 1]}
    given: dict[str, Any] = numpys
    assert Preprocessing(**given) == plain
    assert Preprocessing(**given).to_dict() == plain.to_dict()
    assert Augmentation(shift=np.int64(2)) == Augmentation(shift=2)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Preprocessing(**{**PREPARED, "image_size": 8}), "image_size must be two numbers, got 8"),
        (lambda: Preprocessing(**{**PREPARED, "image_size": (8.5, 8)}), "must be a whole number, got 8.5"),
        (lambda: Augmentation(shift=1.5), "shift: must be a whole number, got 1.5"),  # type: ignore[arg-type]
        (lambda: Augmentation(flip="no"), "flip: must be true or false, got 'no'"),  # type: ignore[arg-type]
        (lambda: Augmentation(zoom="wide"), "zoom: must be a number, got 'wide'"),  # type: ignore[arg-type]
        (lambda: Mixing(part=1.5), "part: must be a whole number"),  # type: ignore[arg-type]
        (lambda: Standardization((2.5,), (0.0,), (1.0,)), "must be a whole number"),  # type: ignore[arg-type]
    ],
)
def test_settings_of_pictures_of_another_type_are_told(make: Made, words: str) -> None:
    with pytest.raises(DataError, match=words):
        make()  # type: ignore[call-arg]
