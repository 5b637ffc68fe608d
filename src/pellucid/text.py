"""How results read as plain text: tables with aligned columns, and sizes for people."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

from pellucid.screen import one_line

WIDTH = 80
"""Columns of a terminal that every table fits."""
WIDEST = 100
"""Columns of text that a table with names takes at most, where the names have lines of their own."""


def text_table(titles: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> str:
    """Columns aligned as `align` says, one letter for each: l to the left, r to the right."""
    titles, rows = [one_line(title) for title in titles], [[one_line(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(titles, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        parts = [c.ljust(w) if a == "l" else c.rjust(w) for c, w, a in zip(cells, widths, align, strict=True)]
        return "  ".join(parts).rstrip()

    return "\n".join([line(titles), "  ".join("-" * w for w in widths), *map(line, rows)])


def named_table(titles: Sequence[str], rows: Sequence[Sequence[str]], align: str, width: int = WIDEST) -> str:
    """`text_table` whose first cells are names that are copied, and never cut: where a line would be wider than `width`,
    a long name stands on a line of its own above the rest of its row."""
    names = [one_line(row[0]) for row in rows]
    rest = sum(2 + max(len(one_line(cell)) for cell in column) for column in list(zip(titles, *rows, strict=True))[1:])
    room = max(width - rest, len(titles[0]))
    long = [len(name) > room for name in names]
    short = [["" if apart else row[0], *row[1:]] for apart, row in zip(long, rows, strict=True)]
    head, rule, *lines = text_table(titles, short, align).split("\n")
    above = [
        f"{textwrap.fill(n, width, subsequent_indent='  ', break_long_words=False, break_on_hyphens=False)}\n"
        for n in names
    ]
    shown = (name + line if apart else line for name, apart, line in zip(above, long, lines, strict=True))
    return "\n".join([head, rule, *shown])


def some_of(names: Sequence[str], most: int = 5) -> str:
    """Names with commas between; of many the first, whole, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more:,} more" if more > 0 else "")


def apart(value: float, other: float, least: int, spell: Callable[[float, int], str] = "{:.{}f}".format) -> str:
    """A number in words, with as many digits behind the point, `least` or more, as tell it apart from an `other`: of 0.4996 beside 0.5 not 0.50."""
    told = (word for k in range(least, 18) if (word := spell(value, k)).lstrip("+-") != spell(other, k).lstrip("+-"))
    return next(told, spell(value, least))


def amount(count: int, what: str, plural: str = "") -> str:
    """`1`, "epoch" -> "1 epoch"; `1797`, "picture" -> "1,797 pictures"; what has an odd `plural` says it."""
    several = plural or what + ("es" if what.endswith(("s", "x", "sh", "tch")) else "s")
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
