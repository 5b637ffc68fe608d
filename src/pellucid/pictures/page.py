"""Tables, and pages of pictures and words."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pellucid.pictures.picture import Picture, PictureError, document, svg_element, text, width_of
from pellucid.screen import markup, one_line
from pellucid.text import text_table

CONTENTS_FROM = 3
"""A page of so many sections begins with links to them."""


@dataclass(frozen=True)
class Grid(Picture):
    """A table: `align` has a letter for each column, l to the left, r to the right.

    `shades`, if given, has a number for every cell: the ground of the cell, from -1 (red) over 0 to 1 (green).
    """

    kind = "grid"
    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    align: str
    shades: Sequence[Sequence[float]] = ()
    title: str = ""

    def __post_init__(self) -> None:
        wide = len(self.titles)
        if len(self.align) != wide or set(self.align) - {"l", "r"}:
            raise PictureError(f"table: align wants a letter l or r for each of {wide} columns, got {self.align!r:.60}")
        for number, row in enumerate(self.rows):
            if len(row) != wide:
                raise PictureError(f"table: row {number} has {len(row)} cells for {wide} columns")
        if self.shades and [len(row) for row in self.shades] != [wide] * len(self.rows):
            raise PictureError(f"table: shades want a number for each cell of {len(self.rows)} rows and {wide} columns")

        object.__setattr__(self, "shades", tuple(tuple(map(float, row)) for row in self.shades))

    def __str__(self) -> str:
        return text_table(self.titles, self.rows, self.align)

    def svg(self) -> str:
        lines = [[one_line(cell) for cell in row] for row in (self.titles, *self.rows)]
        widths = [max(width_of(row[k]) for row in lines) + 16 for k in range(len(self.titles))]
        top, left, total = 24 if self.title else 0, 4, max(sum(widths) + 8, 40)
        parts = [text(left, 16, self.title, style="font-weight:600;font-size:14px")] if self.title else []
        for number, row in enumerate(lines):
            x, y = left, top + 20 * number
            for k, (cell, wide, side) in enumerate(zip(row, widths, self.align, strict=True)):
                if number and self.shades and (ground := _ground(self.shades[number - 1][k])):
                    parts.append(f'<rect x="{x:.1f}" y="{y + 2}" width="{wide:.1f}" height="20" fill="{ground}"/>')
                place = (x + wide - 8, "end") if side == "r" else (x + 8, "start")
                parts.append(text(place[0], y + 16, cell, place[1], "" if number else "font-weight:600"))
                x += wide
        parts.append(f'<path d="M{left},{top + 21.5}H{left + sum(widths):.1f}" stroke="#9ca3af"/>')
        return svg_element(total, top + 20 * len(lines) + 6, self.title or "table", "".join(parts))

    def fragment(self) -> str:
        """The table as a part of an HTML page."""
        classes = [' class="r"' if a == "r" else "" for a in self.align]

        def line(tag: str, cells: Sequence[str], shades: Sequence[float]) -> str:
            grounds = [f' style="background:{ground}"' if ground else "" for ground in map(_ground, shades)]
            marked = zip(classes, grounds, cells, strict=True)
            return f"<tr>{''.join(f'<{tag}{c}{g}>{markup(cell)}</{tag}>' for c, g, cell in marked)}</tr>"

        none = [0.0] * len(self.titles)
        body = "".join(
            line("td", row, shades)
            for row, shades in zip(self.rows, self.shades or [none] * len(self.rows), strict=True)
        )
        caption = f"<caption>{markup(self.title)}</caption>" if self.title else ""
        head = f"<thead>{line('th', self.titles, none)}</thead>"
        return f'<div class="scroll"><table>{caption}{head}<tbody>{body}</tbody></table></div>'


def _ground(shade: float) -> str:
    """The color of a cell's ground; "" for none."""
    if not shade or math.isnan(shade):
        return ""
    tint = "5,150,105" if shade > 0 else "220,38,38"
    return f"rgba({tint},{min(abs(shade), 1.0) * 0.8:.3f})"


@dataclass(frozen=True)
class Page(Picture):
    """Pictures and paragraphs one below the other, pages inside it as its sections; one that is `folded` opens on a click.

    A page of several sections begins with links to them. As .png it is its only part made of pixels, if there is one.
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

    def part(self) -> str:
        return self.fragment()

    def html(self) -> str:
        return document(self.title, self._section(1, "s"))

    def _section(self, level: int, name: str) -> str:
        """The page under a heading of this level; where it has a `name` it can be linked to, and its own sections too."""
        sections = {n: part for n, part in enumerate(self.parts) if isinstance(part, Page) and not part.folded}
        linked = bool(name) and len(sections) >= CONTENTS_FROM
        names = {n: f"{name}-{n}" for n in sections} if linked else {}
        shown = "".join(
            part._section(level + 1, names.get(n, ""))
            if isinstance(part, Page)
            else f"<p>{markup(part)}</p>"
            if isinstance(part, str)
            else part.part()
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

    def writers(self) -> dict[str, Callable[[], bytes]]:
        made_of_pixels = [w for p in self.parts if isinstance(p, Picture) for w in [p.writers().get(".png")] if w]
        return {
            ".html": lambda: self.html().encode(),
            ".json": lambda: self.to_json().encode(),
            **({".png": made_of_pixels[0]} if len(made_of_pixels) == 1 else {}),
        }
