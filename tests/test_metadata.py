"""What files say of themselves is not believed: checkpoints, settings, histories and metadata give typed errors or sound values."""

from __future__ import annotations

import itertools
import json
import math
import random
import shutil
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from mutate import changed_json, places, replaced
from pellucid.data import DataError, Preprocessing
from pellucid.errors import PellucidError, WeightsError
from pellucid.plain import SPECIAL, PlainError, parse_json, read, to_json
from pellucid.train import CheckpointError, TrainConfig, TrainError, load_history
from pellucid.train.checkpoint import Position
from pellucid.train.run import SPLIT, split_record

PICTURE = np.zeros((1, 8, 8), np.uint8)
SPARSE = 2**43
"""Bytes: more than any machine's memory, less than a file may have."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("metadata") / "run"
    data = pl.load("digits")
    net = pl.nn.models.build("mlp", num_classes=10, in_channels=1, image_size=8, hidden=(4,))
    pl.fit(
        net,
        data,
        epochs=2,
        batch_size=512,
        optimizer="momentum",
        watch_every=2,
        out=folder,
        report=False,
    )
    return folder


def parts(path: Path) -> tuple[dict[str, Any], bytes]:
    """The header of a safetensors file, and what follows."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def with_description(path: Path, text: str) -> bytes:
    """The file at `path` with another description."""
    header, rest = parts(path)
    header["__metadata__"]["pellucid"] = text
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + rest


def description(path: Path) -> str:
    return parts(path)[0]["__metadata__"]["pellucid"]


def use(folder: Path) -> None:
    """Everything that reads a run; errors are Pellucid's own."""
    for ask in (
        lambda: pl.open_model(folder).require_preprocessing().normalize(PICTURE),
        lambda: load_history(folder).picture().html(),
        lambda: split_record(folder),
    ):
        try:
            ask()
        except (PellucidError, DataError) as error:
            assert str(error)


def damaged(run: Path, folder: Path, text: str) -> Path:
    """A run whose checkpoints have another description."""
    shutil.copytree(run, folder, dirs_exist_ok=True)
    for name in ("last", "best"):
        (folder / f"{name}.previous.safetensors").unlink(missing_ok=True)
        (folder / f"{name}.safetensors").write_bytes(with_description(run / f"{name}.safetensors", text))
    return folder


def test_every_value_of_a_checkpoint_may_be_anything(run: Path, tmp_path: Path) -> None:
    text = description(run / "last.safetensors")
    whole = json.loads(text)
    values = itertools.cycle([None, "x", -1, [60_000, 60_000], 2**40])
    for way, new in zip(places(whole), values, strict=False):
        use(damaged(run, tmp_path, json.dumps(replaced(whole, way, new))))


@pytest.mark.parametrize("seed", range(4))
def test_changed_descriptions(seed: int, run: Path, tmp_path: Path) -> None:
    dice = random.Random(seed)
    text = description(run / "last.safetensors")
    for _ in range(25):
        use(damaged(run, tmp_path, changed_json(text, dice)))
        (tmp_path / SPLIT).write_text(changed_json((run / SPLIT).read_text(), dice))


@pytest.mark.parametrize(
    ("way", "new", "words"),
    [
        (("position", "step"), "three", r"position\.step: must be a whole number, got 'three'"),
        (("position", "step"), 10**30, r"position\.step: must be a whole number, got a number too large"),
        (("position", "epoch"), -1, "position: epoch must not be negative, got -1"),
        (("position", "rows", 0, "loss"), None, r"rows\[0\]\.loss: must be a number, got null"),
        (("position", "rows"), [], "2 epochs must have as many rows, got 0"),
        (("position", "correct"), 5, "5 of 0 pictures in 0 batches"),
        (("preprocessing", "image_size"), [60_000, 60_000], "pixels at most 100,000,000, got"),
        (("preprocessing", "image_size"), [8], r"preprocessing\.image_size: must be a list of 2, got a list of 1"),
        (("preprocessing", "mean"), [0.5, 0.5], "1 channels want as many means and stds, got 2 and 1"),
        (("preprocessing", "std"), [0], "std a positive number"),
        (("config", "epochs"), True, r"config\.epochs: must be a whole number, got True"),
        (("config", "optimizer"), "adamm", "did you mean 'adam'"),
        (("config", "weight_decay"), "NaN", "weight_decay must be finite"),
        (("config", "surprise"), 1, r"config\.surprise: is not known"),
        (("classes",), "0123456789", "classes: must be a list, got '0123456789'"),
        (("network",), {"layers": 3}, r"network\.model must be the name of a network"),
        (("network", "hidden"), [4, "x"], r"mlp: hidden\[1\]: must be a whole number, got 'x'"),
        (("network", "hidden"), [-4], "hidden must be a whole number of at least 1"),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_errors_say_where(way: tuple[Any, ...], new: Any, words: str, run: Path, tmp_path: Path) -> None:
    whole = json.loads(description(run / "last.safetensors"))
    holder = whole
    for step in way[:-1]:
        holder = holder[step]
    holder[way[-1]] = new
    with pytest.raises(CheckpointError, match=words) as caught:
        pl.load_run(damaged(run, tmp_path, json.dumps(whole)), "last")
    assert str(caught.value).startswith(str(tmp_path / "last.safetensors"))


@pytest.mark.parametrize(
    ("position", "words"),
    [
        ({"epoch": 1, "step": 7}, "is never there"),
        ({"epoch": 1, "batch": 40, "seen": 9, "step": 43}, "is never there"),
    ],
)
def test_positions_that_a_run_is_never_at(position: dict[str, int], words: str, run: Path, tmp_path: Path) -> None:
    whole = json.loads(description(run / "last.safetensors"))
    whole["position"] |= {**position, "rows": whole["position"]["rows"][:1], "since_best": 0}
    config = TrainConfig.from_dict(whole["config"])
    net = pl.nn.models.build(**whole["network"])
    with pytest.raises(CheckpointError, match=words):
        pl.fit(net, pl.load("digits"), config, out=damaged(run, tmp_path, json.dumps(whole)), resume=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"rename": "optimizer/velocity/fc1.bias"},
            "velocity/fc1.bias is missing.*optimizer/lost is not the optimizer's",
        ),
        ({"dtype": "optimizer/velocity/fc1.bias"}, r"velocity/fc1.bias is int32 \(4,\), expected float32 \(4,\)"),
    ],
)
def test_the_state_of_an_optimizer(change: dict[str, str], words: str, run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path, dirs_exist_ok=True)
    (tmp_path / "last.previous.safetensors").unlink(missing_ok=True)
    header, rest = parts(run / "last.safetensors")
    if "rename" in change:
        header["optimizer/lost"] = header.pop(change["rename"])
    else:
        header[change["dtype"]]["dtype"] = "I32"
    encoded = json.dumps(header).encode()
    (tmp_path / "last.safetensors").write_bytes(struct.pack("<Q", len(encoded)) + encoded + rest)
    config = pl.load_run(run).config
    net = pl.nn.models.build("mlp", num_classes=10, in_channels=1, image_size=8, hidden=(4,))
    with pytest.raises(CheckpointError, match=words):
        pl.fit(net, pl.load("digits"), config, out=tmp_path, resume=True)


@pytest.mark.parametrize(
    "csv",
    ["", "a,b", "step,parameter,gradient,update,weight\n1,w,x,1,1", "step,parameter,gradient,update,weight\n" + "9" * 30 + ",w,1,1,1",
     "step,parameter,gradient,update,weight\n1,w,1,1", "\xff\xfe"],
)  # fmt: skip
def test_norms_of_layers(csv: str, run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path, dirs_exist_ok=True)
    (tmp_path / "layers.csv").write_bytes(csv.encode("latin-1"))
    with pytest.raises(TrainError, match="not the norms that a run writes"):
        load_history(tmp_path)


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        ({"epochs": "3"}, "epochs: must be a whole number, got '3'"),
        ({"lr": 1}, "lr: is not known"),
        ({"learning_rates": {"conv1": [1]}}, r"learning_rates\.conv1: must be a number, got a list"),
        ([], "it: must be names with values, got a list"),
    ],
)
def test_settings(plain: Any, words: str) -> None:
    with pytest.raises(TrainError, match=words):
        TrainConfig.from_dict(plain)


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (int, True, "it: must be a whole number, got True"),
        (float, 10**400, "got a number too large"),
        (float, "nan", "must be a number, got 'nan'"),
        (tuple[int, ...], {"0": 1}, "must be a list, got names with values"),
        (dict[str, int], [1], "must be names with values, got a list"),
        (list[int], [1, [2]], r"\[1\]: must be a whole number, got a list"),
        (Position, {"steps": 1}, "steps: is not known.*did you mean 'step'"),
        (Preprocessing, {"image_size": [8, 8], "channels": 1, "mean": [0]}, "std: is missing"),
    ],
)
def test_typed_reading(kind: Any, value: Any, words: str) -> None:
    with pytest.raises(PlainError, match=words):
        read(kind, value)


def test_deep_data_ends() -> None:
    with pytest.raises(PlainError, match="not JSON"):
        parse_json("[" * 200_000)
    deep: Any = 0
    for _ in range(100):
        deep = [deep]
    with pytest.raises(PlainError, match="nested more than 50 deep"):
        read(dict[str, Any], {"a": deep})


def test_numbers_that_json_has_no_word_for_come_back() -> None:
    values = {"a": math.nan, "b": [math.inf, -math.inf, 0.5], "c": None, "d": (1, 2)}
    text = to_json(values)
    assert json.loads(text, parse_constant=lambda word: pytest.fail(word)) == {
        "a": "NaN", "b": ["Infinity", "-Infinity", 0.5], "c": None, "d": [1, 2]
    }  # fmt: skip
    assert read(list[float], parse_json(text)["b"]) == [math.inf, -math.inf, 0.5]
    assert math.isnan(read(float, parse_json(text)["a"]))
    assert all(str(float(word)) == str(value) for word, value in SPECIAL.items())


def test_sparse_files_are_not_read(tmp_path: Path) -> None:
    """Files that only claim their size: looked at in no time, whatever their name says they are."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [SPARSE // 4], "data_offsets": [0, SPARSE]}}).encode()
    far = struct.pack("<Q", len(header)) + header
    for name, start, more in (
        ("net.onnx", b"", 2**34),
        ("w.safetensors", b"", 2**34),
        ("far.safetensors", far, SPARSE),
    ):
        path = tmp_path / name
        path.write_bytes(start)
        with path.open("r+b") as file:
            file.truncate(len(start) + more)
        with pytest.raises((PellucidError, WeightsError)):
            pl.read_weights(path) if path.suffix == ".safetensors" else pl.load_onnx(path)
        with warnings.catch_warnings(), pytest.raises(PellucidError):
            pl.open_model(path)
        path.unlink()
