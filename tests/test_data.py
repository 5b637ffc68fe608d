"""Data: every kind of picture, good and bad; splits; order and augmentation as functions of (seed, epoch, index)."""

from __future__ import annotations

import gzip
import importlib
import io
import json
import os
import struct
import threading
import tracemalloc
import zipfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid import data
from pellucid.data import (
    ArrayDataset,
    Augmentation,
    DataError,
    Loader,
    Preprocessing,
    SplitRecord,
    Subset,
    augment,
    read_image,
)
from pellucid.data.idx import DEBIAN_FOLDER, read_idx
from pellucid.data.loader import GROUP_BATCHES

SHARED = Path(__file__).parents[2] / "shared" / "data"
PLAIN = Preprocessing((8, 8), 1, (0.0,), (1.0,))


def png(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def gradient(size: tuple[int, int] = (6, 4)) -> Image.Image:
    return Image.fromarray(np.arange(size[0] * size[1], dtype=np.uint8).reshape(size[1], size[0]) * 8)


def deep() -> Image.Image:
    return Image.fromarray(np.array([[0, 65535], [32768, 257]], np.uint16))


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    return png(gradient(), exif=exif)


def animated() -> bytes:
    frames = [Image.new("L", (4, 4), v) for v in (0, 255)]
    return png(frames[0], "GIF", save_all=True, append_images=frames[1:])


GOOD = {
    "gray": (png(gradient()), (3, 4, 6)),
    "palette": (png(gradient().convert("P")), (3, 4, 6)),
    "cmyk": (png(gradient().convert("CMYK"), "JPEG"), (3, 4, 6)),
    "rgba": (png(Image.new("RGBA", (5, 3), (0, 0, 0, 0))), (3, 3, 5)),
    "16-bit": (png(deep()), (3, 2, 2)),
    "exif": (turned(), (3, 6, 4)),
    "animated": (animated(), (3, 4, 4)),
    "one-bit": (png(gradient().convert("1")), (3, 4, 6)),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_pictures(name: str, tmp_path: Path) -> None:
    raw, shape = GOOD[name]
    path = tmp_path / "picture"
    path.write_bytes(raw)
    image = read_image(path)
    assert image.shape == shape
    assert image.dtype == np.uint8
    assert read_image(path, channels=1, size=(7, 9)).shape == (1, 7, 9)


def test_values_of_converted_pictures() -> None:
    assert read_image(GOOD["16-bit"][0], 1).tolist() == [[[0, 255], [128, 1]]]
    assert (read_image(GOOD["rgba"][0]) == 255).all(), "transparency lies on white"
    assert (read_image(GOOD["animated"][0]) == 0).all(), "the first frame counts"


BAD = {
    "empty.png": b"",
    "text.jpg": b"hello, not a picture",
    "cut.png": png(Image.effect_noise((40, 40), 50))[:300],
    "cut.jpg": png(Image.effect_noise((200, 200), 80), "JPEG")[:2000],
}


@pytest.mark.parametrize("name", BAD)
def test_bad_pictures(name: str) -> None:
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        read_image(BAD[name], name=name)


def test_a_bomb_is_refused() -> None:
    header = bytearray(png(Image.new("1", (1, 1))))
    header[16:24] = struct.pack(">II", 100_000, 100_000)
    with pytest.raises(DataError, match="bomb"):
        read_image(bytes(header), name="bomb")


def folder(root: Path, per_class: int = 8, bad: bool = False, splits: tuple[str, ...] = ("",)) -> Path:
    for split in splits:
        for number, label in enumerate(("cat", "dog")):
            place = root / split / label
            place.mkdir(parents=True)
            for i in range(per_class):
                Image.new("RGB", (10, 8), (number * 200, i * 20, 0)).save(place / f"{i}.png")
    if bad:
        for name, raw in BAD.items():
            (root / splits[0] / "cat" / name).write_bytes(raw)
    return root


def test_folder_with_one_level_is_split_by_seed(tmp_path: Path) -> None:
    root = folder(tmp_path / "pets", 20)
    splits = data.load(root, image_size=8)
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == [28, 6, 6]
    assert splits.classes == ("cat", "dog")
    names = [{d[i].name for i in range(len(d))} for d in (splits.train, splits.validation, splits.test)]
    assert not (names[0] & names[1] or names[0] & names[2] or names[1] & names[2])
    again = data.load(root, image_size=8)
    assert {again.train[i].name for i in range(28)} == names[0]
    other = data.load(root, image_size=8, seed=1)
    assert {other.train[i].name for i in range(28)} != names[0]


def test_folder_with_splits(tmp_path: Path) -> None:
    splits = data.load(folder(tmp_path / "pets", splits=("train", "val")))
    assert (len(splits.train), len(splits.validation)) == (16, 16)
    assert splits.shape == (3, 8, 10)
    assert all(splits.train[i].name.startswith("train") for i in range(16))


def test_a_record_gives_the_same_parts_again_and_says_what_changed(tmp_path: Path) -> None:
    root = folder(tmp_path / "pets", 20)
    for number, path in enumerate(sorted(root.rglob("*.png"))):
        path.write_bytes(png(Image.new("RGB", (10, 8), (number, 0, 0))))
    splits = data.load(root, image_size=8, seed=5)
    record = SplitRecord.of(splits)
    assert SplitRecord.from_dict(json.loads(json.dumps(record.to_dict()))) == record
    assert SplitRecord.of(data.load(root, image_size=8, seed=5)).changes(record) == ()
    assert record.digest != SplitRecord.of(data.load(root, image_size=8)).digest

    parts = {
        name: {splits_part[i].name for i in range(len(splits_part))} for name, splits_part in splits.parts().items()
    }
    gone, moved = sorted(parts["train"])[:2]
    (root / gone).unlink()
    (root / moved).write_bytes(png(Image.new("RGB", (10, 8))))
    for name in ("new.png", "newer.png"):
        gradient((10, 8)).save(root / "cat" / name)
    again = data.load(root, image_size=8, record=record)
    for name, part in again.parts().items():
        assert {part[i].name for i in range(len(part))} == parts[name] - {gone}
    assert again.notes == (
        "2 pictures have come since the data was split, left out: cat/new.png, cat/newer.png",
        f"since the data was split 1 picture is gone: {gone}",
        f"since the data was split 1 picture is of other content: {moved}",
    )


def test_records_of_arrays_and_damaged_records() -> None:
    record = SplitRecord.of(data.load("digits", seed=5))
    assert data.load("digits", record=record).test.label(0) == data.load("digits", seed=5).test.label(0)
    assert data.load("digits", record=record).notes == ()
    assert record.changes(SplitRecord.of(data.load("digits"))) == tuple(
        f"{name} has other pictures, classes or labels" for name in ("train", "validation", "test")
    )
    plain = record.to_dict()
    for damaged in (
        None,
        [],
        {},
        {**plain, "digest": "0"},
        {**plain, "parts": {}},
        {**plain, "parts": {"train": 5}},
        {**plain, "test": "x"},
    ):
        with pytest.raises(DataError, match="record of how data was split"):
            SplitRecord.from_dict(damaged)


def test_zip_is_read_in_place(tmp_path: Path) -> None:
    root = folder(tmp_path / "pets", splits=("train", "test"))
    archive = tmp_path / "pets.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in root.rglob("*.png"):
            file.write(path, path.relative_to(tmp_path))
        file.writestr("../escape/cat/x.txt", "not a picture")
    splits = data.load(archive)
    assert len(splits.test) == 16
    assert len(splits.train) + len(splits.validation) == 16


def test_bad_files_are_listed_at_once_or_skipped(tmp_path: Path) -> None:
    root = folder(tmp_path / "pets", bad=True)
    with pytest.raises(DataError) as error:
        data.load(root)
    assert all(name in str(error.value) for name in BAD)
    assert "4 unreadable" in str(error.value)
    splits = data.load(root, on_bad_image="skip")
    assert len(splits.train.skipped) == 4
    assert len(splits.train) + len(splits.validation) + len(splits.test) == 16


def test_folder_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="did you mean 'digits'"):
        data.load("digit")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no picture"):
        data.load(tmp_path / "empty")
    one = tmp_path / "one"
    (one / "train" / "cat").mkdir(parents=True)
    gradient().save(one / "train" / "cat" / "a.png")
    with pytest.raises(DataError, match=r"two classes or more|one class only"):
        data.load(one)
    mixed = folder(tmp_path / "mixed")
    gradient((30, 20)).save(mixed / "cat" / "large.png")
    with pytest.raises(DataError, match="give image_size"):
        data.load(mixed)
    with pytest.raises(DataError, match="image_size must be at least 1, got -3"):
        data.load(mixed, image_size=-3)
    with pytest.raises(DataError, match="'error' or 'skip'"):
        data.load(mixed, on_bad_image="ignore")
    (tmp_path / "broken.zip").write_bytes(b"PK nothing")
    with pytest.raises(DataError, match="neither a folder nor a readable"):
        data.load(tmp_path / "broken.zip")


@pytest.mark.parametrize(("kept", "epochs_decode"), [(None, 0), (20, 0), (5, 15), (0, 20)])
def test_decoded_pictures_are_kept_within_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int | None, epochs_decode: int
) -> None:
    decoded: list[str] = []

    def counted(source: bytes, channels: int, size: tuple[int, int] | None, name: str) -> np.ndarray:
        decoded.append(name)
        return read_image(source, channels, size, name)

    monkeypatch.setattr(importlib.import_module("pellucid.data.folder"), "read_image", counted)
    root = folder(tmp_path / "pets", 10, splits=("train", "val", "test"))
    splits = data.load(root, cache_mb=None if kept is None else kept * 8 * 10 * 3 / 2**20)
    assert len(decoded) == len(set(decoded)) == 60
    for _ in range(2):
        decoded.clear()
        batches = list(Loader(splits.train, 8, Preprocessing((8, 10), 3, (0.0,) * 3, (1.0,) * 3), True).epoch(0))
        assert len(decoded) == epochs_decode, "those to train on are kept first"
        for batch in batches:
            for index, picture, label in zip(batch.indices, batch.images, batch.labels, strict=True):
                sample = splits.train[int(index)]
                assert label == sample.label == splits.train.label(int(index))
                truth = read_image(root / sample.name).astype(np.float32) / 255
                np.testing.assert_allclose(picture, truth, rtol=1e-6)


def test_the_limit_can_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "pets"
    for label in ("cat", "dog"):
        (root / label).mkdir(parents=True)
        for i in range(10):
            noise = np.random.default_rng(i).integers(0, 256, (16, 24, 3), np.uint8)
            (root / label / f"{i}.jpg").write_bytes(png(Image.fromarray(noise), "JPEG"))
    kept = data.load(root, channels=1).train
    monkeypatch.setenv("PELLUCID_CACHE_MB", "0")
    again = data.load(root, channels=1).train
    places = np.arange(len(kept))
    np.testing.assert_array_equal(kept.images(places), again.images(places))
    for path in root.rglob("*.jpg"):
        path.unlink()
    kept.images(places)
    with pytest.raises(OSError, match=r"\.jpg"):
        again.images(places)
    for bad in ("much", "-1", "inf", "nan"):
        monkeypatch.setenv("PELLUCID_CACHE_MB", bad)
        with pytest.raises(DataError, match=f"number of MiB, 0 or more, got '{bad}'"):
            data.load(root)


def write_idx(path: Path, array: np.ndarray, header: tuple[int, ...] | None = None) -> None:
    shape = header or array.shape
    raw = struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape) + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)


def test_idx(tmp_path: Path) -> None:
    images, labels = np.arange(40 * 9).reshape(40, 3, 3) % 251, np.arange(40) % 4
    for part in ("train", "t10k"):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte.gz", images)
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", labels)
    splits = data.load(tmp_path)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (36, 4, 40)
    np.testing.assert_array_equal(splits.test[5].image[0], images[5])
    assert splits.test[5].label == 1


@pytest.mark.parametrize(
    ("header", "data_size", "words"),
    [
        ((4_000_000_000, 4_000_000_000, 4_000_000_000), 10, "damaged"),
        ((10, 3, 3), 20, "cut short"),
        ((1, 3, 3), 20, "longer"),
    ],
)
def test_damaged_idx(tmp_path: Path, header: tuple[int, ...], data_size: int, words: str) -> None:
    path = tmp_path / "x-ubyte"
    write_idx(path, np.zeros(data_size), header)
    with pytest.raises(DataError, match=words):
        read_idx(path)
    path.write_bytes(b"\x1f\x8bgarbage")
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(path)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_memory_grows_with_what_an_idx_file_holds(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x-ubyte{suffix}"
    write_idx(path, np.zeros(64), (2**11, 2**10, 2**10))
    assert path.stat().st_size < 100
    tracemalloc.start()
    with pytest.raises(DataError, match="cut short"):
        read_idx(path)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="is not a file"):
        read_idx(tmp_path / "pipe")


def test_digits_split_is_fixed() -> None:
    splits = data.load("digits")
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (1258, 180, 359)
    assert splits.shape == (1, 8, 8)
    assert splits.test.label(0) == data.load("digits").test.label(0)


def dataset(count: int = 20) -> ArrayDataset:
    images = np.random.default_rng(0).integers(0, 256, (count, 1, 8, 8), np.uint8)
    return ArrayDataset(images, np.arange(count) % 2, ("a", "b"))


def test_order_and_augmentation_depend_on_seed_epoch_and_index_alone() -> None:
    change = Augmentation(flip=True, shift=2, rotation=15)
    loader = Loader(dataset(), 6, PLAIN, True, 5, change)
    assert len(loader) == 4
    whole = list(loader.epoch(2))
    late = list(Loader(dataset(), 6, PLAIN, True, 5, change).epoch(2, start=2))
    for a, b in zip(whole[2:], late, strict=True):
        np.testing.assert_array_equal(a.images, b.images)
        np.testing.assert_array_equal(a.labels, b.labels)
    one = {int(i): image for batch in whole for i, image in zip(batch.indices, batch.images, strict=True)}
    by_one = {int(b.indices[0]): b.images[0] for b in Loader(dataset(), 1, PLAIN, True, 5, change).epoch(2)}
    for index, image in one.items():
        np.testing.assert_array_equal(image, by_one[index])
    assert [int(i) for b in loader.epoch(3) for i in b.indices] != [int(i) for b in whole for i in b.indices]
    assert sorted(one) == list(range(20))


def reference_augment(image: np.ndarray, change: np.ndarray) -> np.ndarray:
    """One picture (C, H, W): mirrored, then turned with bilinear interpolation, then shifted; step by step."""
    side, down, across, cosine, sine = (float(v) for v in change)
    _, height, width = image.shape
    image = image[:, :, ::-1] if side < 0 else image
    turned = np.empty(image.shape, np.float64)
    for i in range(height):
        for j in range(width):
            y, x = i - (height - 1) / 2, j - (width - 1) / 2
            row = min(max(cosine * y - sine * x + (height - 1) / 2, 0), height - 1)
            column = min(max(sine * y + cosine * x + (width - 1) / 2, 0), width - 1)
            r, c = int(row), int(column)
            r1, c1, a, b = min(r + 1, height - 1), min(c + 1, width - 1), row - r, column - c
            upper = image[:, r, c] * (1 - b) + image[:, r, c1] * b
            lower = image[:, r1, c] * (1 - b) + image[:, r1, c1] * b
            turned[:, i, j] = upper * (1 - a) + lower * a
    rows = np.clip(np.arange(height) + int(down), 0, height - 1)
    columns = np.clip(np.arange(width) + int(across), 0, width - 1)
    return turned[:, rows][:, :, columns]


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 6), (1, 1, 5), (2, 4, 1), (1, 1, 1), (3, 200, 200)])
@pytest.mark.parametrize(
    "augmentation",
    [Augmentation(flip=True), Augmentation(shift=2), Augmentation(rotation=180), Augmentation(True, 3, 20)],
    ids=["flip", "shift", "rotation", "all"],
)
def test_batches_are_augmented_like_single_pictures(shape: tuple[int, int, int], augmentation: Augmentation) -> None:
    count = 12 if shape[1] < 100 else 2
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (count, *shape), np.uint8)
    changes = augmentation.draw(count, random)
    changed = augment(images, changes)
    assert changed.dtype == np.uint8
    expected = np.stack([reference_augment(*pair) for pair in zip(images, changes, strict=True)])
    # rounded to whole numbers, from float32 coordinates
    np.testing.assert_allclose(changed, expected, atol=0.51)
    if not augmentation.rotation:
        np.testing.assert_array_equal(changed, expected)
    for i in range(count):
        np.testing.assert_array_equal(augment(images[i : i + 1], changes[i : i + 1])[0], changed[i])


def test_what_is_drawn() -> None:
    side, down, across, cosine, sine = Augmentation(True, 2, 30).draw(4000, np.random.default_rng(0)).T
    assert set(side) == {-1, 1}
    assert set(down) == set(across) == {-2, -1, 0, 1, 2}
    assert np.abs(np.rad2deg(np.arctan2(sine, cosine))).max() == pytest.approx(30, abs=0.1)
    still = Augmentation(shift=1).draw(50, np.random.default_rng(0))
    assert (still[:, [0, 3, 4]] == [1, 1, 0]).all()


def test_single_batches_are_those_of_the_epoch() -> None:
    loader = Loader(dataset(), 6, PLAIN, True, 5, Augmentation(True, 2, 15))
    for number, batch in enumerate(loader.epoch(1)):
        loader.order(4)
        np.testing.assert_array_equal(loader.batch(1, number).images, batch.images)
        np.testing.assert_array_equal(loader.order(1)[number * 6 : number * 6 + 6], batch.indices)


def test_subsets_of_subsets() -> None:
    whole = dataset()
    part = Subset(Subset(whole, [3, 5, 8, 13], "some"), range(1, 4), "fewer")
    np.testing.assert_array_equal(part.images(np.array([2, 0])), whole.images(np.array([13, 5])))
    np.testing.assert_array_equal(part.image(1), whole[8].image)
    assert part.labels.tolist() == [part.label(i) for i in range(3)] == [1, 0, 1]


def loader_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("pellucid-loader")]


def test_an_abandoned_epoch_ends_its_thread() -> None:
    for _ in Loader(dataset(), 1, PLAIN).epoch(0):
        assert len(loader_threads()) == 1
        break
    assert not loader_threads()


def test_a_failing_consumer_ends_the_thread() -> None:
    with (
        pytest.raises(RuntimeError, match="enough"),
        closing(Loader(dataset(), 1, PLAIN).epoch(0)) as batches,
    ):
        for _ in batches:
            raise RuntimeError("enough")
    assert not loader_threads()


class Failing(ArrayDataset):
    def images(self, indices: np.ndarray) -> np.ndarray:
        if 40 in indices:
            raise KeyError("forty")
        return super().images(indices)


def test_any_error_while_preparing_reaches_the_consumer() -> None:
    count, seen = 2 * GROUP_BATCHES + 20, 0
    images = np.zeros((count, 1, 8, 8), np.uint8)
    with pytest.raises(KeyError, match="forty"):
        for batch in Loader(Failing(images, [0] * count, ("a", "b")), 2, PLAIN).epoch(0):
            seen += len(batch.labels)
    assert seen == 2 * GROUP_BATCHES  # what was made before arrives first
    assert not loader_threads()


def test_reading_errors_reach_the_consumer(tmp_path: Path) -> None:
    root = folder(tmp_path / "pets")
    splits = data.load(root, cache_mb=0)
    for path in root.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match="empty"):
        list(Loader(splits.train, 4, Preprocessing((8, 10), 3, (0.0,) * 3, (1.0,) * 3)).epoch(0))


def test_normalization_keeps_its_formula() -> None:
    images = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 256, 3).transpose(2, 0, 1)[None]
    preprocessing = Preprocessing((1, 256), 3, (0.1, 0.5, 0.9), (0.2, 0.25, 1.0))
    mean, std = np.reshape(preprocessing.mean, (3, 1, 1)), np.reshape(preprocessing.std, (3, 1, 1))
    normal = preprocessing.normalize(images)
    assert normal.dtype == np.float32
    np.testing.assert_allclose(normal, (images / 255 - mean) / std, rtol=1e-6, atol=1e-6)


def test_statistics() -> None:
    mean, std = data.channel_statistics(dataset(50))
    pixels = dataset(50).images(np.arange(50)) / 255
    assert mean[0] == pytest.approx(pixels.mean())
    assert std[0] == pytest.approx(pixels.std())
    large = np.random.default_rng(0).integers(0, 256, (5, 2, 300, 400), np.uint8)
    mean, std = data.channel_statistics(ArrayDataset(large, [0] * 5, ("a",)), limit=3)
    np.testing.assert_allclose(mean, (large[[0, 2, 4]] / 255).mean((0, 2, 3)))
    np.testing.assert_allclose(std, (large[[0, 2, 4]] / 255).std((0, 2, 3)))
    assert Preprocessing.from_dict(PLAIN.to_dict()) == PLAIN


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((np.zeros((2, 8, 8), np.uint8), [0, 1], "ab"), "uint8 of shape"),
        ((np.zeros((0, 1, 8, 8), np.uint8), [], "ab"), "no image"),
        ((np.zeros((2, 1, 8, 8), np.uint8), [0, 5], "ab"), "label 5 at position 1 is no class"),
        ((np.zeros((2, 1, 8, 8), np.uint8), [0], "ab"), "need 2 labels"),
    ],
)
def test_array_errors(arguments: tuple, words: str) -> None:
    with pytest.raises(DataError, match=words):
        ArrayDataset(*arguments)


def test_loader_errors() -> None:
    with pytest.raises(DataError, match="batch_size must be at least 1, got 0"):
        Loader(dataset(), 0, PLAIN)
    with pytest.raises(DataError, match="a batch of 50 is larger than arrays, which has 20"):
        Loader(dataset(), 50, PLAIN, shuffle=True)
    with pytest.raises(DataError, match="rotation"):
        Augmentation(rotation=-1)


@pytest.mark.skipif(not (SHARED / "cifar10-jpeg.zip").exists(), reason="the CIFAR-10 archive is not here")
def test_cifar10() -> None:
    splits = data.load(SHARED / "cifar10-jpeg.zip")
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (45_000, 5_000, 10_000)
    assert splits.shape == (3, 32, 32)
    assert splits.classes[0] == "airplane"


@pytest.mark.skipif(not DEBIAN_FOLDER.exists(), reason="Debian's dataset-fashion-mnist is not installed")
def test_fashion_mnist() -> None:
    splits = data.load("fashion-mnist")
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (54_000, 6_000, 10_000)
