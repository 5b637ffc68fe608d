"""What the API reference is made of: every public name with its signature, read from the source, and the pages that use it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType

import griffe
from pages import ROOT, Page

import pellucid as pl
from pellucid.questions import asked_by

_DOTTED = re.compile(r"(?<![\w./-])[A-Za-z_]\w*(?:\.\w+)*")
_DISTINCT = re.compile(r"[A-Z]\w*[a-z]\w*|[a-z]\w*_\w+")  # names that are no ordinary words: MaxPool2d, cross_entropy


@dataclass(frozen=True)
class Entry:
    """One public name: what it is `written` as, the `module` whose page it is on, and what the source says of it."""

    written: str
    module: str
    what: griffe.Object

    @property
    def address(self) -> str:
        """Where the reference speaks of it."""
        return f"{page_of(self.module)}#{self.written}"

    @property
    def name(self) -> str:
        """The last part of its name."""
        return self.written.rpartition(".")[2]

    @property
    def summary(self) -> str:
        """The first sentence of its docstring."""
        return first_sentence(docstring(self.what))


@dataclass(frozen=True)
class Api:
    """All entries, by what they are written as, by path of the source, and by short names that mean one of them alone."""

    modules: Mapping[str, griffe.Module]
    entries: Mapping[str, Entry]
    paths: Mapping[str, Entry]
    short: Mapping[str, Entry] = field(default_factory=dict[str, Entry])

    def of(self, module: str) -> list[Entry]:
        """The entries on a module's page, as they are sorted there: functions and classes by name, then constants."""
        found = [entry for entry in self.entries.values() if entry.module == module]
        return sorted(found, key=lambda e: (e.what.is_attribute, e.written.count(".") > 2, e.name.lower()))

    def type(self, path: str) -> Entry | None:
        """The entry of a name in an annotation, by the path that it has in the source."""
        if path in self.paths or not path.startswith("pellucid."):
            return self.paths.get(path)
        found = _target(self.modules[""], path)
        return self.paths.get(found.path) if found is not None else None

    def named(self, words: str, imported: Mapping[str, str] | None = None) -> str:
        """Where the reference speaks of what is called so in a page's text or code; "" where that is not one thing.

        `imported` are the names that the code has from Pellucid, with their paths.
        """
        call = re.fullmatch(r"([A-Za-z_][\w.]*)(?:\(.*\))?", words, re.DOTALL)
        if call is None:
            return ""
        first, _, rest = call[1].partition(".")
        known = {"pl": "pellucid", "pellucid": "pellucid", "nn": "pellucid.nn"} if imported is None else imported
        if first in known:
            return self._of_path(f"{known[first]}.{rest}".rstrip("."))
        entry = self.short.get(first) if imported is None and _DISTINCT.fullmatch(first) else None
        if entry is None or not rest:
            return entry.address if entry is not None else ""
        return _member(entry, rest)

    def _of_path(self, path: str) -> str:
        name = path.removeprefix("pellucid.")
        if name in self.modules:
            return page_of(name)
        if entry := self.entries.get(f"pl.{name}") or self.type(path):
            return entry.address
        owner, _, member = path.rpartition(".")
        of = self.entries.get(f"pl.{owner.removeprefix('pellucid.')}") or self.type(owner)
        return _member(of, member) if of is not None else ""

    def uses(self, page: Page) -> set[str]:
        """The addresses of everything that a page names in code font, in its text or in its code."""
        known = imports(page)
        code = (block.code for block in page.blocks if block.kind == "python")
        found = {self.named(token.content) for token in page.inline() if token.type == "code_inline"}
        found |= {self.named(words, known) for block in code for words in _DOTTED.findall(block)}
        return found - {""}


@cache
def api() -> Api:
    """The public API as the source has it."""
    package = griffe.load("pellucid", search_paths=[ROOT / "src"], resolve_aliases=True)
    assert isinstance(package, griffe.Module)
    names = [name for name in pl.__all__ if isinstance(getattr(pl, name), ModuleType)]
    modules = {"": package} | {name: package[name] for name in names}
    entries: dict[str, Entry] = {}
    paths: dict[str, Entry] = {}

    def add(written: str, module: str, what: griffe.Object | None) -> None:
        if what is not None and not what.is_module and what.path not in paths:
            entries[written] = paths[what.path] = Entry(written, module, what)

    top = set(dir(pl))
    for name in names:
        home = getattr(pl, name)
        for member in sorted(home.__all__):
            at_top = member in top and getattr(pl, member) is getattr(home, member)
            add(f"pl.{member}" if at_top else f"pl.{name}.{member}", name, _defined(package, home, member))
    for member in sorted({*pl.__all__, *asked_by()}):
        if not member.startswith("__"):
            add(f"pl.{member}", "", _defined(package, pl, member))
    for name in pl.models.names():
        add(f"pl.models.{name}", "models", _model(package, name))
    for path in _types(package, list(entries.values())):
        module = path.split(".")[1]
        add(path, module if module in modules else "", _target(package, path))
    called: dict[str, list[Entry]] = {}
    for entry in entries.values():
        called.setdefault(entry.name, []).append(entry)
    classes = (entry.what for entry in entries.values() if isinstance(entry.what, griffe.Class))
    held = {member.name for what in classes for member in members(what)}
    short = {name: them[0] for name, them in called.items() if len(them) == 1 and name not in held}
    return Api(modules, entries, paths, short)


def imports(page: Page) -> dict[str, str]:
    """The names that a page's Python code has from Pellucid, with the paths of what they are."""
    found: dict[str, str] = {}
    for block in page.blocks:
        for node in ast.walk(ast.parse(block.code)) if block.kind == "python" else ():
            if isinstance(node, ast.Import):
                found |= {n.asname or n.name: n.name for n in node.names if n.name.split(".")[0] == "pellucid"}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "pellucid":
                found |= {n.asname or n.name: f"{node.module}.{n.name}" for n in node.names}
    return found


def page_of(module: str) -> str:
    """The page of the site that a module has."""
    return f"api-{module or 'pellucid'}.html"


def docstring(what: griffe.Object) -> str:
    """What is said of it: its docstring, or the help of a setting."""
    if what.docstring is not None:
        return what.docstring.value
    metadata = _keyword(what.value, "metadata") if isinstance(what, griffe.Attribute) else None
    return str(ast.literal_eval(str(metadata)).get("help", "")) if metadata is not None else ""


def default(what: griffe.Attribute) -> str | griffe.Expr | None:
    """The value that an attribute has unless another is given; that of a field of a dataclass is its default."""
    if isinstance(what.value, griffe.ExprCall) and str(what.value.function) == "field":
        return _keyword(what.value, "default") or _keyword(what.value, "default_factory")
    return what.value


def members(what: griffe.Class) -> Iterator[griffe.Object]:
    """What a class has of its own for others to use: fields, properties, methods, and operators that say what they do."""
    for name, member in what.members.items():
        if member.is_alias or (isinstance(member, griffe.Attribute) and str(member.value).startswith("old_property(")):
            continue
        if name.startswith("_") and not (name.startswith("__") and name != "__init__" and member.docstring):
            continue
        if member.docstring or (member.is_attribute and member.annotation is not None):
            yield member


def first_sentence(text: str) -> str:
    """A docstring's first sentence, on one line."""
    paragraph = " ".join(text.strip().partition("\n\n")[0].split())
    return re.split(r"(?<=[.!?])\s+(?=[A-Z`])", paragraph, maxsplit=1)[0]


def _member(of: Entry, name: str) -> str:
    """Where the reference speaks of a member of a class; "" where it does not."""
    shown = isinstance(of.what, griffe.Class) and name in (member.name for member in members(of.what))
    return f"{of.address}.{name}" if shown else ""


def _keyword(value: object, name: str) -> str | griffe.Expr | None:
    arguments = value.arguments if isinstance(value, griffe.ExprCall) else ()
    found = (a.value for a in arguments if isinstance(a, griffe.ExprKeyword) and a.name == name)
    return next(found, None)


def _defined(package: griffe.Module, home: ModuleType, name: str) -> griffe.Object | None:
    """What the source says of a name of a module, at the place where it is defined."""
    value = getattr(home, name)
    told = f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}"
    return _target(package, told) or _target(package, f"{home.__name__}.{name}")


def _model(package: griffe.Module, name: str) -> griffe.Object | None:
    """The function of `nn.models` that builds the network called so, which `pl.models` has by being asked for it."""
    files = package["nn.models"].members.values()
    return next((file.members[name] for file in files if not file.is_alias and name in file.members), None)


def _target(package: griffe.Module, path: str) -> griffe.Object | None:
    """What a path leads to in the end, or None where that is not of Pellucid."""
    if not path.startswith("pellucid."):
        return None
    try:
        found = package[path.removeprefix("pellucid.")]
        return found.final_target if isinstance(found, griffe.Alias) else found
    except (KeyError, griffe.AliasResolutionError, griffe.CyclicAliasError):
        return None


def _types(package: griffe.Module, entries: list[Entry]) -> list[str]:
    """Paths of further types of Pellucid that annotations of entries name, and annotations of theirs."""
    found: dict[str, None] = {}
    waiting = [entry.what for entry in entries]
    known = {what.path for what in waiting}
    while waiting:
        for path in {path for part in _annotated(waiting.pop()) for path in _paths(part)}:
            what = _target(package, path)
            if what is not None and what.path not in known and _is_public_type(what):
                known.add(what.path)
                found[what.path] = None
                waiting.append(what)
    return sorted(found)


def _is_public_type(what: griffe.Object) -> bool:
    alias = isinstance(what, griffe.Attribute) and not str(what.value).startswith(("TypeVar(", "ParamSpec("))
    return (what.is_class or alias) and "._" not in what.path


def _annotated(what: griffe.Object) -> Iterator[object]:
    if isinstance(what, griffe.Function):
        yield from (parameter.annotation for parameter in what.parameters)
        yield what.returns
    elif isinstance(what, griffe.Class):
        yield from what.bases
        for member in members(what):
            yield from _annotated(member)
    elif isinstance(what, griffe.Attribute):
        yield what.annotation
        yield what.value if what.parent is not None and what.parent.is_module else None


def _paths(expression: object) -> Iterator[str]:
    if isinstance(expression, griffe.Expr):
        for part in expression.iterate(flat=True):
            if isinstance(part, griffe.ExprName):
                yield part.canonical_path
