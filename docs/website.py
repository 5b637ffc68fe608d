"""The documentation as a static site: pages that ran become HTML, with what their code printed and the pictures it made."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from pages import PARSER, ROOT, Page, PageError, Ran, made_file, picture, plain, sections
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

STYLE = Path(__file__).with_name("style.css")
Sections = Sequence[tuple[str, Sequence[Page]]]


def write(ran: Ran, site: Path, order: Sections | None = None) -> Path:
    """Write one page and its pictures into the site; raises `PageError` for a link or picture that leads nowhere."""
    order = sections() if order is None else order
    renderer = _Renderer(ran, site, order)
    body = renderer.render(_tokens(ran.page, renderer), PARSER.options, {})
    target = site / address(ran.page)
    target.write_text(_document(ran.page, body, order), encoding="utf-8")
    return target


def write_style(site: Path) -> None:
    """Write the style sheet that all pages share."""
    light, dark = (HtmlFormatter(style=name).get_style_defs(".code") for name in ("friendly", "github-dark"))
    colors = f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"
    (site / "style.css").write_text(colors + STYLE.read_text(encoding="utf-8"), encoding="utf-8")


def address(page: Page) -> str:
    """The file of a page in the site."""
    return "index.html" if page.name == "README" else f"{page.name}.html"


def anchors(page: Page) -> list[str]:
    """The places in a page that links can lead to, one for each heading, as git hosts name them."""
    names: list[str] = []
    for number, token in enumerate(page.tokens):
        if token.type == "heading_open":
            words = re.sub(r"[^\w\- ]", "", plain(page.tokens[number + 1]).lower()).replace(" ", "-")
            same = sum(name == words for name in names)
            names.append(f"{words}-{same}" if same else words)
    return names


def _tokens(page: Page, renderer: _Renderer) -> list[Token]:
    """The page's tokens with places for its headings, and links that lead to pages of the site."""
    tokens = PARSER.parse(page.path.read_text(encoding="utf-8"))
    headings = (token for token in tokens if token.type == "heading_open")
    for token, name in zip(headings, anchors(page), strict=True):
        token.attrs["id"] = name
    for token in tokens:
        opened: list[Token] = []
        for child in token.children or ():
            if child.type == "link_open":
                opened.append(child)
                leads_to = renderer.leads_to(str(child.attrs["href"]))
                child.tag, child.attrs = ("a", {"href": leads_to}) if leads_to else ("span", {})
            elif child.type == "link_close":
                child.tag = opened.pop().tag
    return tokens


@dataclass
class _Renderer(RendererHTML):
    """HTML of one page that ran."""

    ran: Ran
    site: Path
    order: Sections

    def __post_init__(self) -> None:
        super().__init__()

    def leads_to(self, link: str) -> str:
        """Where a link leads to in the site; "" for a file of the repository that has no page."""
        page = self.ran.page
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            return link
        path = unquote(parts.path)
        if path and (made := made_file(self.ran, path)):
            return self._copied(made)
        target = (page.path.parent / path).resolve() if path else page.path.resolve()
        pages = {p.path.resolve(): p for _, among in self.order for p in among}
        if target not in pages:
            if target.exists() and target.is_relative_to(ROOT):
                return ""
            raise PageError(f"{page.place}: the link {link} leads nowhere")
        if parts.fragment and parts.fragment not in anchors(pages[target]):
            raise PageError(f"{page.place}: the link {link} leads to a heading that is not there")
        return f"{address(pages[target])}{'#' * bool(parts.fragment)}{parts.fragment}"

    def _copied(self, file: Path) -> str:
        """The address of a file that the page's code made (or that is kept), put into the site."""
        made = self.ran.folder.resolve()
        inside = file.relative_to(made) if file.is_relative_to(made) else Path(file.name)
        target = Path(self.ran.page.name, inside)
        (self.site / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, self.site / target)
        return target.as_posix()

    def image(self, tokens: Sequence[Token], number: int, options: object, env: object) -> str:
        token = tokens[number]
        source = html.escape(self._copied(picture(self.ran, str(token.attrs["src"]))))
        shows = html.escape(token.content)
        return f'<a class="picture" href="{source}"><img src="{source}" alt="{shows}"></a>'

    def fence(self, tokens: Sequence[Token], number: int, options: object, env: object) -> str:
        token = tokens[number]
        shown = _colored(token.content, token.info.strip())
        printed = self.ran.printed.get((token.map or [0])[0] + 1, "")
        if printed:
            shown += f'<pre class="printed" tabindex="0" role="group" aria-label="What it prints">{html.escape(printed)}</pre>\n'
        return shown

    def code_block(self, tokens: Sequence[Token], number: int, options: object, env: object) -> str:
        return _colored(tokens[number].content, "")

    def table_open(self, tokens: Sequence[Token], number: int, options: object, env: object) -> str:
        return '<div class="wide" tabindex="0" role="group" aria-label="Table"><table>\n'

    def table_close(self, tokens: Sequence[Token], number: int, options: object, env: object) -> str:
        return "</table></div>\n"


def _colored(code: str, language: str) -> str:
    try:
        lexer = get_lexer_by_name(language or "text")
    except ClassNotFound:
        lexer = get_lexer_by_name("text")
    words = highlight(code, lexer, HtmlFormatter(nowrap=True))
    return f'<pre class="code" tabindex="0" role="group" aria-label="Code"><code>{words}</code></pre>\n'


def _document(page: Page, body: str, order: Sections) -> str:
    sequence = [p for _, pages in order for p in pages]
    at = sequence.index(page)
    steps = "".join(
        f'<a rel="{rel}" href="{address(sequence[to])}"><span>{label}</span> {html.escape(sequence[to].title)}</a>'
        for rel, label, to in (("prev", "Before", at - 1), ("next", "Next", at + 1))
        if 0 <= to < len(sequence)
    )
    contents = "".join(
        f"<h2>{section}</h2><ul>{''.join(_entry(other, page) for other in pages)}</ul>" for section, pages in order
    )
    title = page.title if page.title == "Pellucid" else f"{page.title} - Pellucid"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{html.escape(title)}</title>
<link rel="stylesheet" href="style.css">
</head>
<body>
<header><a class="skip" href="#main">To the text</a><a class="home" href="index.html">Pellucid</a>
<a class="menu" href="#contents">Contents</a></header>
<main id="main">
{body}
<nav class="steps" aria-label="Reading order">{steps}</nav>
</main>
<nav id="contents" class="contents" aria-label="Contents">{contents}</nav>
</body>
</html>
"""


def _entry(page: Page, current: Page) -> str:
    here = ' aria-current="page"' if page == current else ""
    return f'<li><a href="{address(page)}"{here}>{html.escape(page.title)}</a></li>'
