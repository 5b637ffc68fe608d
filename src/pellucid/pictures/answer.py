"""What a question gives: words for people, plain data for programs, and something to look at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pellucid.pictures.numbers import Table, numbers_of, tables_of
from pellucid.pictures.picture import DRAWINGS, Picture, PictureError, in_notebook
from pellucid.plain import to_json
from pellucid.text import text_table

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

    def figure(self, number: int) -> Figure:
        """One of the figures that its picture has, counted from 0. Raises `PictureError` where there is none."""
        return figure_of(self.picture(), number)

    def save(self, path: str | Path, width: int = 0) -> None:
        """Draw the answer into a file, .svg, .png, .pdf, .html or .json, `width` pixels wide; its folder is made."""
        drawn = self.drawing() if Path(path).suffix.lower() in DRAWINGS else self.picture()
        drawn.save(path, width)


@dataclass(frozen=True)
class Figure(Answer):
    """One figure of an answer by itself: what is `drawn`, with its numbers."""

    drawn: Picture

    def to_dict(self) -> dict[str, Any]:
        """Its numbers and words as plain data, without pixels that others are drawn over."""
        return {"kind": self.drawn.kind, **numbers_of(self.drawn)}

    def __str__(self) -> str:
        title, note = self.drawn.title, getattr(self.drawn, "note", "")
        return "\n".join([*filter(None, [title]), *map(_told, tables_of(self.drawn)), *filter(None, [note])])

    def picture(self) -> Picture:
        """The figure."""
        return self.drawn


def figure_of(picture: Picture, number: int) -> Figure:
    """One of the figures that a picture has, counted from 0. Raises `PictureError` where there is none."""
    figures = picture.figures()
    if not 0 <= number < len(figures):
        names = ", ".join(f"{k} {one.title or one.kind}" for k, one in enumerate(figures))
        raise PictureError(f"there is no figure {number}; there are {names}")
    return Figure(figures[number])


def _told(table: Table) -> str:
    """A table in words, of many rows the first."""
    titles, rows = table
    shown = [
        [f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in row] for row in islice(rows, SHOWN_LINES)
    ]
    more = sum(1 for _ in rows)
    head = text_table(titles, shown, "l" * len(titles))
    return f"{head}\n... and {more:,} more rows: its JSON has all" if more else head
