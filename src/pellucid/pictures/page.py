"""Tables, and pages of pictures, tables and words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pellucid.pictures.picture import Picture
from pellucid.plain import to_json
from pellucid.screen import markup
from pellucid.text import text_table


@dataclass(frozen=True)
class Grid:
    """A table: `align` has a letter for each column, l to the left, r to the right.

    `shades`, if given, has a number for every cell: the ground of an HTML table's cell, from -1 (red) over 0 to 1 (green).
    """

    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    align: str
    shades: Sequence[Sequence[float]] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"kind": "grid", "titles": list(self.titles), "rows": [list(row) for row in self.rows]}

    def __str__(self) -> str:
        return text_table(self.titles, self.rows, self.align)

    def _repr_html_(self) -> str:
        return self.fragment()

    def fragment(self) -> str:
        """The table as a part of an HTML page."""
        classes = [' class="r"' if a == "r" else "" for a in self.align]

        def line(tag: str, cells: Sequence[str], shades: Sequence[float]) -> str:
            marked = zip(classes, map(_ground, shades), cells, strict=True)
            return f"<tr>{''.join(f'<{tag}{c}{g}>{markup(cell)}</{tag}>' for c, g, cell in marked)}</tr>"

        none = [0.0] * len(self.titles)
        body = "".join(
            line("td", row, shades)
            for row, shades in zip(self.rows, self.shades or [none] * len(self.rows), strict=True)
        )
        return f'<div class="scroll"><table><thead>{line("th", self.titles, none)}</thead><tbody>{body}</tbody></table></div>'


def _ground(shade: float) -> str:
    tint = "5,150,105" if shade > 0 else "220,38,38"
    return f' style="background:rgba({tint},{abs(shade) * 0.8:.3f})"' if shade else ""


@dataclass(frozen=True)
class Page(Picture):
    """Pictures, tables and paragraphs one below the other. As .png it is its only part made of pixels, if there is one."""

    title: str
    parts: tuple[Picture | Grid | str, ...]

    def to_dict(self) -> dict[str, Any]:
        parts = [{"kind": "text", "text": p} if isinstance(p, str) else p.to_dict() for p in self.parts]
        return {"kind": "page", "title": self.title, "parts": parts}

    def fragment(self) -> str:
        shown = [f"<p>{markup(p)}</p>" if isinstance(p, str) else f"<div>{p.fragment()}</div>" for p in self.parts]
        return f"<h2>{markup(self.title)}</h2>{''.join(shown)}"

    def writers(self) -> dict[str, Callable[[], bytes]]:
        made_of_pixels = [w for p in self.parts if isinstance(p, Picture) for w in [p.writers().get(".png")] if w]
        return {
            ".html": lambda: self.html().encode(),
            ".json": lambda: to_json(self.to_dict()).encode(),
            **({".png": made_of_pixels[0]} if len(made_of_pixels) == 1 else {}),
        }
