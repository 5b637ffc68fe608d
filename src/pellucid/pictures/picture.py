"""What every picture can do: become plain data, SVG, HTML, or a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from pellucid.errors import PellucidError
from pellucid.files import write_atomically
from pellucid.plain import plain, to_json
from pellucid.screen import markup

ROOM, NARROWEST = 640.0, 320.0
"""Units of a drawing from left to right: usually, and at least. Letters are 12 of them high."""
WIDEST = 16384
"""Pixels of a file that is drawn."""
DRAWINGS = (".svg", ".png", ".pdf")
"""Endings of files that are one drawing."""
ENDINGS = (*DRAWINGS, ".html", ".json")
STYLE = (
    ":root{color-scheme:light dark}body{font:15px/1.5 system-ui,sans-serif;max-width:1200px;margin:2em auto;padding:0 1em}"
    "section{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:8px 24px;align-items:start}"
    "section>*{grid-column:1/-1;margin:0;min-width:0}section>.half{grid-column:auto}section>h2{margin-top:1em}"
    "nav ul{display:flex;flex-wrap:wrap;gap:4px 16px;list-style:none;padding:0;margin:0}summary{cursor:pointer;padding:4px 0}"
    "svg{max-width:100%;height:auto}.scroll{overflow-x:auto}.scroll svg{max-width:none}table{border-collapse:collapse;font-size:13px}"
    "td,th{padding:2px 8px;text-align:left}.r{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}"
    "th{border-bottom:1px solid #9ca3af}pre{overflow-x:auto}"
)


class PictureError(PellucidError, ValueError):
    """A picture cannot be drawn or saved as asked."""


class Picture:
    """One thing to look at. Subclasses are frozen dataclasses of plain data and arrays, each with a `kind` of its own."""

    kind: ClassVar[str]
    wide: ClassVar[bool] = False
    """Whether a page scrolls it sideways where it does not fit, rather than making it smaller."""
    share: ClassVar[str] = ""
    """"half" where two of them fit a page side by side."""
    title: str

    def to_dict(self) -> dict[str, Any]:
        """Its `kind` and its fields as plain data, of which `from_dict` makes the same picture."""
        return {"kind": self.kind, **plain(self)}

    def to_json(self, indent: int | None = None) -> str:
        """`to_dict` as JSON that every reader takes."""
        return to_json(self.to_dict(), indent)

    def svg(self, room: float = ROOM) -> str:
        """A self-contained drawing, laid out for `room` units from left to right; what cannot be so narrow is wider."""
        raise NotImplementedError

    def sheets(self, room: float = ROOM) -> list[str]:
        """The drawing on one sheet of paper after the other."""
        return [self.svg(room)]

    def fragment(self) -> str:
        """The picture as a part of an HTML page."""
        return self.svg()

    def figures(self) -> tuple[Picture, ...]:
        """The pictures in it: of a page all that it has, of others it alone."""
        return (self,)

    def part(self, number: int | None = None) -> str:
        """`fragment` in an element of its own, which says the `number` of a page's figure."""
        classes = " ".join(name for name in ("scroll" if self.wide else "", self.share) if name)
        named = f' class="{classes}"' if classes else ""
        figure = "" if number is None else f' data-figure="{number}"'
        return f"<div{named}{figure}>{self.fragment()}</div>"

    def _repr_html_(self) -> str:
        return in_notebook(self.fragment())

    def html(self) -> str:
        """A whole page that shows the picture, readable on a light and on a dark ground."""
        return document(self.title, self.part())

    def save(self, path: str | Path, width: int = 0) -> None:
        """Write the picture into a file, by how its name ends: .svg, .png, .pdf, .html or .json; its folder is made.

        `width` is in pixels, of a .pdf in 96ths of an inch: 1280 for .png and as drawn for others unless given.
        """
        target = Path(path)
        data = self.writers(checked_width(width))[ending_of(target)]()
        write_atomically(target, data, folders=True)

    def writers(self, width: int = 0) -> dict[str, Callable[[], bytes]]:
        """What each ending of a file's name makes, as functions that give bytes."""
        from pellucid.pictures import raster

        room = min(max(width or ROOM, NARROWEST), ROOM)
        return {
            ".svg": lambda: svg_file(self.svg(room), width),
            ".png": lambda: raster.png_file(self.svg(room), width),
            ".pdf": lambda: raster.pdf_file(self.sheets(room), width),
            ".html": lambda: self.html().encode(),
            ".json": lambda: self.to_json().encode(),
        }


NOTEBOOK = (
    ".pellucid section{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:8px 24px;align-items:start}"
    ".pellucid section>*{grid-column:1/-1;margin:0;min-width:0}.pellucid section>.half{grid-column:auto}"
    ".pellucid svg{max-width:100%;height:auto}.pellucid .scroll{overflow-x:auto}.pellucid .scroll svg{max-width:none}"
    ".pellucid td,.pellucid th{text-align:left!important}.pellucid .r{text-align:right!important}.pellucid summary{cursor:pointer}"
)
"""What of `STYLE` a notebook needs, for what is inside the element alone; its own style keeps fonts and colors."""


def in_notebook(fragment: str) -> str:
    """A part of an HTML page in an element with the style that it needs; a drawing needs none."""
    if fragment.startswith("<svg"):
        return fragment
    return f'<div class="pellucid"><style>{NOTEBOOK}</style>{fragment}</div>'


def document(title: str, body: str) -> str:
    """A whole HTML page."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{markup(title)}</title><style>{STYLE}</style></head><body>{body}</body></html>\n"
    )


def svg_file(drawing: str, width: int = 0) -> bytes:
    """A drawing as a file of its own, `width` pixels wide: on white, for viewers that show no other ground."""
    head, _, rest = drawing.partition(">")
    if width:
        across, down = size_of(drawing)
        head = f'{head.partition(" width=")[0]} width="{width}" height="{width * down / across:.0f}" {head[head.index("role=") :]}'
    return f'{head} style="color:#111827"><rect width="100%" height="100%" fill="#fff"/>{rest}\n'.encode()


def svg_element(width: float, height: float, label: str, content: str) -> str:
    """The element around a drawing's parts."""
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{markup(label)}">{content}</svg>'


def size_of(drawing: str) -> tuple[float, float]:
    """Width and height of what `svg_element` made, in its own units."""
    _, _, across, down = drawing.split('"', 4)[3].split()
    return max(float(across), 1.0), max(float(down), 1.0)


def ending_of(path: Path) -> str:
    """What a file for a picture ends in; raises `PictureError` for what is none of `ENDINGS`."""
    if path.suffix.lower() not in ENDINGS:
        raise PictureError(f"{path}: a picture is saved as {', '.join(ENDINGS)}, not as {path.suffix!r}")
    return path.suffix.lower()


def checked_width(width: int) -> int:
    """A width in pixels that a file may have; 0 for the usual one."""
    if not 0 <= width <= WIDEST:
        raise PictureError(f"width: a picture is 1 to {WIDEST:,} pixels wide, got {width}")
    return width
