"""HEIC and AVIF as phones write them, endings of every kind, and files that are none of these: nothing is left out silently."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from pellucid import data
from pellucid.data import DataError, containers, read_image
from pellucid.data.image import images_and_notes

heif = pytest.importorskip("pillow_heif")
needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow is built without AVIF")
BRIGHT = np.full((48, 64, 3), 20, np.uint8)
BRIGHT[:12, :16] = 230
"""Dark, with a bright corner at the top on the left."""


def heic(pixels: np.ndarray = BRIGHT, **options: object) -> bytes:
    buffer = io.BytesIO()
    heif.from_pillow(Image.fromarray(pixels)).save(buffer, quality=100, **options)
    return buffer.getvalue()


def avif(pixels: np.ndarray = BRIGHT, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "AVIF", quality=95, **options)
    return buffer.getvalue()


def oriented(turn: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = turn
    return exif.tobytes()


def ten_bits() -> bytes:
    wide = (BRIGHT.astype(np.uint16) * 257).tobytes()
    buffer = io.BytesIO()
    heif.encode("RGB;16", (64, 48), wide, buffer, quality=100)
    return buffer.getvalue()


def several() -> bytes:
    file = heif.from_pillow(Image.fromarray(BRIGHT))
    file.add_from_pillow(Image.fromarray(255 - BRIGHT))
    buffer = io.BytesIO()
    file.save(buffer, quality=100)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["a.heic", "A.HEIC", "a.heif", "a.hif", "lies.jpg"])
@pytest.mark.parametrize(
    ("made", "corner"),
    [
        (heic(), (0, 0)),
        (ten_bits(), (0, 0)),
        (several(), (0, 0)),
        (heic(exif=oriented(6)), (0, -1)),
        (heic(exif=oriented(3)), (-1, -1)),
        pytest.param(avif() if features.check("avif") else b"", (0, 0), marks=needs_avif),
        pytest.param(avif(exif=oriented(6)) if features.check("avif") else b"", (0, -1), marks=needs_avif),
    ],
    ids=["heic", "ten bits", "several", "turned", "upside down", "avif", "avif turned"],
)
def test_phone_pictures(made: bytes, corner: tuple[int, int], name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(made)
    found = read_image(tmp_path / name)
    assert found.shape == ((3, 64, 48) if corner == (0, -1) else (3, 48, 64))
    assert abs(float(found[0][corner]) - 230) < 12
    others = {(0, 0), (0, -1), (-1, 0), (-1, -1)} - {corner}
    assert all(abs(float(found[0][place]) - 20) < 12 for place in others)


@pytest.mark.parametrize("made", [heic(), avif() if features.check("avif") else heic()])
def test_cut_and_damaged_ones_are_unreadable(made: bytes) -> None:
    for raw in (made[:40], made[: len(made) // 2], made[:60] + bytes(len(made) - 60)):
        with pytest.raises(DataError, match=r"photo: not a readable picture"):
            read_image(raw, name="photo")


def test_too_many_pixels_are_refused_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pellucid.data.image.MAX_PIXELS", 1000)
    with pytest.raises(DataError, match=r"photo: 64x48 pixels are more than 1,000"):
        read_image(heic(), name="photo")


@pytest.mark.parametrize(
    ("raw", "words"),
    [(heic(), r"pip install 'pellucid\[heic\]'"), (b"\0\0\0\x1cftypavif\0\0\0\0mif1avifmiaf", "pip install --upgrade pillow")],
)  # fmt: skip
def test_without_a_reader_they_are_counted_and_named_with_the_remedy(
    raw: bytes, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "_is_read", lambda name: False)
    for number in range(20):
        for label in ("cat", "dog"):
            (tmp_path / label).mkdir(exist_ok=True)
            Image.fromarray(BRIGHT).save(tmp_path / label / f"{number}.png")
    (tmp_path / "cat" / "IMG_1.HEIC").write_bytes(raw)
    (tmp_path / "dog" / "IMG_2.jpg").write_bytes(raw)
    with pytest.raises(DataError, match=rf"2 unreadable pictures:\n  cat/IMG_1.HEIC: .*{words}"):
        data.load(tmp_path)
    skipped = data.load(tmp_path, on_bad_image="skip").train.skipped
    assert len(skipped) == 2
    assert [line.partition(":")[0] for line in skipped] == ["cat/IMG_1.HEIC", "dog/IMG_2.jpg"]
    assert len(images_and_notes([tmp_path])[0]) == 42


def test_other_files_are_counted_wherever_folders_are_read(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for number, ending in enumerate(("JPG", "jfif", "Png", "webp", "TIFF", "bmp", "gif", "jpe") * 3):
            kind = {"jpg": "JPEG", "jfif": "JPEG", "jpe": "JPEG"}.get(ending.lower(), ending.upper())
            Image.fromarray(BRIGHT).save(tmp_path / label / f"{number}.{ending}", kind)
    for name in ("cat/IMG.MOV", "cat/IMG.dng", "dog/notes.txt", "dog/other.mov", "README"):
        (tmp_path / name).write_bytes(b"?")
    said = "5 files left out, as they do not end as pictures do (2 .mov, 1 no ending, 1 .dng, 1 .txt): README, cat/IMG.MOV, cat/IMG.dng, ..."
    splits = data.load(tmp_path)
    assert sum(map(len, splits.parts().values())) == 48
    assert splits.notes == (said,)
    assert data.to_measure(tmp_path).notes == (said,)
    assert images_and_notes([tmp_path])[1] == [f"{tmp_path}: {said}"]
