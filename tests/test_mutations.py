"""Files of every format, damaged at random: each is read or refused with an error of Pellucid's own, and nothing else happens."""

from __future__ import annotations

import random
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import save_file

import pellucid as pl
from mutate import changed_bytes, changed_json, searched
from pellucid.data import DataError, read_image
from pellucid.errors import PellucidError
from pellucid.train import load_history
from pellucid.train.run import SPLIT, split_record

PIXELS = np.random.default_rng(0).integers(0, 255, (12, 8, 8), np.uint8)


def pictures(folder: Path) -> Path:
    """A folder with two classes of pictures."""
    for number, pixels in enumerate(PIXELS):
        (folder / "ab"[number % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / "ab"[number % 2] / f"{number}.png")
    return folder


def zipped(folder: Path) -> Path:
    """The same as a zip file."""
    with zipfile.ZipFile(folder / "data.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(pictures(folder / "p").rglob("*.png")):
            file.write(path, path.relative_to(folder / "p"))
    return folder / "data.zip"


def idx(folder: Path) -> Path:
    """An idx folder; its images' file is the one that is damaged."""
    for part in ("train", "t10k"):
        header = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in PIXELS.shape)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(header + PIXELS.tobytes())
        labels = bytes(k % 2 for k in range(12))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + (12).to_bytes(4, "big") + labels)
    return folder / "train-images-idx3-ubyte"


def table(folder: Path) -> Path:
    """A table of pictures with numbers."""
    files = sorted(pictures(folder / "p").rglob("*.png"))
    lines = [f"{file.relative_to(folder / 'p')},{k}.5,-{k}e-2" for k, file in enumerate(files)]
    (folder / "p" / "t.csv").write_text("\n".join(["file,age [years],height", *lines]))
    return folder / "p" / "t.csv"


def predictor_of_numbers(folder: Path) -> Path:
    """A checkpoint of a network that predicts numbers."""
    net = pl.nn.models.build("mlp", num_classes=2, in_channels=1, image_size=8, hidden=(4,))
    data = pl.data.load_numbers(table(folder), channels=1)
    return pl.fit(net, data, epochs=1, batch_size=4, out=folder / "run", report=False).folder / "best.safetensors"


def network() -> Any:
    """A small network."""
    return pl.nn.models.build("mlp", num_classes=10, in_channels=1, image_size=8, hidden=(4,))


def onnx(folder: Path) -> Path:
    pl.save_onnx(network(), folder / "net.onnx", shape=(1, 8, 8))
    return folder / "net.onnx"


def safetensors(folder: Path) -> Path:
    save_file(network().state_dict(), folder / "w.safetensors")
    return folder / "w.safetensors"


def saved(zip_format: bool) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        state = {name: torch.from_numpy(value) for name, value in network().state_dict().items()}
        torch.save(state, folder / "w.pt", _use_new_zipfile_serialization=zip_format)
        return folder / "w.pt"

    return make


def picture(ending: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        Image.fromarray(PIXELS[0]).save(folder / f"x.{ending}")
        return folder / f"x.{ending}"

    return make


def run(folder: Path, name: str) -> Path:
    """A run; the file `name` in it is damaged."""
    data = pl.load("digits")
    pl.fit(network(), data, epochs=1, batch_size=512, watch_every=1, out=folder / "run", report=False)
    return folder / "run" / name


@dataclass(frozen=True)
class Format:
    """A good file in a folder, who reads it, and what changes it."""

    make: Callable[[Path], Path]
    read: Callable[[Path], Any]
    change: Callable[[bytes, random.Random], bytes] = changed_bytes


def changed_text(content: bytes, dice: random.Random) -> bytes:
    return changed_json(content.decode(), dice).encode()


FORMATS = {
    "safetensors": Format(safetensors, pl.read_weights),
    "torch zip": Format(saved(True), pl.read_weights),
    "torch before 1.6": Format(saved(False), pl.read_weights),
    "onnx": Format(onnx, lambda p: pl.load_onnx(p)),
    "checkpoint": Format(lambda f: run(f, "best.safetensors"), lambda p: pl.open_model(p)),
    "layers.csv": Format(lambda f: run(f, "layers.csv"), lambda p: load_history(p.parent)),
    "data.json": Format(lambda f: run(f, SPLIT), lambda p: split_record(p.parent), changed_text),
    "png": Format(picture("png"), read_image),
    "jpg": Format(picture("jpg"), read_image),
    "gif": Format(picture("gif"), read_image),
    "tiff": Format(picture("tif"), read_image),
    "webp": Format(picture("webp"), read_image),
    "zip of pictures": Format(zipped, lambda p: pl.load(str(p))),
    "zip of pictures, skipping": Format(zipped, lambda p: pl.load(str(p), on_bad_image="skip")),
    "table of numbers": Format(table, lambda p: pl.data.load_numbers(p)),
    "checkpoint of numbers": Format(predictor_of_numbers, lambda p: pl.open_model(p)),
    "idx": Format(idx, lambda p: pl.load(str(p.parent))),
}


@pytest.fixture(scope="module", params=FORMATS)
def good(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Format, Path, bytes]:
    """A format with a good file and what is in it."""
    form = FORMATS[request.param]
    path = form.make(tmp_path_factory.mktemp("good"))
    form.read(path)
    return form, path, path.read_bytes()


@searched(25)
@given(seed=st.integers(0, 2**32 - 1))
def test_damaged_files(good: tuple[Format, Path, bytes], seed: int) -> None:
    form, path, content = good
    path.write_bytes(form.change(content, random.Random(seed)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a damaged file warns of is its reader's affair
        try:
            form.read(path)
        except (PellucidError, DataError) as error:
            assert len(str(error)) > 10
        finally:
            path.write_bytes(content)
