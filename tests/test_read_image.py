"""What becomes of a picture's pixels: every depth, color space and transparency, metadata that is odd, and pictures too large."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.data import DataError, Preprocessing, read_image


def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


GRAY, RGB, GRAY_ALPHA, RGBA = 0, 2, 4, 6


def png(depth: int, color: int, row: bytes, width: int, key: bytes = b"", height: int = 1, extra: bytes = b"") -> bytes:
    """A PNG of equal rows; `key` is the color that is transparent."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)) + extra
    head += chunk(b"tRNS", key) if key else b""
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress((b"\0" + row) * height)) + chunk(b"IEND", b"")


def shorts(*values: int) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


def tiff(pixels: bytes, bits: int, sample_format: int = 1, width: int = 2, tags: tuple = (), start: str = "<") -> bytes:
    """A gray TIFF of one row; tags are (number, type, value) and fit into an entry."""
    found = [
        (256, 4, width),
        (257, 4, 1),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, 1),
    ]
    found = sorted([*found, (279, 4, len(pixels)), (339, 3, sample_format), *tags])
    raw = (b"II*\0" if start == "<" else b"MM\0*") + struct.pack(f"{start}I", 8 + len(pixels)) + pixels
    raw += struct.pack(f"{start}H", len(found))
    for tag, kind, value in found:
        raw += struct.pack(f"{start}HHI", tag, kind, 1) + struct.pack(
            f"{start}{'HH' if kind == 3 else 'I'}", *((value, 0) if kind == 3 else (value,))
        )
    return raw + bytes(4)


def floats(*values: float) -> bytes:
    return tiff(struct.pack(f"<{len(values)}f", *values), 32, 3, len(values))


def palette(transparency: int | bytes | None, mode: str = "P") -> bytes:
    image = Image.new(mode, (3, 1))
    image.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0])
    image.putdata([0, 1, 2] if mode == "P" else [(0, 255), (1, 0), (2, 255)])
    return saved(
        image, "PNG" if mode == "P" else "TIFF", **({} if transparency is None else {"transparency": transparency})
    )


def gray(mode: str, *values: object) -> Image.Image:
    image = Image.new(mode, (len(values), 1))
    image.putdata(values)
    return image


HALF = 128
GRAYS: dict[str, tuple[bytes, list[int]]] = {
    "float 0..1": (floats(0, 0.5, 1), [0, HALF, 255]),
    "float below 1": (floats(0.0, 0.25), [0, 64]),
    "float 0..255": (floats(0, 127.6, 255), [0, HALF, 255]),
    "float 0..65535": (floats(0, 32896, 65535), [0, HALF, 255]),
    "float black": (floats(0, 0), [0, 0]),
    "16 bits": (png(16, GRAY, shorts(0, 32896, 65535), 3), [0, HALF, 255]),
    "16 bits rounded": (png(16, GRAY, shorts(128, 129, 385, 386), 4), [0, 1, 1, 2]),
    "16 bits dark": (png(16, GRAY, shorts(0, 200, 255), 3), [0, 1, 1]),
    "16 bits transparent": (png(16, GRAY, shorts(300, 40000), 2, shorts(300)), [255, 156]),
    "16 bits alpha": (png(16, GRAY_ALPHA, shorts(300, 0, 40000, 65535), 2), [255, 156]),
    "16 bits color transparent": (png(16, RGB, shorts(300, 300, 300, 40000, 40000, 40000), 2, shorts(300, 300, 300)), [255, 156]),
    "16 bits color alpha": (png(16, RGBA, shorts(300, 300, 300, 0, 40000, 40000, 40000, 65535), 2), [255, 156]),
    "8 bits transparent": (png(8, GRAY, bytes([10, 20]), 2, shorts(10)), [255, 20]),
    "4 bits transparent": (png(4, GRAY, b"\x5a", 2, shorts(5)), [255, 170]),
    "2 bits transparent": (png(2, GRAY, b"\x1b", 4, shorts(2)), [0, 85, 255, 255]),
    "1 bit transparent": (png(1, GRAY, b"\x40", 2, shorts(0)), [255, 255]),
    "1 bit": (png(1, GRAY, b"\x40", 2), [0, 255]),
    "TIFF 12 bits": (tiff(b"\xff\xf8\x00", 12), [255, HALF]),
    "TIFF 16 bits": (tiff(struct.pack("<2H", 4095, 65535), 16), [16, 255]),
    "TIFF 16 bits big-endian": (tiff(struct.pack(">2H", 4095, 65535), 16, start=">"), [16, 255]),
    "TIFF 32 bits of 8": (tiff(struct.pack("<2I", 7, 255), 32), [7, 255]),
    "TIFF 32 bits of 16": (tiff(struct.pack("<2I", 32896, 65535), 32), [HALF, 255]),
    "TIFF 32 bits": (tiff(struct.pack("<2I", 2**31, 2**32 - 1), 32), [HALF, 255]),
    "TIFF 32 bits signed": (tiff(struct.pack("<2i", 7, 255), 32, 2), [7, 255]),
    "PGM 12 bits": (b"P5 2 1 4095\n" + shorts(2048, 4095), [HALF, 255]),
    "PGM 16 bits dark": (b"P5 2 1 65535\n" + shorts(100, 257), [0, 1]),
    "LA": (saved(gray("LA", (10, 0), (20, 255))), [255, 20]),
    "LA half": (saved(gray("LA", (0, 128), (20, 255))), [127, 20]),
    "two pages": (saved(gray("L", 10, 20), "TIFF", save_all=True, append_images=[gray("L", 1, 2)]), [10, 20]),
    "animated": (saved(gray("L", 0, 255), "GIF", save_all=True, append_images=[gray("L", 255, 0)]), [0, 255]),
}  # fmt: skip


@pytest.mark.parametrize("name", GRAYS)
def test_grays(name: str) -> None:
    raw, values = GRAYS[name]
    assert read_image(raw, 1).ravel().tolist() == values
    assert read_image(raw, 3).tolist() == [[values]] * 3


RED, GREEN, WHITE, BLACK = [200, 0, 0], [0, 200, 0], [255, 255, 255], [0, 0, 0]
COLORS: dict[str, tuple[bytes, list[list[int]]]] = {
    "palette": (palette(None), [BLACK, RED, GREEN]),
    "palette, a transparent index": (palette(1), [BLACK, WHITE, GREEN]),
    "palette with alpha": (palette(bytes([255, 255, 0])), [BLACK, RED, WHITE]),
    "palette and alpha": (palette(None, "PA"), [BLACK, WHITE, GREEN]),
    "RGBA": (saved(gray("RGBA", (200, 0, 0, 255), (0, 200, 0, 0))), [RED, WHITE]),
    "16 bits": (png(16, RGB, shorts(65535, 0, 0, 0, 65280, 0), 2), [[255, 0, 0], [0, 255, 0]]),
    "CMYK": (saved(gray("CMYK", (0, 0, 0, 0), (0, 0, 0, 255)), "TIFF"), [WHITE, BLACK]),
    "YCbCr": (saved(gray("YCbCr", (255, 128, 128), (0, 128, 128)), "TIFF"), [WHITE, BLACK]),
    "LAB": (saved(gray("LAB", (255, 128, 128), (0, 128, 128)), "TIFF"), [WHITE, BLACK]),
    "WebP": (saved(gray("RGBA", (200, 0, 0, 255), (0, 200, 0, 0)), "WEBP", lossless=True, exact=True), [RED, WHITE]),
    "GIF": (saved(gray("RGBA", (200, 0, 0, 255), (0, 200, 0, 0)), "GIF"), [RED, WHITE]),
}


@pytest.mark.parametrize("name", COLORS)
def test_colors(name: str) -> None:
    raw, values = COLORS[name]
    found = read_image(raw, 3)[:, 0].T
    np.testing.assert_allclose(found, values, atol=4 if name == "LAB" else 0)
    assert read_image(raw, 1).shape == (1, 1, len(values))


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (floats(0.5, np.nan), "negative or no numbers"),
        (floats(0.5, np.inf), "negative or no numbers"),
        (floats(-0.5, 1), "negative or no numbers"),
        (floats(1, 70_000), "values up to 70000"),
        (tiff(struct.pack("<2i", -5, 255), 32, 2), "negative or no numbers"),
        (png(16, GRAY, shorts(1, 2), 2)[:45], "not a readable picture"),
    ],
)
def test_values_that_are_no_brightness(raw: bytes, words: str) -> None:
    with pytest.raises(DataError, match=f"x.tif: .*{words}"):
        read_image(raw, name="x.tif")


def test_large_pictures_are_converted_like_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.data import pixels

    random = np.random.default_rng(0)
    pictures = [
        Image.fromarray(random.integers(0, 65536, (9, 7), np.uint16)),
        Image.fromarray(random.integers(0, 256, (9, 7, 4), np.uint8)),
    ]
    whole = [read_image(saved(image)) for image in pictures]
    monkeypatch.setattr(pixels, "STRIP_PIXELS", 15)
    for image, expected in zip(pictures, whole, strict=True):
        np.testing.assert_array_equal(read_image(saved(image)), expected)


def exif(*entries: bytes, count: int | None = None) -> bytes:
    """EXIF with the orientation 6 and one more entry of 12 bytes."""
    tags = sorted(
        [struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0), *entries], key=lambda entry: struct.unpack("<H", entry[:2])
    )
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", count or len(tags)) + b"".join(tags) + bytes(40)


def entry(tag: int, kind: int, count: int, value: int) -> bytes:
    return struct.pack("<HHII", tag, kind, count, value)


PICTURE = Image.fromarray(np.arange(24, dtype=np.uint8).reshape(4, 6) * 10)
ODD = [
    entry(tag, kind, count, value)
    for tag in (0x010F, 0x011A, 0x0132, 0x8769, 0x8825, 0x9000, 0xA005, 0x927C, 0x8773, 0x02BC, 0x0111)
    for kind, count, value in ((1, 1, 5), (2, 3, 0), (3, 1, 7), (4, 1, 9), (5, 1, 30), (7, 4, 1), (12, 1, 30), (13, 1, 8), (99, 1, 1), (5, 1, 2**31))
]  # fmt: skip


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_odd_metadata_leaves_a_picture_readable_and_turned(kind: str) -> None:
    plain = read_image(saved(PICTURE, kind, **({"lossless": True} if kind == "WEBP" else {})))
    for odd in ODD:
        raw = saved(PICTURE, kind, exif=exif(odd), **({"lossless": True} if kind == "WEBP" else {}))
        np.testing.assert_array_equal(read_image(raw), np.rot90(plain, -1, (1, 2)))


@pytest.mark.parametrize("start", ["<", ">"])
def test_odd_tags_of_tiffs_are_no_more_than_an_unreadable_picture(start: str) -> None:
    for odd in ODD:
        tag, kind, _, value = struct.unpack("<HHII", odd)
        if kind != 3:
            raw = tiff(bytes([1, 2]), 8, tags=((0x0112, 3, 6), (tag, kind, value)), start=start)
            try:
                assert read_image(raw).shape == (3, 2, 1)
            except DataError as error:
                assert "not a readable picture" in str(error)


@pytest.mark.parametrize(
    "orientation",
    [
        struct.pack("<HHIHH", 0x0112, 3, 1, 0, 0),
        struct.pack("<HHIHH", 0x0112, 3, 1, 9, 0),
        entry(0x0112, 2, 2, 0x36),
        entry(0x0112, 5, 1, 30),
        entry(0x0112, 12, 1, 30),
        entry(0x0112, 99, 1, 6),
    ],
)
def test_orientations_that_make_no_sense_say_nothing(orientation: bytes) -> None:
    raw = saved(PICTURE, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0" + orientation + bytes(40))
    assert read_image(raw).shape == (3, 4, 6)


@pytest.mark.parametrize("number", range(1, 9))
def test_orientations(number: int) -> None:
    from PIL import ImageOps

    tags = Image.Exif()
    tags[0x0112] = number
    raw = saved(PICTURE, exif=tags)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(raw))))
    assert expected.shape == ((4, 6) if number < 5 else (6, 4))
    np.testing.assert_array_equal(read_image(raw, 1)[0], expected)


BOMB = zlib.compress(bytes(100 * 2**20))
METADATA: dict[str, Callable[[], bytes]] = {
    "text": lambda: png(8, GRAY, b"\x05", 1, extra=chunk(b"zTXt", b"a\0\0" + BOMB)),
    "international text": lambda: png(8, GRAY, b"\x05", 1, extra=chunk(b"iTXt", b"a\0\1\0\0\0" + BOMB)),
    "profile": lambda: png(8, GRAY, b"\x05", 1, extra=chunk(b"iCCP", b"a\0\0" + BOMB)),
    "many texts": lambda: png(8, GRAY, b"\x05", 1, extra=chunk(b"tEXt", b"a\0" + bytes(60_000)) * 2000),
}


@pytest.mark.parametrize("name", METADATA)
def test_large_metadata_is_a_typed_error_at_most(name: str) -> None:
    try:
        assert read_image(METADATA[name](), 1).tolist() == [[[5]]]
    except DataError as error:
        assert "not a readable picture" in str(error)


def test_a_small_file_of_many_pixels_takes_little_memory(tmp_path: Path) -> None:
    """89 million gray pixels of 16 bits in 174 kB: decoded they are 178 MB."""
    width = height = 9_400
    packer = zlib.compressobj()
    rows = b"".join(packer.compress(bytes(1 + 2 * width)) for _ in range(height)) + packer.flush()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, GRAY, 0, 0, 0))
    path = tmp_path / "large.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    assert path.stat().st_size < 200_000
    code = (
        "import resource, sys; from pathlib import Path; from pellucid.data import read_image\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert read_image(Path(sys.argv[1]), size=(8, 8)).max() == 0\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 800_000  # KiB


def test_memory_that_is_not_there_is_a_typed_error(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    path.write_bytes(saved(Image.new("L", (9000, 9000))))
    code = (
        "import resource, sys; from pathlib import Path; import numpy, PIL.Image; from pellucid.data import DataError, Preprocessing, read_image\n"
        "size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (size + 2**27, size + 2**27))\n"
        "try:\n    read_image(Path(sys.argv[1]))\nexcept DataError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("large.png: does not fit into memory\n")


def test_nothing_is_started_for_a_picture() -> None:
    """An EPS file is a program for Ghostscript, which Pillow would start."""
    with pytest.raises(DataError, match="not a readable picture"):
        read_image(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")


@pytest.mark.parametrize("size", [(300, 500), (500, 300), (224, 224), (60, 2000)])
@pytest.mark.parametrize(("wanted", "crop"), [((100, 100), 1.0), ((100, 100), 0.875), ((60, 120), 0.5), ((8, 8), 1.0)])
def test_a_photo_has_the_part_that_the_network_is_given(
    size: tuple[int, int], wanted: tuple[int, int], crop: float
) -> None:
    """That part, resized, is what is read for the network: of a smooth picture to within a pixel of it."""
    high, wide = size
    ramp = np.stack(np.broadcast_arrays(np.linspace(0, 255, high)[:, None], np.linspace(0, 255, wide), 90.0), -1)
    file = io.BytesIO()
    Image.fromarray(ramp.astype(np.uint8)).save(file, "PNG")
    preprocessing = Preprocessing(wanted, 3, (0.5,) * 3, (0.5,) * 3, crop)
    photo = preprocessing.photo(file.getvalue())
    assert photo.pixels.shape == (3, *(round(n * min(1, 1600 / max(size))) for n in size))
    part = photo.pixels[:, slice(*photo.rows), slice(*photo.columns)]
    resized = Image.fromarray(part.transpose(1, 2, 0)).resize(wanted[::-1], Image.Resampling.BILINEAR)
    apart = np.abs(np.asarray(resized, float) - preprocessing.read(file.getvalue()).transpose(1, 2, 0))
    assert apart.max() <= 2 + 2 * 255 / min(photo.pixels.shape[1:])
    small = photo.within(50)
    assert max(small.pixels.shape) == 50
    for large, scaled, axis in zip(
        (*photo.rows, *photo.columns), (*small.rows, *small.columns), (1, 1, 2, 2), strict=True
    ):
        assert abs(large * small.pixels.shape[axis] / photo.pixels.shape[axis] - scaled) <= 1


def test_heat_is_drawn_on_the_photo_as_it_is(tmp_path: Path) -> None:
    """Beside the unmarked one, the part that the network was given framed; without a file on what it was given."""
    import pellucid as pl
    from pellucid import nn

    net = nn.Sequential(
        conv=nn.Conv2d(3, 4, 3), relu=nn.ReLU(), pool=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), fc=nn.Linear(4, 2)
    )
    net.initialize(0)
    net.eval()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 90, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    image = Preprocessing((16, 16), 3, (0.5,) * 3, (0.5,) * 3).input(tmp_path / "photo.png")
    found = pl.attribute(net, image.values, 1, method="saliency")
    assert found.overlay().image.shape == (3, 16, 16)
    drawn = found.on(image).picture()
    assert np.array_equal(drawn.image, pixels.transpose(2, 0, 1))  # type: ignore[union-attr]
    assert (drawn.rows, drawn.columns) == ((0, 40), (25, 65))  # type: ignore[union-attr]
    assert f"score {found.score:.4g}" in drawn.title
    compared = pl.explain.compare_methods(net, image.values, 1, methods=("saliency", "gradient-x-input")).on(image)
    (tiles,) = (p for p in compared.picture().parts if isinstance(p, pl.pictures.Tiles))
    assert [t.image.shape for t in tiles.tiles] == [(3, 40, 90)] * 3
    assert np.array_equal(tiles.tiles[0].image, pixels.transpose(2, 0, 1))
