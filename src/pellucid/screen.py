"""Between a name and a screen: what would steer a terminal, hide or turn text, or break a drawing is written out instead."""

from __future__ import annotations

import html
import re
from typing import Any, TextIO

_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and line feed
    "\xad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # unseen, or turning
    "\ud800-\udfff\ufffe\uffff\U000e0000-\U000e0fff]"  # halves of letters, no letters, and tags that nobody sees
)


def visible(text: str) -> str:
    """`text` as it may be printed: control characters, unseen ones and those that turn text are written out: `\\x1b`."""
    return _STEERING.sub(_written_out, text)


def one_line(text: str) -> str:
    """`visible` text for a place in a line or table: its tabs and line feeds are written out too."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def markup(text: str) -> str:
    """`visible` text as a part of SVG, HTML or XML, in an element or in quotes."""
    return html.escape(visible(text))


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte of a file's name that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return found[0].encode("unicode_escape").decode()


class Screen:
    """A stream of text on which everything is `visible`; `terminal` is the stream itself, for what may steer it."""

    def __init__(self, terminal: TextIO) -> None:
        self.terminal = terminal

    def write(self, text: str) -> int:
        """Write what is visible of `text`."""
        self.terminal.write(visible(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.terminal, name)
