"""The numbers of every step that a run noted: a file of rows, of which as many are read as are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.op import Array

PLACE = Path("lab") / "curve.bin"
"""Where the file is in a run's folder."""
COLUMNS = ("loss", "gradient_norm", "learning_rate")
"""What row k says of step k."""
_ROW = 8 * len(COLUMNS)


class NotedSteps:
    """Those of the run in a folder, none where nothing was noted."""

    def __init__(self, run: Path) -> None:
        self.path = run / PLACE

    def __len__(self) -> int:
        try:
            return self.path.stat().st_size // _ROW
        except FileNotFoundError:
            return 0

    def note(self, rows: Sequence[Sequence[float]]) -> None:
        """Add the numbers of steps, each as COLUMNS says."""
        with self.path.open("ab") as file:
            file.write(np.array(rows, np.float64).tobytes())

    def cut(self, steps: int) -> None:
        """Forget what was noted of later steps than so many; of steps that were not noted nothing is known."""
        with self.path.open("ab") as file:
            missing = steps - file.tell() // _ROW
            file.truncate(min(file.tell(), steps * _ROW))
            if missing > 0:
                file.write(np.full((missing, len(COLUMNS)), np.nan).tobytes())

    def points(self, start: int, stop: int, most: int) -> dict[str, list[Any]]:
        """The curve from step `start` up to `stop`, at most so many steps of it, evenly spread, the last among them."""
        count = max(0, min(stop, len(self)) - start)
        if not count:
            return {name: [] for name in ("step", *COLUMNS)}
        rows = np.memmap(self.path, np.float64, "r", start * _ROW, (count, len(COLUMNS)))
        chosen = spread(count, most)
        shown = rows[chosen]
        return {
            "step": (chosen + start).tolist(),
            **{name: shown[:, k].tolist() for k, name in enumerate(COLUMNS)},
        }


def spread(count: int, most: int) -> Array:
    """At most `most` of the numbers below `count`, evenly spread, with the first and the last."""
    if count <= most:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, most).round().astype(np.int64))
