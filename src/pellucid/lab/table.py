"""The numbers of a picture as a table of text (CSV), for a program that computes with tables."""

from __future__ import annotations

import csv
import io
from typing import Any

from pellucid.pictures import Picture
from pellucid.pictures.numbers import tables_of

_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_table(picture: Picture) -> str:
    """A line for each number; of a page that of its figures, one below the other."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for titles, rows in tables_of(picture):
        for row in (titles, *rows):
            writer.writerow([_cell(value) for value in row])
    return text.getvalue()


def _cell(value: Any) -> Any:
    """A text that a table program would take for a formula stays a text."""
    return (
        f"'{value}" if isinstance(value, str) and value.startswith(_STARTS_FORMULA) and not _is_number(value) else value
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
