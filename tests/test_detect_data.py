"""Pictures with boxes: VOC's folders, COCO's files and tables are read alike; what makes no sense is told by name."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pellucid as pl
from pellucid.data import DataError
from pellucid.detect import BoxData

BOX = "<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
SIZE = "<size><width>40</width><height>30</height><depth>3</depth></size>"
OBJECTS: dict[str, list[tuple[str, int, int, int, int, int]]] = {
    "one": [("cat", 0, 1, 1, 10, 20), ("großer Hund", 1, 5, 6, 40, 30)],
    "two": [],
    "three": [("cat", 0, 31, 11, 40, 30)],
}


def annotation(objects: str, size: str = SIZE) -> str:
    return f"<annotation><filename>x.jpg</filename>{size}{objects}</annotation>"


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 30), (9, 90, 200)).save(path)


def voc(folder: Path) -> Path:
    root = folder / "kit" / "VOC2007"
    (root / "Annotations").mkdir(parents=True)
    (root / "ImageSets" / "Main").mkdir(parents=True)
    for name, objects in OBJECTS.items():
        picture(root / "JPEGImages" / f"{name}.png")
        inside = "".join(BOX.format(*one) for one in objects)
        (root / "Annotations" / f"{name}.xml").write_text(annotation(inside), "utf-8")
    (root / "ImageSets" / "Main" / "train.txt").write_text("one\n")
    (root / "ImageSets" / "Main" / "test.txt").write_text("two  1\r\nthree -1\nfour\n")
    (root / "ImageSets" / "Main" / "cat_train.txt").write_text("one 1\n")
    return folder


def zipped(folder: Path) -> Path:
    root = voc(folder / "plain")
    with zipfile.ZipFile(folder / "plain.zip", "w") as archive:
        for file in sorted(root.rglob("*.*")):
            archive.write(file, file.relative_to(root))
    return folder / "plain.zip"


def beside(folder: Path) -> Path:
    for name, objects in OBJECTS.items():
        picture(folder / f"{name}.png")
        (folder / f"{name}.xml").write_text(annotation("".join(BOX.format(*o) for o in objects), ""), "utf-8")
    return folder


def coco(folder: Path) -> Path:
    names = ["großer Hund", "cat"]
    images, marks = [], []
    for number, (name, objects) in enumerate(OBJECTS.items(), 7):
        picture(folder / "images" / f"{name}.png")
        images.append({"id": number, "file_name": f"{name}.png", "width": 40, "height": 30, "license": 1})
        for label, difficult, x1, y1, x2, y2 in objects:
            box = [x1 - 1, y1 - 1, x2 - x1 + 1, y2 - y1 + 1]
            marks.append(
                {
                    "id": len(marks),
                    "image_id": number,
                    "category_id": names.index(label),
                    "bbox": box,
                    "iscrowd": difficult,
                }
            )
    categories = [{"id": k, "name": name} for k, name in enumerate(names)]
    told = {"info": {}, "images": images, "annotations": marks, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(told))
    return folder / "instances.json"


def table(folder: Path) -> Path:
    lines = ["file,x1,y1,x2,y2,class"]
    for name, objects in OBJECTS.items():
        picture(folder / f"{name}.png")
        lines += [f"{name}.png,{x1 - 1},{y1 - 1},{x2 - 1},{y2 - 1},{label}" for label, _, x1, y1, x2, y2 in objects]
        lines += [] if objects else [f"{name}.png"]
    (folder / "boxes.csv").write_text("\n".join(lines), "utf-8")
    return folder / "boxes.csv"


@pytest.mark.parametrize("source", [voc, zipped, beside, coco, table])
def test_sources_say_the_same(source: Callable[[Path], Path], tmp_path: Path) -> None:
    data = pl.detect.load(source(tmp_path))
    whole = data.whole
    assert data.classes == ("cat", "großer Hund")
    assert sorted(whole.names) == ["one", "three", "two"]
    assert set(whole.sizes) == {(40, 30)}
    for name, wanted in OBJECTS.items():
        place = whole.names.index(name)
        objects = whole.objects[place]
        assert objects.boxes.tolist() == [[x1 - 1.0, y1 - 1.0, x2 - 1.0, y2 - 1.0] for _, _, x1, y1, x2, y2 in wanted]
        assert [data.classes[k] for k in objects.labels] == [label for label, *_ in wanted]
        if source is not table:
            assert objects.difficult.tolist() == [bool(difficult) for _, difficult, *_ in wanted]
        assert whole.read(place).shape == (3, 30, 40)
    assert whole.counts() == {"cat": 2, "großer Hund": 1 if source is table else 0}


def test_parts_are_those_of_the_image_sets(tmp_path: Path) -> None:
    data = pl.detect.load(voc(tmp_path))
    assert {name: part.names for name, part in data.parts.items()} == {"train": ("one",), "test": ("two", "three")}
    assert data.parts["test"].read(1).shape == (3, 30, 40)
    assert data.part()[0] == "test"
    assert data.part("all")[1] is data.whole
    assert any("part test" in note and "four" in note for note in data.notes)
    with pytest.raises(DataError, match=r"no part 'val'; there are: train, test, all"):
        data.part("val")
    assert (
        pl.detect.load(beside(tmp_path / "flat")).part()[0] == "all" if (tmp_path / "flat").mkdir() is None else False
    )


BAD = {
    "no extent": ((5, 5, 5, 9), "x 4 to 4, y 4 to 8 has no extent"),
    "turned": ((9, 5, 5, 9), "has no extent"),
    "outside": ((50, 5, 60, 9), "lies outside the picture of 40x30"),
    "words": (("x", 5, 60, 9), "is not four numbers"),
    "endless": (("inf", 5, 60, 9), "is not four numbers"),
    "hidden": (("1_0", 5, 60, 9), "is not four numbers"),
}


@pytest.mark.parametrize("name", BAD)
def test_boxes_that_make_no_sense(name: str, tmp_path: Path) -> None:
    box, words = BAD[name]
    root = voc(tmp_path)
    marked = BOX.format("cat", 0, *box) + BOX.format("cat", 0, 1, 1, 9, 9)
    (root / "kit/VOC2007/Annotations/two.xml").write_text(annotation(marked))
    with pytest.raises(DataError, match=r"two\.xml, object 1 \(cat\).*" + words + r"(?s:.*)on-bad-box skip"):
        pl.detect.load(root)
    data = pl.detect.load(root, on_bad_box="skip")
    assert data.whole.objects[data.whole.names.index("two")].boxes.tolist() == [[0, 0, 8, 8]]
    assert any("two.xml, object 1" in note for note in data.notes)
    with pytest.raises(DataError, match="on_bad_box is one of error, skip"):
        pl.detect.load(root, on_bad_box="guess")


def test_boxes_beyond_the_edge_are_cut_and_told(tmp_path: Path) -> None:
    root = voc(tmp_path)
    (root / "kit/VOC2007/Annotations/two.xml").write_text(annotation(BOX.format("cat", 0, -3, 5, 44, 9)))
    data = pl.detect.load(root)
    assert data.whole.objects[data.whole.names.index("two")].boxes.tolist() == [[0, 4, 39, 8]]
    assert any("cut at the edge" in note and "two.xml" in note for note in data.notes)


ENTITY = '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]><annotation><filename>&c;</filename></annotation>'
FILES = {
    "entities": (ENTITY, "declares a document type"),
    "no XML": ("annotation", "is no annotation"),
    "cut off": (annotation("")[:-4], "is no annotation"),
    "another": ("<svg/>", "outermost element is 'svg'"),
    "deep": ("<annotation>" + "<a>" * 30 + "</a>" * 30 + "</annotation>", "more than 20 deep"),
    "encoding": ('<?xml version="1.0" encoding="nonsense"?><annotation/>', "is no annotation"),
}


@pytest.mark.parametrize("name", FILES)
def test_annotations_are_not_believed(name: str, tmp_path: Path) -> None:
    text, words = FILES[name]
    root = voc(tmp_path)
    (root / "kit/VOC2007/Annotations/two.xml").write_text(text)
    with pytest.raises(DataError, match=rf"two\.xml.*{words}"):
        pl.detect.load(root)


OUTSIDE = json.dumps({"categories": [], "annotations": [], "images": [{"id": 1, "file_name": "/etc/passwd"}]})
SOURCES = {
    "nothing": (lambda f: f / "none", "no such folder or file"),
    "empty": (lambda f: f, "has no annotations"),
    "another table": (lambda f: written(f, "a.csv", "file,age\n"), "first line must be file,x1,y1,x2,y2,class"),
    "a line too short": (lambda f: written(f, "a.csv", "file,x1,y1,x2,y2,class\na.png,1,2\n"), "line 2 has 3 cells"),
    "out of the folder": (lambda f: written(f, "a.csv", "file,x1,y1,x2,y2,class\n../a.png,1,2,3,4,c\n"), "line 2"),
    "no COCO": (lambda f: written(f, "a.json", "[]"), "wants COCO's images"),
    "no JSON": (lambda f: written(f, "a.json", "{"), "not JSON"),
    "no list": (lambda f: written(f, "a.json", '{"categories": 3}'), "a list of objects called 'categories'"),
    "leads out": (lambda f: written(f, "a.json", OUTSIDE), "names no picture"),
}  # fmt: skip


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize("name", SOURCES)
def test_what_is_no_data(name: str, tmp_path: Path) -> None:
    source, words = SOURCES[name]
    with pytest.raises(DataError, match=words):
        pl.detect.load(source(tmp_path))


def test_pictures_that_are_not_there_are_told(tmp_path: Path) -> None:
    root = voc(tmp_path)
    (root / "kit/VOC2007/JPEGImages/two.png").unlink()
    picture(root / "kit/VOC2007/JPEGImages/lonely.png")
    data = pl.detect.load(root)
    assert any("1 pictures that are not there: two" in note for note in data.notes)
    assert any("without an annotation, left out: lonely" in note for note in data.notes)
    with pytest.raises(DataError, match=r"two\.xml: its picture is not there"):
        data.whole.read(data.whole.names.index("two"))


def shared() -> Path:
    return Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.mark.skipif(not shared().is_dir(), reason="needs the folder of shared data beside the repository")
def test_real_folders() -> None:
    data = pl.detect.load(shared() / "voc2007-mini.zip")
    assert {name: len(part) for name, part in data.parts.items()} == {"train": 500, "val": 250}
    assert len(data.classes) == 20
    with pytest.raises(DataError, match=r"BloodImage_00338.xml, object 13 (?s:.*)BloodImage_00343.xml, object 4"):
        pl.detect.load(shared() / "bccd.zip")
    cells: BoxData = pl.detect.load(shared() / "bccd.zip", on_bad_box="skip")
    assert cells.whole.counts() == {"Platelets": 361, "RBC": 4153, "WBC": 372}
    assert cells.whole.read(0).shape == (3, 480, 640)
    assert np.all([size == (640, 480) for size in cells.whole.sizes])
