"""The API reference as pages of the site: one for each public module, an index of all, and the source they are read from."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import griffe
from api import Api, Entry, api, default, docstring, first_sentence, members, page_of
from pages import ROOT, Page
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from wording import words_html

SOURCE = ROOT / "src" / "pellucid"
_WIDTH = 88


@dataclass(frozen=True)
class Made:
    """A page of the site that is made from code: its file, its title, and what is in it; `listed` pages can be searched."""

    address: str
    title: str
    body: str
    listed: bool = True


def reference(pages: Sequence[tuple[str, Page]]) -> list[Made]:
    """The pages of the reference; `pages` are those that may use what it lists, with their addresses."""
    known = api()
    uses: dict[str, list[str]] = {}
    for address, page in pages:
        used_here = known.uses(page)
        for used in used_here | {member.rpartition(".")[0] for member in used_here}:  # a class is used with its members
            uses.setdefault(used, []).append(f'<a href="{address}">{html.escape(page.title)}</a>')
    modules = sorted(known.modules)
    made = [Made("api.html", "API reference", _index(known, modules))]
    made += [Made(page_of(name), title_of(name), _Module(known, name, uses).body()) for name in modules]
    files = {Path(str(entry.what.filepath)) for entry in known.entries.values()}
    return made + [_source(file) for file in sorted(files)]


def title_of(module: str) -> str:
    """What a module is called on its page."""
    return f"pl.{module}" if module else "pl"


def described(text: str, known: Api, module: str = "", without: str = "") -> str:
    """A docstring as HTML: paragraphs, examples and commands; names of the API lead to where it speaks of them."""
    parts: list[str] = []
    for paragraph in text.strip().split("\n\n"):
        words = paragraph.strip()
        if words.startswith(">>>"):
            parts.append(f'<pre class="code" tabindex="0"><code>{_python(words)}</code></pre>')
        elif words.startswith("Example: "):
            command = html.escape(words.removeprefix("Example: "))
            parts.append(f'<pre class="code" tabindex="0"><code>{command}</code></pre>')
        elif words:
            parts.append(f"<p>{_words(words, known, module, without)}</p>")
    return "\n".join(parts)


def _words(text: str, known: Api, module: str, without: str) -> str:
    def code(words: str) -> str:
        short = words.partition("(")[0]
        near = known.entries.get(f"pl.{module}.{short}")
        leads = near.address if near is not None else known.named(words)
        shown = f"<code>{html.escape(words)}</code>"
        return f'<a href="{leads}">{shown}</a>' if leads and leads != without else shown

    return words_html(text, code)


@dataclass(frozen=True)
class _Module:
    """The page of a module."""

    known: Api
    name: str
    uses: Mapping[str, Sequence[str]]

    def body(self) -> str:
        """All of it, below its title."""
        listed = self.known.of(self.name)
        rows = "".join(
            f'<tr><td><a href="#{e.written}"><code>{e.written}</code></a></td><td>{_words(e.summary, self.known, self.name, e.address)}</td></tr>'
            for e in listed
        )
        about = described(docstring(self.known.modules[self.name]), self.known, self.name)
        table = f'<div class="wide" tabindex="0" role="group" aria-label="Names"><table class="names"><tbody>{rows}</tbody></table></div>'
        parts = (self.entry(entry) for entry in listed)
        return f"<h1><code>{title_of(self.name)}</code></h1>\n{about}\n{table}\n" + "\n".join(parts)

    def entry(self, entry: Entry) -> str:
        """One name: its signature, what it says, its members, who uses it, and where its source is."""
        what, used = entry.what, self.uses.get(entry.address, ())
        parts = [
            f'<h2 id="{entry.written}" data-name="{entry.written}"><code>{entry.written}</code> <span class="kind">{kind_of(what)}</span></h2>',
            f'<pre class="code" tabindex="0"><code>{self.signature(entry.name, what)}</code></pre>',
            described(docstring(what), self.known, self.name, entry.address),
        ]
        if isinstance(what, griffe.Class):
            parts += [self.members(entry, what), self.inherited(what)]
        if used:
            parts.append(f'<p class="used">Used in {", ".join(used)}.</p>')
        file = Path(str(what.filepath))
        place = f"{file.relative_to(SOURCE)}, line {what.lineno}"
        parts.append(f'<p class="used">Source: <a href="{_source_address(file)}#L-{what.lineno}">{place}</a></p>')
        return "\n".join(part for part in parts if part)

    def members(self, entry: Entry, what: griffe.Class) -> str:
        """The members of a class, each with what it says."""
        rows: list[str] = []
        for member in members(what):
            name = f"{entry.written}.{member.name}"
            about = described(docstring(member), self.known, self.name, entry.address)
            shown = f"<code>{self.signature(member.name, member)}</code>"
            rows.append(f'<dt id="{name}" data-name="{name}">{shown}</dt>\n<dd>{about}</dd>')
        text = "\n".join(rows)
        return f'<dl class="members">\n{text}\n</dl>' if text else ""

    def inherited(self, what: griffe.Class) -> str:
        """The members that a class has from classes of the reference, by class."""
        found: dict[str, list[str]] = {}
        for name, member in what.inherited_members.items():
            owner = member.final_target.parent
            entry = self.known.paths.get(owner.path) if owner is not None else None
            if entry is not None and not name.startswith("_"):
                found.setdefault(entry.written, []).append(
                    f'<a href="{entry.address}.{name}"><code>{name}</code></a>'
                    if member.final_target in list(members(owner))  # type: ignore[arg-type]
                    else f"<code>{name}</code>"
                )
        from_ = (
            f'from <a href="{self.known.entries[owner].address}"><code>{owner}</code></a>: {", ".join(names)}'
            for owner, names in found.items()
        )
        text = "; ".join(from_)
        return f'<p class="used">And {text}</p>' if text else ""

    def signature(self, name: str, what: griffe.Object) -> str:
        """What it takes and gives, with types that lead to where the reference speaks of them."""
        if isinstance(what, griffe.Function):
            first = what.parameters[0].name if len(what.parameters) else ""
            return self.call(name, what.parameters, what.returns, skip=first in ("self", "cls"))
        if isinstance(what, griffe.Class):
            return f"class {self.call(name, what.parameters, None, skip=True)}"
        assert isinstance(what, griffe.Attribute)
        typed = f": {self.typed(what.annotation)}" if what.annotation is not None else ""
        value = default(what)
        return f"{name}{typed}" + (f" = {self.typed(value)}" if value is not None and len(str(value)) <= 300 else "")

    def call(self, name: str, parameters: griffe.Parameters, returns: object, *, skip: bool) -> str:
        """A name with its parameters, on one line or on one for each."""
        shown: list[tuple[str, str]] = []
        kinds = griffe.ParameterKind
        given = list(parameters)[1:] if skip and len(parameters) else list(parameters)
        starred = False
        for parameter in given:
            if parameter.kind is kinds.keyword_only and not starred:
                shown.append(("*", "*"))
            starred = starred or parameter.kind in (kinds.keyword_only, kinds.var_positional)
            stars = {kinds.var_positional: "*", kinds.var_keyword: "**"}.get(parameter.kind, "")
            plain, linked = f"{stars}{parameter.name}", f"{stars}{parameter.name}"
            if parameter.annotation is not None:
                plain, linked = f"{plain}: {parameter.annotation}", f"{linked}: {self.typed(parameter.annotation)}"
            if parameter.default is not None and not stars:
                sign = " = " if parameter.annotation is not None else "="
                plain, linked = f"{plain}{sign}{parameter.default}", f"{linked}{sign}{self.typed(parameter.default)}"
            shown.append((plain, linked))
        gives = f" -&gt; {self.typed(returns)}" if returns is not None else ""
        line = f"{name}({', '.join(plain for plain, _ in shown)}) -> {returns}"
        if len(line) <= _WIDTH:
            return f"<b>{name}</b>({', '.join(linked for _, linked in shown)}){gives}"
        inner = "".join(f"    {linked},\n" for _, linked in shown)
        return f"<b>{name}</b>(\n{inner}){gives}"

    def typed(self, expression: object) -> str:
        """An annotation or a value as HTML."""
        if not isinstance(expression, griffe.Expr):
            return html.escape(str(expression))
        parts: list[str] = []
        for part in expression.iterate(flat=True):
            entry = self.known.type(part.canonical_path) if isinstance(part, griffe.ExprName) else None
            words = html.escape(part.name if isinstance(part, griffe.ExprName) else str(part))
            parts.append(f'<a href="{entry.address}">{words}</a>' if entry is not None else words)
        return "".join(parts)


def kind_of(what: griffe.Object) -> str:
    """What sort of thing it is, in a word."""
    if isinstance(what, griffe.Class):
        return "error" if what.name.endswith("Error") else "class"
    if isinstance(what, griffe.Function):
        return "function"
    return "constant" if what.name.isupper() else "type"


def _index(known: Api, modules: Sequence[str]) -> str:
    parts = [
        "<h1>API reference</h1>",
        "<p>Every public name, by module: what it takes and gives, its members, its source, and the pages that use it. "
        "<code>import pellucid as pl</code> is meant everywhere.</p>",
    ]
    for name in modules:
        names = ", ".join(f'<a href="{e.address}"><code>{e.name}</code></a>' for e in known.of(name))
        about = _words(first_sentence(docstring(known.modules[name])), known, name, "")
        title = f'<a href="{page_of(name)}"><code>{title_of(name)}</code></a>'
        parts.append(f'<h2 id="{title_of(name)}">{title}</h2>\n<p>{about}</p>\n<p class="all">{names}</p>')
    return "\n".join(parts)


def _source_address(file: Path) -> str:
    return f"source-{'.'.join(file.relative_to(SOURCE).with_suffix('').parts)}.html"


def _source(file: Path) -> Made:
    name = str(file.relative_to(SOURCE))
    lines = _python(file.read_text(encoding="utf-8")).splitlines()
    words = "\n".join(f'<span id="L-{number}">{line}</span>' for number, line in enumerate(lines, 1))
    body = f'<h1><code>{name}</code></h1>\n<pre class="code" tabindex="0"><code>{words}</code></pre>'
    return Made(_source_address(file), name, body, listed=False)


def _python(code: str) -> str:
    return highlight(code, PythonLexer(), HtmlFormatter(nowrap=True))
