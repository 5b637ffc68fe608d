"""Few pictures, held-out folders, and runs that moved: what a person with a folder of photographs does first."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pellucid as pl
from pellucid import nn
from pellucid.cli import training
from pellucid.data import DataError, Splits
from pellucid.opening import open_model
from pellucid.questions.measured import measured, parts_of
from pellucid.train import Run, TrainError, fit
from pellucid.train.checkpoint import load

CLASSES = ("cat", "dog", "ship")


def photos(root: Path, pictures: dict[str, int], start: int = 0) -> Path:
    """Folders with so many pictures, `{"train/cat": 3}`, each its own."""
    for place, count in pictures.items():
        (root / place).mkdir(parents=True, exist_ok=True)
        for i in range(start, start + count):
            pixels = np.random.default_rng([i, len(place), *place.encode()]).integers(0, 256, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(root / place / f"{i}.png")
    return root


def trained(splits: Splits, out: Path, **settings: object) -> Run:
    net = nn.models.build("mlp", num_classes=len(splits.classes), in_channels=splits.shape[0], image_size=8)
    with pl.quiet():
        return fit(net, splits, out=out, **{"epochs": 1, "executor": "reference", **settings})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    root = photos(tmp_path_factory.mktemp("home") / "photos", dict.fromkeys(CLASSES, 8))
    return trained(pl.load(root), root.parent / "run")


HELD_OUT = [
    ({"cat": 2, "dog": 2, "ship": 1}, "all", 5),
    ({"cat": 2, "ship": 1}, "all", 3),
    ({"ship": 3}, "all", 3),
    ({"test/cat": 2, "test/dog": 1}, "test", 3),
    ({"test/dog": 2}, "test", 2),
    ({"train/cat": 3, "train/dog": 3, "test/dog": 1}, "test", 1),
    ({"train/cat": 3, "test/dog": 1, "test/ship": 1}, "test", 2),
    ({"train/cat": 3, "train/dog": 2, "val/dog": 1}, "validation", 1),
    ({"train/cat": 3, "train/dog": 2}, "train", 5),
    ({"deep/down/cat": 2, "deep/down/dog": 1}, "all", 3),
]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("pictures", "part", "count"), HELD_OUT)
def test_a_held_out_folder_is_measured(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], pictures: dict, part: str, count: int, packed: bool
) -> None:
    """Whole where it has classes alone, with classes of the run's in whatever number; and what was measured is said."""
    place = photos(tmp_path / "unseen", pictures, start=50)
    if packed:
        place = Path(shutil.make_archive(str(place), "zip", place))
    training.evaluate(str(run.folder), str(place), as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["part"], told["count"], told["data"]) == (part, count, str(place))
    assert [row["class"] for row in told["classes"]] == list(CLASSES)
    training.evaluate(str(run.folder), str(place))
    assert capsys.readouterr().out.startswith(
        f"measured on {'all pictures' if part == 'all' else f'the {part} part'} of {place}\n"
    )
    for result in (run.evaluate(place), open_model(run.folder).evaluate(str(place)), pl.train.evaluate(run.net, place)):
        assert (result.part, result.count) == (part, count)
        assert result.accuracy == told["accuracy"]


@pytest.mark.parametrize(
    ("pictures", "words"),
    [
        (
            {"cat": 2, "horse": 3},
            r"no classes of the network: horse \(3 pictures\); it knows the classes cat, dog, ship",
        ),
        ({"Cat": 2, "dog": 3}, r"Cat \(2 pictures\) \(did you mean 'cat'\?\)"),
        ({"test/cat": 2, "test/horse": 1}, r"horse \(1 picture\)"),
        ({"test/x": 2}, r"x \(2 pictures\); it knows"),
        ({".": 2}, "name the folder above it"),
    ],
)
def test_pictures_of_unknown_classes_are_named(run: Run, tmp_path: Path, pictures: dict, words: str) -> None:
    with pytest.raises(DataError, match=words):
        training.evaluate(str(run.folder), str(photos(tmp_path / "unseen", pictures)))


@pytest.mark.parametrize(
    ("pictures", "size", "settings"),
    [
        ({"cat": 12, "dog": 12}, 16, {}),
        ({"cat": 6, "dog": 6}, 8, {"drop_last": True}),
        ({"cat": 12, "dog": 12}, 16, {"batch_size": 5000, "flip": True}),
        ({"cat": 12, "dog": 12}, 16, {"batch_size": 15}),
        ({"cat": 8, "dog": 8, "ship": 1}, 13, {}),
        ({"train/cat": 1, "train/dog": 1, "validation/cat": 1}, 2, {}),
    ],
)
def test_the_only_batch_may_be_smaller(tmp_path: Path, pictures: dict, size: int, settings: dict) -> None:
    splits = pl.load(photos(tmp_path / "few", pictures))
    assert len(splits.train) == size
    assert trained(splits, tmp_path / "run", **settings).status == "finished"
    assert load(tmp_path / "run" / "last.safetensors").position.step == (2 if settings.get("batch_size") == 15 else 1)


@pytest.mark.parametrize(
    ("pictures", "words"),
    [
        (
            {"cat": 2, "dog": 1},
            "give about 7 or more of every class, or say yourself which are for what, in folders train/",
        ),
        ({"cat": 1, "dog": 1, "ship": 1}, "3 pictures of 3 classes are too few to cut a validation part from"),
        ({"train/cat": 2, "train/dog": 2}, "too few to cut a validation part from"),
        ({"cat": 9}, "put pictures of something else into a second folder"),
    ],
)
def test_too_few_pictures_say_the_way_out(tmp_path: Path, pictures: dict, words: str) -> None:
    with pytest.raises(DataError, match=words):
        pl.load(photos(tmp_path / "few", pictures))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with data and a run that names it as it is seen from there."""
    home = tmp_path / "home"
    photos(home / "photos", dict.fromkeys(CLASSES, 8))
    monkeypatch.chdir(home)
    trained(pl.load("photos"), Path("runs/photos"))
    return home


def files(run: Path, data: str = "") -> set[str]:
    dataset = measured(open_model(run), data).dataset
    return {dataset[i].name for i in range(len(dataset))}


def test_a_run_is_usable_from_any_folder(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = files(Path("runs/photos"))
    monkeypatch.chdir(tmp_path)
    assert files(home / "runs/photos") == own
    (home / "runs").rename(home / "models")
    assert files(home / "models/photos") == own  # by the way from the run, and by the whole path
    (home / "models/photos").rename(tmp_path / "elsewhere")
    assert files(tmp_path / "elsewhere") == own
    (tmp_path / "elsewhere").rename(home / "renamed")
    home.rename(tmp_path / "house")  # data and run together
    (tmp_path / "house/renamed").rename(tmp_path / "house/photos-run")
    (tmp_path / "house/runs").mkdir()
    (tmp_path / "house/photos-run").rename(tmp_path / "house/runs/again")
    assert files(tmp_path / "house/runs/again") == own


def test_data_that_moved_is_named_again(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, own = Path("runs/photos"), files(Path("runs/photos"))
    (home / "photos").rename(home / "pictures")
    with pytest.raises(
        DataError, match=r"no longer where it was: .*home/photos is not there. Say where it is now, with --data"
    ):
        files(run)
    assert files(run, "pictures") == own
    assert "is the data that the run was trained with" in capsys.readouterr().err
    assert len(parts_of(open_model(run), "pictures").train) == 18
    splits = pl.load("pictures", record=pl.load_run(run).data)
    trained(splits, run, resume=True, epochs=2)
    assert files(run) == own  # the run knows the new place
    monkeypatch.chdir("/")
    assert files(home / "runs/photos") == own


def test_a_finished_run_goes_on_to_more_epochs(tmp_path: Path) -> None:
    """By the schedule of the longer run, the same however it comes there; fewer epochs and no patience are refused."""
    splits = pl.load(photos(tmp_path / "photos", dict.fromkeys(CLASSES, 8)))
    trained(splits, tmp_path / "a", epochs=2)
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    for name in "ab":
        assert trained(splits, tmp_path / name, resume=True, epochs=5).status == "finished"
    a, b = (load(tmp_path / name / "last.safetensors") for name in "ab")
    assert all((a.weights[name] == b.weights[name]).all() for name in a.weights)
    assert [(row["epoch"], row["epochs"]) for row in a.position.rows] == [(1, 2), (2, 2), (3, 5), (4, 5), (5, 5)]
    assert a.config.epochs == 5
    rates = [row["learning_rate"] for row in a.position.rows]
    whole = trained(splits, tmp_path / "whole", epochs=5)
    assert rates[2:] == [row["learning_rate"] for row in whole.metrics][2:]
    with pytest.raises(TrainError, match="epochs was 5, is 4"):
        trained(splits, tmp_path / "a", resume=True, epochs=4)


def test_a_run_that_stopped_early_wants_more_patience(tmp_path: Path) -> None:
    splits = pl.load(photos(tmp_path / "photos", dict.fromkeys(CLASSES, 8)))
    settings = {"epochs": 9, "patience": 1, "learning_rate": 1e-12, "optimizer": "sgd"}
    assert trained(splits, tmp_path / "run", **settings).status == "stopped early"
    with pytest.raises(TrainError, match=r"stopped early, as no epoch was better for 1; .* --patience 2, or 0 never"):
        trained(splits, tmp_path / "run", resume=True, epochs=12)
    assert len(trained(splits, tmp_path / "run", resume=True, epochs=12, patience=0).metrics) == 12


def test_a_table_that_moved_has_its_parts_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where pictures have the same number, which a record keeps together."""
    folder = photos(tmp_path / "table", {".": 24})
    lines = [f"{k}.png,{k % 4}" for k in range(24)]
    (folder / "t.csv").write_text("\n".join(["file,age", *lines]))
    monkeypatch.chdir(tmp_path)
    data = pl.data.load_numbers("table")
    net = nn.Sequential(flat=nn.Flatten(), fc=nn.Linear(192, 1))
    with pl.quiet():
        run = fit(net, data, epochs=1, batch_size=8, out="run")
    folder.rename(tmp_path / "moved")
    training.evaluate("run", "moved")
    out, error = capsys.readouterr()
    assert out.startswith("measured on the test part of moved\n")
    assert (
        error
        == "pellucid: moved: is the data that the run was trained with, and is taken in the parts that it was split in then\n"
    )
    again = pl.data.load_numbers("moved", record=run.data)
    with pl.quiet():
        fit(net, again, out="run", resume=True, epochs=2)
    monkeypatch.chdir("/")
    training.evaluate(str(tmp_path / "run"))
    assert capsys.readouterr().err == ""
