"""What is sent to the lab: pictures, arrays and tables of points, named by their bytes, in a temporary folder that ends with the server."""

from __future__ import annotations

import hashlib
import io
import re
import shutil
import threading
import weakref
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import quote_plus

from pellucid.data import read_array, read_image
from pellucid.errors import PellucidError
from pellucid.examples import ARRAYS
from pellucid.lab.wire import SENT_TO, Problem

MOST_BYTES, MOST_PIXELS, MOST_KEPT, MOST_FRAMES = 20 * 2**20, 40_000_000, 200, 20
"""Bytes of one that is sent, pixels of a picture, how many are kept, and how many of a camera."""
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
MOST_TABLES, SHORT = 50, 3000
"""Tables of points that are kept, and bytes of points that an address holds as they are."""
OWN = "PICTURE"
"""What a picture that was sent is called where its answers are asked for again: by a command, which has no name for its bytes."""
SENT = re.compile("[0-9a-f]{20}")
"""What is sent is named by its bytes."""
_ARRAY = b"\x93NUMPY"


class Uploads:
    """Pictures and arrays by name, and tables; the oldest go where there are too many."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Path] = OrderedDict()
        self._frames: OrderedDict[str, Path] = OrderedDict()
        self._tables: OrderedDict[str, Path] = OrderedDict()
        self._lock = threading.Lock()
        self._folder = Path(mkdtemp(prefix=SENT_TO))
        self.close = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        """Deletes all, at the end of the process at the latest."""

    def names(self) -> list[str]:
        """What is kept."""
        with self._lock:
            return list(self._kept)

    def find(self, name: str) -> Path | None:
        """The file of one, or None."""
        with self._lock:
            return self._kept.get(name) or self._frames.get(name)

    def keep(self, raw: bytes, passing: bool = False) -> str:
        """Keep what was sent; gives its name, the hash of its bytes. Raises `Problem` for what is no picture and no array.

        Those `passing`, as of a camera, are few and push out no other.
        """
        if len(raw) > MOST_BYTES:
            raise Problem(
                413, "Too large", f"A picture or an array has at most {MOST_BYTES >> 20} MB, got {len(raw) / 2**20:.1f}"
            )
        name = hashlib.sha256(raw).hexdigest()[:20]
        path = self._folder / name / f"{OWN}{ARRAYS if raw.startswith(_ARRAY) else '.png'}"
        if not raw.startswith(_ARRAY):
            _require_picture(raw)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(raw)
        if raw.startswith(_ARRAY):
            try:
                read_array(path)
            except PellucidError:
                self._drop(path)
                raise
        if passing and name not in self._kept:
            self._put(self._frames, name, path, MOST_FRAMES)
        else:
            self._frames.pop(name, None)
            self._put(self._kept, name, path, MOST_KEPT)
        return name

    def table(self, name: str) -> Path | None:
        """The file of a table of points, or None."""
        with self._lock:
            return self._tables.get(name)

    def keep_points(self, raw: bytes) -> str:
        """Keep a table of points (x,y,class); gives what it is called: the points themselves where they are few, else a hash.

        A hash it is, too, where the names of the classes cannot be written out.
        """
        from pellucid.data.points import as_text, read_points

        name = hashlib.sha256(raw).hexdigest()[:20]
        path = self._folder / f"{name}.csv"
        path.write_bytes(raw)
        try:
            text = as_text(read_points(path, name="the table"))
        except PellucidError:
            path.unlink()
            raise
        if text and len(quote_plus(text)) <= SHORT:
            path.unlink()
            return text
        self._put(self._tables, name, path, MOST_TABLES)
        return name

    def _put(self, kept: OrderedDict[str, Path], name: str, path: Path, most: int) -> None:
        with self._lock:
            kept[name] = path
            kept.move_to_end(name)
            while len(kept) > most:
                self._drop(kept.popitem(last=False)[1])

    def _drop(self, path: Path) -> None:
        """Delete a file, and its own folder if it has one."""
        path.unlink(missing_ok=True)
        if path.parent != self._folder:
            with suppress(OSError):  # it was sent again just now
                path.parent.rmdir()


def _require_picture(raw: bytes) -> None:
    """Raise `Problem` for what is no picture, or too large a one; it is read to its end."""
    from PIL import Image, UnidentifiedImageError

    remedy = f"Send one of {', '.join(FORMATS)}, or an array (.npy)"
    try:
        with Image.open(io.BytesIO(raw), formats=FORMATS) as image:
            pixels = image.width * image.height
    except UnidentifiedImageError as error:
        raise Problem(415, "No picture", "What was sent is no picture that is read here", remedy=remedy) from error
    except Image.DecompressionBombError as error:
        raise Problem(413, "Too large", f"A picture has at most {MOST_PIXELS:,} pixels ({str(error)[:100]})") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise Problem(415, "No picture", str(error)[:200], remedy=remedy) from error
    if pixels > MOST_PIXELS:
        raise Problem(413, "Too large", f"A picture has at most {MOST_PIXELS:,} pixels, got {pixels:,}")
    read_image(raw)
