"""Text of docstrings as Markdown and as HTML: only code in backticks is markup, all else stands as it is written."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Sequence

_CODE = re.compile(r"`([^`]+)`")
_MARKS = re.compile(r"[\\`*_\[\]<>&|~#!]")


def cell(text: str) -> str:
    """The text in one cell of a table of Markdown."""
    escaped = _between(" ".join(text.split()), lambda words: _MARKS.sub(r"\\\g<0>", words), code)
    return escaped.strip()


def code(text: str) -> str:
    """Code in a cell of a table, where a bar would end the cell even within backticks."""
    return f"`{text.replace('|', chr(92) + '|')}`"


def table(titles: str, rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table of Markdown; `titles` is its first line with " | " between them, those that end in ":" to the right."""
    names = titles.split(" | ")
    marks = ("---:" if name.endswith(":") else "---" for name in names)
    head = " | ".join(name.removesuffix(":") for name in names)
    return [f"| {head} |", f"|{'|'.join(marks)}|", *(f"| {' | '.join(row)} |" for row in rows)]


def words_html(text: str, code_html: Callable[[str], str]) -> str:
    """The text as HTML within a paragraph; `code_html` says what becomes of code."""
    return _between(text, html.escape, code_html)


def _between(text: str, words: Callable[[str], str], code: Callable[[str], str]) -> str:
    parts = _CODE.split(text)
    return "".join(code(part) if number % 2 else words(part) for number, part in enumerate(parts))
