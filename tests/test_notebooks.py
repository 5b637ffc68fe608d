"""What notebooks and consoles show of an object: a drawing as HTML, and words that are short."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pellucid as pl
from pellucid import nn
from pellucid.data import ArrayDataset, Sample, Splits
from pellucid.data.numbered import NumberArrays

RANDOM = np.random.default_rng(0)


def pictures(channels: int = 1, classes: int = 3, name: str = "noise") -> ArrayDataset:
    images = RANDOM.integers(0, 256, (36, channels, 8, 8), np.uint8)
    return ArrayDataset(images, np.arange(36) % classes, [f"class {k}" for k in range(classes)], name)


def network() -> nn.Module:
    return nn.models.build("lenet", num_classes=3, image_size=8)


def run(folder: Path) -> pl.train.Run:
    parts = Splits(pictures(name="a"), pictures(name="b"), pictures(name="c"), "<noise>")
    return pl.fit(network(), parts, epochs=1, batch_size=12, out=folder / "run", report=False)


def predictions(folder: Path, error: str = "error") -> list[dict[str, Any]]:
    files = [folder / f"{k}.png" for k in range(14)]
    for file in files:
        Image.fromarray(RANDOM.integers(0, 256, (8, 8), np.uint8)).save(file)
    (folder / "13.png").write_bytes(b"none" if error == "skip" else files[0].read_bytes())
    return pl.open_model(run(folder).folder).predict(files, on_bad_image=error)


def folder_of_files(folder: Path) -> Splits:
    for label in ("cat", "dog"):
        (folder / "photos" / label).mkdir(parents=True)
        for k in range(8):
            pixels = RANDOM.integers(0, 256, (300, 200, 3), np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / label / f"{k}.png")
    return pl.load(folder / "photos")


SHOWN: dict[str, Any] = {
    "parts": (lambda f: pl.load("digits"), ["digits (train: 1,258, validation: 180, test: 359)", "0 (125)"], 12, "1,258"),
    "a part": (lambda f: pl.load("digits").test, ["digits/test: 359 examples 1x8x8 of 10 classes"], 12, "359"),
    "files": (folder_of_files, ["photos/train: 12 examples 3x300x200 of 2 classes: cat (6), dog (6)"], 12, "dog"),
    "many classes": (lambda f: pictures(classes=36), ["class 7 (1) and 28 more"], 12, "and 6 more"),
    "two channels": (lambda f: pictures(2), ["noise: 36 examples 2x8x8"], 0, "class 2"),
    "numbers": (lambda f: pl.data.numbers(RANDOM.random((40, 3)), RANDOM.random(40), ["age [y]"]), ["age [y]"], 0, "age [y]"),
    "pictures with numbers": (lambda f: NumberArrays(pictures().images(np.arange(9)), np.arange(9.0)), ["arrays: 9"], 9, "8"),
    "pictures of floats": (lambda f: NumberArrays(RANDOM.random((9, 3, 4, 4)), np.arange(9.0)), ["arrays: 9"], 9, "target"),
    "a sample": (lambda f: pictures()[4], ["noise[4]: uint8 1x8x8, label 1"], 1, "noise[4]"),
    "a sample of floats": (lambda f: Sample(RANDOM.random(5), 0, "row"), ["row: float64 5, label 0"], 0, "row"),
    "a network": (lambda f: network(), ["conv1: Conv2d"], 0, "44,"),
    "a run": (run, ["run: finished, 1 epoch"], 0, "learning_rate"),
    "an evaluation": (lambda f: run(f).test, ["accuracy", "precision"], 0, "taken for"),
    "a history": (lambda f: run(f).history, ["epoch"], 0, "Loss"),
    "what was opened": (lambda f: pl.open_model(run(f).folder), ["Sequential for 1x8x8, 44,"], 0, "conv1"),
    "predictions": (predictions, ["'image': '"], 12, "and 2 more"),
    "predictions with a file that is none": (lambda f: predictions(f, "skip")[-1:], ["error"], 0, ""),
}  # fmt: skip


class Tags(HTMLParser):
    """Whether every tag is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", SHOWN)
def test_it_draws_itself(name: str, tmp_path: Path) -> None:
    make, words, images, drawn = SHOWN[name]
    made = make(tmp_path)
    text = repr(made)
    assert all(word in text for word in words), text
    if "predictions" not in name:
        assert len(text) < 3000, text
        assert "object at" not in text
    if drawn:
        html = made._repr_html_()
        tags = Tags()
        tags.feed(html)
        assert not tags.open
        assert html.count("<image ") == images
        assert drawn in html
        assert len(html) < 250_000


def test_what_is_long_is_cut_in_a_console() -> None:
    trace = pl.activation_curve("relu")
    assert repr(trace) == str(trace)
    many = pl.nn.models.build("densenet121").summary((3, 64, 64))
    assert len(repr(many).splitlines()) == 61
    assert repr(many).endswith("more lines: print it")


def test_a_network_of_unknown_size_is_shown_in_words() -> None:
    assert nn.Sequential(conv=nn.Conv2d(1, 2, 3))._repr_html_() is None


def test_names_are_marked_up(tmp_path: Path) -> None:
    assert "<noise>" not in Splits(*[pictures(name="<b>")] * 3, "<noise>")._repr_html_()
