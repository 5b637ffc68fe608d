"""What a question gives: words for people, plain data for programs, and something to look at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from pellucid.pictures.picture import DRAWINGS, Picture
from pellucid.plain import to_json


class Answer(ABC):
    """The base of all that a question gives back. Subclasses say `to_dict`, `__str__` and `picture`; the rest follows."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Plain data; None stands for what is not there, numbers that are not finite stay numbers."""

    @abstractmethod
    def __str__(self) -> str: ...

    @abstractmethod
    def picture(self) -> Picture:
        """The answer drawn."""

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

    def _repr_html_(self) -> str:
        return self.picture().fragment()
