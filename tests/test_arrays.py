"""Arrays in the place of data: pictures in every order of axes, names and numbers as targets, and what cannot be learned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pellucid as pl
from pellucid import nn
from pellucid.data import DataError, NumberSplits, Splits, Standardization
from pellucid.train.arrays import parts_for
from pellucid.train.config import TrainConfig

COUNT = 30
RANDOM = np.random.default_rng(0)
COLOR = RANDOM.integers(0, 256, (COUNT, 3, 6, 8), np.uint8)
GRAY = COLOR[:, :1]
NUMBERS = np.arange(COUNT) % 3
NAMES = np.array(["cat", "dog", "eel"])[NUMBERS]
SETTINGS: dict[str, Any] = {"epochs": 1, "batch_size": 4, "report": False}


def network(channels: int = 3, outputs: int = 3) -> nn.Sequential:
    return nn.Sequential(
        conv=nn.Conv2d(channels, 4, 3),
        relu=nn.ReLU(),
        pool=nn.GlobalAvgPool2d(),
        flatten=nn.Flatten(),
        fc=nn.Linear(4, outputs),
    )


def rows(outputs: int = 3) -> nn.Sequential:
    return nn.Sequential(fc1=nn.Linear(5, 4), relu=nn.ReLU(), fc2=nn.Linear(4, outputs))


def pillow(images: np.ndarray) -> list[Image.Image]:
    return [Image.fromarray(image.transpose(1, 2, 0) if len(image) == 3 else image[0]) for image in images]


class Table:
    """What pandas gives: values by `__array__`."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.values, dtype)


PICTURES: dict[str, tuple[int, Any, np.ndarray]] = {
    "channels first": (3, COLOR, COLOR),
    "channels last": (3, COLOR.transpose(0, 2, 3, 1), COLOR),
    "gray with channels": (1, GRAY, GRAY),
    "gray without channels": (1, GRAY[:, 0], GRAY),
    "gray, channels last": (1, GRAY[:, 0, :, :, None], GRAY),
    "whole numbers": (3, COLOR.astype(np.int64), COLOR),
    "nested lists": (1, GRAY[:, 0].tolist(), GRAY),
    "list of arrays": (3, list(COLOR), COLOR),
    "tensor": (3, torch.from_numpy(COLOR), COLOR),
    "list of tensors": (3, [torch.from_numpy(image) for image in COLOR], COLOR),
    "Pillow": (3, pillow(COLOR), COLOR),
    "gray Pillow": (1, pillow(GRAY), GRAY),
    "Pillow of one bit": (
        1,
        [p.convert("1", dither=Image.Dither.NONE) for p in pillow(GRAY)],
        np.where(GRAY > 127, 255, 0),
    ),
    "floats": (3, COLOR / 255, COLOR / 255),
    "floats, channels last": (3, (COLOR / 255).transpose(0, 2, 3, 1), COLOR / 255),
    "whole floats": (3, COLOR.astype(np.float32), COLOR.astype(np.float32)),
    "tensor with a gradient": (3, torch.ones(COUNT, 3, 6, 8, requires_grad=True), np.ones((COUNT, 3, 6, 8))),
    "booleans": (1, GRAY[:, 0] > 99, (GRAY > 99).astype(np.float32)),
    "beyond bytes": (1, GRAY[:, 0].astype(int) * 9, GRAY.astype(int) * 9),
}


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_in_the_order_that_the_network_takes(name: str) -> None:
    channels, given, wanted = PICTURES[name]
    parts = parts_for(network(channels), given, NUMBERS, (given, NUMBERS))
    assert (parts.train.images(np.arange(1)).dtype == np.uint8) == (wanted.dtype.kind in "iu" and wanted.max() < 256)
    for part in (parts.train, parts.validation):
        assert part.shape == wanted.shape[1:]
        np.testing.assert_array_equal(part.images(np.arange(COUNT)), wanted)


def test_few_channels_tell_the_order_where_both_fit() -> None:
    """A network of flat pictures takes both; one of 3, 4 or 8 channels says it."""
    flat = nn.Sequential(flatten=nn.Flatten(), fc=nn.Linear(144, 3))
    for given in (COLOR, COLOR.transpose(0, 2, 3, 1)):
        assert parts_for(flat, given, NUMBERS).shape == (3, 6, 8)
    deep = RANDOM.random((COUNT, 6, 8, 5))
    assert parts_for(network(5), deep, NUMBERS).shape == (5, 6, 8)
    assert parts_for(network(6), deep, NUMBERS).shape == (6, 8, 5)


def test_flat_pictures_of_a_network_that_states_its_size() -> None:
    lenet = nn.models.build("lenet", num_classes=3, image_size=8)
    flat = RANDOM.integers(0, 256, (COUNT, 64))
    parts = parts_for(lenet, flat, NUMBERS, (flat, NUMBERS))
    np.testing.assert_array_equal(parts.train.images(np.arange(COUNT)), flat.reshape(COUNT, 1, 8, 8))


TARGETS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "numbers": (NUMBERS, ("0", "1", "2")),
    "bytes": (NUMBERS.astype(np.uint8), ("0", "1", "2")),
    "list": (NUMBERS.tolist(), ("0", "1", "2")),
    "one column": (NUMBERS[:, None], ("0", "1", "2")),
    "tensor": (torch.from_numpy(NUMBERS), ("0", "1", "2")),
    "names": (NAMES, ("cat", "dog", "eel")),
    "names of a table": (Table(NAMES.astype(object)), ("cat", "dog", "eel")),
    "numbers of a table": (Table(NUMBERS.astype(object)), ("0", "1", "2")),
    "other numbers": (NUMBERS * 10 - 10, ("-10", "0", "10")),
    "numbers from 1": (NUMBERS + 1, ("1", "2", "3")),
    "a class that does not occur": (NUMBERS // 2, ("0", "1", "2")),
}


@pytest.mark.parametrize("name", TARGETS)
def test_classes(name: str) -> None:
    given, classes = TARGETS[name]
    parts = parts_for(network(), COLOR, given, (COLOR, given))
    assert isinstance(parts, Splits)
    assert parts.classes == classes
    found = [classes[label] for label in parts.train.labels]
    assert found == [str(value) for value in np.ravel(given.values if isinstance(given, Table) else given).tolist()]


def test_classes_that_the_network_names_keep_their_order() -> None:
    net = network()
    net.card = nn.Card(("dog", "eel", "cat"))
    for given in (NAMES, (NUMBERS + 2) % 3):
        parts = parts_for(net, COLOR, given, (COLOR, given))
        assert parts.classes == ("dog", "eel", "cat")
        np.testing.assert_array_equal(parts.train.labels, (NUMBERS + 2) % 3)


def test_how_arrays_are_cut() -> None:
    """By class where there are classes; the same each time; nothing is lost."""
    parts = parts_for(network(), COLOR, NUMBERS)
    assert [len(part) for part in parts.parts().values()] == [21, 5, 4] or sum(
        map(len, parts.parts().values())
    ) == COUNT
    assert list(parts.parts()) == ["train", "validation", "test"]
    held = parts_for(network(), COLOR, NUMBERS, 0.2)
    assert {name: np.bincount(part.labels).tolist() for name, part in held.parts().items()} == {
        "train": [8, 8, 8],
        "validation": [2, 2, 2],
    }
    predicted = parts_for(network(outputs=1), COLOR, RANDOM.random(COUNT), 0.1)
    assert isinstance(predicted, NumberSplits)
    assert {name: len(part) for name, part in predicted.parts().items()} == {"train": 27, "validation": 3}


def test_numbers_to_predict() -> None:
    one, two = RANDOM.random(COUNT), RANDOM.random((COUNT, 2))
    for net, inputs, targets, task in (
        (network(outputs=1), COLOR, one, None),
        (network(outputs=2), COLOR.transpose(0, 2, 3, 1), two, None),
        (rows(1), COLOR[:, 0, 0, :5] / 9, one.tolist(), None),
        (rows(1), COLOR[:, 0, 0, :5] / 9, NUMBERS, "regression"),
    ):
        parts = parts_for(net, inputs, targets, (inputs, targets), task)
        assert isinstance(parts, NumberSplits)
        np.testing.assert_array_equal(parts.train.targets, np.reshape(targets, (COUNT, -1)))


def test_floats_may_be_classes() -> None:
    assert parts_for(network(), COLOR, NUMBERS * 1.0, task="classification").classes == ("0", "1", "2")
    flags = parts_for(network(outputs=2), COLOR, NUMBERS > 0, (COLOR, NUMBERS > 0))
    assert flags.classes == ("False", "True")


@pytest.mark.parametrize("as_pair", [True, False])
def test_fit_takes_arrays(as_pair: bool, tmp_path: Path) -> None:
    images = COLOR.transpose(0, 2, 3, 1)
    given = ((images, NAMES),) if as_pair else (images, NAMES)
    run = pl.fit(network(), *given, out=tmp_path / "run", validation_split=0.3, flip=True, **SETTINGS)
    assert run.classes == ("cat", "dog", "eel")
    assert run.test.part == "validation"
    assert run.test.count == 9
    assert pl.load_run(run.folder, net=network()).classes == run.classes
    again = pl.fit(network(), *given, out=tmp_path / "run", validation_split=0.3, resume=True)
    assert again.metrics == run.metrics


def test_fit_takes_pictures_of_floats_and_rows(tmp_path: Path) -> None:
    """Also where no picture of them can be drawn."""
    for name, net, inputs in (
        ("pictures", network(), COLOR / 255),
        ("rows", rows(), COLOR[:, 0, 0, :5] / 9),
        ("of two channels", network(2), COLOR[:, :2]),
    ):
        run = pl.fit(net, inputs, NAMES, out=tmp_path / name, epochs=1, batch_size=4)
        assert isinstance(run.preprocessing, Standardization) == (name != "of two channels")
        assert "The surest mistakes" in (run.folder / "report.html").read_text()


def test_settings_may_stand_after_the_data(tmp_path: Path) -> None:
    data, config = parts_for(network(), COLOR, NUMBERS), TrainConfig(epochs=1, batch_size=4)
    runs = [
        pl.fit(network(), data, config, out=tmp_path / "1", report=False),
        pl.fit(network(), data, config=config, out=tmp_path / "2", report=False),
        pl.fit(network(), COLOR, NUMBERS, config, out=tmp_path / "3", report=False),
    ]
    assert all(run.net.fc.weight.value.tobytes() == runs[0].net.fc.weight.value.tobytes() for run in runs)
    rates = pl.find_learning_rate(network(), COLOR, NUMBERS, steps=10, batch_size=4)
    assert rates.losses.tobytes() == pl.find_learning_rate(network(), data, config, steps=10).losses.tobytes()


def test_a_run_takes_the_arrays_that_it_was_trained_on(tmp_path: Path) -> None:
    last = COLOR.transpose(0, 2, 3, 1)
    run = pl.fit(network(), last, NAMES, out=tmp_path / "pixels", **SETTINGS)
    wanted = run.predict(COLOR)
    for given in (last, last.astype(np.float64), pillow(COLOR), torch.from_numpy(COLOR), COLOR.reshape(COUNT, -1)):
        np.testing.assert_array_equal(run.predict(given), wanted)
    assert run.predict(COLOR[:0]).shape == (0, 3)
    for evaluation in (run.evaluate(last, NAMES), run.evaluate((COLOR, list(NAMES))), run.evaluate(COLOR, NUMBERS)):
        assert evaluation.accuracy == np.mean(wanted.argmax(1) == NUMBERS)
    data = parts_for(network(), COLOR, NAMES)
    assert run.evaluate(data.test, "reference", "test").part == run.evaluate(data.test, part="test").part == "test"
    with pytest.raises(
        DataError, match=r"takes pixels, whole numbers from 0 to 255, got float64 from 0 to 1; bring them"
    ):
        run.predict(COLOR / 255)
    with pytest.raises(DataError, match=r"pixels: wants inputs \(N, 3, 6, 8\), got \(30, 3, 6, 7\)"):
        run.predict(COLOR[:, :, :, 1:])
    floats = pl.fit(network(), last / 255, NAMES, out=tmp_path / "floats", **SETTINGS)
    np.testing.assert_array_equal(floats.predict(last / 255), floats.predict(COLOR / 255))
    numbers = pl.fit(network(outputs=1), last, NUMBERS / 7, out=tmp_path / "numbers", **SETTINGS)
    assert numbers.evaluate(COLOR, NUMBERS / 7).to_dict() == numbers.evaluate((last, NUMBERS / 7)).to_dict()


def test_a_network_is_asked_and_measured_with_arrays(tmp_path: Path) -> None:
    """Pixels go through its card's preprocessing; floats of a network that was trained on pixels are normalized already."""
    last = COLOR.transpose(0, 2, 3, 1)
    run = pl.fit(network(), last, NAMES, out=tmp_path / "pixels", **SETTINGS)
    wanted = run.predict(COLOR)
    prepared = run.preprocessing.normalize(COLOR)
    for given in (COLOR, last, list(last), pillow(COLOR), torch.from_numpy(COLOR), prepared, list(prepared)):
        np.testing.assert_allclose(pl.predict(run.net, given), wanted, atol=1e-7)
    found = pl.evaluate(run.net, last, NAMES)
    assert found.to_dict() == {**run.evaluate(last, NAMES).to_dict(), "part": ""}
    data = parts_for(network(), COLOR, NAMES).test
    for evaluation in (
        pl.evaluate(run.net, (COLOR, NUMBERS)),
        pl.evaluate(run.net, COLOR, NAMES, preprocessing=run.preprocessing),
        pl.evaluate(run.net, prepared, NUMBERS, preprocessing=None),
    ):
        np.testing.assert_array_equal(evaluation.confusion, found.confusion)
    assert pl.evaluate(run.net, data, run.preprocessing).loss == pl.evaluate(run.net, data).loss
    with pytest.raises(DataError, match="'fox' at position 0 is no class; there are: cat, dog, eel"):
        pl.evaluate(run.net, COLOR[:1], ["fox"])
    floats = pl.fit(network(), last / 255, NAMES, out=tmp_path / "floats", **SETTINGS)
    np.testing.assert_allclose(pl.predict(floats.net, last / 255), floats.predict(COLOR / 255), atol=1e-7)
    bare = network()
    bare.initialize(0)
    assert pl.evaluate(bare, last / 255, NUMBERS).classes == ("0", "1", "2")


WITH_NAN = np.where(np.arange(COLOR.size).reshape(COLOR.shape) == 200, np.nan, COLOR)
WRONG: list[tuple[Callable[[], nn.Module], tuple[Any, ...], dict[str, Any], str]] = [
    (network, (COLOR, NUMBERS[:-1]), {}, r"targets: 30 inputs need as many targets, \(N,\) or \(N, M\), got \(29,\)"),
    (network, (WITH_NAN, NUMBERS), {}, r"inputs must be finite, got nan at position \(1, 1, 1, 0\)"),
    (network, (COLOR, np.where(NUMBERS == 2, np.nan, 1.0)), {}, "targets must be finite, got nan at position 2"),
    (network, (COLOR, [*NAMES[:-1], None]), {}, "targets: None at position 29 is no class"),
    (network, (COLOR, np.array([*NAMES[:-1], 3], object)), {}, "targets: 3 at position 29 is no class"),
    (network, (COLOR.astype(str), NUMBERS), {}, "inputs must be numbers, got <U"),
    (network, ([COLOR[0], COLOR[1, :, :4]], NUMBERS[:2]), {}, r"the first is of shape \(3, 6, 8\), that at position 1 of"),
    (network, ([], []), {}, "there is no example in it"),
    (network, (COLOR[:, :2], NUMBERS), {}, r"examples of shape \(2, 6, 8\) do not fit the network, whichever"),
    (network, (COLOR[:, 0], NUMBERS), {}, r"examples of shape \(6, 8\) do not fit the network"),
    (network, (NUMBERS, NUMBERS), {}, r"inputs must have a row or picture for each example, \(N, ...\), got \(30,\)"),
    (network, (COLOR, np.arange(COUNT)), {"validation": (COLOR, np.arange(COUNT))}, "makes .* scores for images .*, the data has 30 classes"),
    (network, (COLOR, np.zeros(COUNT, int) + 7), {}, "has one class only"),
    (network, (COLOR, np.eye(3)[NUMBERS]), {}, r"with one 1 in each row are classes: give their numbers, y.argmax\(1\)"),
    (network, (COLOR, NUMBERS + 0.5), {"task": "classification"}, "give whole numbers or names"),
    (lambda: network(outputs=1), (COLOR, NUMBERS), {}, "may be classes or numbers, and the network makes one number"),
    (network, (COLOR, NUMBERS), {"validation": (COLOR, NUMBERS + 1)}, "label 3 at position 2 is no class"),
    (network, (COLOR, NAMES), {"validation": (COLOR, [*NAMES[:-1], "fox"])}, "'fox' at position 29 is no class"),
    (network, (COLOR, NUMBERS), {"validation": (COLOR[:, :, :5], NUMBERS)}, r"wants inputs \(N, 3, 6, 8\), got"),
    (network, (COLOR, NUMBERS), {"validation": (COLOR,)}, "or two arrays, inputs and targets; got 1"),
    (network, (COLOR, NUMBERS), {"validation": "test"}, "must be a share between 0 and 1, or inputs and targets, got 'test'"),
    (network, (COLOR, NUMBERS), {"validation": [COLOR, NUMBERS[1:]]}, "validation: targets: 30 inputs need as many targets"),
    (network, (COLOR, NUMBERS), {"validation": 1.5}, "must be a share between 0 and 1, or inputs and targets, got 1.5"),
    (network, (COLOR, NUMBERS), {"validation": 0.2, "validation_split": 0.2}, "give either"),
    (network, (COLOR,), {}, "or two arrays, inputs and targets: classes, or numbers to predict; got ndarray"),
    (network, (pl.data.numbers(COLOR, NUMBERS), NUMBERS), {}, "has its targets and its parts"),
    (network, (COLOR, TrainConfig(), TrainConfig()), {}, "settings are given twice"),
    (network, (COLOR, NUMBERS), {"epoch": 3}, "no setting 'epoch'.*did you mean 'epochs'"),
    (network, (COLOR / 255, NUMBERS), {"brightness": 0.5}, "are for pictures of bytes"),
]  # fmt: skip


@pytest.mark.parametrize(("net", "data", "settings", "words"), WRONG, ids=[words[:30] for *_, words in WRONG])
def test_arrays_that_cannot_be_learned(
    net: Callable[[], nn.Module], data: tuple[Any, ...], settings: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(pl.PellucidError, match=words):
        pl.fit(net(), *data, out=tmp_path / "run", **{**SETTINGS, **settings})
    assert not (tmp_path / "run").exists()
