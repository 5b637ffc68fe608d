"""Tables, and pages of pictures and words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from pellucid.pictures.lettering import LINE, MARGIN, lines_of, note_below, text, titled, width_of
from pellucid.pictures.picture import ROOM, Picture, PictureError, document, size_of, svg_element
from pellucid.plain import to_json
from pellucid.screen import markup, one_line
from pellucid.text import WIDEST, named_table

CONTENTS_FROM = 3
"""A page of so many sections begins with links to them."""
LONGEST = 180.0
"""Pixels of a word that a column of a table is as wide as; longer ones are broken."""
TALL, BETWEEN = 1.414, 14.0
"""The height of a sheet of paper to its width, and pixels between the parts of a page."""


@dataclass(frozen=True)
class Grid(Picture):
    """A table: `align` has a letter for each column, l to the left, r to the right.

    `shades`, if given, has a number for every cell: the ground of the cell, from -1 (orange) over 0 to 1 (blue). `values`, if given,
    has for every cell the number that it rounds, None where it has none.
    """

    kind = "grid"
    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    align: str
    shades: Sequence[Sequence[float]] = ()
    title: str = ""
    values: Sequence[Sequence[float | None]] = ()

    def __post_init__(self) -> None:
        wide = len(self.titles)
        if len(self.align) != wide or set(self.align) - {"l", "r"}:
            raise PictureError(f"table: align wants a letter l or r for each of {wide} columns, got {self.align!r:.60}")
        for number, row in enumerate(self.rows):
            if len(row) != wide:
                raise PictureError(f"table: row {number} has {len(row)} cells for {wide} columns")
        for what in ("shades", "values"):
            given = getattr(self, what)
            if given and [len(row) for row in given] != [wide] * len(self.rows):
                raise PictureError(
                    f"table: {what} want a number for each cell of {len(self.rows)} rows and {wide} columns"
                )
        object.__setattr__(self, "shades", tuple(tuple(map(float, row)) for row in self.shades))
        full = tuple(tuple(None if one is None else float(one) for one in row) for row in self.values)
        object.__setattr__(self, "values", full)

    def full(self) -> Sequence[Sequence[str | float]]:
        """The rows with numbers as they are where a cell rounds one."""
        if not self.values:
            return self.rows
        pairs = (zip(row, own, strict=True) for row, own in zip(self.rows, self.values, strict=True))
        return [[cell if one is None else one for cell, one in row] for row in pairs]

    def __str__(self) -> str:
        return self.text()

    def text(self, width: int = WIDEST) -> str:
        """The table as plain text, `width` columns wide at most as far as names on lines of their own can help."""
        return named_table(self.titles, self.rows, self.align, width)

    def svg(self, room: float = ROOM) -> str:
        head, top = titled(self.title, MARGIN, room) if self.title else ("", 0.0)
        lines = [[one_line(cell) for cell in row] for row in (self.titles, *self.rows)]
        bold = [1.13 if number == 0 else 1.0 for number in range(len(lines))]
        columns = [[(b, row[k]) for b, row in zip(bold, lines, strict=True)] for k in range(len(self.titles))]
        natural = [max(b * width_of(cell) for b, cell in column) + 16.5 for column in columns]
        words = [max((b * width_of(w) for b, cell in column for w in cell.split()), default=0.0) for column in columns]
        widths = _fitted(natural, [min(wide + 16.5, LONGEST) for wide in words], room - 8)
        total, parts, y = max(sum(widths) + 8, 40.0, room if self.title else 0.0), [head], top
        for number, row in enumerate(lines):
            cells = [lines_of(c, wide - 16, 12 * bold[number]) or [""] for c, wide in zip(row, widths, strict=True)]
            high, x = 4 + LINE * max(map(len, cells), default=1), 4.0
            for k, (cell, wide, side) in enumerate(zip(cells, widths, self.align, strict=True)):
                if number and self.shades and (ground := _ground(self.shades[number - 1][k])):
                    parts.append(
                        f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}" fill="{ground}"/>'
                    )
                place = (x + wide - 8, "end") if side == "r" else (x + 8, "start")
                style = "" if number else "font-weight:600"
                parts += [text(place[0], y + 14 + LINE * n, line, place[1], style) for n, line in enumerate(cell)]
                x += wide
            y += high
            faint = "" if number == 0 else ' stroke-opacity=".25"'
            parts.append(f'<path d="M4,{y:.1f}H{x:.1f}" stroke="#9ca3af"{faint}/>')
        return svg_element(total, y + 6, self.title or "table", "".join(parts))

    def fragment(self) -> str:
        """The table as a part of an HTML page."""
        classes = [' class="r"' if a == "r" else "" for a in self.align]

        def line(tag: str, cells: Sequence[str], shades: Sequence[float], values: Sequence[float | None]) -> str:
            grounds = [f' style="background:{ground}"' if ground else "" for ground in map(_ground, shades)]
            told = ["" if one is None else f' data-value="{_in_full(one)}"' for one in values]
            marked = zip(classes, grounds, told, cells, strict=True)
            return f"<tr>{''.join(f'<{tag}{c}{g}{v}>{markup(cell)}</{tag}>' for c, g, v, cell in marked)}</tr>"

        wide, high = len(self.titles), len(self.rows)
        none, unsaid = [0.0] * wide, [None] * wide
        shades, values = self.shades or [none] * high, self.values or [unsaid] * high
        body = "".join(line("td", *row) for row in zip(self.rows, shades, values, strict=True))
        caption = f"<caption>{markup(self.title)}</caption>" if self.title else ""
        head = f"<thead>{line('th', self.titles, none, unsaid)}</thead>"
        return f'<div class="scroll"><table>{caption}{head}<tbody>{body}</tbody></table></div>'


def _in_full(value: float) -> str:
    """A number as answers have it."""
    return to_json(value).strip('"')


def _fitted(widths: Sequence[float], least: Sequence[float], room: float) -> list[float]:
    """Widths of columns that fit the room together: the widest give way, none below its least."""
    low, high = 0.0, max(widths, default=0.0)
    for _ in range(40 if sum(widths) > room else 0):  # by halves
        middle = (low + high) / 2
        taken = sum(min(wide, max(middle, floor)) for wide, floor in zip(widths, least, strict=True))
        low, high = (low, middle) if taken > room else (middle, high)
    return [min(wide, max(high, floor)) for wide, floor in zip(widths, least, strict=True)]


def _ground(shade: float) -> str:
    """The color of a cell's ground; "" for none."""
    if not shade or math.isnan(shade):
        return ""
    tint = "37,99,235" if shade > 0 else "217,119,6"
    return f"rgba({tint},{min(abs(shade), 1.0) * 0.8:.3f})"


@dataclass(frozen=True)
class Page(Picture):
    """Pictures and paragraphs one below the other, pages inside it as its sections; one that is `folded` opens on a click.

    A page of several sections begins with links to them. Files of one drawing leave out what is folded.
    """

    kind = "page"
    title: str
    parts: tuple[Picture | str, ...]
    folded: bool = False

    def to_dict(self) -> dict[str, Any]:
        parts = [{"kind": "text", "text": p} if isinstance(p, str) else p.to_dict() for p in self.parts]
        return {"kind": self.kind, "title": self.title, "parts": parts, **({"folded": True} if self.folded else {})}

    def fragment(self) -> str:
        return self._section(2, "")

    def figures(self) -> tuple[Picture, ...]:
        return tuple(figure for part in self.parts if isinstance(part, Picture) for figure in part.figures())

    def part(self, number: int | None = None) -> str:
        return self.fragment()

    def html(self) -> str:
        return document(self.title, self._section(1, "s"))

    def _section(self, level: int, name: str, first: int = 0) -> str:
        """The page under a heading of this level, its figures numbered from `first` on.

        Where it has a `name` it can be linked to, and its own sections too.
        """
        counts = [0 if isinstance(part, str) else len(part.figures()) for part in self.parts]
        numbers = [first + before for before in accumulate(counts, initial=0)]
        sections = {n: part for n, part in enumerate(self.parts) if isinstance(part, Page) and not part.folded}
        linked = bool(name) and len(sections) >= CONTENTS_FROM
        names = {n: f"{name}-{n}" for n in sections} if linked else {}
        shown = "".join(
            part._section(level + 1, names.get(n, ""), numbers[n])
            if isinstance(part, Page)
            else f"<p>{markup(part)}</p>"
            if isinstance(part, str)
            else part.part(numbers[n])
            for n, part in enumerate(self.parts)
        )
        if self.folded:
            return f"<details><summary>{markup(self.title)}</summary>{shown}</details>"
        links = "".join(
            f'<li><a href="#{names[n]}">{markup(part.title)}</a></li>' for n, part in sections.items() if linked
        )
        contents = f'<nav aria-label="Contents"><ul>{links}</ul></nav>' if linked else ""
        heading, place = f"h{min(level, 6)}", f' id="{name}"' if name else ""
        return f"<section{place}><{heading}>{markup(self.title)}</{heading}>{contents}{shown}</section>"

    def svg(self, room: float = ROOM) -> str:
        return _stacked(self.title, self._drawn(room), room)

    def sheets(self, room: float = ROOM) -> list[str]:
        """What fits a sheet of paper on each; what is longer by itself has a longer one."""
        sheets: list[list[str]] = [[]]
        left = TALL * room
        for drawing in self._drawn(room):
            high = size_of(drawing)[1] * min(1.0, room / size_of(drawing)[0])
            if sheets[-1] and high > left:
                sheets.append([])
                left = TALL * room
            sheets[-1].append(drawing)
            left -= high + BETWEEN
        return [_stacked("" if number else self.title, sheet, room) for number, sheet in enumerate(sheets)]

    def _drawn(self, room: float) -> list[str]:
        """The drawings of its parts, those of pages within it one by one."""
        drawn: list[str] = []
        for part in self.parts:
            if isinstance(part, Page):
                if part.folded:
                    continue
                head, high = titled(part.title, MARGIN, room)
                drawn += [*([svg_element(room, high, part.title, head)] if part.title else []), *part._drawn(room)]
            elif isinstance(part, str):
                words, high = note_below(part, MARGIN, 0.0, room - 2 * MARGIN)
                drawn.append(svg_element(room, high, "", words))
            else:
                drawn.append(part.svg(room))
        return drawn


def _stacked(title: str, drawings: Sequence[str], room: float) -> str:
    """Drawings one below the other, what is wider than the room made smaller."""
    lines = lines_of(title, room - 2 * MARGIN, 20)
    parts = [text(MARGIN, 24 + 24 * k, line, style="font-weight:600;font-size:18px") for k, line in enumerate(lines)]
    y = 24.0 * len(lines) + (16 if lines else 0)
    for drawing in drawings:
        across, down = size_of(drawing)
        zoom = min(1.0, room / across)
        place = f'x="0" y="{y:.1f}" width="{across * zoom:.1f}" height="{down * zoom:.1f}"'
        head, _, rest = drawing.partition(">")
        box = head.partition("viewBox=")[2].split('"')[1]
        parts.append(f'<svg {place} viewBox="{box}">{rest}')
        y += down * zoom + BETWEEN
    return svg_element(room, max(y, 1.0), title, "".join(parts))
