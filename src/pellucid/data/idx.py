"""The idx format of MNIST and Fashion-MNIST: big-endian header, then bytes; plain or .gz."""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import stat
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from pellucid.data.errors import DataError
from pellucid.data.listing import MAX_RATIO
from pellucid.data.sample import Array, ArrayDataset, Splits, split
from pellucid.files import reason_of, write_atomically
from pellucid.flags import flag

FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
FASHION_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
FASHION_MD5 = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
MAX_BYTES = 2**31
PIECE = 2**20  # bytes read at once, so that memory grows with what is there and not with what is claimed


def read_idx(path: Path) -> Array:
    """The array in an idx file of unsigned bytes; the header is checked before anything is allocated."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise DataError(f"{path}: is not a file")
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if packed else path.open("rb") as file:
            return _parse(path, file, found.st_size * (MAX_RATIO if packed else 1))  # type: ignore[arg-type]
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({reason_of(error)})") from error


def _parse(path: Path, file: BinaryIO, most: int) -> Array:
    """The array; `most` bytes can be in the file, whatever its header says."""
    header = file.read(4)
    if len(header) < 4 or header[:2] != b"\0\0" or header[2] != 8:
        raise DataError(f"{path}: not an idx file of unsigned bytes (it starts with {header!r})")
    ndim = header[3]
    sizes = file.read(4 * ndim)
    if ndim not in (1, 3) or len(sizes) < 4 * ndim:
        raise DataError(f"{path}: an idx file of labels (1 axis) or images (3 axes) is wanted, this has {ndim} axes")
    shape = struct.unpack(f">{ndim}I", sizes)
    count = math.prod(shape)
    if count > MAX_BYTES:
        raise DataError(f"{path}: claims {count:,} bytes, more than {MAX_BYTES:,}; the header is damaged")
    data = bytearray()
    while count <= most and len(data) <= count and (part := file.read(min(count + 1 - len(data), PIECE))):
        data += part
    if len(data) != count:
        what = "longer than its header says" if len(data) > count else "cut short"
        raise DataError(f"{path}: {what} (header {shape}); get it again")
    array = np.frombuffer(data, np.uint8).reshape(shape)
    array.flags.writeable = False
    return array


def idx(folder: Path, classes: tuple[str, ...] | None = None, name: str = "", seed: int = 0) -> Splits:
    """Splits from a folder with train- and t10k- images and labels; a tenth of the training data is for validation."""
    train = _load(folder, "train", classes, name or str(folder))
    test = _load(folder, "t10k", classes or train.classes, name or str(folder))
    kept, validation = split(train, (0.9, 0.1), ("train", "validation"), seed)
    return Splits(kept, validation, test, name or str(folder), {"seed": seed})


def _load(folder: Path, part: str, classes: tuple[str, ...] | None, name: str) -> ArrayDataset:
    images = read_idx(_find(folder, f"{part}-images"))
    labels = read_idx(_find(folder, f"{part}-labels"))
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise DataError(
            f"{folder}: {part} has images {images.shape} and labels {labels.shape}; they do not belong together"
        )
    if len(labels) == 0:
        raise DataError(f"{folder}: {part} has no image in it")
    known = classes or tuple(str(i) for i in range(int(labels.max()) + 1))
    return ArrayDataset(images[:, None], labels, known, f"{name}/{'test' if part == 't10k' else part}")


def _find(folder: Path, start: str) -> Path:
    matches = sorted(folder.glob(f"{start}*ubyte*"))
    if not matches:
        raise DataError(f"{folder}: no {start}-idx*-ubyte[.gz] in it")
    return matches[0]


def is_idx_folder(path: Path) -> bool:
    """Whether a folder holds idx files."""
    return path.is_dir() and any(path.glob("train-images*ubyte*"))


def fashion_mnist(folder: Path | None = None, download: bool = False, seed: int = 0) -> Splits:
    """Fashion-MNIST (Xiao et al. 2017) from `folder`, Debian's package, or the cache; fetched only with `download`."""
    download = flag("fashion_mnist", "download", download, DataError)
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pellucid" / "fashion-mnist"
    for place in [folder] if folder else [DEBIAN_FOLDER, cache]:
        if is_idx_folder(place):
            return idx(place, FASHION_CLASSES, "fashion-mnist", seed)
    if not download:
        raise DataError(
            "fashion-mnist is not on this machine: install Debian's package dataset-fashion-mnist, give a folder with its four "
            "idx files, or let it be fetched with download=True (--download, 30 MB)"
        )
    _fetch(cache)
    return idx(cache, FASHION_CLASSES, "fashion-mnist", seed)


def _fetch(cache: Path) -> None:
    from urllib.error import URLError
    from urllib.request import urlopen

    cache.mkdir(parents=True, exist_ok=True)
    for name, checksum in FASHION_MD5.items():
        try:
            with urlopen(FASHION_URL + name, timeout=60) as answer:
                data = answer.read(64 * 2**20)
        except (URLError, TimeoutError) as error:
            raise DataError(f"{name}: cannot be fetched ({error}); check the network or give a folder") from error
        if hashlib.md5(data, usedforsecurity=False).hexdigest() != checksum:
            raise DataError(f"{name}: what was fetched has another checksum than the published one; try again")
        write_atomically(cache / name, data)
