"""A run that is refused touches nothing: it knows that its folder is free before anything else is done."""

from __future__ import annotations

import contextlib
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from pellucid.cli import app
from pellucid.data import Preprocessing, Splits
from pellucid.errors import PellucidError
from pellucid.train import Callback, TrainError, fit
from pellucid.train.checkpoint import load, to_bytes
from pellucid.train.claim import claimed
from precisions import needs_bfloat16
from test_fine_tuning import few
from test_run_folder import changed
from test_train import SETTINGS, small


@pytest.fixture(scope="module")
def digits() -> Splits:
    return few(96, 40)


@pytest.fixture(scope="module")
def whole(digits: Splits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing happened to."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    fit(small(), digits, out=folder, **SETTINGS)
    return folder


class _Never(Callback):
    """It is not to be called."""

    def on_start(self, first_epoch: int, epochs: int) -> None:
        raise AssertionError("a run that is refused calls nobody")

    on_end = on_start  # type: ignore[assignment]


def on_disk(folder: Path) -> dict[str, tuple[bytes, int]]:
    """What is in a folder and everything below it, with the times at which it was changed."""
    return {
        str(path): (path.read_bytes() if path.is_file() else b"", path.stat().st_mtime_ns)
        for path in (folder, *folder.rglob("*"))
    }


EDITS = [
    ("epochs = 3\n", "epochs = 30\n", r"epochs is 30, was 3\. .*To go on longer, say --epochs 30 \(`epochs=30`\)"),
    ("learning_rate = 0.002\n", "learning_rate = 0.001\n", "learning_rate is 0.001, was 0.002.*remove it: it is written anew$"),
    ("epochs = 3\n", "epochs = = 3\n", r"cannot be read \(.*remove it"),
    ("epochs = 3\n", "epoch = 3\n", r"cannot be read \(epoch: is not known"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "words"), EDITS)
def test_a_changed_config_is_not_overwritten(
    whole: Path, digits: Splits, tmp_path: Path, old: str, new: str, words: str
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    text = (folder / "config.toml").read_text()
    assert old in text
    (folder / "config.toml").write_text(text.replace(old, new))
    before = on_disk(folder)
    with pytest.raises(TrainError, match=rf"config\.toml: .*{words}"):
        fit(small(), digits, out=folder, resume=True)
    after = on_disk(folder)
    assert {name: after[name] for name in before if name != str(folder)} == {
        name: kept for name, kept in before.items() if name != str(folder)
    }
    (folder / "config.toml").unlink()
    fit(small(), digits, out=folder, resume=True)
    assert (folder / "config.toml").read_text() == text


def test_a_config_of_fewer_epochs_than_the_checkpoint_is_that_of_a_run_that_was_killed_there(
    whole: Path, digits: Splits, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    text = (folder / "config.toml").read_text()
    fit(small(), digits, out=folder, resume=True, epochs=4)
    (folder / "config.toml").write_text(text)
    fit(small(), digits, out=folder, resume=True)
    (folder / "config.toml").write_text(text.replace("epochs = 3\n", "epochs = 5\n"))
    assert fit(small(), digits, out=folder, resume=True, epochs=5).config.epochs == 5


REFUSED = [
    ("a run is there", {}, "exists and is not empty"),
    ("a run is there", {"start_from": "RUN"}, "exists and is not empty"),
    ("a file is there", {}, "exists and is not empty"),
    ("half of a file is there", {}, "exists and is not empty"),
    ("it is a file", {}, "is a file"),
    ("somebody trains there", {}, r"process \d+ on \S+ is training in it"),
    ("it is free", {"learning_rates": {"nothing": 0.1}}, "no parameter is called"),
    ("it is free", {"start_from": "RUN", "freeze": "nothing"}, "no parameter is called"),
    ("it is free", {"freeze": "nothing"}, "no parameter is called"),
    ("it is free", {"start_from": "NAN"}, "would start from a NaN"),
    pytest.param(
        "it is free",
        {"executor": "native", "precision": "bfloat16", "preprocessing": "wrong"},
        "3 channels",
        marks=needs_bfloat16,
    ),
    ("a run is resumed", {"epochs": 2}, "epochs was 3, is 2"),
    ("a run is resumed", {"data": "labels"}, "since its last checkpoint the data changed"),
    ("a run is resumed", {"layers": "damaged"}, "remove it to go on without it"),
]


@pytest.mark.parametrize(("where", "settings", "words"), REFUSED)
def test_a_run_that_is_refused_touches_nothing(
    digits: Splits, whole: Path, tmp_path: Path, where: str, settings: dict[str, Any], words: str
) -> None:
    """Not the weights, nor how they were come by; no file, no thread, nobody who listens."""
    folder, settings = tmp_path / "run", {**SETTINGS, **settings}
    if where in ("a run is there", "somebody trains there", "a run is resumed"):
        shutil.copytree(whole, folder)
    elif where.endswith("file is there"):
        folder.mkdir()
        (folder / "notes.txt").write_bytes(b"mine")
        (folder / f".last.safetensors.{'0a' * 8}.part").write_bytes(b"half")
    elif where == "it is a file":
        folder.write_bytes(b"mine")
    if settings.pop("layers", ""):
        (folder / "layers.csv").write_text("nonsense")
    if settings.get("start_from") == "NAN":
        shutil.copytree(whole, tmp_path / "nan")
        spoil(tmp_path / "nan" / "best.safetensors")
    sources = {"RUN": str(whole), "NAN": str(tmp_path / "nan")}
    settings["start_from"] = sources.get(settings.get("start_from", ""), "")
    if settings.pop("preprocessing", ""):
        settings["preprocessing"] = Preprocessing((8, 8), 3, (0.5,) * 3, (0.5,) * 3)
    data = changed(digits, settings.pop("data")) if "data" in settings else digits
    net = small()
    net.initialize(11)
    net.load_state_dict({"fc1.bias": net.state_dict()["fc1.bias"] + 1}, strict=False)
    state, given_ones = net.state_dict(), [n for n, p in net.named_parameters().items() if p.given]
    before, threads = on_disk(tmp_path), threading.active_count()
    lock = claimed(folder) if where == "somebody trains there" else contextlib.nullcontext()
    with lock:
        during = on_disk(tmp_path)
        with pytest.raises(PellucidError, match=words):
            fit(net, data, out=folder, resume=where == "a run is resumed", callbacks=[_Never()], **settings)
        assert on_disk(tmp_path) == during or where in ("a run is resumed", "it is free")
    now = net.state_dict()
    assert [name for name in state if state[name].tobytes() != now[name].tobytes()] == []
    assert [n for n, p in net.named_parameters().items() if p.given] == given_ones
    assert threading.active_count() == threads
    files_now = {name: content for name, (content, _) in on_disk(tmp_path).items()}
    assert files_now == {name: content for name, (content, _) in before.items()}


def spoil(path: Path) -> None:
    """Make the last number of a checkpoint's weights a NaN."""
    checkpoint = load(path)
    checkpoint.weights["fc3.weight"].reshape(-1)[-1] = np.nan
    path.write_bytes(to_bytes(checkpoint))


def test_the_command_knows_that_its_folder_is_free_before_it_reads_pictures(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object, **__: object) -> None:
        raise AssertionError("the pictures were read")

    monkeypatch.setattr("pellucid.data.load", read)
    before = on_disk(whole)
    result = CliRunner().invoke(app, ["train", "--out", str(whole)])
    assert "exists and is not empty" in str(result.exception)
    assert on_disk(whole) == before
    result = CliRunner().invoke(app, ["train", "--out", str(tmp_path / "a" / "b")])
    assert "were read" in str(result.exception)
    assert not (tmp_path / "a").exists()
