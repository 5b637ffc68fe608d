"""Reading pictures safely: any common format, depth, color space and orientation becomes uint8 (C, H, W)."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid.data.containers import reader_of
from pellucid.data.errors import DataError
from pellucid.data.listing import SUFFIXES, is_folder, is_image_name, other_files, read_file, shown, walk
from pellucid.data.pixels import DECODER_ERRORS, eight_bit, orientation
from pellucid.data.sample import Array
from pellucid.files import reason_of
from pellucid.given import settle
from pellucid.plain import PlainError, read

if TYPE_CHECKING:
    from pellucid.data.photo import Photo

FORMATS = ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")  # none that starts another program
MAX_PIXELS = 100_000_000
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "lanczos")
HEADED = ("BMP", "GIF", "JPEG", "PNG", "PPM", "WEBP")
"""Formats whose headers tell a picture's size before it is turned; decoders of others turn it themselves, or do not."""
TURNED = (b"eXIf", b"Raw profile type", b"adobe.xmp")
"""What stands in a PNG that says how it is to be turned."""
SIDEWAYS = ("TRANSPOSE", "TRANSVERSE", "ROTATE_90", "ROTATE_270")
"""Turns that exchange width and height."""


@dataclass(frozen=True, eq=False)
class ImageInput:
    """A picture as a network takes it: `values` float32 (C, H, W), of `pixels` uint8 (C, H, W), read from the file `source`.

    Of an example that is no picture, `values` is the array, or arrays by the names of inputs, and `pixels` None. `original`
    reads the file as it is, with the part of it that the network is given.
    """

    pixels: Array | None
    values: Any
    source: str
    original: Callable[[], Photo] | None = None


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes a network's input: its middle resized, then (x / 255 - mean) / std per channel.

    The middle is the largest rectangle of the shape of `image_size`, both sides times `crop`.
    """

    image_size: tuple[int, int]
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop: float = 1.0
    interpolation: str = "bilinear"
    layout: str = "NCHW"
    """In which order the network takes the axes of pictures: `NHWC` of networks as TensorFlow writes them."""

    def __post_init__(self) -> None:
        settle(self, DataError, "preprocessing: ")
        if self.layout[:1] != "N" or sorted(self.layout) != sorted("NCHW"):
            raise DataError(f"preprocessing: layout must be NCHW or another order, N first, got {self.layout!r:.40}")
        if min(*self.image_size, self.channels) < 1 or math.prod(self.image_size) > MAX_PIXELS:
            raise DataError(
                f"preprocessing: image_size and channels must be at least 1 and pixels at most {MAX_PIXELS:,}, "
                f"got {self.image_size} and {self.channels}"
            )
        if not len(self.mean) == len(self.std) == self.channels:
            raise DataError(
                f"preprocessing: {self.channels} channels want as many means and stds, got {len(self.mean)} and {len(self.std)}"
            )
        if not all(math.isfinite(m) and math.isfinite(s) and s > 0 for m, s in zip(self.mean, self.std, strict=True)):
            raise DataError(
                f"preprocessing: mean must be finite and std a positive number, got {self.mean} and {self.std}"
            )
        if not 0 < self.crop <= 1:
            raise DataError(f"preprocessing: crop must lie in (0, 1], got {self.crop}")
        if self.interpolation not in INTERPOLATIONS:
            raise DataError(
                f"preprocessing: interpolation must be one of {', '.join(INTERPOLATIONS)}, got {self.interpolation!r}"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one picture, (C, H, W)."""
        return (self.channels, *self.image_size)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; the layout where it is not the usual one."""
        return {name: value for name, value in asdict(self).items() if (name, value) != ("layout", "NCHW")}

    def arranged(self, shape: tuple[int, ...]) -> tuple[int, int, int]:
        """A picture's shape (C, H, W) as the network takes it."""
        first, second, third = (shape["CHW".index(letter)] for letter in self.layout[1:])
        return first, second, third

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Preprocessing:
        """The inverse of `to_dict`; raises `DataError` for what is none."""
        try:
            return read(cls, plain, "preprocessing")
        except PlainError as error:
            raise DataError(str(error)) from error

    def read(self, source: Path | bytes) -> Array:
        """A picture as uint8 (C, H, W) of `image_size`."""
        return read_image(source, self.channels, self.image_size, "", self.crop, self.interpolation)

    def input(self, source: Path | str) -> ImageInput:
        """A picture file as a network's input, and as the pixels that it is made of."""
        pixels = self.read(Path(source))
        return ImageInput(pixels, self.normalize(pixels), str(source), lambda: self.photo(Path(source)))

    def photo(self, source: Path | bytes) -> Photo:
        """A picture as it is, to draw on, with the part of it that becomes the network's input."""
        from pellucid.data.photo import photo_of

        return photo_of(self, source)

    def normalize(self, images: Array) -> Array:
        """uint8 (..., C, H, W) -> float32: (x / 255 - mean) / std, as x * scale + shift, in the network's layout."""
        scale, shift = self._affine
        values = images.astype(np.float32)
        values *= scale
        values += shift
        if self.layout == "NCHW":
            return values
        return np.ascontiguousarray(np.moveaxis(values, [-3, -2, -1], [self.layout.index(k) - 4 for k in "CHW"]))

    def denormalize(self, values: Array) -> Array:
        """The inverse of `normalize`: values -> uint8 (..., C, H, W), rounded; what no picture has becomes 0 or 255."""
        scale, shift = self._affine
        values = np.moveaxis(values, [self.layout.index(k) - 4 for k in "CHW"], [-3, -2, -1])
        return np.clip(np.round((values - shift) / scale), 0, 255).astype(np.uint8)

    @cached_property
    def _affine(self) -> tuple[Array, Array]:
        """Scale 1 / (255 std) and shift -mean / std of every channel, float32 (C, 1, 1)."""
        mean, std = np.array(self.mean).reshape(-1, 1, 1), np.array(self.std).reshape(-1, 1, 1)
        return (1 / (255 * std)).astype(np.float32), (-mean / std).astype(np.float32)


_USUAL: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "unit": ((0.0,), (1.0,)),
    "symmetric": ((0.5,), (0.5,)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
PREPROCESSINGS = tuple(_USUAL)
"""Usual ranges of a network's input: 0 to 1, -1 to 1, or the standardized colors of torchvision's models."""


def shape_for(preprocessing: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a network's input that is made of an example of `shape`; None makes nothing of it."""
    return preprocessing.arranged(shape) if isinstance(preprocessing, Preprocessing) else shape


def usual_preprocessing(name: str, shape: tuple[int, ...], layout: str = "NCHW") -> Preprocessing:
    """One of `PREPROCESSINGS`, for images (C, H, W); `imagenet` is for three channels."""
    if name not in _USUAL:
        raise DataError(f"preprocessing must be one of {', '.join(_USUAL)}, got {name!r}")
    channels, height, width = shape
    mean, std = (values * channels if len(values) == 1 else values for values in _USUAL[name])
    if len(mean) != channels:
        raise DataError(f"preprocessing {name!r} is for {len(mean)} channels, the network takes {channels}")
    return Preprocessing((height, width), channels, mean, std, layout=layout)


def read_image(
    source: Path | str | bytes,
    channels: int = 3,
    size: tuple[int, int] | None = None,
    name: str = "",
    crop: float = 1.0,
    interpolation: str = "bilinear",
) -> Array:
    """A picture as uint8 (C, H, W), with 1 or 3 channels, scaled and cropped about its center to `size` (rows, columns).

    `source` is a file, what is in one, or the name of a picture that is at hand, see `samples`.
    `crop` and `interpolation` are those of `Preprocessing`; they count where a `size` is given.

    A valid EXIF orientation is applied, transparency laid on white, other depths brought to 8 bits (see `eight_bit`); of
    an animation the first frame counts. Raises `DataError` for what is not a readable picture, and for one that is too
    large: its file, or its pixels, which are counted before they are decoded.
    """
    from PIL import Image, ImageOps

    source = Path(source) if isinstance(source, str) else source
    name = shown(name or (str(source) if isinstance(source, Path) else "image"))
    if channels not in (1, 3):
        raise DataError(f"{name}: pictures are read with 1 or 3 channels, got {channels}")
    with _decoding(name):
        raw = _bytes_of(source, name) if isinstance(source, Path) else source
        with _opened(raw, name) as opened:
            enough = None if size is None else (math.ceil(2 * size[1] / crop), math.ceil(2 * size[0] / crop))
            opened.draft("RGB" if channels == 3 else "L", enough)  # a JPEG need not be decoded larger
            opened.load()
            turn = orientation(opened)
            image = eight_bit(opened, raw).convert("L" if channels == 1 else "RGB")
            if turn is not None:
                image = image.transpose(turn)
            if size is not None and crop < 1:
                image = _middle(image, size, crop)
            if size is not None and (image.height, image.width) != size:
                method = Image.Resampling[interpolation.upper()]
                image = ImageOps.fit(image, (size[1], size[0]), method)
            array = np.asarray(image)
    return np.ascontiguousarray(array[None] if channels == 1 else array.transpose(2, 0, 1))


def picture_size(raw: bytes, name: str) -> tuple[int, int]:
    """Width and height of a picture as `read_image` gives it, turned upright; most headers tell it. Raises `DataError`."""
    with _decoding(name), _opened(raw, name) as opened:
        if opened.format not in HEADED:
            _, rows, columns = read_image(raw, name=name).shape
            return columns, rows
        plain = opened.format == "PNG" and not any(word in raw for word in TURNED)  # which would be decoded to look
        turn = None if plain else orientation(opened)
        size = opened.width, opened.height
        return size[::-1] if turn is not None and turn.name in SIDEWAYS else size


@contextmanager
def _opened(raw: bytes, name: str) -> Generator[Any]:
    """A picture that is not decoded yet."""
    from PIL import Image

    if not raw:
        raise DataError(f"{name}: the file is empty")
    container = reader_of(raw)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of metadata that is odd
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(io.BytesIO(raw), formats=(container,) if container else FORMATS) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise DataError(f"{name}: {opened.width}x{opened.height} pixels are more than {MAX_PIXELS:,}")
            yield opened


@contextmanager
def _decoding(name: str) -> Generator[None]:
    """Whatever goes wrong with a picture within is a `DataError` that begins with its name."""
    from PIL import Image, UnidentifiedImageError

    try:
        yield
    except DataError as error:
        raise error if str(error).startswith(name) else DataError(f"{name}: {error}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{name}: too many pixels ({error})") from error
    except MemoryError as error:
        raise DataError(f"{name}: does not fit into memory") from error
    except UnidentifiedImageError as error:
        raise DataError(
            f"{name}: not a readable picture (of no format known: {', '.join((*FORMATS, 'AVIF', 'HEIC'))})"
        ) from error
    except DECODER_ERRORS as error:
        raise DataError(f"{name}: not a readable picture ({error})") from error


def _bytes_of(path: Path, name: str) -> bytes:
    try:
        return read_file(path)
    except (FileNotFoundError, NotADirectoryError):
        from pellucid.data.samples import named_picture  # which reads data sets

        named = named_picture(str(path))
        if named is None:
            raise DataError(f"{name}: there is no such file") from None
        return named
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({reason_of(error)})") from error


def facts_of(raw: bytes) -> tuple[str, str, int, int]:
    """Format, mode, width and height of a picture that has been read, as its file says, before it is turned."""
    with _opened(raw, "picture") as opened:
        return opened.format or "", opened.mode, opened.width, opened.height


def _middle(image: Any, size: tuple[int, int], crop: float) -> Any:
    """The middle of a picture, in the shape of `size`: the largest such rectangle in it, both sides times `crop`."""
    rows = max(1, int(crop * min(image.height, image.width * size[0] / size[1])))
    columns = max(1, int(crop * min(image.width, image.height * size[1] / size[0])))
    left, top = (image.width - columns + 1) // 2, (image.height - rows + 1) // 2
    return image.crop((left, top, left + columns, top + rows))


def find_images(paths: Iterable[Path | str]) -> list[Path]:
    """The picture files among `paths`: files as they are, and of folders every picture in or below them, sorted.

    Links are followed; what is hidden (`is_hidden`) is left out.
    """
    return images_and_notes(paths)[0]


def images_and_notes(paths: Iterable[Path | str]) -> tuple[list[Path], list[str]]:
    """What `find_images` finds, and what to say of files in folders that it leaves out."""
    found: list[Path] = []
    notes: list[str] = []
    for path in map(Path, paths):
        if not is_folder(path):
            found.append(path)
            continue
        names, _, links = walk(path)
        inside = sorted(path / name for name in names if is_image_name(name))
        others = other_files(names)
        if not inside:
            raise DataError(
                f"{shown(str(path))}: no picture ({', '.join(SUFFIXES)}) in it{''.join(map('; '.__add__, others))}"
            )
        found += inside
        notes += [f"{shown(str(path))}: {note}" for note in (*links, *others)]
    return found, notes
