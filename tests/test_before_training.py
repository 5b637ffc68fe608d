"""What is looked at before the first step of a run: settings as plain data, parts of the data, sizes of batches."""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
import subprocess
import sys
import tomllib
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

import pellucid as pl
from pellucid import nn
from pellucid.cli import app
from pellucid.data import Splits
from pellucid.errors import ShapeError
from pellucid.train import Callback, DivergedError, TrainConfig, TrainError, fit
from pellucid.train.settings import Settings
from test_fine_tuning import few
from test_train import SETTINGS, small


@pytest.fixture(scope="module")
def digits() -> Splits:
    return few(200, 60)


ODD = [
    "plain",
    "emoji 😀 \U0001f5c2",
    "quote \"'\\",
    "tab\t line\n bell\x07 del\x7f",
    "é ß 日本",
    "\u2028\ufeff\x85",
    "# [a] = 1",
    "",
]


@pytest.mark.parametrize("text", ODD)
def test_settings_as_toml_are_read_back(text: str) -> None:
    config = TrainConfig(data=text, learning_rates={text: 0.5, "b": 1e-30}, learning_rate=1e16, flip=True, seed=2**40)
    assert TrainConfig.from_dict(tomllib.loads(config.to_toml())) == config


def test_settings_are_plain_data() -> None:
    config = TrainConfig(
        epochs=np.int64(3), learning_rate=np.float32(0.5), flip=np.bool_(True), start_from=Path("runs/a")
    )
    assert TrainConfig.from_dict(tomllib.loads(config.to_toml())) == config
    assert config.start_from == "runs/a"
    assert type(config.epochs) is int
    with pytest.raises(TrainError, match=r"data: 'caf\\udce9' is not UTF-8"):
        TrainConfig(data="caf\udce9")


WRONG: list[tuple[dict[str, Any], str]] = [
    *(({name: 2.5}, f"{name}: must be a whole number, got 2.5") for name in
      ("epochs", "batch_size", "threads", "patience", "checkpoint_every", "watch_every", "warmup_steps", "accumulate", "plateau_patience",
       "image_size", "channels", "shift")),
    ({"epochs": True}, "epochs: must be a whole number, got True"),
    ({"epochs": "3"}, "epochs: must be a whole number, got '3'"),
    ({"epochs": None}, "epochs: must not be None; leave it out for its default, 15"),
    ({"batch_size": 99999999999999999999}, "batch_size: must be a whole number, got a number too large"),
    ({"clip_norm": True}, "clip_norm: must be a number, got True"),
    ({"learning_rate": "0.1"}, "learning_rate: must be a number, got '0.1'"),
    ({"drop_last": 2}, "drop_last: must be true or false, got 2"),
    ({"cache_features": None}, "cache_features: must not be None"),
    ({"schedule": None}, "schedule: must not be None; leave it out for its default, 'cosine'"),
    ({"freeze": ["fc1"]}, "freeze: must be text, got a list"),
    ({"metrics": [1]}, "metrics"),
    ({"learning_rates": {1: 0.1}}, "learning_rates: must be names that are text, got 1"),
    ({"learning_rates": [0.1]}, "learning_rates: must be names with values, got a list"),
    ({"crop_scale": (0.5, 0.6, 0.7)}, "crop_scale must be two numbers"),
    ({"crop_scale": ("a", 1.0)}, r"crop_scale\[0]: must be a number, got 'a'"),
    ({"class_weights": [1.0, 2.0]}, "class_weights: must be text, got a list"),
    ({"class_weights": {"1": None}}, "class_weights: the weight of '1' must be a positive number, got None"),
    ({"class_weights": {1: True}}, "class_weights: the weight of '1' must be a positive number, got True"),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "words"), WRONG)
def test_a_setting_of_another_type_is_named_before_anything_is_done(
    tmp_path: Path, settings: dict[str, Any], words: str
) -> None:
    with pytest.raises(TrainError, match=words):
        fit(small(), few(40, 20), out=tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


def test_settings_mean_what_they_say() -> None:
    """Whole floats are whole numbers, None is what is empty by default, and classes may be called by numbers."""
    config = TrainConfig(
        **dict.fromkeys(
            ("model", "size", "start_from", "freeze", "loss", "metrics", "class_weights", "learning_rates")
        ),
        epochs=np.float64(2),
        drop_last=1,
        flip=0,
        crop_scale=np.array([0.5, 1]),
    )  # type: ignore[arg-type]
    assert config == TrainConfig(epochs=2, drop_last=True, crop_scale=(0.5, 1.0))
    assert [type(value) for value in (config.epochs, config.drop_last, config.flip)] == [int, bool, bool]
    assert TrainConfig(class_weights={0: 2.0, np.int64(1): np.float32(0.5)}).class_weights == "0=2.0,1=0.5"  # type: ignore[arg-type]
    assert TrainConfig.from_dict(tomllib.loads(config.to_toml())) == config


@pytest.mark.parametrize(
    ("callbacks", "words"),
    [
        ([print], "callbacks: each must be a pl.train.Callback, got builtin_function_or_method"),
        ([Callback], "got the class Callback, not one made of it"),
        (Callback(), "callbacks: must be a list of them, got Callback"),
    ],
)
def test_callbacks_that_are_none(tmp_path: Path, callbacks: Any, words: str) -> None:
    with pytest.raises(TrainError, match=words):
        fit(small(), few(40, 20), out=tmp_path / "run", callbacks=callbacks)
    assert not (tmp_path / "run").exists()
    assert fit(small(), few(40, 20), out=tmp_path / "run", callbacks=None, epochs=1, report=False).status == "finished"


@pytest.mark.parametrize("command", ["train", "find-rate"])
def test_every_option_has_the_default_and_the_help_of_its_setting(command: str) -> None:
    options = {p.name: p for p in typer.main.get_command(app).commands[command].params}  # type: ignore[attr-defined]
    settings = {f.name: f for f in dataclasses.fields(TrainConfig)}
    shared = settings.keys() & options.keys()
    assert len(shared) == len(settings) - (0 if command == "train" else 8)
    for name in shared - {"learning_rates"}:
        assert (options[name].default, options[name].help) == (settings[name].default, settings[name].metadata["help"])
    assert options["learning_rates"].help == settings["learning_rates"].metadata["help"]


@pytest.mark.parametrize("function", [pl.fit, pl.find_learning_rate])
def test_signatures_show_every_setting(function: Callable[..., object]) -> None:
    shown = inspect.signature(function).parameters
    for setting in dataclasses.fields(TrainConfig):
        default = {} if setting.default is dataclasses.MISSING else setting.default
        assert setting.name in ("data", "task") or shown[setting.name].default == default
    assert "settings" not in shown


def test_a_run_is_resumed_with_its_own_settings(digits: Splits, tmp_path: Path) -> None:
    """Whatever the defaults are by then: nothing need be said again, and what is said must be the same."""
    folder, settings = tmp_path / "run", {**SETTINGS, "epochs": 2, "label_smoothing": 0.1, "channels": 1}
    fit(small(), digits, out=folder, **settings)
    again = [fit(small(), digits, out=folder, resume=True, **asked).config for asked in ({}, settings)]
    assert again[0] == again[1]
    for asked, words in (
        ({"epochs": 1}, "epochs was 2, is 1"),
        ({"label_smoothing": 0.0}, r"label_smoothing was 0\.1, is 0\.0"),
        ({"config": TrainConfig()}, "seed was 7, is 0"),
    ):
        with pytest.raises(TrainError, match=words):
            fit(small(), digits, out=folder, resume=True, **asked)


class Normalized(nn.Module):
    """A batch norm of one value per picture and channel."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten, self.fc1, self.bn, self.fc2 = nn.Flatten(), nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, 10)

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return self.fc2(self.bn(self.fc1(self.flatten(x))))


class Many(nn.Module):
    """It wants eight pictures or more at once, or one."""

    def __init__(self) -> None:
        super().__init__()
        self.flatten, self.fc = nn.Flatten(), nn.Linear(64, 10)

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        if 1 < x.shape[0] < 8:
            raise ShapeError("many: wants eight pictures or more")
        return self.fc(self.flatten(x))


def test_a_last_batch_that_cannot_be_computed_is_said_first(digits: Splits, tmp_path: Path) -> None:
    settings = {**SETTINGS, "batch_size": 199, "shift": 0}
    words = r"digits/train has 1 of its 200 pictures.*one value per channel.*leave it out with --drop-last"
    with pytest.raises(TrainError, match=words):
        fit(Normalized(), digits, out=tmp_path / "run", **settings)
    with pytest.raises(
        TrainError, match=r"last batch of digits/validation has 4 of its 60 pictures.*choose another batch"
    ):
        fit(Many(), digits, out=tmp_path / "run", **{**settings, "batch_size": 56})
    assert not (tmp_path / "run").exists()
    seen: list[int] = []

    class Count(Callback):
        def on_step(self, report: object) -> None:
            seen.append(report.num_batches)  # type: ignore[attr-defined]

    fit(Normalized(), digits, out=tmp_path / "run", drop_last=True, callbacks=[Count()], **settings)
    assert seen == [1] * 3


def test_parts_of_the_data_must_fit_each_other(digits: Splits, tmp_path: Path) -> None:
    class Part:
        """A part of data, with something wrong."""

        def __init__(self, **other: object) -> None:
            vars(self).update({**vars(digits.test), **other})

        def __len__(self) -> int:
            return len(self.labels)  # type: ignore[attr-defined]

    for other, words in [
        ({"labels": np.array([], np.int64)}, "the validation set digits/test has no picture"),
        ({"classes": ("a", "b")}, r"has 2 classes and pictures \(1, 8, 8\), the training set digits/train 10"),
        ({"shape": (3, 8, 8)}, r"10 classes and pictures \(3, 8, 8\)"),
    ]:
        with pytest.raises(TrainError, match=words):
            fit(small(), Splits(digits.train, Part(**other), digits.test), out=tmp_path / "run", **SETTINGS)  # type: ignore[arg-type]
    assert not (tmp_path / "run").exists()


STARTS = [
    ("first.weight", math.nan, "a NaN", {}),
    ("fc.bias", math.nan, "a NaN", {"executor": "reference"}),
    ("fc.weight", math.inf, "an infinity", {}),
    ("bn.running_var", math.inf, "an infinity", {}),
    ("first.weight", math.nan, "a NaN", {"freeze": "first"}),
    ("first.weight", math.inf, "", {"freeze": "first"}),
]


@pytest.mark.parametrize(("name", "number", "sort", "settings"), STARTS)
def test_weights_to_start_from_that_are_no_numbers(
    digits: Splits, tmp_path: Path, name: str, number: float, sort: str, settings: dict[str, Any]
) -> None:
    """An infinity that is frozen may be meant: that of a mask."""
    net = nn.Sequential(
        first=nn.Conv2d(1, 4, 3), bn=nn.BatchNorm2d(4), flatten=nn.Flatten(), fc=nn.Linear(144, 10)
    )  # fmt: skip
    net.initialize(0)
    parameter = net.named_parameters()[name]
    value = parameter.value.copy()
    value.reshape(-1)[-1] = number
    parameter.value = value
    words = f"training would start from {sort}: {re.escape(name)} holds .* in 1 of" if sort else "diverged in epoch 1"
    with pytest.raises(TrainError if sort else DivergedError, match=words):
        fit(net, digits, out=tmp_path / "run", **{**SETTINGS, **settings})
    assert (tmp_path / "run" / "config.toml").exists() == (not sort)


def test_an_editor_knows_every_setting(tmp_path: Path) -> None:
    """The type of the settings has each with its type, the docstring its meaning; a wrong name is flagged."""
    hints = typing.get_type_hints(TrainConfig)
    known = {
        each.name: hints[each.name] for each in dataclasses.fields(TrainConfig) if each.name not in ("data", "task")
    }
    typed = typing.get_type_hints(Settings)
    wider = dict.fromkeys(("start_from", "class_weights", "loss", "metrics"), str)
    assert {**typed, **wider} == known  # Python may give these by class, or as functions
    assert set(typing.get_args(typed["class_weights"])) > {str}
    for function in (pl.fit, pl.find_learning_rate):
        words = (function.__doc__ or "").split("Settings:\n")[1]
        assert [line.strip().partition(":")[0] for line in words.strip().splitlines()] == list(known)
    user = tmp_path / "use.py"
    call = "pl.fit(pl.nn.models.build('lenet'), [[1.0]], ['a'], "
    user.write_text(f"import pellucid as pl\n{call}epochs=1)\n{call}epoch=1)\n{call}epochs='1')\n")
    checked = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, user], capture_output=True, text=True
    )
    found = [line for line in checked.stdout.splitlines() if " - error: " in line]
    assert [line.partition("use.py:")[2].partition(":")[0] for line in found] == ["3", "4"], checked.stdout
    assert 'No parameter named "epoch"' in found[0]
