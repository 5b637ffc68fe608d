"""Words in drawings: how wide they are, in which lines they stand, and what is said above and below a picture."""

from __future__ import annotations

import unicodedata

from pellucid.screen import markup, one_line, visible

FONT = "font:12px system-ui,sans-serif;fill:currentColor"
BOLD = "font-weight:600;font-size:14px"
LINE = 16.0
"""Pixels from line to line of words."""
MARGIN = 8.0

_WIDTHS = {
    letter: width / 100
    for width, letters in (
        (29, "'ijlIJ"), (32, " ,."), (34, "/:;\\|"), (35, "f"), (36, "-"), (39, "()[]t"), (41, "!r"), (46, '"'), (50, "*_`"),
        (52, "sz"), (55, "?c"), (58, "LFk"), (60, "vxyP"), (61, "TYao"), (63, "eESbdghnpqu"), (64, "$0123456789{}"),
        (69, "KAVBRXZ"), (70, "C"), (75, "UHN"), (79, "&DGOQ"), (82, "w"), (84, "#+<=>^~×→"), (86, "M"), (97, "%m"), (100, "W@—…"),
    )
    for letter in letters
}  # fmt: skip
"""Of letters in pixels of a font of one pixel: DejaVu Sans, which is wider than the usual sans-serif fonts. Of others 0.8."""


def text(x: float, y: float, words: str, anchor: str = "start", style: str = "") -> str:
    """A piece of text in a drawing."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="{FONT};{style}">{markup(words)}</text>'


def width_of(words: str, size: float = 12) -> float:
    """Pixels that a piece of text takes at most in the usual sans-serif fonts; bold text takes an eighth more."""

    def wide(letter: str) -> float:
        return 1.1 if unicodedata.east_asian_width(letter) in "WF" else 0.8

    return size * sum(_WIDTHS.get(letter) or wide(letter) for letter in words)


def lines_of(words: str, width: float, size: float = 12) -> list[str]:
    """Words in lines that fit `width` pixels; one that is longer than a line goes on in the next."""
    lines: list[str] = []
    for word in visible(words).split():
        if lines and width_of(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += " " + word
            continue
        while width_of(word, size) > width and len(word) > 1:
            head = fitting(word, width, size)
            lines.append(head)
            word = word[len(head) :]
        lines.append(word)
    return lines


def fitting(words: str, width: float, size: float = 12) -> str:
    """As much of the start as fits `width` pixels, one character at least."""
    low, high = 1, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if width_of(words[:middle], size) <= width else (low, middle - 1)
    return words[:low]


def cut(words: str, width: float, size: float = 12) -> str:
    """The words, or their start and an ellipsis where they are wider than `width` pixels."""
    words = one_line(words)
    if width_of(words, size) <= width:
        return words
    return fitting(words, max(width - size, size), size) + "…"


def titled(title: str, x: float, width: float) -> tuple[str, float]:
    """A title in as many lines as it needs, and where what it is of may begin."""
    lines = lines_of(title, width - x - MARGIN, 15.8)
    drawn = "".join(text(x, 18 + 18 * k, line, style=BOLD) for k, line in enumerate(lines))
    return drawn, 18.0 * len(lines) + 10


def note_below(note: str, x: float, y: float, width: float) -> tuple[str, float]:
    """A note drawn from `y` on, and the height that it takes."""
    lines = lines_of(note, width)
    drawn = "".join(text(x, y + 14 + LINE * k, line, style="opacity:.75") for k, line in enumerate(lines))
    return drawn, LINE * len(lines) + (6 if lines else 0)
