"""What a question gives: words for people, plain data for programs, and something to look at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from pellucid.pictures.picture import DRAWINGS, Picture, in_notebook
from pellucid.plain import to_json

SHOWN_LINES = 60
"""Of its words a console shows so many lines unless asked to print them all."""


class Drawn(ABC):
    """What draws itself in a notebook, and says itself in a console. Subclasses say `__str__` and `picture`."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__repr__" not in vars(cls):  # or else a dataclass would list every number that it has
            cls.__repr__ = Drawn.__repr__

    @abstractmethod
    def __str__(self) -> str: ...

    @abstractmethod
    def picture(self) -> Picture:
        """It drawn."""

    def __repr__(self) -> str:
        lines = str(self).splitlines()
        more = [f"... and {len(lines) - SHOWN_LINES} more lines: print it"] if len(lines) > SHOWN_LINES else []
        return "\n".join([*lines[:SHOWN_LINES], *more])

    def _repr_html_(self) -> str:
        return in_notebook(self.picture().fragment())


class Answer(Drawn):
    """The base of all that a question gives back. Subclasses say `to_dict`, `__str__` and `picture`; the rest follows."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Plain data; None stands for what is not there, numbers that are not finite stay numbers."""

    def to_json(self, indent: int | None = None) -> str:
        """`to_dict` as JSON that every reader takes."""
        return to_json(self.to_dict(), indent)

    def drawing(self) -> Picture:
        """What files of one drawing (.svg, .png, .pdf) show: the picture, unless an answer has a plainer one for them."""
        return self.picture()

    def save(self, path: str | Path, width: int = 0) -> None:
        """Draw the answer into a file, .svg, .png, .pdf, .html or .json, `width` pixels wide; its folder is made."""
        drawn = self.drawing() if Path(path).suffix.lower() in DRAWINGS else self.picture()
        drawn.save(path, width)
