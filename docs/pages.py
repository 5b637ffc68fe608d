"""The pages of the documentation: the order they are read in, their code, and what running it gives."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[1]
PARSER = MarkdownIt("commonmark").enable("table")
TRACKED = ("docs/neuron.svg", "docs/plan.svg", "docs/lab-graph.png", "docs/lab-convolution.png", "docs/lab-network.png")
"""Pictures that the repository keeps, because a page that shows them is read where nothing is built."""

ORDER = {
    "Start": ("README",),
    "Chapters": (
        "neuron",
        "activation-functions",
        "forward-and-backward",
        "loss",
        "descent",
        "approximation",
        "why-convolution",
        "convolution",
        "pooling",
        "architecture",
        "activations",
        "dpm-to-fast-rcnn",
    ),
    "Guides": (
        "training",
        "data",
        "models",
        "sequences",
        "detection",
        "own-boxes",
        "lab",
        "questions",
        "explain",
        "pictures",
        "layers",
        "attribution",
        "insight",
        "tables",
        "security",
    ),
    "Reference": ("graph", "ops", "native", "performance", "onnx-coverage"),
    "Project": ("how-it-is-built", "decisions", "CONTRIBUTING", "CHANGELOG"),
}
"""Sections of the site and the pages in them; a page of `docs` that is named nowhere is a guide."""

_MARK = "--- the output of the next block ---"


class PageError(Exception):
    """A page whose code fails, or that refers to something that is not there."""


@dataclass(frozen=True)
class Block:
    """A fenced block of code: `python` and `bash` ones run. `line` is the page's line of the fence, from 1."""

    kind: str
    code: str
    line: int


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    @property
    def name(self) -> str:
        """What the page is called in the site, without an ending."""
        return self.path.stem

    @property
    def place(self) -> str:
        """Where the page is in the repository; a page of elsewhere, by its name."""
        return str(self.path.relative_to(ROOT)) if self.path.is_relative_to(ROOT) else self.path.name

    @cached_property
    def tokens(self) -> list[Token]:
        """The page as Markdown's tokens."""
        return PARSER.parse(self.path.read_text(encoding="utf-8"))

    @property
    def title(self) -> str:
        """The first heading."""
        headings = (i for i, token in enumerate(self.tokens) if token.type == "heading_open")
        return plain(self.tokens[next(headings) + 1])

    @property
    def blocks(self) -> list[Block]:
        """The blocks of code that run, in the page's order."""
        fences = (t for t in self.tokens if t.type == "fence" and t.info.strip() in ("python", "bash"))
        return [Block(t.info.strip(), t.content, (t.map or [0])[0] + 1) for t in fences]

    @property
    def pictures(self) -> list[str]:
        """Where the pictures that the page shows are, relative to it."""
        return [str(t.attrs["src"]) for t in self.inline() if t.type == "image"]

    def inline(self) -> list[Token]:
        """Links, pictures and words, in the page's order."""
        return [child for token in self.tokens for child in token.children or ()]


@dataclass(frozen=True)
class Ran:
    """A page whose code ran: what each of its blocks printed, by its line, and the folder with what the code made."""

    page: Page
    folder: Path
    printed: dict[int, str]


def all_pages(docs: Path = ROOT / "docs") -> list[Page]:
    """Every page that runs and is shown, in reading order."""
    return [page for _, pages in sections(docs) for page in pages]


def sections(docs: Path = ROOT / "docs") -> list[tuple[str, list[Page]]]:
    """The site's sections with their pages, in reading order."""
    others = {name: docs.parent / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG")}
    found = {name: Page(path) for name, path in others.items() if path.is_file()}
    found |= {path.stem: Page(path) for path in sorted(docs.glob("*.md"))}
    known = {name for names in ORDER.values() for name in names}
    order = ORDER | {"Guides": (*ORDER["Guides"], *(name for name in found if name not in known))}
    made = [(section, [found[name] for name in names if name in found]) for section, names in order.items()]
    return [(section, pages) for section, pages in made if pages]


def run(page: Page, folder: Path, seconds: float = 180) -> Ran:
    """Run the page's code in `folder`, all Python as one program; raises `PageError` where it fails or makes no picture."""
    blocks = page.blocks
    printed: dict[int, str] = {}
    if blocks:
        script = folder / f".{page.path.name}"
        script.write_text(_program(blocks, page.pictures), encoding="utf-8")
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "COLUMNS": "80", "NO_COLOR": "1"}
        try:
            done = subprocess.run(
                [sys.executable, script.name],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=seconds,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired as error:
            raise PageError(f"{page.place}: its code takes more than {seconds:g} seconds") from error
        script.unlink()
        if done.returncode:
            raise PageError(f"{page.place}: its code fails (lines are the page's)\n{done.stderr}")
        _, *found = re.split(rf"^{re.escape(_MARK)} (.*)\n", done.stdout, flags=re.MULTILINE)
        outputs = found[1::2]
        if len(outputs) != len(blocks):
            raise PageError(f"{page.place}: its code ends in block {len(outputs)} of {len(blocks)}")
        printed = {block.line: text.rstrip() for block, text in zip(blocks, outputs, strict=True)}
        _require_as_shown(page, folder, [json.loads(seen) for seen in found[::2]])
    ran = Ran(page, folder, printed)
    for source in page.pictures:
        picture(ran, source)
    return ran


def _require_as_shown(page: Page, folder: Path, seen: Sequence[Mapping[str, int]]) -> None:
    """Raise `PageError` where code makes another picture of a name below the place that shows it.

    `seen` are checksums of the pictures that are there, before each block.
    """
    for token in page.tokens:
        for source in (str(child.attrs["src"]) for child in token.children or () if child.type == "image"):
            above = sum(block.line <= (token.map or [0])[0] for block in page.blocks)
            last = zlib.crc32((folder / source).read_bytes()) if (folder / source).is_file() else None
            sums = [*(there.get(source) for there in seen), last]
            later = next((n for n in range(above + 1, len(sums)) if sums[above] not in (None, sums[n])), None)
            if later is not None:
                line = page.blocks[later - 1].line
                raise PageError(f"{page.place}: the picture {source} is made again below, by the block of line {line}")


def picture(ran: Ran, source: str) -> Path:
    """The file of a picture that the page shows; raises `PageError` where the page's code does not make it."""
    made = made_file(ran, source)
    if made is not None:
        return made
    kept = (ran.page.path.parent / source).resolve()
    if kept.is_file() and kept.is_relative_to(ROOT) and str(kept.relative_to(ROOT)) in TRACKED:
        return kept
    raise PageError(f"{ran.page.place}: shows the picture {source}, which its code does not make")


def made_file(ran: Ran, source: str) -> Path | None:
    """The file of this relative name that the page's code made, if it did."""
    made = (ran.folder / source).resolve()
    return made if made.is_file() and made.is_relative_to(ran.folder.resolve()) else None


def plain(token: Token) -> str:
    """The text of a heading without its marks."""
    return "".join(child.content for child in token.children or ())


def _program(blocks: Sequence[Block], pictures: Sequence[str]) -> str:
    """One Python program of all blocks, whose lines have the numbers that they have in the page.

    Before each block it prints a mark, with checksums of the pictures that are there by then.
    """
    lines: list[str] = []
    sums = f"{{s: __import__('zlib').crc32(p.read_bytes()) for s in {pictures!r} if (p := __import__('pathlib').Path(s)).is_file()}}"
    for block in blocks:
        lines += [""] * (block.line - 1 - len(lines))
        mark = f"print({_MARK!r}, __import__('json').dumps({sums}), flush=True)"
        if block.kind == "bash":
            lines.append(f"{mark}; import subprocess; subprocess.run(['bash', '-ec', {block.code!r}], check=True)")
        else:
            lines += [mark, *block.code.splitlines()]
    return "\n".join(lines) + "\n"
