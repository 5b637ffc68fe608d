"""Pictures by name: those that are at hand, a run's own and those in archives, wherever a picture file is taken."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image
from typer.testing import CliRunner

import pellucid as pl
from pellucid.cli import app
from pellucid.data import DataError, read_image
from pellucid.data.digits import all_digits
from pellucid.data.sample import name_of
from pellucid.opening import Opened
from pellucid.questions.kinds import picture_names


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs on digits, on a folder of pictures, on the same as an archive, and on a table of them."""
    home = tmp_path_factory.mktemp("named")
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(home / "photos.zip", "w") as archive:
        for label in ("cat", "dog"):
            (home / "photos" / label).mkdir(parents=True)
            for number in range(8):
                file = home / "photos" / label / f"{number}.png"
                Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8)).save(file)
                archive.write(file, f"{label}/{number}.png")
    lines = [f"{label}/{number}.png,{number}" for label in ("cat", "dog") for number in range(8)]
    (home / "photos" / "ages.csv").write_text("\n".join(["file,age", *lines]))
    with pytest.MonkeyPatch.context() as patch, pl.quiet():
        patch.chdir(home)
        for name, data in (
            ("digits", pl.load("digits")),
            ("folder", pl.load("photos")),
            ("zip", pl.load("photos.zip")),
            ("table", pl.data.load_numbers("photos/ages.csv")),
        ):
            net = pl.nn.Sequential(
                flatten=pl.nn.Flatten(),
                fc=pl.nn.Linear(int(np.prod(data.shape)), 10 if name == "digits" else 2 - (name == "table")),
            )
            pl.fit(
                net, data, epochs=1, batch_size=2 if name != "digits" else 500, out=home / "runs" / name, report=False
            )
    return home


def opened(home: Path, name: str) -> Opened:
    """The network of a run, which is one of our own here, opened."""
    shape = (1, 8, 8) if name == "digits" else (3, 12, 12)
    outputs = {"digits": 10, "table": 1}.get(name, 2)
    net = pl.nn.Sequential(flatten=pl.nn.Flatten(), fc=pl.nn.Linear(int(np.prod(shape)), outputs))
    run = pl.load_run(home / "runs" / name, net=net)
    return Opened(run.net, shape, name, run, run.task)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sample:china", lambda: load_sample_image("china.jpg")),
        ("sample:flower", lambda: load_sample_image("flower.jpg")),
        ("digits[143]", lambda: all_digits().image(143)[0]),
        ("digits[1796]", lambda: all_digits().image(1796)[0]),
        ("digits/test[3]", lambda: pl.load("digits").test.image(3)[0]),
        ("digits/validation[0]", lambda: pl.load("digits").validation.image(0)[0]),
    ],
)
def test_pictures_that_are_at_hand(name: str, expected: object) -> None:
    wanted = np.asarray(expected())  # type: ignore[operator]
    for source in (name, Path(name)):
        found = read_image(source, 1 if wanted.ndim == 2 else 3)
        assert np.array_equal(found[0] if wanted.ndim == 2 else np.moveaxis(found, 0, -1), wanted)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sample:chna", "there is no such sample .did you mean 'sample:china'"),
        ("digit[3]", "neither a file nor a data set called so .did you mean 'digits'"),
        ("digits[1797]", "digits has pictures 0 to 1796"),
        ("digits/test[359]", "digits/test has pictures 0 to 358"),
        ("digits", r"there is no such file; did you mean 'digits\[143\]'"),
        ("china", "there is no such file; did you mean 'sample:china'"),
        ("digits[-1]", "there is no such file"),
        ("digits[1.5]", "there is no such file"),
        ("nothing.png", "nothing.png: there is no such file"),
        ("photos.zip/cat/99.png", "there is no such picture in photos.zip"),
    ],
)
def test_what_is_not_there_is_named_with_what_is_near(
    name: str, words: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    with pytest.raises(DataError, match=words):
        read_image(name)


@pytest.mark.parametrize("run", ["digits", "folder", "zip", "table"])
def test_a_runs_own_pictures(run: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    subject = opened(home, run)
    record = subject.run.data  # type: ignore[union-attr]
    assert record is not None
    load = pl.data.load_numbers if run == "table" else pl.load
    with pl.quiet():
        splits = load(record.source, record=record)
    for part in ("train", "validation", "test"):
        dataset = getattr(splits, part)
        for index in (0, len(dataset) - 1):
            assert np.array_equal(subject.input(f"{part}[{index}]").pixels, dataset.image(index))
            assert np.array_equal(subject.input(name_of(dataset, index)).pixels, dataset.image(index))
        with pytest.raises(DataError, match=f"has {part} pictures 0 to {len(dataset) - 1}"):
            subject.input(f"{part}[{len(dataset)}]")
    if run != "digits":
        assert np.array_equal(subject.input("cat/3.png").pixels, read_image(Path("photos/cat/3.png")))
        assert name_of(splits.train, 0).startswith("photos.zip/" if run == "zip" else "photos/")


def test_mistakes_and_strongest_pictures_have_names_that_are_taken(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    for run in ("digits", "folder", "zip", "table"):
        subject = opened(home, run)
        assert subject.run is not None
        assert subject.run.data is not None
        with pl.quiet():
            load = pl.data.load_numbers if run == "table" else pl.load
            test = load(subject.run.data.source, record=subject.run.data).test
            found = subject.evaluate(test)
        for wrong in found.to_dict()["most_wrong"]:
            assert np.array_equal(subject.input(wrong["name"]).pixels, test.image(wrong["index"]))
        page = pl.pictures.Page("", found.parts(test)).html()
        assert all(wrong["name"] in page for wrong in found.to_dict()["most_wrong"])
        if run != "table":
            assert str(found).count("\n") > 5
            strongest = pl.most_exciting(subject.net, test, "fc", 1, 3)
            for one in strongest.images:
                assert np.array_equal(subject.input(one.name).pixels, one.image)
                assert one.name in str(strongest)


def test_a_file_of_that_very_name_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    subject = opened(home, "digits")
    monkeypatch.chdir(tmp_path)
    for name in ("digits[143]", "test[0]", "sample:china"):
        Image.fromarray(np.full((8, 8), 77, np.uint8)).save(tmp_path / name, "png")
        assert (read_image(name) == 77).all()
        assert (subject.input(name).pixels == 77).all()


def test_commands_list_and_complete_the_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "digital.png").touch()
    done = CliRunner().invoke(app, ["samples", "--json", "--out", "made/samples.html"])
    listed = json.loads(done.stdout)["samples"]
    assert [row["example"] for row in listed] == ["sample:china", "sample:flower", "digits[143]", "fashion-mnist[7]"]
    for row in listed:
        assert row["missing"] or read_image(row["example"]).any()
    assert "sample:flower" in (tmp_path / "made/samples.html").read_text()
    for typed, expected in (
        ("sam", {"sample:china", "sample:flower"}),
        ("digits/", {"digits/train[0]", "digits/validation[0]", "digits/test[0]"}),
        ("te", {"test[0]"}),
        ("pho", {"photos/"}),
        ("photos/", {"photos/digital.png"}),
        ("photos/d", {"photos/digital.png"}),
        ("nowhere/", set()),
    ):
        assert {name for name in picture_names(typed) if name.startswith(typed)} == expected
    words = {"COMP_WORDS": "pellucid predict lenet sample:c", "COMP_CWORD": "3", "_PELLUCID_COMPLETE": "complete_bash"}
    assert CliRunner().invoke(app, [], prog_name="pellucid", env=words).stdout.split() == ["sample:china"]
