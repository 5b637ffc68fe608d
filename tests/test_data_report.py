"""What is in a folder: duplicates and leaks between parts, near ones by their hash, unreadable files, what looks wrong."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from pellucid.cli import app
from pellucid.data import DataError, data_report, likeness


def photo(seed: int, side: int = 96) -> Image.Image:
    """Smooth blotches, a different picture for each seed."""
    fields = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(fields).resize((side, side), Image.Resampling.BICUBIC)


PLACES = {
    "train/cat": range(12), "train/dog": range(20, 32), "train/Dog": range(40, 42), "test/cat": range(50, 56), "test/dog": range(60, 66),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "pets"
    for place, seeds in PLACES.items():
        part, label = place.split("/")
        (folder / part / label).mkdir(parents=True)
        for seed in seeds:
            photo(seed).save(folder / part / label / f"{seed}.png")
    photo(3).save(folder / "test" / "cat" / "again.png")  # the same bytes as in train
    photo(4).resize((60, 60)).save(folder / "test" / "cat" / "smaller.jpg", quality=60)
    photo(22).point(lambda v: min(255, v + 6)).save(folder / "train" / "cat" / "brighter.png")
    photo(70).convert("L").resize((96, 12)).save(folder / "train" / "dog" / "wide.png")
    (folder / "train" / "dog" / "bad.png").write_bytes(b"none")
    (folder / "train" / "dog" / "notes.txt").write_bytes(b"none")
    return folder


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_what_is_in_a_folder(packed: bool, folder: Path, tmp_path: Path) -> None:
    source = folder
    if packed:
        source = tmp_path / "pets.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for file in sorted(folder.rglob("*.*")):
                archive.write(file, file.relative_to(folder))
    found = data_report(source)
    assert found.counts == {"test": {"cat": 8, "dog": 6}, "train": {"Dog": 2, "cat": 13, "dog": 13}}
    assert found.exact == (("test/cat/again.png", "train/cat/3.png"),)
    assert set(found.near) == {
        ("test/cat/smaller.jpg", "train/cat/4.png"),
        ("train/cat/brighter.png", "train/dog/22.png"),
    }
    assert [[name.partition(" (")[0] for name in group] for group in found.leaks] == [
        ["test/cat/again.png", "train/cat/3.png"], ["test/cat/smaller.jpg", "train/cat/4.png"],
    ]  # fmt: skip
    assert [line.partition(":")[0] for line in found.unreadable] == ["train/dog/bad.png"]
    assert found.modes == {"RGB": 41, "L": 1}
    assert found.sizes["12x96"] == 1
    assert found.formats == {"PNG": 41, "JPEG": 1}
    said = "\n".join(found.remarks)
    for words in (
        "in several classes: train/cat/brighter.png (cat) = train/dog/22.png (dog)",
        "classes that may be one: Dog, dog",
        "class Dog has 2 pictures only",
        "test has no picture of Dog",
        "more than four times as long as wide or high, of which the middle is seen: train/dog/wide.png",
    ):
        assert words in said
    assert "1 .txt" in found.notes[-1]
    assert str(found).index("in several parts") < str(found).index("unreadable")


@pytest.mark.parametrize(
    ("change", "near"),
    [
        (lambda p: p.resize((40, 40)), True),
        (lambda p: p.point(lambda v: min(255, v + 8)), True),
        (lambda p: p.convert("L").convert("RGB"), True),
        (lambda p: Image.open(io.BytesIO(jpeg(p))), True),
        (lambda p: p.transpose(Image.Transpose.FLIP_LEFT_RIGHT), False),
        (lambda p: photo(1000), False),
        (lambda p: p.point(lambda v: v // 3), False),
    ],
    ids=["smaller", "brighter", "gray", "jpeg", "mirrored", "another", "dark"],
)
def test_what_counts_as_near(change, near: bool) -> None:
    fields = [
        likeness.brightness(np.asarray(p.convert("RGB").resize((72, 72))).transpose(2, 0, 1))
        for seed in range(20)
        for p in (photo(seed), change(photo(seed)))
    ]
    pairs = {tuple(pair) for pair in likeness.near_pairs(np.stack(fields), 6).tolist()}
    wanted = {(2 * k, 2 * k + 1) for k in range(20)} if near else set()
    assert pairs & {(2 * k, 2 * k + 1) for k in range(20)} == wanted
    assert len(pairs) <= 20 or change(photo(0)) == photo(1000)


def jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=40)
    return file.getvalue()


def test_even_pictures_are_no_duplicates_of_others() -> None:
    even = np.repeat(np.arange(0, 256, 20, dtype=np.float32)[:, None], 81, 1)
    assert len(likeness.near_pairs(even, 6)) == 0
    assert likeness.groups_of(likeness.near_pairs(np.zeros((3, 81), np.float32), 0), 3) == [[0, 1, 2]]


def test_too_many_pairs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(likeness, "MOST_PAIRS", 10)
    with pytest.raises(DataError, match="more than 10 pairs of pictures are alike"):
        likeness.near_pairs(np.zeros((6, 81), np.float32), 0)
    with pytest.raises(DataError, match="distance must be from 0 to 32 of 128 bits, got 40"):
        likeness.near_pairs(np.zeros((6, 81), np.float32), 40)


def test_a_folder_that_cannot_be_trained_on_is_reported(tmp_path: Path) -> None:
    for seed in range(3):
        photo(seed).save(tmp_path / f"{seed}.png")
    found = data_report(tmp_path)
    assert found.count == 3
    assert found.notes[0].startswith("it cannot be trained on: ")


def test_the_command(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = CliRunner().invoke(app, ["data", str(folder), "--json", "--out", str(page)])
    assert done.exit_code == 0, done.output
    plain = json.loads(done.stdout)
    assert (plain["pictures"], plain["distance"], len(plain["leaks"])) == (42, 6, 2)
    assert "Duplicates" in page.read_text()
    assert "1797 pictures" in CliRunner().invoke(app, ["data", "digits"]).stdout.replace(",", "")
