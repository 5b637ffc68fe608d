"""What every picture can do: become plain data, SVG, HTML, or a file."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any, ClassVar

from pellucid.errors import PellucidError
from pellucid.files import write_atomically
from pellucid.plain import plain, to_json
from pellucid.screen import markup

FONT = "font:12px system-ui,sans-serif;fill:currentColor"
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

    def svg(self) -> str:
        """A self-contained drawing."""
        raise NotImplementedError

    def fragment(self) -> str:
        """The picture as a part of an HTML page."""
        return self.svg()

    def part(self) -> str:
        """`fragment` in an element of its own."""
        classes = " ".join(name for name in ("scroll" if self.wide else "", self.share) if name)
        return f'<div class="{classes}">{self.fragment()}</div>' if classes else f"<div>{self.fragment()}</div>"

    def _repr_html_(self) -> str:
        return self.fragment()

    def html(self) -> str:
        """A whole page that shows the picture, readable on a light and on a dark ground."""
        return document(self.title, self.part())

    def save(self, path: str | Path) -> None:
        """Write the picture into a file, by how its name ends: .svg, .html, .json; or .png where it is made of pixels."""
        target = Path(path)
        writers = self.writers()
        if target.suffix.lower() not in writers:
            kind = type(self).__name__
            raise PictureError(f"{target}: a {kind} is saved as {', '.join(writers)}, not as {target.suffix!r}")
        write_atomically(target, writers[target.suffix.lower()](), folders=True)

    def writers(self) -> dict[str, Any]:
        """What each ending of a file's name makes, as functions that give bytes."""
        return {
            ".svg": lambda: svg_file(self.svg()),
            ".html": lambda: self.html().encode(),
            ".json": lambda: self.to_json().encode(),
        }


def document(title: str, body: str) -> str:
    """A whole HTML page."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{markup(title)}</title><style>{STYLE}</style></head><body>{body}</body></html>\n"
    )


def svg_file(drawing: str) -> bytes:
    """A drawing as a file of its own: on white, for viewers that show no other ground."""
    head, _, rest = drawing.partition(">")
    return f'{head} style="color:#111827"><rect width="100%" height="100%" fill="#fff"/>{rest}\n'.encode()


def svg_element(width: float, height: float, label: str, content: str) -> str:
    """The element around a drawing's parts."""
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{markup(label)}">{content}</svg>'


def text(x: float, y: float, words: str, anchor: str = "start", style: str = "") -> str:
    """A piece of text in a drawing."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="{FONT};{style}">{markup(words)}</text>'


_WIDTHS = {**dict.fromkeys("iIjl.,:;'|!()[]/ftr- ", 0.45), **dict.fromkeys("mwMWQGOD%@—…&+=<>×→#^~", 1.05)}
"""Of characters in pixels of a font of one pixel, in the widest of the usual sans-serif fonts; of others 0.7, of capitals 0.8."""


def width_of(words: str, size: float = 12) -> float:
    """Pixels that a piece of text takes at most in the usual sans-serif fonts."""

    def wide(letter: str) -> float:
        return 1.1 if unicodedata.east_asian_width(letter) in "WF" else 0.8 if letter.isupper() else 0.7

    return size * sum(_WIDTHS.get(letter) or wide(letter) for letter in words)


def lines_of(note: str, width: float) -> list[str]:
    """A note's words in lines that fit `width` pixels."""
    limit = max(20, int(width / 6.4))
    lines: list[str] = []
    for word in note.split():
        if lines and len(lines[-1]) + 1 + len(word) <= limit:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return lines


def note_below(note: str, x: float, y: float, width: float) -> tuple[str, float]:
    """A note drawn from `y` on, and the height that it takes."""
    lines = lines_of(note, width)
    drawn = "".join(text(x, y + 14 + 15 * k, line, style="opacity:.75") for k, line in enumerate(lines))
    return drawn, 15 * len(lines) + (6 if lines else 0)
