"""The documentation as a static site: pages that ran become HTML, with what their code printed and the pictures it made."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

from api import api, imports, page_of
from commands import command_address, command_reference
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from notebooks import notebook
from pages import ORDER, PARSER, ROOT, Page, PageError, Ran, made_file, picture, plain, sections
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound
from reference import Made, reference, title_of

STYLE = Path(__file__).with_name("style.css")
SCRIPT = Path(__file__).with_name("search.js")
REFERENCE = "Reference"
LONG = 30
"""Letters in a cell of a table from which on it is as wide as a few words, however narrow the page is."""
WORD = 24
"""Letters of code up to which it stays on one line."""
CHAPTERS = frozenset(ORDER["Chapters"])
Sections = Sequence[tuple[str, Sequence[Page]]]


def write(ran: Ran, site: Path, order: Sections | None = None) -> Path:
    """Write one page and its pictures into the site; raises `PageError` for a link or picture that leads nowhere."""
    order = sections() if order is None else order
    renderer = _Renderer(ran, site, order)
    body = renderer.render(_tokens(ran.page, renderer), PARSER.options, {})
    if ran.page.name in CHAPTERS:
        (site / f"{ran.page.name}.ipynb").write_text(notebook(ran, CHAPTERS), encoding="utf-8")
        link = f'<p class="used"><a href="{ran.page.name}.ipynb" download>Download this chapter as a notebook</a></p>'
        body = body.replace("</h1>\n", f"</h1>\n{link}\n", 1)
    return write_made(Made(address(ran.page), ran.page.title, body), site, order)


def write_made(made: Made, site: Path, order: Sections) -> Path:
    """Write a page that is HTML already into the site."""
    target = site / made.address
    target.write_text(_document(made, order), encoding="utf-8")
    return target


def made_pages(order: Sections) -> list[Made]:
    """The pages that are made from code alone: none where the site has no section for them."""
    if not any(section == REFERENCE for section, _ in order):
        return []
    return [*reference([(address(page), page) for _, pages in order for page in pages]), command_reference()]


def write_style(site: Path) -> None:
    """Write the style sheet and the script that all pages share."""
    light, dark = (HtmlFormatter(style=name).get_style_defs(".code") for name in ("friendly", "github-dark"))
    colors = f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"
    (site / "style.css").write_text(colors + STYLE.read_text(encoding="utf-8"), encoding="utf-8")
    shutil.copyfile(SCRIPT, site / "search.js")


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
    for before, token in pairwise([Token("", "", 0), *tokens]):
        opened: list[Token] = []
        for child in token.children or ():
            child.meta["leads"] = not opened and before.type != "heading_open"
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
        self.imported = imports(self.ran.page)

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
        file = picture(self.ran, str(token.attrs["src"]))
        source, shows = html.escape(self._copied(file)), html.escape(token.content)
        broad = " broad" if _is_broad(file) else ""
        return f'<a class="picture{broad}" href="{source}"><img src="{source}" alt="{shows}"></a>'

    def code_inline(self, tokens: Sequence[Token], number: int, options: object, env: object) -> str:
        token = tokens[number]
        word = ' class="word"' if len(token.content) <= WORD else ""
        shown = f"<code{word}>{html.escape(token.content)}</code>"
        leads = (api().named(token.content) or command_address(token.content)) if token.meta.get("leads") else ""
        return f'<a class="api" href="{leads}">{shown}</a>' if leads else shown

    def fence(self, tokens: Sequence[Token], number: int, options: object, env: object) -> str:
        token = tokens[number]
        language = token.info.strip()
        shown = _colored(token.content, language, self.imported if language == "python" else {})
        printed = self.ran.printed.get((token.map or [0])[0] + 1, "")
        if printed:
            shown += f'<pre class="printed" tabindex="0" role="group" aria-label="What it prints">{html.escape(printed)}</pre>\n'
        return shown

    def code_block(self, tokens: Sequence[Token], number: int, options: object, env: object) -> str:
        return _colored(tokens[number].content, "")

    def table_open(self, tokens: Sequence[Token], number: int, options: object, env: object) -> str:
        return '<div class="wide" tabindex="0" role="group" aria-label="Table"><table>\n'

    def td_open(self, tokens: Sequence[Token], number: int, options: object, env: object) -> str:
        token = tokens[number]
        right = "right" in str(token.attrs.get("style"))
        long = len(plain(tokens[number + 1])) > LONG
        classes = " ".join(name for name, meant in (("right", right), ("long", long)) if meant)
        return f'<{token.tag} class="{classes}">' if classes else f"<{token.tag}>"

    th_open = td_open

    def table_close(self, tokens: Sequence[Token], number: int, options: object, env: object) -> str:
        return "</table></div>\n"


def _is_broad(file: Path) -> bool:
    """Whether a drawing is too wide to be read on a narrow page."""
    start = file.read_text(encoding="utf-8")[:600] if file.suffix == ".svg" else ""
    size = re.search(r'<svg[^>]*? width="([\d.]+)"[^>]*? height="([\d.]+)"', start)
    return size is not None and float(size[1]) > max(700, 1.6 * float(size[2]))


def _colored(code: str, language: str, imported: Mapping[str, str] | None = None) -> str:
    """Code as HTML; names that it has from Pellucid lead to the reference."""
    try:
        lexer = get_lexer_by_name(language or "text")
    except ClassNotFound:
        lexer = get_lexer_by_name("text")
    words = highlight(code, lexer, HtmlFormatter(nowrap=True))
    if imported:
        words = _NAMES.sub(lambda found: _led(found[0], imported), words)
    return f'<pre class="code" tabindex="0" role="group" aria-label="Code"><code>{words}</code></pre>\n'


_NAME = r'<span class="n[a-z]*">\w+</span>'
_NAMES = re.compile(rf'(?<!\.</span>){_NAME}(?:<span class="o">\.</span>{_NAME})*')


def _led(spans: str, imported: Mapping[str, str]) -> str:
    """The longest beginning of a dotted name, as spans of highlighted code, that leads somewhere, as a link."""
    parts = spans.split('<span class="o">.</span>')
    for stop in range(len(parts), 0, -1):
        leads = api().named(re.sub(r"<[^>]*>", "", ".".join(parts[:stop])), imported)
        if leads:
            head, tail = ('<span class="o">.</span>'.join(some) for some in (parts[:stop], parts[stop:]))
            return f'<a class="api" href="{leads}">{head}</a>' + (f'<span class="o">.</span>{tail}' if tail else "")
    return spans


def _document(made: Made, order: Sections) -> str:
    sequence = [(address(p), p.title) for _, pages in order for p in pages]
    place = (made.address, made.title)
    at = sequence.index(place) if place in sequence else len(sequence)
    steps = "".join(
        f'<a rel="{rel}" href="{sequence[to][0]}"><span>{label}</span> {html.escape(sequence[to][1])}</a>'
        for rel, label, to in (("prev", "Before", at - 1), ("next", "Next", at + 1))
        if at < len(sequence) and 0 <= to < len(sequence)
    )
    steps = f'<nav class="steps" aria-label="Reading order">{steps}</nav>\n' if steps else ""
    contents = "".join(
        f"<h2>{section}</h2><ul>{''.join(_entry(*page, made) for page in _listed(section, pages, made))}</ul>"
        for section, pages in order
    )
    title = made.title if made.title == "Pellucid" else f"{made.title} - Pellucid"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{html.escape(title)}</title>
<link rel="stylesheet" href="style.css">
<script src="search.js" defer></script>
</head>
<body>
<header><a class="skip" href="#main">To the text</a><a class="home" href="index.html">Pellucid</a>
<a class="menu" href="#contents">Contents</a>
<search class="search" hidden><input type="search" placeholder="Search" aria-label="Search" aria-keyshortcuts="/"></search></header>
<main id="main">
{made.body}
{steps}</main>
<nav id="contents" class="contents" aria-label="Contents">{contents}</nav>
</body>
</html>
"""


def _listed(section: str, pages: Sequence[Page], made: Made) -> list[tuple[str, str]]:
    """The pages of a section by address and title; those that are made from code come first in theirs."""
    listed = [(address(page), page.title) for page in pages]
    if section != REFERENCE:
        return listed
    within = made.address.startswith(("api", "source-"))
    modules = [(page_of(name), title_of(name)) for name in sorted(api().modules)] if within else []
    return [("api.html", "API reference"), *modules, ("commands.html", "Commands"), *listed]


def _entry(place: str, title: str, current: Made) -> str:
    here = ' aria-current="page"' if place == current.address else ""
    inner = ' class="inner"' if place.startswith("api-") else ""
    return f'<li{inner}><a href="{place}"{here}>{html.escape(title)}</a></li>'
