"""A room's page away from its server: the parts of the page that the server makes, and all scripts in one file."""

from __future__ import annotations

import base64
import hashlib
import posixpath
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from pellucid.plain import parse_json, to_json
from pellucid.screen import markup

_DATA = re.compile(r'(<script type="application/json" id="data">)(.*?)(</script>)', re.DOTALL)
_HEAD = re.compile(r"<head>(.*?)</head>\s*<body>(.*)</body>", re.DOTALL)
_STYLE = re.compile(r'<link rel="stylesheet" href="static/([^"]+)">')
_IMPORT = re.compile(r'(\bfrom\s*|\bimport\s*\(?\s*)(["`])(\.{1,2}/[^"`]*)\2')
_LINK = re.compile(r'href="([a-z][a-z-]*)((?:\?[^"]*)?)"')
_RAIL = re.compile(r'<li><a href="([a-z-]+)".*?</li>', re.DOTALL)
_TITLE = re.compile(r"<title>(.*?)</title>", re.DOTALL)
BASE = "default-src 'none'; img-src {own}data: blob:; media-src {own}blob:; style-src-attr 'unsafe-inline'; form-action 'none'; "
PREFIX = "lab/"
"""What the modules in one file are called by."""


@dataclass(frozen=True)
class Document:
    """A page as the server sent it."""

    html: str

    @property
    def title(self) -> str:
        """As the browser's tab shows it, as HTML."""
        found = _TITLE.search(self.html)
        assert found is not None
        return found[1]

    @property
    def body(self) -> str:
        """What stands in the page, with its data."""
        found = _HEAD.search(self.html)
        assert found is not None
        return found[2]

    @property
    def styles(self) -> list[str]:
        """The files of its styles, below static/."""
        return _STYLE.findall(self.html)

    def knowing(self, **more: Any) -> Document:
        """The same page with more in its data."""
        found = _DATA.search(self.html)
        assert found is not None
        data = to_json({**parse_json(found[2]), **more}).replace("<", "\\u003c")
        return Document(f"{self.html[: found.start(2)]}{data}{self.html[found.end(2) :]}")

    def among(self, rooms: Collection[str]) -> Document:
        """The same page with these rooms alone in its rail."""
        return Document(_RAIL.sub(lambda found: found[0] if found[1] in rooms else "", self.html))

    def in_folder(self, room: str) -> Document:
        """The page for `room/index.html` of a copy whose other files lie in the folder above, on a server that sends no policy."""
        policy = BASE.format(own="'self' ") + "script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'self'"
        head = (
            f'<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="{policy}">\n<base href="../">'
        )
        html = self.html.replace('<meta charset="utf-8">', head, 1).replace('href="#room"', f'href="{room}/#room"')
        return Document(_LINK.sub(r'href="\1/\2"', html))


def modules() -> dict[str, str]:
    """The lab's scripts by their path, each importing the others as `lab/PATH`."""
    found: dict[str, str] = {}

    def walk(folder: Any, above: str) -> None:
        for entry in sorted(folder.iterdir(), key=lambda one: one.name):
            if entry.is_dir():
                walk(entry, f"{above}{entry.name}/")
            elif entry.name.endswith(".js"):
                found[f"{above}{entry.name}"] = _named(entry.read_text("utf-8"), above)

    walk(files("pellucid.lab") / "static", "")
    return found


@cache
def imported_by(*paths: str) -> list[str]:
    """These scripts of the lab and all that they import, the first needed first: a page that names them need not find one by the other."""
    static = files("pellucid.lab") / "static"
    found = list(paths)
    for path in found:
        for _, _, other in _IMPORT.findall(static.joinpath(path).read_text("utf-8")):
            name = posixpath.normpath(posixpath.join(posixpath.dirname(path), other))
            if "$" not in name and name not in found:
                found.append(name)
    return found


def _named(text: str, folder: str) -> str:
    def name(found: re.Match[str]) -> str:
        start, quote, path = found.groups()
        return f"{start}{quote}{PREFIX}{posixpath.normpath(folder + path)}{quote}"

    return _IMPORT.sub(name, text)


BOOT = """
const rooms = new Map([...document.querySelectorAll("template[data-room]")].map((one) => [one.dataset.room, one]));
const chosen = rooms.get(location.hash.slice(1)) ?? [...rooms.values()][0];
document.title = chosen.dataset.title;
document.body.append(chosen.content.cloneNode(true));
await import("lab/lab.js");
"""


def one_file(documents: Mapping[str, Document], more: Mapping[str, str], search: str = "") -> str:
    """Pages of rooms as one HTML that asks nobody for anything: the hash of its address says which is shown, the first unless it does.

    `more` are texts by their id, for the scripts to read; `search` what is looked at where there is no address to say it.
    """
    first = next(iter(documents.values()))
    static = files("pellucid.lab") / "static"
    styles = dict.fromkeys(name for one in documents.values() for name in one.styles)
    style = "\n".join(static.joinpath(name).read_text("utf-8") for name in styles)
    imports = {PREFIX + path: _data_of("text/javascript", text.encode()) for path, text in modules().items()}
    table = to_json({"imports": imports})
    policy = BASE.format(own="") + (
        f"script-src {_hash_of(table)} {_hash_of(BOOT)} data:; style-src {_hash_of(style)}; connect-src 'none'; base-uri 'none'"
    )
    icon = _data_of("image/svg+xml", static.joinpath("icon.svg").read_bytes())
    parts = [
        "<!doctype html>",
        f'<html lang="en" data-search="{markup(search)}">',
        '<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<title>{first.title}</title>\n<link rel="icon" href="{icon}" type="image/svg+xml">',
        f'<style>{style}</style>\n<script type="importmap">{table}</script>',
        "</head>\n<body>",
        *(
            f'<template data-room="{room}" data-title="{one.title}">{one.body}</template>'
            for room, one in documents.items()
        ),
        *(f'<script type="text/plain" id="{name}">{text}</script>' for name, text in more.items()),
        f'<script type="module">{BOOT}</script>\n</body>\n</html>\n',
    ]
    return "\n".join(parts)


def _data_of(kind: str, raw: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(raw).decode()}"


def _hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
