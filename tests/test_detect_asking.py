"""Detectors asked by name: in Python, by questions and in the lab, which opens none but those that it knows."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import pellucid as pl
from drawn_boxes import drawn, pictures_with_boxes
from pellucid.cli import app
from pellucid.detect.recognizing import is_detector
from pellucid.lab.answers import addresses, answer, require_sense
from pellucid.lab.holdings import Library
from pellucid.lab.server import first_address
from pellucid.lab.wire import Problem

SMALL: dict[str, Any] = {"backbone": "resnet18", "image_size": 64, "width": 16, "proposals": 40, "epochs": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of a detector, one of a comparison, a network's run, and a photo."""
    folder = tmp_path_factory.mktemp("asked")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))
        run = pl.detect.train(pictures_with_boxes(2), out=folder / "runs" / "shapes", **SMALL)
    there = folder / "runs" / "shapes-compare" / "fast-rcnn"
    there.mkdir(parents=True)
    (there / "detector.safetensors").write_bytes((run.folder / "detector.safetensors").read_bytes())
    Image.fromarray(drawn(7)[0]).save(folder / "photo.png")
    return folder


@pytest.fixture(autouse=True)
def there(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def test_a_detector_and_a_picture_by_their_names(folder: Path) -> None:
    found = pl.find_objects("runs/shapes", folder / "photo.png", 0.0)
    image = np.ascontiguousarray(drawn(7)[0].transpose(2, 0, 1))
    wanted = pl.detect.load_detector("runs/shapes").detect(image, 0.0)
    assert found.names == ("photo.png",) and np.array_equal(found.detections[0].boxes, wanted.boxes)
    why = pl.explain_box("runs/shapes", "photo.png", 1, 0.0)
    assert np.array_equal(why.box, wanted.boxes[1]) and why.name == "photo.png"
    both = pl.find_objects(pl.detect.load_detector("runs/shapes"), ["photo.png", "photo.png"], 0.0)
    assert len(both.detections) == 2
    with pytest.raises(pl.detect.DetectorError, match="no such file"):
        pl.find_objects("nowhere", "photo.png")


def test_a_picture_is_numbers_or_a_file(folder: Path) -> None:
    detector, image = pl.detect.load_detector("runs/shapes"), pl.data.read_image("photo.png")
    for given in ("photo.png", folder / "photo.png"):
        assert np.array_equal(detector.detect(given, 0.0).boxes, detector.detect(image, 0.0).boxes)
        assert np.array_equal(pl.detect.selective_search(given).boxes, pl.detect.selective_search(image).boxes)
        assert np.array_equal(pl.detect.segments_of(given).masks, pl.detect.segments_of(image).masks)
        why = pl.detect.explain(detector, given, 0, 0.0)
        assert why.name == "photo.png" and np.array_equal(why.box, pl.detect.explain(detector, image, 0, 0.0).box)
    assert pl.detect.explain(detector, image, 0, 0.0).name == "picture"


@pytest.mark.parametrize(
    ("given", "said"),
    (
        (Image.new("RGB", (9, 9)), "got a Image"),
        (None, "got a NoneType"),
        ([[1, 2], [3, 4]], "got a list"),
        (np.zeros((3, 9, 9)), r"got float64 \(3, 9, 9\)$"),
        (np.zeros((1, 9, 9), np.uint8), r"got uint8 \(1, 9, 9\)$"),
        (np.zeros((3, 0, 9), np.uint8), r"got uint8 \(3, 0, 9\)$"),
        (np.zeros((9, 9, 3), np.uint8), r"got uint8 \(9, 9, 3\); image\.transpose\(2, 0, 1\) makes it so$"),
    ),
)
def test_what_is_no_picture_is_said(given: Any, said: str) -> None:
    detector = pl.detect.load_detector("runs/shapes")
    for look in (
        detector.detect,
        pl.detect.selective_search,
        pl.detect.segments_of,
        partial(pl.detect.explain, detector),
    ):
        with pytest.raises((pl.detect.DetectorError, pl.detect.BoxError), match=f"wants a picture uint8.*{said}"):
            look(given)
    for look in (
        detector.detect,
        pl.detect.selective_search,
        pl.detect.segments_of,
        partial(pl.detect.explain, detector),
    ):
        with pytest.raises(pl.data.DataError, match="no such file"):
            look("nowhere.png")


def test_a_file_is_found_on_with_a_name_of_its_own(folder: Path) -> None:
    detector, image = pl.detect.load_detector("runs/shapes"), pl.data.read_image("photo.png")
    one, other = (pl.detect.find(detector, [("mine", given)], 0.0) for given in ("photo.png", image))
    assert one.to_dict() == other.to_dict() and np.array_equal(one.images[0], image)
    assert one.to_dict() == pl.detect.find(detector, zip(["mine"], [folder / "photo.png"], strict=True), 0.0).to_dict()  # type: ignore[arg-type]
    assert len(pl.find_objects(detector, [image], 0.0).detections[0]) == len(one.detections[0])  # type: ignore[list-item]
    for given, said in (
        (["photo.png"], "got a str"),
        ([image], "got a ndarray"),
        ([(image, "photo.png")], "got a tuple"),
    ):
        with pytest.raises(pl.detect.DetectorError, match=rf"wants each picture with its name.*{said}"):
            pl.detect.find(detector, given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("how", "said"),
    (
        ({"most": -1}, "most must be at least 0, got -1"),
        ({"most": 1.5}, "most must be a whole number, got 1.5"),
        ({"most": None}, "most must be a whole number, got None"),
        ({"threshold": "0.5"}, "threshold: must be a number, got '0.5'"),
        ({"threshold": [0.5]}, "threshold: must be a number, got a list"),
        ({"threshold": True}, "threshold: must be a number, got True"),
        ({"threshold": float("nan")}, "threshold must lie from 0 to 1, got nan"),
    ),
)
def test_how_a_detector_is_asked_is_looked_at(how: dict[str, Any], said: str) -> None:
    detector = pl.detect.load_detector("runs/shapes")
    with pytest.raises(pl.detect.DetectorError, match=said):
        detector.detect("photo.png", **how)
    if "threshold" in how:
        for ask in (pl.detect.find, pl.detect.explain):
            with pytest.raises(pl.detect.DetectorError, match=said):
                ask(detector, [("a", "photo.png")] if ask is pl.detect.find else "photo.png", **how)  # type: ignore[operator]


@pytest.mark.parametrize("wrong", (1.5, "0", True, [0]))
def test_boxes_are_asked_for_by_whole_numbers(wrong: Any) -> None:
    detector, image = pl.detect.load_detector("runs/shapes"), pl.data.read_image("photo.png")
    asked: dict[str, Any] = {
        "box": lambda: pl.detect.explain(detector, image, wrong, 0.0),
        "dropped": lambda: pl.detect.explain(detector, image, 0, 0.0, dropped=wrong),
        "most": lambda: pl.detect.selective_search(image, most=wrong),
        "longest": lambda: pl.detect.selective_search(image, longest=wrong),
        "segments: most": lambda: pl.detect.segments_of(image, most=wrong),
        "proposals: a number": lambda: pl.detect.selective_search(image).mask(wrong),
        "segments: a number": lambda: pl.detect.segments_of(image).mask(wrong),
    }
    for what, ask in asked.items():
        with pytest.raises((pl.detect.DetectorError, pl.detect.BoxError), match=f"{what} must be a whole number, got"):
            ask()
    assert pl.detect.explain(detector, image, np.int64(1), 0.0).number == 1  # type: ignore[arg-type]


def test_a_mask_is_of_what_is_there() -> None:
    image = pl.data.read_image("photo.png")
    for found in (pl.detect.selective_search(image), pl.detect.segments_of(image)):
        assert found.mask(np.int64(len(found) - 1)).shape == image.shape[1:]  # type: ignore[arg-type]
        for wrong in (-1, len(found)):
            with pytest.raises(
                pl.detect.BoxError, match=f"there are {len(found)}, counted from 0; there is no {wrong}"
            ):
                found.mask(wrong)


@pytest.mark.parametrize(("name", "command"), (("find-objects", "predict"), ("explain-box", "explain")))
def test_questions_say_what_the_commands_say(name: str, command: str) -> None:
    said = [
        CliRunner().invoke(app, [*words, "runs/shapes", "photo.png", "--threshold", "0", "--json"])
        for words in ([name], ["detect", command])
    ]
    assert said[0].exit_code == said[1].exit_code == 0, said[0].exception
    assert json.loads(said[0].stdout) == json.loads(said[1].stdout)


def test_boxes_of_a_drawing_are_numbered(folder: Path) -> None:
    found = pl.find_objects("runs/shapes", "photo.png", 0.0)
    page = found.picture().svg()
    for number in range(len(found.detections[0])):
        assert f'<g data-box="{number}">' in page


def test_a_lab_opens_the_detectors_that_it_knows() -> None:
    library = Library()
    try:
        assert library.told()["detectors"] == ["runs/shapes", "runs/shapes-compare/fast-rcnn"]
        assert not any("shapes" in name for name in library.told()["networks"])
        asked = (("detector", "runs/shapes"), ("picture", "sample:china"), ("threshold", "0.2"))
        require_sense("find-objects", asked, library)
        told = answer("find-objects", asked, library)
        assert told["command"] == "pellucid find-objects runs/shapes sample:china --threshold 0.20000000000000001"
        assert "detector='runs/shapes'" in told["python"]
        assert told["answer"] == pl.find_objects("runs/shapes", "sample:china", 0.2).to_dict()
        assert library.detector("runs/shapes") is library.detector("runs/shapes")
        for name in ("photo.png", "runs/none", "../runs/shapes", "/etc/passwd"):
            for question in ("find-objects", "explain-box"):
                with pytest.raises(Problem, match="No such detector"):
                    require_sense(question, (("detector", name), *asked[1:]), library)
    finally:
        library.close()
    types = {
        p["name"]: p["type"]
        for one in addresses()
        if one["address"].endswith("/explain-box")
        for p in one["parameters"]
    }
    assert types == {
        "detector": "detector", "picture": "picture", "box": "whole number", "threshold": "number",
        "dropped": "whole number", "at": "text", "kind": "text", "figure": "whole number",
    }  # fmt: skip


def test_a_lab_that_is_started_with_a_detector_begins_there(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = folder / "runs" / "shapes"
    for subject in (run, run / "detector.safetensors"):
        assert is_detector(subject)
        network, first = first_address(str(subject))
        assert first.startswith("/detection?detector_=")
        library = Library(network)
        try:
            assert library.subject == "" and library.detectors() == [str(subject)]
            assert library.detector(str(subject)).classes == ("blue square", "red disk")
        finally:
            library.close()
    assert (run / "training.safetensors").is_file() and not is_detector(run / "training.safetensors")
    assert not is_detector(tmp_path) and not is_detector(tmp_path / "none")
    assert first_address("lenet") == ("lenet", "/network")
