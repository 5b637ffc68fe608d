"""Folders and archives of pictures as people have them: parts, classes, links, hidden files, and what is not to be trusted."""

from __future__ import annotations

import io
import os
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid import data
from pellucid.data import DataError, Dataset, find_images
from pellucid.data import listing as listed


def picture(number: int = 0, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (6, 5), (number % 256, 0, 0)).save(buffer, kind)
    return buffer.getvalue()


def files_of(*groups: str) -> dict[str, bytes]:
    """`"train/{cat,dog}/4"` is four pictures in each of two folders."""
    found: dict[str, bytes] = {}
    for group in groups:
        place, _, count = group.rpartition("/")
        before, _, rest = place.partition("{")
        names, _, after = rest.partition("}")
        for name in names.split(",") if names else [""]:
            folder = f"{before}{name}{after}" if names else place
            for i in range(int(count)):
                found[f"{folder}/{i}.png".lstrip("/")] = picture(len(found))
    return found


def on_disk(root: Path, files: dict[str, bytes]) -> Path:
    for name, raw in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(raw)
    return root


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in files.items():
            archive.writestr(name, raw)
    return path


def names(dataset: Dataset) -> set[str]:
    return {dataset[i].name.rpartition("/")[0] for i in range(len(dataset))}


TRAIN, BOTH = "train/{cat,dog}/10", ("train/{cat,dog}/10", "val/{cat,dog}/3")
LAYOUTS: dict[str, tuple[tuple[str, ...], dict[str, int], tuple[str, ...]]] = {
    # what there is, pictures of each part, and what is said of the rest
    "kaggle": ((TRAIN, "test/7"), {"train": 18, "validation": 2}, ("test: 7 pictures left out, without classes; ",)),
    "beside": (
        (*BOTH, "docs/2", "extra/{a,b}/3", "unlabeled/1"),
        {"train": 20, "validation": 6},
        ("docs: 2 pictures left out, beside the parts", "extra: 6 pictures left out", "unlabeled: 1 picture left out"),
    ),
    "one beside": ((TRAIN, "extra/{a,b}/3"), {"train": 18, "validation": 2}, ("extra: 6 pictures left out",)),
    "all three": ((*BOTH, "test/{cat,dog}/4"), {"train": 20, "validation": 6, "test": 8}, ()),
    "cases": (
        ("Train/{cat,dog}/10", "VALID/{cat,dog}/3", "TEST/{cat,dog}/4"),
        {"train": 20, "validation": 6, "test": 8},
        (),
    ),
    "other words": (
        ("training/{cat,dog}/10", "dev/{cat,dog}/3", "testing/{cat,dog}/4"),
        {"train": 20, "validation": 6, "test": 8},
        (),
    ),
    "only train": ((TRAIN,), {"train": 18, "validation": 2}, ()),
    "val without classes": (
        (TRAIN, "val/3"),
        {"train": 18, "validation": 2},
        ("val: 3 pictures left out, without classes",),
    ),
    "one level more": (
        ("archive/train/{cat,dog}/10", "archive/test/{cat,dog}/4", "docs/2"),
        {"train": 18, "validation": 2, "test": 8},
        ("docs: 2 pictures left out",),
    ),
    "two levels more": (
        ("a/b/train/{cat,dog}/10", "a/b/val/{cat,dog}/3", "a/c/2"),
        {"train": 20, "validation": 6},
        ("a/c: 2 pictures left out",),
    ),
    "loose files": (
        ("train/{cat,dog}/10", "train/2", "val/{cat,dog}/3", "/1"),
        {"train": 20, "validation": 6},
        ("train: 2 pictures left out, in no class folder", "pets: 1 picture left out, beside the parts"),
    ),
    "classes and loose files": (
        ("{cat,dog}/20", "/3"),
        {"train": 28, "validation": 6, "test": 6},
        ("pets: 3 pictures left out, in no class folder",),
    ),
    "classes below one folder": (("pets/{cat,dog}/20",), {"train": 28, "validation": 6, "test": 6}, ()),
    "a class called test": (("{control,test}/20",), {"train": 28, "validation": 6, "test": 6}, ()),
    "test in one folder": (
        (TRAIN, "test/unknown/5"),
        {"train": 18, "validation": 2},
        ("test: 5 pictures left out, in folders (unknown) that are no classes of train",),
    ),
    "hidden": (
        (
            *BOTH,
            ".cache/{cat,dog}/3",
            "train/.ipynb_checkpoints/3",
            "__MACOSX/train/{cat,dog}/3",
            "train/cat/.thumbs/2",
        ),
        {"train": 20, "validation": 6},
        (),
    ),
}


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name: str, packed: bool, tmp_path: Path) -> None:
    groups, counts, notes = LAYOUTS[name]
    files = files_of(*groups)
    source = zipped(tmp_path / "pets", files) if packed else on_disk(tmp_path / "pets", files)
    splits = data.load(source)
    assert {part: len(pictures) for part, pictures in splits.parts().items()} == counts
    assert splits.test_part == ("test" if "test" in counts else "validation")
    assert len(splits.classes) == 2
    assert len(splits.notes) == len(notes)
    if name == "kaggle":
        assert splits.notes[0].endswith(
            f"ask about them with `pellucid predict RUN {source / 'test'}`" if not packed else "`"
        )
    for note in notes:
        assert any(said.startswith(note) for said in splits.notes), splits.notes


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        (("train/{cat,dog}/3", "test/{cat,wolf}/3"), "test has classes that train has not: wolf"),
        (("fold1/train/{cat,dog}/3", "fold2/train/{cat,dog}/3"), "has parts in fold1, fold2; name one"),
        (("test/{cat,dog}/3",), "has test but no train folder"),
        (("train/cat/3", "docs/3"), r"found one class only \(cat\).*\n  docs: 3 pictures left out"),
        (("/3",), "pictures lie in one folder only"),
    ],
)
def test_layouts_that_make_no_sense(groups: tuple[str, ...], words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        data.load(on_disk(tmp_path / "pets", files_of(*groups)))


def test_folders_without_pictures_are_named(tmp_path: Path) -> None:
    root = on_disk(tmp_path / "pets", {**files_of(*BOTH), "train/bird/notes.txt": b"none"})
    (root / "train" / "fish").mkdir()
    (root / "test").mkdir()
    folders = [f"{name}: left out, as there is no picture in it" for name in ("train/bird", "train/fish", "test")]
    files = "1 file left out, as it does not end as pictures do (1 .txt): train/bird/notes.txt"
    assert data.load(root).notes == (*folders, files)


@pytest.mark.parametrize(
    ("groups", "part", "count"),
    [
        (("{cat,dog}/20",), "all", 40),
        (("train/{cat,dog}/10", "val/{cat,dog}/3", "test/{cat,dog}/4"), "test", 8),
        (BOTH, "validation", 6),
        (("test/{cat,dog}/4",), "test", 8),
        (("train/{cat,dog}/10",), "train", 20),
    ],
)
def test_what_a_network_is_measured_on(groups: tuple[str, ...], part: str, count: int, tmp_path: Path) -> None:
    found = data.to_measure(on_disk(tmp_path / "pets", files_of(*groups)))
    assert (found.part, len(found.dataset), found.dataset.classes) == (part, count, ("cat", "dog"))


def test_links_are_followed_and_their_loops_end(tmp_path: Path) -> None:
    root, far = tmp_path / "pets", tmp_path / "far"
    on_disk(root, files_of("train/cat/10"))
    on_disk(far, files_of("dog/10", "val/{cat,dog}/3"))
    (root / "train" / "dog").symlink_to(far / "dog")
    (root / "val").symlink_to(Path("..") / "far" / "val")
    (far / "elsewhere.png").write_bytes(picture(99))
    (root / "train" / "cat" / "linked.png").symlink_to(far / "elsewhere.png")
    (root / "train" / "cat" / "round").symlink_to(root)
    (root / "train" / "self").symlink_to(root / "train" / "self")
    (root / "nowhere").symlink_to(tmp_path / "missing")
    splits = data.load(root)
    assert (len(splits.train), len(splits.validation)) == (21, 6)
    assert names(splits.train) == {"train/cat", "train/dog"}
    assert splits.notes == (
        "nowhere: left out, as it leads nowhere (No such file or directory)",
        "train/cat/round: left out, as it leads back to a folder that it lies in",
        "train/self: left out, as it leads nowhere (Too many levels of symbolic links)",
    )
    assert len(find_images([root])) == 27
    (root / "train" / "cat" / "gone.png").symlink_to(tmp_path / "missing.png")
    with pytest.raises(DataError, match=r"1 unreadable pictures:\n  train/cat/gone.png: cannot be read \(No such file"):
        data.load(root)
    assert len(data.load(root, on_bad_image="skip").train) == 21


def test_links_among_folders_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listed, "MAX_LINKED", 50)
    folders = [tmp_path / f"f{i}" for i in range(8)]
    for folder in folders:
        folder.mkdir()
        for other in folders:
            (folder / f"to{other.name}").symlink_to(other)
    with pytest.raises(DataError, match="more than 50 folders below links"):
        data.load(tmp_path)


def test_hidden_files_are_no_pictures(tmp_path: Path) -> None:
    hidden = ("._a.png", ".a.png", "__MACOSX/a.png", ".ipynb_checkpoints/a.png", "Thumbs.db", "@eaDir/a.png", "desktop.ini", ".DS_Store")  # fmt: skip
    files = {f"cat/{name}": b"none" for name in hidden}
    root = on_disk(tmp_path / ".pets", {**files_of("{cat,dog}/20"), **files})
    assert len(find_images([root])) == 40
    assert sum(len(part) for part in data.load(root).parts().values()) == 40


@pytest.mark.parametrize("name", [b"caf\xe9", b"\xff\xfe"])
def test_class_folders_that_are_not_utf8_are_refused_by_name(name: bytes, tmp_path: Path) -> None:
    root = on_disk(tmp_path / "pets", files_of("{cat,dog}/20"))
    os.rename(root / "cat", os.path.join(os.fsencode(root), name))
    with pytest.raises(DataError, match=r"class folder '.*' is not UTF-8; rename it") as error:
        data.load(root)
    str(error.value).encode()


def test_files_that_are_not_utf8_are_read(tmp_path: Path) -> None:
    root = on_disk(tmp_path / "pets", files_of("{cat,dog}/20"))
    for raw, content in ((b"caf\xe9.png", picture(77)), (b"bad\xe9.png", b"none")):
        with open(os.path.join(os.fsencode(root / "cat"), raw), "wb") as file:
            file.write(content)
    splits = data.load(root, on_bad_image="skip")
    assert sum(len(part) for part in splits.parts().values()) == 41
    assert splits.train.skipped[0].startswith("cat/bad\\xe9.png: not a readable picture")
    record = data.SplitRecord.of(splits)
    assert data.load(root, record=record).notes == ()
    with pytest.raises(DataError, match=r"caf\\xe9: its name is not UTF-8"):
        data.load(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    root = on_disk(tmp_path / "pets", files_of("{cat,dog}/20"))
    os.mkfifo(root / "cat" / "pipe.png")
    with (root / "dog" / "huge.png").open("wb") as file:
        file.truncate(20 * 2**30)
    with pytest.raises(DataError, match=r"cat/pipe.png: is not a file\n  dog/huge.png: larger than 100 MiB"):
        data.load(root)
    with pytest.raises(DataError, match=r"huge.png: larger than 100 MiB"):
        data.read_image(root / "dog" / "huge.png")


def damaged(files: dict[str, bytes], path: Path) -> None:
    """The compressed bytes of one member are others."""
    zipped(path, files)
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("cat/0.png")
    raw = bytearray(path.read_bytes())
    start = info.header_offset + 30 + len(info.filename)
    raw[start : start + info.compress_size] = b"\xff" * info.compress_size
    path.write_bytes(raw)


def flagged(flag: int) -> Callable[[dict[str, bytes], Path], None]:
    def make(files: dict[str, bytes], path: Path) -> None:
        zipped(path, files)
        raw = bytearray(path.read_bytes())
        raw[raw.index(b"PK\x01\x02") + 8] |= flag
        raw[raw.index(b"PK\x03\x04") + 6] |= flag
        path.write_bytes(raw)

    return make


def claims(size: int) -> Callable[[dict[str, bytes], Path], None]:
    """The first member claims to be of another size."""

    def make(files: dict[str, bytes], path: Path) -> None:
        zipped(path, files)
        raw = bytearray(path.read_bytes())
        struct.pack_into("<I", raw, raw.index(b"PK\x01\x02") + 24, size)
        path.write_bytes(raw)

    return make


def packed_by(method: int) -> Callable[[dict[str, bytes], Path], None]:
    def make(files: dict[str, bytes], path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for number, (name, raw) in enumerate(files.items()):
                archive.writestr(name, raw, zipfile.ZIP_DEFLATED if number else method)

    return make


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (damaged, "cat/0.png: damaged"),
        (flagged(1), "cat/0.png: damaged in pets.zip, or encrypted"),
        (claims(10), "cat/0.png: "),
        (packed_by(zipfile.ZIP_BZIP2), "cat/0.png: packed by method 12"),
        (packed_by(zipfile.ZIP_LZMA), "cat/0.png: packed by method 14"),
    ],
    ids=["damaged", "encrypted", "claims less", "bzip2", "lzma"],
)  # fmt: skip
def test_bad_members_are_named_or_skipped(
    make: Callable[[dict[str, bytes], Path], None], words: str, tmp_path: Path
) -> None:
    make(files_of("{cat,dog}/20"), tmp_path / "pets.zip")
    with pytest.raises(DataError, match=f"1 unreadable pictures:\n  {words}"):
        data.load(tmp_path / "pets.zip")
    splits = data.load(tmp_path / "pets.zip", on_bad_image="skip")
    assert sum(len(part) for part in splits.parts().values()) == 39


def directory(path: Path, change: Callable[[list[bytes]], Iterable[bytes]]) -> Path:
    """Rewrite the entries of an archive's directory."""
    raw = path.read_bytes()
    start, end = raw.index(b"PK\x01\x02"), raw.index(b"PK\x05\x06")
    entries = list(change([b"PK\x01\x02" + entry for entry in raw[start:end].split(b"PK\x01\x02")[1:]]))
    joined = b"".join(entries)
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, len(entries), len(entries), len(joined), start, 0)
    path.write_bytes(raw[:start] + joined + tail)
    return path


def test_a_member_listed_often_counts_once(tmp_path: Path) -> None:
    path = directory(
        zipped(tmp_path / "pets.zip", files_of("{cat,dog}/20")), lambda entries: entries[:1] * 300 + entries
    )
    splits = data.load(path)
    assert sum(len(part) for part in splits.parts().values()) == 40
    assert splits.notes == ("1 names that are there more than once, of which the last counts: cat/0.png",)


@pytest.mark.parametrize("claim", [0, 2**31])
def test_archives_made_to_deceive_are_refused(claim: int, tmp_path: Path) -> None:
    def change(entries: list[bytes]) -> Iterable[bytes]:
        yield from entries
        for number in range(50):
            entry = bytearray(entries[0].replace(b"cat/0.png", f"cat/{number:02}png".encode()[:9]))
            if claim:
                struct.pack_into("<I", entry, 24, claim)
                struct.pack_into("<I", entry, 42, 2**20 * (number + 1))
            yield bytes(entry)

    with pytest.raises(DataError, match="made to deceive"):
        data.load(directory(zipped(tmp_path / "pets.zip", files_of("{cat,dog}/20")), change))


def test_names_that_lead_out_and_links_are_left_out(tmp_path: Path) -> None:
    path = zipped(tmp_path / "pets.zip", files_of("{cat,dog}/20", "../dog/2", "..\\..\\dog/2"))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("/etc/cat/x.png", picture())
        link = zipfile.ZipInfo("dog/link.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "../../secret.png")
        archive.writestr("0nameless.png", picture())
        archive.writestr(".", picture())
    path.write_bytes(
        path.read_bytes().replace(b"0nameless.png", b"\0nameless.png")
    )  # which ends the name before it begins
    splits = data.load(path)
    assert sum(len(part) for part in splits.parts().values()) == 40
    assert [note.partition(":")[0] for note in splits.notes] == [
        "7 names left out, as they name nothing within the archive",
        "1 links left out, as an archive is read in place",
    ]


def test_archives_from_windows_are_read(tmp_path: Path) -> None:
    files = {name.replace("/", "\\"): raw for name, raw in files_of("train/{cat,dog}/10", "val/{cat,dog}/3").items()}
    splits = data.load(zipped(tmp_path / "pets.zip", files))
    assert (len(splits.train), len(splits.validation)) == (20, 6)


def test_a_part_or_class_that_is_all_unreadable_is_an_error(tmp_path: Path) -> None:
    root = on_disk(tmp_path / "pets", files_of(*BOTH))
    for path in (root / "val").rglob("*.png"):
        path.write_bytes(b"none")
    with pytest.raises(DataError, match="no picture of the part validation is readable"):
        data.load(root, on_bad_image="skip")
    shutil.rmtree(root / "val")
    for path in (root / "train" / "cat").iterdir():
        path.write_bytes(b"none")
    with pytest.raises(DataError, match="no picture of the class cat is readable"):
        data.load(root, on_bad_image="skip")


@pytest.mark.parametrize("count", [1, 2, 3])
def test_too_few_pictures_to_split(count: int, tmp_path: Path) -> None:
    root = on_disk(tmp_path / "pets", files_of(f"{{cat,dog}}/{count}"))
    with pytest.raises(DataError, match=f"{2 * count} pictures of 2 classes are too few to cut .* from"):
        data.load(root)


def test_empty_data_is_an_error() -> None:
    class Empty:
        name, classes, shape, skipped, labels = "nothing", ("a", "b"), (1, 8, 8), (), np.zeros(0, np.int64)

        def __len__(self) -> int:
            return 0

    for use in (lambda d: data.Loader(d, 4, None), data.channel_statistics):
        with pytest.raises(DataError, match="nothing: there is no picture in it"):
            use(Empty())
