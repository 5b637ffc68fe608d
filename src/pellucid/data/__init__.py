"""Pictures with labels: where they come from, and how they become batches. Knows nothing of networks."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

from pellucid.data.array_file import read_array
from pellucid.data.augmentation import Augmentation, augment
from pellucid.data.digits import digits
from pellucid.data.errors import DataError
from pellucid.data.folder import Reading, cache_bytes, folder, measured_folder
from pellucid.data.idx import fashion_mnist, idx, is_idx_folder
from pellucid.data.image import (
    PREPROCESSINGS,
    ImageInput,
    Preprocessing,
    find_images,
    read_image,
    usual_preprocessing,
)
from pellucid.data.imagenet import imagenet_classes
from pellucid.data.inventory import DataReport, data_report
from pellucid.data.listing import is_there, shown
from pellucid.data.loader import Batch, Loader, channel_statistics
from pellucid.data.mixing import Mixing
from pellucid.data.numbered import Numbered, NumberSplits, Quantity, numbers
from pellucid.data.points import SETS, is_table_of_points, named_points, points, read_points
from pellucid.data.record import PartRecord, SplitRecord
from pellucid.data.sample import ArrayDataset, Dataset, Inputs, Labeled, Measured, Parts, Sample, Splits, Subset, split
from pellucid.data.samples import samples
from pellucid.data.size import Size
from pellucid.data.standardization import Preparation, Standardization, preparation_of
from pellucid.data.table import load_numbers, numbers_to_measure
from pellucid.flags import flag
from pellucid.progress import long
from pellucid.renamed import old_names

NAMES = ("digits", "fashion-mnist")
"""Data sets that are known by name."""


@long
def load(
    source: str | Path = "digits",
    image_size: Size | None = None,
    channels: int = 3,
    seed: int = 0,
    on_bad_image: str = "error",
    download: bool = False,
    cache_mb: float | None = None,
    record: SplitRecord | None = None,
) -> Splits:
    """Splits by name ("digits", "fashion-mnist") or from a folder of class folders, a .zip of one, or idx files.

    Or points of a plane: "circles", "xor", "spirals", "gaussians", also with settings ("circles noise=0.2 seed=3", see
    `pl.data.points`), or those of a CSV file with x, y and a class on each line.

    `image_size` (a side, or rows and columns), `channels`, `on_bad_image` and `cache_mb` are for folders; `seed` chooses what is held out. Decoded
    pictures are kept in up to `cache_mb` MiB of memory (default: the environment's PELLUCID_CACHE_MB, else 1024).
    With a `record` the data is split as it was
    when the record was made, whatever `seed` and `on_bad_image` say.
    """
    download = flag("load", "download", download, DataError)
    if not isinstance(source, str | PathLike):  # pyright: ignore[reportUnnecessaryIsInstance]
        arrays = (
            "; arrays are learned from as they are: pl.fit(net, inputs, targets)" if hasattr(source, "shape") else ""
        )
        raise DataError(f"source is the name of a data set, or a folder, got {type(source).__name__}{arrays}")
    if record is not None:
        seed, on_bad_image = record.options.get("seed", seed), record.options.get("on_bad_image", on_bad_image)
    splits = _load(source, image_size, channels, seed, on_bad_image, download, cache_mb, record)
    if record is None or record.placed():
        return splits
    changes = record.changes(SplitRecord.of(splits))
    return replace(splits, notes=tuple(f"since the data was split {change}" for change in changes))


@long
def to_measure(
    source: str | Path,
    image_size: Size | None = None,
    channels: int = 3,
    on_bad_image: str = "error",
    cache_mb: float | None = None,
    classes: Sequence[str] = (),
) -> Measured:
    """The pictures of `source` to measure a network on that has not learned from them.

    Its test part; of a folder without one its validation part, else its train part; and all of a folder without parts.
    With the `classes` that a network tells apart a folder may have pictures of some of them only, and none of others.
    """
    path = Path(source)
    if source in NAMES or not is_there(path) or is_idx_folder(path) or is_table_of_points(path):
        return Measured(load(source).test, "test")
    return measured_folder(path, Reading(image_size, channels, on_bad_image, cache_mb), tuple(classes))


def _load(
    source: str | Path,
    image_size: Size | None,
    channels: int,
    seed: int,
    on_bad_image: str,
    download: bool,
    cache_mb: float | None,
    record: SplitRecord | None,
) -> Splits:
    if source == "digits":
        return digits(seed)
    if source == "fashion-mnist":
        return fashion_mnist(download=download, seed=seed)
    path = Path(source)
    if shown(str(source)) != str(source):
        raise DataError(
            f"{shown(str(source))}: its name is not UTF-8, and cannot be kept in the settings of a run; rename it"
        )
    found = None if is_there(path) else named_points(str(source), seed)
    if found is not None:
        return found
    if not is_there(path):
        near = difflib.get_close_matches(str(source), (*NAMES, *SETS), n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise DataError(
            f"no data called {str(source)!r}{hint}: it is neither a folder nor one of {', '.join((*NAMES, *SETS))}"
        )
    if is_idx_folder(path):
        return idx(path, seed=seed)
    if is_table_of_points(path):
        return read_points(path, seed)
    if path.suffix.lower() == ".csv":
        raise DataError(
            f"{shown(str(source))}: is a table of numbers, not of classes; read it with pl.data.load_numbers, or train with --task regression. "
            "A table of points has x, y and a class on each line"
        )
    return folder(path, image_size, channels, seed, on_bad_image, cache_mb, record)


__all__ = [
    "NAMES",
    "PREPROCESSINGS",
    "ArrayDataset",
    "Augmentation",
    "Batch",
    "DataError",
    "DataReport",
    "Dataset",
    "ImageInput",
    "Inputs",
    "Labeled",
    "Loader",
    "Measured",
    "Mixing",
    "NumberSplits",
    "Numbered",
    "PartRecord",
    "Parts",
    "Preparation",
    "Preprocessing",
    "Quantity",
    "Sample",
    "SplitRecord",
    "Splits",
    "Standardization",
    "Subset",
    "augment",
    "cache_bytes",
    "channel_statistics",
    "data_report",
    "digits",
    "fashion_mnist",
    "find_images",
    "folder",
    "idx",
    "imagenet_classes",
    "load",
    "load_numbers",
    "numbers",
    "numbers_to_measure",
    "points",
    "preparation_of",
    "read_array",
    "read_image",
    "read_points",
    "samples",
    "split",
    "to_measure",
    "usual_preprocessing",
]

__getattr__ = old_names(__name__)
