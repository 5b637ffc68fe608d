"""A run's folder: one process at a time, resumable from its first moment, and whole whatever the disk does."""

from __future__ import annotations

import csv
import errno
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pellucid import files, nn
from pellucid.data import ArrayDataset, Splits
from pellucid.errors import WriteError
from pellucid.files import write_atomically
from pellucid.train import Callback, CheckpointError, TrainError, fit, load_run
from pellucid.train import loop as loop_module
from pellucid.train.checkpoint import load, previous, step_of
from pellucid.train.claim import LOCK
from pellucid.train.curves import what_curves_show
from pellucid.train.run_folder import RunFolder
from test_fine_tuning import few, given
from test_train import SETTINGS, _Stop, same, small


@pytest.fixture(scope="module")
def digits() -> Splits:
    return few(96, 40)


@pytest.fixture(scope="module")
def whole(digits: Splits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing happened to."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    fit(small(), digits, out=folder, **SETTINGS)
    return folder


class Killed(BaseException):
    """Stands for the end of the process."""


def kill(*_: object, **__: object) -> None:
    raise Killed


class _At(Callback):
    """Does something at a step."""

    def __init__(self, step: int, action: Callable[[], object]) -> None:
        self.step, self.action = step, action

    def on_step(self, report: object) -> None:
        if report.step == self.step:  # type: ignore[attr-defined]
            self.action()


@pytest.mark.parametrize("where", ["features", "first step", "before config.toml"])
def test_a_run_killed_in_its_first_epoch_goes_on(
    digits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    settings = {**SETTINGS, "shift": 0, "freeze": "stem,block"}
    fit(given(), digits, out=tmp_path / "whole", **settings)
    folder, callbacks = tmp_path / "cut", []
    with monkeypatch.context() as patch:
        if where == "features":
            patch.setattr(loop_module, "compute_features", kill)
        elif where == "first step":
            callbacks = [_At(0, kill)]
        else:
            put = RunFolder.put
            patch.setattr(RunFolder, "put", lambda *a: kill() if a[1] == "config.toml" else put(*a))
        with pytest.raises(Killed):
            fit(given(), digits, out=folder, callbacks=callbacks, **settings)
    assert step_of(folder / "last.safetensors") == 0
    if where == "before config.toml":
        fit(given(), digits, out=folder, **settings)
    else:
        assert (folder / "config.toml").exists()
        fit(given(seed=8), digits, out=folder, resume=True, **settings)
    same(tmp_path / "whole", folder)


def test_a_signal_while_features_are_computed_is_a_clean_interruption(
    digits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**SETTINGS, "shift": 0, "freeze": "stem,block"}
    computed = loop_module.compute_features

    def interrupted(*arguments: object) -> object:
        os.kill(os.getpid(), signal.SIGTERM)
        return computed(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(loop_module, "compute_features", interrupted)
        run = fit(given(), digits, out=tmp_path / "run", **settings)
    assert (run.status, run.metrics) == ("interrupted", ())
    assert fit(given(), digits, out=tmp_path / "run", resume=True, **settings).status == "finished"


@pytest.mark.parametrize("name", ["metrics.csv", "layers.csv", "test.json", "config.toml", "data.json"])
def test_files_that_follow_from_the_checkpoint_are_written_again(
    digits: Splits, whole: Path, tmp_path: Path, name: str
) -> None:
    """A full disk, once, at each file: what is missing is there after the run is resumed."""
    folder, failed = tmp_path / "run", []

    def full(path: Path, data: bytes) -> None:
        if (
            path.name == name
            and name not in failed
            and (folder / "best.safetensors").exists() != (name in ("config.toml", "data.json"))
        ):
            failed.append(name)
            raise WriteError("full")
        write_atomically(path, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pellucid.train.run_folder.write_atomically", full)
        with pytest.raises(WriteError, match="full"):
            fit(small(), digits, out=folder, **SETTINGS)
    fit(small(), digits, out=folder, resume=(folder / "config.toml").exists(), **SETTINGS)
    same(whole, folder)
    assert (folder / name).exists()
    if name != "metrics.csv":
        assert (folder / name).read_bytes() == (whole / name).read_bytes()


def test_metrics_of_epochs_that_the_checkpoint_does_not_know_are_dropped(
    digits: Splits, whole: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    fit(small(), digits, out=folder, callbacks=[_Stop(4, signal.SIGTERM)], **SETTINGS)
    (folder / "metrics.csv").write_bytes((whole / "metrics.csv").read_bytes())
    (folder / "layers.csv").write_bytes((whole / "layers.csv").read_bytes())
    again = fit(small(), digits, out=folder, resume=True, callbacks=[_Stop(5, signal.SIGTERM)], **SETTINGS)
    assert again.status == "interrupted"
    rows = list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2"]  # it stopped at the end of the second
    assert b"\r" not in (folder / "metrics.csv").read_bytes()


class _Slow(Callback):
    """A clock by which every step takes 100 seconds."""

    now = 0.0

    def on_step(self, report: object) -> None:
        self.now += 100

    def perf_counter(self) -> float:
        return self.now


def test_the_seconds_of_an_epoch_are_those_before_its_stop_too(
    digits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = _Slow()
    monkeypatch.setattr(loop_module, "time", slow)
    fit(small(), digits, out=tmp_path / "run", callbacks=[_Stop(4, signal.SIGTERM), slow], **SETTINGS)
    run = fit(small(), digits, out=tmp_path / "run", resume=True, callbacks=[slow], **SETTINGS)
    assert [row["seconds"] for row in run.metrics] == [300, 300, 300]


def changed(data: Splits, how: str) -> Splits:
    train = data.train
    images, labels = train.images(np.arange(len(train))), train.labels.copy()
    if how == "labels":
        labels[[0, 1]] = labels[[1, 0]]
    elif how == "pixels":
        images[3] = 255 - images[3]
    else:
        images, labels = images[:-30], labels[:-30]
    return Splits(ArrayDataset(images, labels, train.classes, train.name), data.validation, data.test, data.source)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("labels", "train has other pictures, classes or labels"),
        ("pixels", "train has other pictures, classes or labels"),
        ("fewer", "train had 96 pictures, now 66"),
    ],
)
def test_data_that_changed_is_said_and_refused(digits: Splits, tmp_path: Path, how: str, words: str) -> None:
    folder, data = tmp_path / "run", changed(digits, how)
    fit(small(), digits, out=folder, callbacks=[_Stop(4, signal.SIGTERM)], **SETTINGS)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    with pytest.raises(TrainError, match=rf"{words}\. Bring it back .*--changed-data"):
        fit(small(), data, out=folder, resume=True, **SETTINGS)
    (folder / "data.json").unlink()
    with pytest.raises(TrainError, match="its pictures, labels or parts are others"):
        fit(small(), data, out=folder, resume=True, **SETTINGS)
    (folder / "data.json").write_bytes(before["data.json"])
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    with pytest.warns(UserWarning, match=words), pytest.raises(Killed):
        fit(small(), data, out=folder, resume=True, changed_data=True, callbacks=[_At(5, kill)], **SETTINGS)
    again = fit(small(), data, out=folder, resume=True, **SETTINGS)  # the change was accepted, the folder knows
    assert [row["step"] for row in again.metrics] == [3, 6, 9]
    assert again.data is not None
    assert again.data.parts["train"].count == len(data.train)


@pytest.mark.parametrize("killed", [False, True])
def test_the_best_epoch_is_one_of_the_data_of_now(tmp_path: Path, killed: bool) -> None:
    """A network that knew the old labels wholly gives way to one that learns the new ones."""
    images = np.repeat(np.eye(2, dtype=np.uint8)[:, :, None, None] * 200, 20, axis=0) + np.zeros((1, 1, 4, 4), np.uint8)

    def data(labels: np.ndarray) -> Splits:
        return Splits(*(ArrayDataset(images, labels, ("a", "b"), name) for name in ("train", "validation", "test")))

    old, new = data(np.repeat([0, 1], 20)), data(np.repeat([1, 0], 20))
    net = nn.Sequential(flat=nn.Flatten(), fc=nn.Linear(32, 2))
    settings = {"batch_size": 8, "learning_rate": 0.02, "schedule": "plateau", "report": False}
    folder = tmp_path / "run"
    assert fit(net, old, out=folder, epochs=4, **settings).test.accuracy == 1
    settings |= {"resume": True, "epochs": 12}
    with pytest.warns(UserWarning, match="the data changed"):
        if killed:
            with pytest.raises(Killed):
                fit(net, new, out=folder, changed_data=True, callbacks=[_At(22, kill)], **settings)
            run = fit(net, new, out=folder, **settings)
        else:
            run = fit(net, new, out=folder, changed_data=True, **settings)
    assert (run.test.accuracy, run.other_data, len(run.metrics)) == (1, 4, 12)
    assert run.metrics[4]["best"]
    assert [row["learning_rate"] for row in run.metrics[4:6]] == [0.02, 0.02]
    assert any("epochs 1 to 4 were measured on other data" in remark for remark in run.remarks)
    assert load_run(folder).history.shows == what_curves_show(run.metrics[4:])
    position = load(folder / "last.safetensors").position
    assert (position.other_data, position.best) == (4, max(row["validation_accuracy"] for row in run.metrics[4:]))


def test_best_previous_is_opened_with_a_word(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("last.safetensors", "best.safetensors"):
        write_atomically(folder / name, (whole / name).read_bytes())
    (folder / "best.safetensors").rename(folder / "best.previous.safetensors")
    with pytest.warns(UserWarning, match=r"best\.safetensors: there is no such checkpoint; using best\.previous"):
        run = load_run(folder)
    best = load(whole / "best.safetensors")
    assert all(run.net.state_dict()[name].tobytes() == value.tobytes() for name, value in best.weights.items())


@pytest.mark.parametrize("damage", ["cut short", "missing"])
def test_what_a_run_was_resumed_from_outlasts_the_next_save(
    digits: Splits, whole: Path, tmp_path: Path, damage: str
) -> None:
    """`last` is no good, the one before it is: a kill in the middle of the next save loses neither."""
    folder = tmp_path / "run"
    settings = {**SETTINGS, "checkpoint_every": 1}
    fit(small(), digits, out=folder, callbacks=[_Stop(4, signal.SIGTERM)], **settings)
    last = folder / "last.safetensors"
    shutil.copy(last, previous(last))  # which earlier versions kept
    if damage == "missing":
        last.unlink()
    else:
        last.write_bytes(last.read_bytes()[:2000])
    replace = os.replace

    def once(source: Path, target: Path) -> None:
        replace(source, target)
        if Path(target).name.startswith("last."):
            kill()

    with pytest.MonkeyPatch.context() as patch, pytest.warns(UserWarning, match=r"using last\.previous"):
        patch.setattr(files.os, "replace", once)
        with pytest.raises(Killed):
            fit(small(), digits, out=folder, resume=True, **settings)
    fit(small(), digits, out=folder, resume=True, **settings)
    same(whole, folder)


def test_a_run_that_went_on_longer_has_the_settings_of_now(digits: Splits, tmp_path: Path) -> None:
    """Also where its best epoch is one of before."""
    folder, settings = tmp_path / "run", {**SETTINGS, "learning_rate": 1e-12}
    fit(small(), digits, out=folder, **settings)
    asked = {**settings, "epochs": 4, "report": True}
    run = fit(small(), digits, out=folder, resume=True, **asked)
    assert load(folder / "best.safetensors").config.epochs == 3
    assert run.config == load_run(folder).config == load(folder / "last.safetensors").config
    assert run.config.epochs == 4
    assert run.config.to_toml() == (folder / "config.toml").read_text()
    assert "<td>epochs</td><td>4</td>" in re.sub(r"<(\w+)[^>]*>", r"<\1>", (folder / "report.html").read_text())


def test_a_run_holds_two_checkpoints_and_the_state_of_the_optimizer_once(digits: Splits, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    fit(small(), digits, out=folder, **{**SETTINGS, "checkpoint_every": 1, "optimizer": "adam"})
    assert sorted(p.name for p in folder.glob("*.safetensors")) == ["best.safetensors", "last.safetensors"]
    best, last = load(folder / "best.safetensors"), load(folder / "last.safetensors")
    assert not best.state
    assert last.state
    assert {*best.weights} == {*last.weights}


def test_what_killed_processes_left_is_removed(digits: Splits, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    fit(small(), digits, out=folder, callbacks=[_Stop(4, signal.SIGTERM)], **SETTINGS)
    left = [
        folder / f".{name}.{'0a' * 8}.part" for name in ("last.safetensors", "last.previous.safetensors", "metrics.csv")
    ]
    for path in left:
        path.write_bytes(b"half")
    mine = folder / ".notes.part"
    mine.write_bytes(b"not the run's")
    fit(small(), digits, out=folder, resume=True, **SETTINGS)
    assert {p.name for p in folder.glob(".*")} == {mine.name}


OTHER = """
import sys, time
from pathlib import Path
from pellucid.train.claim import claimed
with claimed(Path(sys.argv[1])):
    print("claimed", flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks")
@pytest.mark.parametrize("resume", [False, True])
def test_one_process_at_a_time(digits: Splits, tmp_path: Path, resume: bool) -> None:
    folder = tmp_path / "run"
    if resume:
        fit(small(), digits, out=folder, callbacks=[_Stop(4, signal.SIGTERM)], **SETTINGS)
    folder.mkdir(exist_ok=True)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    with subprocess.Popen([sys.executable, "-c", OTHER, str(folder)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "claimed\n"
        with pytest.raises(TrainError, match=rf"process {other.pid} on \S+ is training in it"):
            fit(small(), digits, out=folder, resume=resume, **SETTINGS)
        assert {p.name: p.read_bytes() for p in folder.iterdir() if p.name != LOCK} == before
        other.send_signal(signal.SIGKILL)
    fit(small(), digits, out=folder, resume=resume, **SETTINGS)
    assert not (folder / LOCK).exists()


def test_a_lock_ends_with_its_process_whatever_it_forked(digits: Splits, tmp_path: Path) -> None:
    """A fork that outlives the training process does not keep its folder."""
    script = OTHER.replace(
        "time.sleep(60)",
        "import os, signal\n    if os.fork(): time.sleep(0.5); os.kill(os.getpid(), signal.SIGKILL)\n    time.sleep(60)",
    )
    (tmp_path / "run").mkdir()
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "run")], stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        assert other.wait() == -signal.SIGKILL
        assert (tmp_path / "run" / LOCK).exists()
        fit(small(), digits, out=tmp_path / "run", **{**SETTINGS, "epochs": 1})
    finally:
        os.killpg(other.pid, signal.SIGKILL)


def test_two_runs_without_a_folder_take_two(digits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = []

    def another() -> None:
        names.append(fit(small(), digits, **{**SETTINGS, "epochs": 1}).folder.name)

    names.append(fit(small(), digits, callbacks=[_At(0, another)], **{**SETTINGS, "epochs": 1}).folder.name)
    assert names == ["digits-lenet-2", "digits-lenet"]


def test_older_checkpoints_give_way_on_a_full_disk(digits: Splits, whole: Path, tmp_path: Path) -> None:
    """An earlier version kept two of each; the disk has room for three, that of the one being written included."""
    folder = tmp_path / "run"
    fit(small(), digits, out=folder, callbacks=[_Stop(7, signal.SIGTERM)], **SETTINGS)
    for name in ("last", "best"):
        shutil.copy(folder / f"{name}.safetensors", folder / f"{name}.previous.safetensors")
    write = files._replace

    def small_disk(path: Path, *rest: object) -> None:
        if path.suffix == ".safetensors" and len({p.stat().st_ino for p in folder.glob("*.safetensors")}) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, *rest)  # type: ignore[arg-type]

    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.warns(UserWarning, match="previous.safetensors gave way to"),
    ):
        patch.setattr(files, "_replace", small_disk)
        fit(small(), digits, out=folder, resume=True, **SETTINGS)
    same(whole, folder)


def test_a_folder_that_cannot_be_written_is_said(
    digits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a file system that is read-only does: every call that would change something fails."""

    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    make = os.open

    def opened(path: Path, flags: int, *rest: int, **more: object) -> int:
        return read_only() if flags & os.O_ACCMODE else make(path, flags, *rest, **more)  # type: ignore[return-value, arg-type]

    (tmp_path / "there").mkdir()
    monkeypatch.setattr(os, "open", opened)
    for name in ("mkdir", "unlink", "link", "replace"):
        monkeypatch.setattr(os, name, read_only)
    for name in ("new", "there"):
        with pytest.raises(WriteError, match=rf"{name}: cannot be .*Read-only file system.*choose another folder"):
            fit(small(), digits, out=tmp_path / name, **SETTINGS)
    with pytest.raises(WriteError, match="Read-only file system"):
        write_atomically(tmp_path / "file", b"data")


def test_what_cannot_be_a_run_is_said(digits: Splits, whole: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for out, resume, words in [
        (tmp_path / "file", False, "is a file"),
        (whole, False, "exists and is not empty"),
        (whole / "last.safetensors", True, "resumed in its folder"),
        (None, True, "give `out`"),
    ]:
        with pytest.raises(TrainError, match=words):
            fit(small(), digits, out=out, resume=resume, **SETTINGS)
    with pytest.raises(CheckpointError, match="no such run"):
        fit(small(), digits, out=tmp_path / "none", resume=True, **SETTINGS)
    assert not (tmp_path / "none").exists()


def test_tensorboard_events_of_a_resumed_run_are_all_there(digits: Splits, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
        events = EventAccumulator(str(folder / "tensorboard")).Reload()
        found = {
            tag: [(e.step, e.tensor_proto.float_val[0]) for e in events.Tensors(tag)]
            for tag in events.Tags()["tensors"]
        }
        return {tag: values for tag, values in found.items() if tag != "seconds"}

    settings = {**SETTINGS, "watch_every": 2}
    fit(small(), digits, out=tmp_path / "whole", tensorboard=True, **settings)
    with pytest.raises(Killed):
        fit(small(), digits, out=tmp_path / "cut", tensorboard=True, callbacks=[_At(5, kill)], **settings)
    fit(small(), digits, out=tmp_path / "cut", resume=True, **settings)
    one, other = scalars(tmp_path / "whole"), scalars(tmp_path / "cut")
    assert one.keys() == other.keys()
    for tag, values in one.items():
        np.testing.assert_allclose(other[tag], values, rtol=1e-6, err_msg=tag)
