"""How results read as plain text: tables with aligned columns, and sizes for people."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from pellucid.screen import one_line

WIDTH = 80
"""Columns of a terminal that every table fits."""


def text_table(titles: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> str:
    """Columns aligned as `align` says, one letter for each: l to the left, r to the right."""
    titles, rows = [one_line(title) for title in titles], [[one_line(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(titles, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        parts = [c.ljust(w) if a == "l" else c.rjust(w) for c, w, a in zip(cells, widths, align, strict=True)]
        return "  ".join(parts).rstrip()

    return "\n".join([line(titles), "  ".join("-" * w for w in widths), *map(line, rows)])


def amount(count: int, what: str, plural: str = "") -> str:
    """`1`, "epoch" -> "1 epoch"; `1797`, "picture" -> "1,797 pictures"; what has an odd `plural` says it."""
    several = plural or what + ("es" if what.endswith("s") else "s")
    return f"{count:,} {what if count == 1 else several}"


def human_bytes(count: int) -> str:
    """`1536` -> `1.5 KiB`"""
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def human_count(count: int) -> str:
    """`1536` -> `1,536`, `15470314496` -> `15.47 G`"""
    if count < 10_000:
        return f"{count:,}"
    for unit, size in (("K", 10**3), ("M", 10**6)):
        if count < 999.95 * size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 10**9:.2f} G"


def wrapped(text: str, width: int = WIDTH) -> str:
    """Lines of words, those that are longer than `width` broken between words and indented from there on."""
    lines = (textwrap.wrap(line, width, subsequent_indent="  ") or [""] for line in text.splitlines())
    return "\n".join(part for parts in lines for part in parts)


def squeezed(text: str, limit: int) -> str:
    """`text`, its middle left out where it has more than `limit` characters."""
    if len(text) <= limit:
        return text
    tail = (limit - 1) // 2
    return f"{text[: limit - 1 - tail]}…{text[len(text) - tail :]}"


def shortened(text: str, limit: int) -> str:
    """`text`, its end cut off where it has more than `limit` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def first_names(names: Sequence[str], most: int = 8) -> str:
    """The first of the names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
