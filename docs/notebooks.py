"""A page that ran as a notebook: its text and code as cells, with what the code printed and the pictures it made."""

from __future__ import annotations

import base64
import json
import mimetypes
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from markdown_it.token import Token
from pages import Page, Ran, made_file, picture

_LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_SETUP = '''\
# Shows the picture files that the code of this notebook makes. What it needs: pip install pellucid
from pathlib import Path


class Picture:
    """A picture file, and what it shows."""

    def __init__(self, file, shows):
        self.file, self.shows = Path(file), shows

    def __repr__(self):
        return self.shows

    def _repr_svg_(self):
        return self.file.read_text(encoding="utf-8") if self.file.suffix == ".svg" else None

    def _repr_png_(self):
        return self.file.read_bytes() if self.file.suffix == ".png" else None
'''


def notebook(ran: Ran, others: frozenset[str]) -> str:
    """The page as JSON of nbformat 4.5; links lead to the notebooks of the pages in `others`.

    Python blocks are cells of code, commands of a shell stay text. Answers of exercises are folded.
    """
    cells = list(_Cells(ran, others).cells())
    for number, cell in enumerate(cells):
        cell["id"] = f"{ran.page.name}-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}, "title": ran.page.title}
    made = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(made, ensure_ascii=False, indent=1) + "\n"


@dataclass
class _Cells:
    """The cells of one page."""

    ran: Ran
    others: frozenset[str]
    answering: bool = False
    """Whether what comes is within an answer, which is folded."""

    def cells(self) -> Iterator[dict[str, Any]]:
        """All cells, in the page's order."""
        lines = self.page.path.read_text(encoding="utf-8").splitlines()
        start, first = 0, True
        for token in self.page.tokens:
            if token.level or token.map is None or not self.parts(token):
                continue
            yield from self.text("\n".join(lines[start : token.map[0]]))
            if first and token.type != "html_block":
                yield _code(_SETUP, [], folded=True)
                first = False
            yield from self.part(token, "\n".join(lines[token.map[0] : token.map[1]]))
            start = token.map[1]
        yield from self.text("\n".join(lines[start:]))

    @property
    def page(self) -> Page:
        """The page."""
        return self.ran.page

    def parts(self, token: Token) -> bool:
        """Whether the text ends where this block stands: code that runs, a picture that code makes, an answer's ends."""
        if token.type == "fence":
            return token.info.strip() == "python"
        return token.type == "html_block" or bool(self.pictured(token))

    def pictured(self, token: Token) -> list[tuple[str, str]]:
        """The pictures of a paragraph of nothing but pictures that code makes, as (what it shows, file)."""
        if token.type != "paragraph_open" or token.map is None:
            return []
        (inline,) = (t for t in self.page.tokens if t.type == "inline" and t.map == token.map)
        children = [child for child in inline.children or () if child.type != "softbreak"]
        only = all(c.type == "image" and made_file(self.ran, str(c.attrs["src"])) for c in children)
        return [(c.content, str(c.attrs["src"])) for c in children] if only else []

    def part(self, token: Token, source: str) -> Iterator[dict[str, Any]]:
        """The cells of a block at which text ends."""
        if token.type == "fence":
            printed = self.ran.printed.get((token.map or [0])[0] + 1, "")
            output = {"output_type": "stream", "name": "stdout", "text": _lines(f"{printed}\n")}
            yield _code(token.content, [output] if printed else [], folded=self.answering)
        elif token.type == "html_block":
            self.answering = "<details" in source or (self.answering and "</details" not in source)
        for shows, file in self.pictured(token):
            yield _code(f"Picture({file!r}, {shows!r})", [_shown(self.ran, shows, file)], folded=True)

    def text(self, source: str) -> Iterator[dict[str, Any]]:
        """The cell of some text, if there is any; with pictures that no code makes as attachments."""
        if not source.strip():
            return
        attachments: dict[str, dict[str, str]] = {}

        def attached(found: re.Match[str]) -> str:
            file = picture(self.ran, found[2])
            kind = mimetypes.guess_type(file.name)[0] or "image/png"
            attachments[file.name] = {kind: base64.b64encode(file.read_bytes()).decode()}
            return f"![{found[1]}](attachment:{file.name})"

        told = _outside_code(source, lambda words: _LINK.sub(self.led, _IMAGE.sub(attached, words)))
        told = told.strip("\n")
        if self.answering:
            told = f"<details><summary>Answer</summary>\n\n{told}\n\n</details>"
        cell: dict[str, Any] = {"cell_type": "markdown", "metadata": {}, "source": _lines(told)}
        yield cell | ({"attachments": attachments} if attachments else {})

    def led(self, link: re.Match[str]) -> str:
        """A link, leading to another notebook where its page has one; else its words, unless it leads outside."""
        parts = urlsplit(link[2])
        name = parts.path.removesuffix(".md")
        if parts.scheme or (parts.path and made_file(self.ran, parts.path)):
            return link[0]
        return f"[{link[1]}]({name}.ipynb)" if name in self.others and parts.path.endswith(".md") else link[1]


def _outside_code(source: str, change: Callable[[str], str]) -> str:
    """The text with what is not a fenced block changed."""
    parts: list[str] = []
    end = 0
    for fence in _FENCE.finditer(source):
        parts += [change(source[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(source[end:])])


def _code(source: str, outputs: list[dict[str, Any]], *, folded: bool = False) -> dict[str, Any]:
    metadata = {"jupyter": {"source_hidden": True}} if folded else {}
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": metadata,
        "outputs": outputs,
        "source": _lines(source.rstrip("\n")),
    }


def _shown(ran: Ran, shows: str, file: str) -> dict[str, Any]:
    made = picture(ran, file)
    if made.suffix == ".svg":
        data: dict[str, Any] = {"image/svg+xml": _lines(made.read_text(encoding="utf-8"))}
    else:
        data = {"image/png": base64.b64encode(made.read_bytes()).decode()}
    return {
        "output_type": "execute_result",
        "execution_count": None,
        "metadata": {},
        "data": data | {"text/plain": [shows]},
    }


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)
