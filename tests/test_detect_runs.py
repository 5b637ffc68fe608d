"""Folders of detectors' runs: what may be begun, what goes on and with what, and what is said of the data."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import pellucid as pl
from cut_off import cut_off
from drawn_boxes import pictures_with_boxes, voc_folder
from pellucid.cli import app
from pellucid.detect import DetectorError, Objects, PicturesWithBoxes
from pellucid.detect.fast_rcnn.training import FastRCNNTraining
from pellucid.detect.files import read_file, write
from pellucid.detect.run_folder import LEARNED, TRAINING
from pellucid.train.claim import LOCK

SMALL: dict[str, Any] = {
    "backbone": "resnet18", "weights": "random", "image_size": 64, "width": 16, "proposals": 40, "batch_size": 2, "epochs": 1,
}  # fmt: skip


PARTS = {"train": range(3), "val": range(3, 5)}


@pytest.fixture(autouse=True)
def kept_elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def in_folder(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != LOCK}


def without_last(there: PicturesWithBoxes) -> PicturesWithBoxes:
    return there.chosen(list(range(len(there) - 1)), there.name)


def moved(there: PicturesWithBoxes) -> PicturesWithBoxes:
    first, *others = there.objects
    return replace(there, objects=(Objects(first.boxes + 1, first.labels, first.difficult), *others))


OTHERS = {
    "classes of other names": (lambda t: replace(t, classes=tuple(f"{one}s" for one in t.classes)), "classes"),
    "a class more": (lambda t: replace(t, classes=(*t.classes, "zebra")), "classes .*zebra"),
    "a picture less": (without_last, "not .*3 pictures"),
    "boxes elsewhere": (moved, "names, sizes or boxes differ"),
    "pictures of other names": (
        lambda t: replace(t, names=tuple(f"x{one}" for one in t.names)),
        "names, sizes or boxes differ",
    ),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pl.detect.train(pictures_with_boxes(4), out=tmp_path_factory.mktemp("runs") / "whole", **SMALL).folder


@pytest.mark.parametrize("name", OTHERS)
def test_a_run_goes_on_with_its_own_data_alone(name: str, finished: Path) -> None:
    change, words = OTHERS[name]
    before = in_folder(finished)
    with pytest.raises(DetectorError, match=rf"(?s)the data that it began with.*{words}.*train anew"):
        pl.detect.train(change(pictures_with_boxes(4)), out=finished, resume=True)
    assert in_folder(finished) == before
    pl.detect.train(pictures_with_boxes(4), out=finished, resume=True)


def test_a_changed_config_is_not_overwritten(finished: Path) -> None:
    file = finished / "config.toml"
    text = file.read_text()
    for new, words in (
        ("epochs = 99\n", "epochs is 99, was"),
        ("epochs = = 3\n", "cannot be read"),
        ("ep = 3\n", "no setting 'ep'"),
    ):
        file.write_text(re.sub("epochs = .*\n", new, text))
        before = in_folder(finished)
        with pytest.raises(DetectorError, match=rf"config\.toml: .*{words}"):
            pl.detect.train(pictures_with_boxes(4), out=finished, resume=True)
        assert in_folder(finished) == before
    file.unlink()
    pl.detect.train(pictures_with_boxes(4), out=finished, resume=True)
    assert file.read_text() == text


def test_a_run_of_before_goes_on(finished: Path) -> None:
    arrays, told = read_file(finished / TRAINING)
    write(finished / TRAINING, arrays, {name: told[name] for name in told if name not in ("data", "format")})
    pl.detect.train(pictures_with_boxes(4), out=finished, resume=True)
    write(finished / TRAINING, arrays, {**told, "data": [3]})
    with pytest.raises(DetectorError, match="does not say what data it began with"):
        pl.detect.train(pictures_with_boxes(4), out=finished, resume=True)
    write(finished / TRAINING, arrays, told)


def test_seconds_are_those_of_all_sessions(tmp_path: Path) -> None:
    there, settings = pictures_with_boxes(4), {**SMALL, "batch_size": 1}
    with cut_off(FastRCNNTraining, 3, every=1):
        pl.detect.train(there, out=tmp_path / "run", **settings)
    arrays, told = read_file(tmp_path / "run" / TRAINING)
    assert told["within"] == 2 and told["seconds"] > 0
    told.pop("format")
    write(tmp_path / "run" / TRAINING, arrays, {**told, "seconds": 1000.0})
    (row,) = pl.detect.train(there, out=tmp_path / "run", resume=True).metrics
    assert 1000 < row["seconds"] < 1500
    assert read_file(tmp_path / "run" / TRAINING)[1]["seconds"] == 0


def test_a_run_of_before_begins_its_seconds_with_none(tmp_path: Path) -> None:
    with cut_off(FastRCNNTraining, 3, every=1):
        pl.detect.train(pictures_with_boxes(4), out=tmp_path / "run", **{**SMALL, "batch_size": 1})
    arrays, told = read_file(tmp_path / "run" / TRAINING)
    write(tmp_path / "run" / TRAINING, arrays, {name: told[name] for name in told if name not in ("seconds", "format")})
    (row,) = pl.detect.train(pictures_with_boxes(4), out=tmp_path / "run", resume=True).metrics
    assert 0 < row["seconds"] < 1000


def test_a_run_that_was_killed_in_its_first_save_is_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for name in (LOCK, f".{TRAINING}.{'0' * 16}.part", f".{TRAINING}.{'a' * 16}.part"):
        (tmp_path / "run" / name).write_bytes(b"begun")
    pl.detect.train(pictures_with_boxes(2), out=tmp_path / "run", **SMALL)
    assert not list((tmp_path / "run").glob(".*.part"))
    with pytest.raises(pl.errors.PellucidError, match="resume it, or choose another folder"):
        pl.detect.train(pictures_with_boxes(2), out=tmp_path / "run", **SMALL)


def test_what_a_killed_run_left_half_written_goes(tmp_path: Path) -> None:
    there = pictures_with_boxes(4)
    with cut_off(FastRCNNTraining, 1):
        pl.detect.train(there, out=tmp_path / "run", **SMALL)
    (tmp_path / "run" / f".{TRAINING}.{'0' * 16}.part").write_bytes(b"half")
    pl.detect.train(there, out=tmp_path / "run", resume=True)
    assert not list((tmp_path / "run").glob(".*.part"))


def test_a_run_that_failed_in_its_first_step_is_begun_anew(tmp_path: Path) -> None:
    there = pictures_with_boxes(2)
    with cut_off(FastRCNNTraining, 1):
        pl.detect.train(there, out=tmp_path / "run", **{**SMALL, "learning_rate": 0.5})
    assert pl.detect.train(there, out=tmp_path / "run", **SMALL).config.learning_rate == 0.001


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"executor": "foo"}, "unknown executor 'foo'"),
        ({"threads": -1}, "threads must lie in"),
        ({"momentum": 5.0}, "momentum must lie in"),
        ({"momentum": float("nan")}, "momentum must lie in"),
        ({"weight_decay": -1.0}, "weight_decay must be a number of 0 or more"),
        ({"clip_norm": float("nan")}, "clip_norm must be a number of 0 or more"),
        ({"weights": "nofile"}, "nofile"),
        ({"backbone": "nothing"}, "nothing"),
    ],
)
def test_what_is_wrong_with_settings_leaves_no_folder(settings: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(pl.errors.PellucidError, match=words):
        pl.detect.train(pictures_with_boxes(2), out=tmp_path / "some" / "run", **{**SMALL, **settings})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("system", "settings", "words"),
    [
        ("faster-rcnn", {"rounds": 2}, "faster-rcnn: has no setting rounds, which is of fast-rcnn, rcnn, "),
        ("dpm", {"rounds": 2}, "dpm: has no setting rounds"),
        ("segdpm", {"context_rescoring": True}, "segdpm: has no setting context_rescoring, which is of dpm; leave it"),
        ("fast-rcnn", {"context_rescoring": True}, "fast-rcnn: has no setting context_rescoring"),
    ],
)
def test_a_setting_that_would_do_nothing_is_refused(
    system: str, settings: dict[str, Any], words: str, tmp_path: Path
) -> None:
    there = pictures_with_boxes(2)
    with pytest.raises(DetectorError, match=words):
        pl.detect.train(there, system=system, out=tmp_path / "run", **SMALL, **settings)
    data, own = pl.detect.BoxData(there, {"train": there}), {f"{system}.{name}": v for name, v in settings.items()}
    for given, said in ((own, words), (settings, "and none is trained here; leave it out")):
        with pytest.raises(DetectorError, match=said):
            pl.detect.compare([system], data=data, folder=tmp_path, train_missing=True, settings=given)
    assert not list(tmp_path.iterdir())


def test_a_setting_of_some_systems_is_theirs_in_a_comparison() -> None:
    from pellucid.detect.comparison.working import settings_for

    settings = {"rounds": 2, "rcnn.rounds": 3, "epochs": 4}
    assert settings_for("faster-rcnn", settings) == {"epochs": 4}
    assert settings_for("fast-rcnn", settings) == {"rounds": 2, "epochs": 4}
    assert settings_for("rcnn", settings) == {"rounds": 3, "epochs": 4}


def test_a_run_of_before_with_a_setting_that_did_nothing_goes_on(tmp_path: Path) -> None:
    there = pictures_with_boxes(2)
    made = pl.detect.train(there, out=tmp_path / "run", **SMALL)
    for name in (TRAINING, "detector.safetensors"):
        arrays, told = read_file(tmp_path / "run" / name)
        told["config"]["context_rescoring"] = True
        write(tmp_path / "run" / name, arrays, {key: value for key, value in told.items() if key != "format"})
    file = tmp_path / "run" / "config.toml"
    file.write_text(file.read_text().replace("context_rescoring = false", "context_rescoring = true"))
    assert pl.detect.load_detector(tmp_path / "run").classes == made.detector.classes
    for settings in ({}, SMALL):
        assert pl.detect.train(there, out=tmp_path / "run", resume=True, **settings).config.context_rescoring
    with pytest.raises(DetectorError, match="goes on with its own settings"):
        pl.detect.train(there, out=tmp_path / "run", resume=True, **SMALL, rounds=2)


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("part", ["train", "val"])
def test_pictures_that_are_not_there_are_told_before_anything_is_made(told: bool, part: str, tmp_path: Path) -> None:
    data = voc_folder(tmp_path / "data", PARTS)
    for file in (data / "Annotations").glob("*.xml") if told else ():
        size = "<annotation><size><width>96</width><height>96</height></size>"
        file.write_text(file.read_text("utf-8").replace("<annotation>", size), "utf-8")
    name = pl.detect.load(data).parts[part].names[0]
    next((data / "JPEGImages").glob(f"{name}.*")).unlink()
    with pytest.raises(pl.data.DataError, match=f"1 pictures are not there: {name}; put them back"):
        pl.detect.train(data, out=tmp_path / "run", **SMALL)
    assert not (tmp_path / "run").exists()


def test_a_run_says_what_was_left_out_of_its_data(tmp_path: Path) -> None:
    data = voc_folder(tmp_path / "data", PARTS)
    file = next(iter(sorted((data / "Annotations").glob("*.xml"))))
    bad = (
        "<object><name>square</name><bndbox><xmin>9</xmin><ymin>9</ymin><xmax>3</xmax><ymax>3</ymax></bndbox></object>"
    )
    file.write_text(file.read_text("utf-8").replace("</annotation>", f"{bad}</annotation>"), "utf-8")
    words = "1 boxes left out, as they make no sense"
    made = pl.detect.train(data, out=tmp_path / "run", on_bad_box="skip", **SMALL)
    assert words in str(made) and words in made.picture().html()
    assert words in str(json.loads((tmp_path / "run" / LEARNED).read_text())["notes"])
    asked = ["detect", "train", "--data", str(data), "--out", str(tmp_path / "run"), "--resume", "--on-bad-box", "skip"]
    assert words in CliRunner().invoke(app, asked).stdout


@pytest.mark.parametrize(
    ("parts", "part", "seen"),
    [
        ({"train": range(2), "val": range(2, 4), "test": range(4, 5)}, 2, 0),
        ({"trainval": range(3), "val": range(1, 3), "test": range(3, 4)}, 1, 0),
        ({"trainval": range(3), "val": range(1, 3)}, None, 0),
        ({"train": range(2), "val": range(1, 4)}, 3, 1),
    ],
)
def test_what_was_learned_from_is_not_measured_on_in_silence(
    parts: dict[str, range], part: int | None, seen: int, tmp_path: Path
) -> None:
    made = pl.detect.train(voc_folder(tmp_path / "data", parts), out=tmp_path / "run", **SMALL)
    assert (made.evaluation and made.evaluation.pictures) == part
    words = "it learned from 1 of these very pictures"
    assert (words in str(made)) == (words in made.picture().html()) == bool(seen)
    if seen:
        asked = ["detect", "evaluate", str(tmp_path / "run"), "--data", str(tmp_path / "data")]
        assert words in CliRunner().invoke(app, asked).stdout


def test_a_run_is_measured_on_the_classes_that_it_shares_with_the_pictures(finished: Path, tmp_path: Path) -> None:
    detector = pl.detect.load_detector(finished)
    there = voc_folder(tmp_path / "data", {"val": range(4)})
    for file in (there / "Annotations").iterdir():
        file.write_text(file.read_text().replace("blue square", "zebra"))
    told = CliRunner().invoke(app, ["detect", "evaluate", str(finished), "--data", str(there), "--json"])
    assert "measured on the classes that both have: red disk\n" in told.stderr
    pictures = pl.detect.load(there).whole
    assert pictures.classes == ("red disk", "zebra")
    own, other = pl.detect.find_all(detector, pictures_with_boxes(4)), pl.detect.find_all(detector, pictures)
    for mine, found in zip(own, other, strict=True):
        disk = mine.labels == 1
        assert not found.labels.any()
        np.testing.assert_array_equal(found.boxes, mine.boxes[disk])
        np.testing.assert_array_equal(found.scores, mine.scores[disk])
    (disk,) = json.loads(told.stdout)["classes"]
    expected = pl.detect.evaluate(own, pictures_with_boxes(4), classes=["red disk"]).classes[0]
    assert (disk["class"], disk["average_precision"]) == ("red disk", expected.average_precision)
    for file in (there / "Annotations").iterdir():
        file.write_text(file.read_text().replace("red disk", "horse"))
    refused = CliRunner().invoke(app, ["detect", "evaluate", str(finished), "--data", str(there)])
    assert "has the classes horse, zebra; the detector knows blue square, red disk" in str(refused.exception)


def test_what_training_goes_on_from_is_no_detector(finished: Path) -> None:
    with pytest.raises(DetectorError, match="is what training goes on from; the detector is detector"):
        pl.detect.load_detector(finished / TRAINING)


def test_what_cannot_be_kept_is_found_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    image = np.random.default_rng(0).integers(0, 256, (3, 40, 50), np.uint8)
    with pytest.warns(UserWarning, match="nothing can be kept there"):
        found = pl.detect.segments_of(image, "selective-search", 5)
    assert len(found)


def test_settings_are_of_what_is_trained(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(DetectorError, match=r"settings \(epochs\) are of systems that are trained here, and none is"):
        pl.detect.compare([finished], data=pictures_with_boxes(2), settings={"epochs": 2}, folder=tmp_path)
