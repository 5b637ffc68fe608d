"""What the lab keeps of a run beside its own files, in `lab/` of its folder: what was asked, every step's numbers, snapshots, words."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pellucid.files import read_limited, write_atomically
from pellucid.lab.uploads import SENT
from pellucid.plain import PlainError, parse_json, to_json
from pellucid.train.noted_steps import NotedSteps

MOST_BYTES = 2**26
LOG_BYTES = 2**16
MOST_SNAPSHOTS, MOST_SNAPSHOT_BYTES = 60, 48 * 2**20


class Trail:
    """The files of `lab/` in a run's folder; the process that trains writes them, the server reads them."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.path = run / "lab"
        self.log, self.noted = self.path / "log.txt", NotedSteps(run)
        self._snapshots = self.path / "snapshots"

    def begin(self, asked: Mapping[str, Any]) -> None:
        """Make the folder, of a run that was asked for; what says how it ended last time goes."""
        self._snapshots.mkdir(parents=True, exist_ok=True)
        self.put("asked", asked)
        (self.path / "end.json").unlink(missing_ok=True)

    def keep_table(self, name: str, source: str) -> str:
        """Keep a table that was sent, which is named by its bytes and ends with the server; gives what `pl.load` takes for the data."""
        if not (SENT.fullmatch(name) and Path(source).is_file()):
            return source
        path = self.path.resolve() / f"{name}.csv"
        if path != Path(source).resolve():
            write_atomically(path, read_limited(Path(source), MOST_BYTES))
        return str(path)

    def remove(self) -> None:
        """As if it had never been there."""
        shutil.rmtree(self.path, ignore_errors=True)

    def put(self, name: str, value: Any) -> None:
        """Keep plain data: `asked`, `end`, `stages`."""
        write_atomically(self.path / f"{name}.json", to_json(value).encode())

    def get(self, name: str) -> dict[str, Any] | None:
        """What was kept by that name; None where there is nothing, or it cannot be read."""
        try:
            found = parse_json(read_limited(self.path / f"{name}.json", MOST_BYTES))
        except (OSError, PlainError):
            return None
        return found if isinstance(found, dict) else None

    def cut(self, steps: int) -> None:
        """Go on from so many steps: what was noted of later ones is forgotten, of steps that were not noted nothing is known."""
        self.noted.cut(steps)
        for step in self.snapshots():
            if step > steps:
                self.drop(step)

    def snapshots(self) -> list[int]:
        """The steps that there are snapshots of."""
        try:
            return sorted(int(path.stem) for path in self._snapshots.iterdir() if path.stem.isdecimal())
        except FileNotFoundError:
            return []

    def keep(self, step: int, snapshot: Mapping[str, Any]) -> None:
        """Keep a snapshot; where there are too many, every other one goes, but for the first and the newest."""
        write_atomically(self._file(step), to_json(snapshot).encode())
        known = self.snapshots()
        while len(known) > 2 and (
            len(known) > MOST_SNAPSHOTS or sum(self._file(k).stat().st_size for k in known) > MOST_SNAPSHOT_BYTES
        ):
            for k in known[1:-1:2]:
                self.drop(k)
            known = self.snapshots()

    def drop(self, step: int) -> None:
        """Forget a snapshot."""
        self._file(step).unlink(missing_ok=True)

    def snapshot(self, step: int) -> bytes | None:
        """A snapshot as JSON; None where there is none, or it has just been dropped."""
        try:
            return read_limited(self._file(step), MOST_BYTES)
        except OSError:
            return None

    def words(self, lines: int = 20) -> list[str]:
        """The last lines that the process wrote."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - LOG_BYTES))
                return file.read(LOG_BYTES).decode(errors="replace").splitlines()[-lines:]
        except OSError:
            return []

    def _file(self, step: int) -> Path:
        return self._snapshots / f"{step:09d}.json"
