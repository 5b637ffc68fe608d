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
    "far": ((5, 5, 1e200, 9), "is too far away"),
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
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, "utf-8")
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


def test_names_of_a_part_may_have_spaces(tmp_path: Path) -> None:
    for name in ("photo", "photo 2", "photo 3"):
        picture(tmp_path / "JPEGImages" / f"{name}.png")
        written(tmp_path, f"Annotations/{name}.xml", annotation("", ""))
    written(tmp_path, "ImageSets/Main/train.txt", "photo\n photo 3  -1\nphoto\n")
    written(tmp_path, "ImageSets/Main/test.txt", "photo 2\nphoto 4\n")
    data = pl.detect.load(tmp_path)
    assert {name: part.names for name, part in data.parts.items()} == {
        "train": ("photo", "photo 3"),
        "test": ("photo 2",),
    }
    assert any("part train more than once, and count once: photo" in note for note in data.notes)
    assert any("names of the part test have no boxes: photo 4" in note for note in data.notes)


@pytest.mark.parametrize(
    ("word", "difficult", "unclear"),
    [("1", True, False), ("True", True, False), ("0", False, False), ("false", False, False), ("", False, False)]
    + [(word, False, True) for word in ("Unspecified", "0.0", "2")],
)
def test_what_is_difficult_is_said(word: str, difficult: bool, unclear: bool, tmp_path: Path) -> None:
    root = voc(tmp_path)
    written(root, "kit/VOC2007/Annotations/two.xml", annotation(BOX.format("cat", word, 1, 1, 9, 9)))
    data = pl.detect.load(root)
    assert data.whole.objects[data.whole.names.index("two")].difficult.tolist() == [difficult]
    assert any("whether an object is difficult" in note and f"({word})" in note for note in data.notes) == unclear


def sized(width: int, height: int) -> str:
    return f"<size><width>{width}</width><height>{height}</height></size>"


@pytest.mark.parametrize("told", [(400, 300), (10, 10), (30, 40)])
def test_the_size_of_a_picture_is_its_own(told: tuple[int, int], tmp_path: Path) -> None:
    root = voc(tmp_path)
    marked = BOX.format("cat", 0, 35, 25, 40, 30)
    written(root, "kit/VOC2007/Annotations/two.xml", annotation(marked, sized(*told)))
    data = pl.detect.load(root)
    place = data.whole.names.index("two")
    assert data.whole.sizes[place] == (40, 30)
    assert data.whole.objects[place].boxes.tolist() == [[34, 24, 39, 29]]
    assert any(f"two (told {told[0]}x{told[1]}, is 40x30)" in note for note in data.notes)
    written(root, "kit/VOC2007/Annotations/two.xml", annotation(BOX.format("cat", 0, 41, 31, 50, 39), sized(400, 300)))
    with pytest.raises(DataError, match="lies outside the picture of 40x30"):
        pl.detect.load(root)


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
def test_the_size_is_that_of_the_picture_upright(ending: str, tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (40, 30)).save(tmp_path / f"a.{ending}", exif=turned)
    written(tmp_path, "a.xml", annotation(BOX.format("cat", 0, 1, 1, 20, 35)))
    data = pl.detect.load(tmp_path)
    assert data.whole.sizes == ((30, 40),)
    assert data.whole.read(0).shape == (3, 40, 30)
    assert any("a (told 40x30, is 30x40)" in note for note in data.notes)


def test_masks_are_no_pictures(tmp_path: Path) -> None:
    root = voc(tmp_path) / "kit" / "VOC2007"
    (root / "SegmentationClass").mkdir()
    (root / "JPEGImages" / "two.png").rename(root / "SegmentationClass" / "two.png")
    data = pl.detect.load(tmp_path)
    assert any("1 pictures that are not there: two" in note for note in data.notes)
    assert not any("without an annotation" in note for note in data.notes)


FILE_NAMES = {
    "of several endings": ("a.xml", "a.png", ("a.bmp", "a.png")),
    "another than the annotation's": ("0001.xml", "a.png", ("a.png",)),
    "without an ending": ("0001.xml", "img.1", ("img.1.png",)),
    "of another system": ("0001.xml", r"C:\pictures\a.png", ("a.png",)),
    "written in two signs": ("0001.xml", "a\u0308.png", ("\u00e4.png",)),
}


@pytest.mark.parametrize("name", FILE_NAMES)
def test_a_picture_is_found_by_the_name_that_is_told(name: str, tmp_path: Path) -> None:
    file, told, there = FILE_NAMES[name]
    for number, one in enumerate(there):
        Image.new("RGB", (40, 30), (100 * number, 0, 0)).save(tmp_path / one)
    written(tmp_path, file, annotation("").replace("x.jpg", told))
    data = pl.detect.load(tmp_path)
    assert data.notes == ()
    assert data.whole.read(0).max() == 100 * (len(there) - 1)


def test_annotations_lie_in_one_place(tmp_path: Path) -> None:
    root = voc(tmp_path) / "kit" / "VOC2007"
    written(root, "one.xml", annotation(""))
    assert len(pl.detect.load(tmp_path).whole) == 3


def test_pictures_that_differ_in_their_ending_have_names_of_their_own(tmp_path: Path) -> None:
    for file in ("a.png", "a.jpg", "b.png"):
        picture(tmp_path / file)
    rows = "a.png,0,0,9,9,c\na.jpg,10,10,19,19,c\nb.png,5,5,9,9,c\n"
    data = pl.detect.load(written(tmp_path, "boxes.csv", f"file,x1,y1,x2,y2,class\n{rows}"))
    assert sorted(data.whole.names) == ["a.jpg", "a.png", "b"]
    surely = rows.replace(",c", ",c,0.9")
    found, notes = pl.detect.read_detections(
        written(tmp_path, "found.csv", f"file,x1,y1,x2,y2,class,score\n{surely}"), data.whole
    )
    assert pl.detect.evaluate(found, data.whole).mean == 1.0
    assert notes == ()


def coco_of(folder: Path, **changed: object) -> Path:
    picture(folder / "a.png")
    told = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "categories": [{"id": 1, "name": "c"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
    }
    return written(folder, "a.json", json.dumps({**told, **changed}))


def one_box(**changed: object) -> list[dict[str, object]]:
    return [{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], **changed}]


ODD_COCO = {
    "image not there": (
        {"annotations": one_box(image_id=99)},
        r"annotation 1 \(c\): is of image 99, which is not there",
    ),
    "image of another type": ({"annotations": one_box(image_id="1")}, "is of image '1', which is not there"),
    "image a list": ({"annotations": one_box(image_id=[1])}, r"is of image \[1\], which is not there"),
    "no image": ({"annotations": [{"category_id": 1, "bbox": [1, 2, 3, 4]}]}, "is of image None, which is not there"),
    "class a list": ({"annotations": one_box(category_id=[1])}, "has no class"),
    "endless digits": ({"annotations": one_box(bbox=[1, 2, 10**400, 4])}, "is not four numbers"),
    "a picture twice": ({"images": [{"id": 1, "file_name": "a.png"}] * 2}, "two of its images have the id 1"),
    "a name twice": (
        {"images": [{"id": k, "file_name": "a.png"} for k in (1, 2)]},
        "1 names are those of more than one picture: a.png",
    ),
    "a class twice": ({"categories": [{"id": 1, "name": k} for k in "cd"]}, "two of its categories have the id 1"),
    "here": ({"images": [{"id": 1, "file_name": "./"}]}, "names no picture"),
    "long": ({"images": [{"id": 1, "file_name": "a" * 300}]}, "cannot be looked at"),
    "half a sign": (
        {"images": [{"id": 1, "file_name": "\ud800.png"}], "annotations": one_box(bbox=3)},
        "is not four numbers",
    ),
}


@pytest.mark.parametrize("name", ODD_COCO)
def test_coco_is_not_believed(name: str, tmp_path: Path) -> None:
    changed, words = ODD_COCO[name]
    with pytest.raises(DataError, match=words):
        pl.detect.load(coco_of(tmp_path, **changed))


def test_coco_boxes_of_no_picture_are_left_out_by_name(tmp_path: Path) -> None:
    file = coco_of(tmp_path, annotations=[*one_box(), *one_box(image_id=7)])
    data = pl.detect.load(file, on_bad_box="skip")
    assert data.whole.counts() == {"c": 1}
    assert any("annotation 2 (c): is of image 7" in note for note in data.notes)


def test_a_coco_box_of_one_pixel_is_a_box(tmp_path: Path) -> None:
    data = pl.detect.load(coco_of(tmp_path, annotations=one_box(bbox=[3, 4, 1, 10])))
    assert data.whole.objects[0].boxes.tolist() == [[3, 4, 3, 13]]
    for width, words in ((0, "has no extent"), (-1, "has no extent"), (0.5, "is less than a pixel wide or high")):
        with pytest.raises(DataError, match=words):
            pl.detect.load(coco_of(tmp_path, annotations=one_box(bbox=[3, 4, width, 10])))


@pytest.mark.parametrize(
    ("file", "place"),
    [
        ("annotations/instances_val2017.json", "val2017/a.png"),
        ("annotations/instances_val2017.json", "images/val2017/a.png"),
        ("_annotations.coco.json", "a.png"),
        ("annotations/all.json", "a.png"),
    ],
)
def test_cocos_folders(file: str, place: str, tmp_path: Path) -> None:
    picture(tmp_path / place)
    told = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "annotations": one_box(),
        "categories": [{"id": 1, "name": "c"}],
    }
    data = pl.detect.load(written(tmp_path, file, json.dumps(told)))
    assert data.whole.read(0).shape == (3, 30, 40)


def test_folders_may_be_parted_as_on_another_system(tmp_path: Path) -> None:
    picture(tmp_path / "t" / "a.png")
    data = pl.detect.load(coco_of(tmp_path, images=[{"id": 1, "file_name": r"t\a.png"}]))
    assert data.whole.names == ("t/a",)
    found, notes = pl.detect.read_detections(
        written(tmp_path, "found.csv", "file,x1,y1,x2,y2,class,score\nt\\a.png,1,2,3,5,c,0.9\n"), data.whole
    )
    assert (len(found[0]), notes) == (1, ())


def test_a_picture_that_is_gone_is_told(tmp_path: Path) -> None:
    data = pl.detect.load(coco_of(tmp_path))
    (tmp_path / "a.png").unlink()
    with pytest.raises(DataError, match=r"a\.png: cannot be read"):
        data.whole.read(0)
    root = voc(tmp_path / "kit")
    (link := root / "kit/VOC2007/JPEGImages/two.png").unlink()
    link.symlink_to(tmp_path / "none.png")
    data = pl.detect.load(root)
    with pytest.raises(DataError, match=r"JPEGImages/two\.png: cannot be read"):
        data.whole.read(data.whole.names.index("two"))


def test_a_name_that_is_too_long_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder or file"):
        pl.detect.load("a" * 5000)
    with pytest.raises(DataError, match="no such file or folder of detections"):
        pl.detect.read_detections("a" * 5000, pl.detect.load(coco_of(tmp_path)).whole)
    for ending in ("", ".mat", ".zip/models", ".safetensors"):
        name = "a" * 5000 + ending
        for opens in (pl.detect.load_detector, pl.detect.load_dpm):
            with pytest.raises(pl.detect.DetectorError, match="no such file"):
                opens(name)


@pytest.mark.parametrize("cell", [".", "./", "\\", "/"])
def test_a_table_names_files(cell: str, tmp_path: Path) -> None:
    for head, rest in (("x1,y1,x2,y2,class", ",1,2,3,4,c"), ("age", ",3")):
        file = written(tmp_path, "a.csv", f"file,{head}\n{cell}{rest}\n")
        with pytest.raises(DataError, match=r"line 2.*names no file below"):
            pl.detect.load(file) if "x1" in head else pl.data.load_numbers(file)
    whole = pl.detect.load(coco_of(tmp_path)).whole
    found, notes = pl.detect.read_detections(
        written(tmp_path, "found.csv", f"file,x1,y1,x2,y2,class,score\n{cell},1,2,3,5,c,0.9\n"), whole
    )
    assert (len(found[0]), len(notes)) == (0, 1)


def test_results_of_the_development_kit_may_begin_with_a_mark(tmp_path: Path) -> None:
    whole = pl.detect.load(coco_of(tmp_path)).whole
    (tmp_path / "comp3_det_test_c.txt").write_bytes(b"\xef\xbb\xbfa 0.9 2 3 4 6\n")
    found, notes = pl.detect.read_detections(tmp_path, whole)
    assert (found[0].boxes.tolist(), notes) == ([[1, 2, 3, 5]], ())


def test_results_name_pictures_with_spaces(tmp_path: Path) -> None:
    for name in ("photo 2", "a  b", "c"):
        picture(tmp_path / f"{name}.png")
    marks = "".join(f"{name}.png,1,2,3,5,c\n" for name in ("photo 2", "a  b", "c"))
    whole = pl.detect.load(written(tmp_path, "t.csv", f"file,x1,y1,x2,y2,class\n{marks}")).whole
    file = written(tmp_path, "found/comp3_det_test_c.txt", "")
    file.write_text("photo 2 0.9 2 3 4 6\n a  b\t0.8 2 3 4 6 \n\nc 0.7 2 3 4 6\nanother one 0.6 2 3 4 6\n")
    found, notes = pl.detect.read_detections(file.parent, whole)
    assert pl.detect.evaluate(found, whole).mean == 1.0
    assert notes == ("1 pictures are not in t, left out: another one",)
    for line in ("photo 3 0.9 2 3 4 6", "c 0.9 2 3 4 6 7", "c 0.9 2 3 4"):
        file.write_text(f"{line}\n")
        with pytest.raises(DataError, match=rf"line 1: wants NAME SCORE X1 Y1 X2 Y2, got {len(line.split())} words"):
            pl.detect.read_detections(file.parent, whole)


@pytest.mark.parametrize("other", ["b/a.png", "a.jpg", "a"])
def test_detections_of_two_files_are_not_taken_for_one_picture(other: str, tmp_path: Path) -> None:
    whole = pl.detect.load(coco_of(tmp_path)).whole
    head = "file,x1,y1,x2,y2,class,score\n./a.png,1,2,3,5,c,0.9\na.png,1,2,3,5,c,0.8\n"
    found, _ = pl.detect.read_detections(written(tmp_path, "found.csv", head), whole)
    assert len(found[0]) == 2
    file = written(tmp_path, "found.csv", f"{head}{other},1,2,3,5,c,0.7\n")
    with pytest.raises(DataError, match=rf"line 4: {other} and a.png are both taken for the picture a of a"):
        pl.detect.read_detections(file, whole)


def test_names_of_classes_are_the_same_in_all_sources(tmp_path: Path) -> None:
    """Spaces around a name are no part of it: COCO's kept them, and no table of detections could say such a class."""
    data = pl.detect.load(coco_of(tmp_path, categories=[{"id": 1, "name": " c "}]))
    assert data.classes == ("c",)
    with pytest.raises(DataError, match="category: wants a name, got ' '"):
        pl.detect.load(coco_of(tmp_path, categories=[{"id": 1, "name": " "}]))
    file = written(
        tmp_path, "b.csv", 'file, x1, y1, x2, y2, class\n"a.png", 1, 2, 3, 5, "c, or d"\na.png, 1,2,3,5, "c"\n'
    )
    assert pl.detect.load(file).classes == ("c", "c, or d")


@pytest.mark.parametrize(
    ("mark", "crowd", "unclear"),
    [
        *[(mark, True, False) for mark in (1, True, 1.0, "1", "true")],
        *[(mark, False, False) for mark in (0, False, None, "0", "")],
        *[(mark, False, True) for mark in (2, "some", [1], 0.5)],
    ],
)
def test_what_is_a_crowd_is_said(mark: object, crowd: bool, unclear: bool, tmp_path: Path) -> None:
    data = pl.detect.load(coco_of(tmp_path, annotations=one_box(iscrowd=mark)))
    assert data.whole.objects[0].difficult.tolist() == [crowd]
    assert any("around a crowd" in note and "annotation 1" in note for note in data.notes) == unclear


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
