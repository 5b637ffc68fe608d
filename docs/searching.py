"""The index that the site's search looks in: every heading, name of the API and option, with the words that stand there."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

_PART = re.compile(r"<(/?)(\w+)([^>]*)>([^<]*)")
_WORD = re.compile(r"[^\W_.+-][\w.+-]*|--?\w[\w-]*")
_HEADINGS = ("h1", "h2", "h3", "h4")


def places(file: str, page: str) -> list[list[str]]:
    """The places of a page of the site that a search can lead to: address, title, the page's title, and the words there.

    They are its headings, and what has a `data-name`.
    """
    found: list[tuple[str, list[str], list[str]]] = []
    naming = False
    main = page.partition("<main")[2].partition("</main>")[0].partition('<nav class="steps"')[0]
    for closes, tag, attributes, text in _PART.findall(main):
        given = dict(re.findall(r'([\w-]+)="([^"]*)"', attributes))
        if not closes and (tag in _HEADINGS or "data-name" in given):
            address = file if tag == "h1" else f"{file}#{html.unescape(given.get('id', ''))}"
            found.append((address, [given["data-name"]] if "data-name" in given else [], []))
            naming = "data-name" not in given
        elif closes and tag in _HEADINGS:
            naming = False
        if found:
            found[-1][2].append(text)
            if naming:
                found[-1][1].append(text)
    titles = [" ".join(html.unescape("".join(title)).split()) for _, title, _ in found]
    return [
        [address, title, titles[0], _words(html.unescape(" ".join(text)))]
        for title, (address, _, text) in zip(titles, found, strict=True)
    ]


def write_index(site: Path) -> None:
    """Write the index of all pages of a site but those of source code, as a script, which a page may read from a file too."""
    files = [file for file in sorted(site.glob("*.html")) if not file.name.startswith("source-")]
    found = [place for file in files for place in places(file.name, file.read_text(encoding="utf-8"))]
    (site / "search-index.js").write_text(
        f"window.PLACES = {json.dumps(found, ensure_ascii=False)};\n", encoding="utf-8"
    )


def _words(text: str) -> str:
    """The different words of a text, each between spaces."""
    return f" {' '.join(sorted({word.rstrip('.-').lower() for word in _WORD.findall(text)}))} "
