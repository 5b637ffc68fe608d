"""Every page of the documentation runs and becomes a page of the site, every public name and option is documented, generated pages are current."""

from __future__ import annotations

import ast
import contextlib
import functools
import html
import io
import json
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer

import pellucid as pl
from pellucid.cli import app
from pellucid.questions import asked_by

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))
import build  # noqa: E402
import lab_pictures  # noqa: E402
import pages  # noqa: E402
from api import api  # noqa: E402
from commands import command_address, commands  # noqa: E402
from notebooks import notebook  # noqa: E402
from pages import ORDER, PARSER, Page, PageError, Ran, all_pages, run, sections  # noqa: E402
from reference import Made  # noqa: E402
from searching import places  # noqa: E402
from website import CHAPTERS, address, made_pages, write  # noqa: E402
from wording import cell, table  # noqa: E402

TEXT = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")))


@pytest.mark.parametrize("page", all_pages(), ids=lambda page: page.name)
def test_page_runs_and_is_written(page: Page, tmp_path: Path) -> None:
    (folder := tmp_path / "run").mkdir()
    written = write(ran := run(page, folder), tmp_path).read_text(encoding="utf-8")
    if page.name in CHAPTERS:
        _assert_answers_are_computed(ran)
        _assert_is_notebook(json.loads((tmp_path / f"{page.name}.ipynb").read_text(encoding="utf-8")))
    for source, shows in re.findall(r'<img src="([^"]+)" alt="([^"]*)"', written):
        assert (tmp_path / html.unescape(source)).is_file()
        assert shows, f"{source} does not say what it shows"
    _assert_closed(written.partition("<html")[2].join(["<html", ""]))
    assert not _taken_for_marks(written)
    levels = [int(level) for level in re.findall(r"<h([1-6])[ >]", written.partition('<nav class="steps"')[0])]
    assert levels[0] == 1 and all(after <= before + 1 for before, after in pairwise(levels))
    assert levels.count(1) == 1


def _assert_answers_are_computed(ran: Ran) -> None:
    """A chapter has exercises with folded answers; every number in an answer's text is printed or stands in its code."""
    answers: list[tuple[list[str], list[str]]] = []
    within = False
    for token in ran.page.tokens:
        if token.type == "html_block" and "details" in token.content:
            within = "<details>" in token.content
            answers += [([], [])] if within else []
        elif within and token.type == "inline":
            answers[-1][0].append(token.content)
        elif within and token.type == "fence":
            answers[-1][1].extend((token.content, ran.printed.get((token.map or [0])[0] + 1, "")))
    assert len(answers) >= 2, "exercises with answers"
    for text, code in answers:
        assert text and code and not _numbers(text) - _numbers(code), text


def _numbers(lines: list[str]) -> set[float]:
    return {float(n.replace(",", "")) for n in re.findall(r"(?<![\w.])\d+(?:,\d{3})*(?:\.\d+)?", "\n".join(lines))}


def _assert_is_notebook(made: dict[str, Any]) -> None:
    """It has the form of nbformat 4.5."""
    assert (made["nbformat"], made["nbformat_minor"]) == (4, 5)
    assert made["metadata"]["kernelspec"]["name"] == "python3"
    names = [part["id"] for part in made["cells"]]
    assert len(names) == len(set(names)) and all(re.fullmatch(r"[\w-]{1,64}", name) for name in names)
    for part in made["cells"]:
        code = {"execution_count", "outputs"} if part["cell_type"] == "code" else set()
        assert {"id", "cell_type", "metadata", "source"} | code == set(part) - {"attachments"}
        assert all(isinstance(line, str) for line in part["source"]) and "".join(part["source"]).strip()
        for output in part.get("outputs", ()):
            wanted = {"stream": {"name", "text"}, "execute_result": {"data", "metadata", "execution_count"}}
            assert set(output) == {"output_type"} | wanted[output["output_type"]]
        if part["cell_type"] == "markdown":
            assert not re.search(r"\]\([^)]*\.md[)#]", "".join(part["source"]))


def test_a_chapter_runs_as_a_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = next(page for page in all_pages() if page.name == "forward-and-backward")
    (folder := tmp_path / "run").mkdir()
    made = json.loads(notebook(run(page, folder), frozenset({"loss"})))
    (there := tmp_path / "there").mkdir()
    monkeypatch.chdir(there)
    names: dict[str, Any] = {"__name__": "__main__"}
    shown = 0
    for part in made["cells"]:
        source, outputs = "".join(part["source"]), part.get("outputs", [])
        assert ("](loss.ipynb)" in source) == (part == made["cells"][-1])
        if part["cell_type"] == "code":
            *before, last = ast.parse(source).body
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(ast.Module(before, []), "cell", "exec"), names)  # noqa: S102 (code of our own page)
                mode, tree = (
                    ("eval", ast.Expression(last.value))
                    if isinstance(last, ast.Expr)
                    else ("exec", ast.Module([last], []))
                )
                value = eval(compile(tree, "cell", mode), names)  # noqa: S307
            told = "".join("".join(output.get("text", [])) for output in outputs)
            assert printed.getvalue().strip() == told.strip()
            for output in outputs:
                if output["output_type"] == "execute_result":
                    shown += 1
                    assert value._repr_svg_() == "".join(output["data"]["image/svg+xml"])
                    assert repr(value) == output["data"]["text/plain"][0]
    assert shown == len(page.pictures) == 1


def _taken_for_marks(page: str) -> list[str]:
    """What Markdown made of a formula's signs: emphasis that is no words between spaces or punctuation."""
    found = re.findall(r"(.?)<(em|strong)>(.*?)</\2>(.?)", page, re.DOTALL)
    words = r"[^\W\d_][\w '’.,:;()%/-]*"
    return [inside for before, _, inside, after in found if not (
        re.fullmatch(words, re.sub(r"<[^>]*>", "", inside), re.DOTALL) and not re.search(r"[\w*+\]=]", f"{before}{after}")
    )]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "y = x[n,c, i*s + u - p, j*s + v*d - p]", "m_k_ and __init__ and _x_", "a < b, a<b>c</b>, <b>, x <- y", "|x| and ||",
        "e^(-x)~~2~~", r"\sigma \* \_", "[a](b) and ![c](d), [e]", "&lt; &amp; R&D", "# 1", "x`y", "**all** *of* it", "1. - + =",
    ],
)  # fmt: skip
def test_text_becomes_a_cell_of_markdown_as_it_is(text: str) -> None:
    lines = table("a | b:", [(cell(text), cell(f"`{text.replace('`', '')}` {text}"))])
    made = PARSER.render("\n".join(lines))
    one, two = (html.unescape(found) for found in re.findall(r"<td[^>]*>(.*?)</td>", made, re.DOTALL))
    assert one == text
    assert two == f"<code>{text.replace('`', '')}</code> {text}"


def test_formulas_of_all_ops_are_shown_as_they_are_written(tmp_path: Path) -> None:
    page = next(page for page in all_pages() if page.name == "ops")
    written = write(run(page, tmp_path), tmp_path).read_text(encoding="utf-8")
    cells = {html.unescape(re.sub(r"<[^>]*>", "", found)) for found in re.findall(r"<td[^>]*>(.*?)</td>", written)}
    from pellucid.op import COMPOSITES, OPS

    formulas = [op.__doc__ for op in OPS.values() if op.__module__.startswith("pellucid.")]
    formulas += [composite.formula for composite in COMPOSITES.values()]
    for formula in formulas:
        assert (formula or "").strip().splitlines()[0].replace("`", "") in cells


@functools.cache
def _made() -> dict[str, Made]:
    return {made.address: made for made in made_pages(sections())}


def _words(page: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", page))


@pytest.mark.parametrize("module", ["pl", *(n for n in pl.__all__ if type(getattr(pl, n)).__name__ == "module")])
def test_every_public_name_is_in_the_reference(module: str) -> None:
    home = pl if module == "pl" else getattr(pl, module)
    for name in home.__all__:
        value = getattr(home, name)
        if name.startswith("__") or type(value).__name__ == "module":
            continue
        entry = api().entries.get(f"pl.{name}") or api().entries[f"pl.{module}.{name}"]
        place, _, anchor = entry.address.partition("#")
        assert f'<h2 id="{anchor}"' in _made()[place].body, entry.address
        assert entry.summary, f"{name} says nothing of itself"
        if entry.what.is_function:
            assert name in _words(_made()[place].body)


def test_the_reference_leads_both_ways(tmp_path: Path) -> None:
    conv = re.search(r'<h2 id="pl.nn.Conv2d".*?(?=<h2 )', _made()["api-nn.html"].body, re.DOTALL)
    assert conv is not None
    assert "class Conv2d(" in _words(conv[0])
    assert "kernel_size: int | Pair," in _words(conv[0])
    assert '<a href="convolution.html">Convolution</a>' in conv[0]
    assert 'href="source-nn.layers.convolution.html#L-' in conv[0]
    assert "OH = floor((H + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1" in _words(conv[0])
    traced = _made()["api-explain.html"].body
    assert re.search(
        r'<h2 id="pl.trace".*?-&gt; <a href="api-explain.html#pl.explain.Trace">Trace</a>', traced, re.DOTALL
    )
    assert '<dt id="pl.explain.Trace.score"' in traced

    page = tmp_path / "one.md"
    code = "import pellucid as pl\nfrom pellucid.pictures import Chart as Drawn\nx = pl.relu(pl.input((1,)))\nDrawn\nx.pl.fit\n"
    text = "`pl.trace(net)`, `nn.Conv2d`, `MaxPool2d`, `cross_entropy`, `pellucid explain RUN`, `run`, `Method`s, `Trace.score`, "
    text += "`pl.Parameter.of`, `pl.nothing.trace`, `receptive_field`, `Trace.nothing`"
    page.write_text(f"# One `pl.fit`\n\n[`pl.fit`](one.md) {text}\n\n```python\n{code}```\n", encoding="utf-8")
    built = write(Ran(Page(page), tmp_path, {}), tmp_path, [("Reference", [Page(page)])]).read_text(encoding="utf-8")
    led = re.findall(r'<a class="api" href="([^"]+)">(.*?)</a>', built)
    assert [(_words(words), place) for place, words in led] == [
        ("pl.trace(net)", "api-explain.html#pl.trace"), ("nn.Conv2d", "api-nn.html#pl.nn.Conv2d"),
        ("MaxPool2d", "api-nn.html#pl.nn.MaxPool2d"), ("cross_entropy", "api-ops.html#pl.cross_entropy"),
        ("pellucid explain RUN", "commands.html#pellucid-explain"), ("Method", "api-explain.html#pl.explain.Method"),
        ("Trace.score", "api-explain.html#pl.explain.Trace.score"), ("pl.Parameter.of", "api-graph.html#pl.Parameter.of"),
        ("Drawn", "api-pictures.html#pl.pictures.Chart"), ("pl.relu", "api-ops.html#pl.relu"),
        ("pl.input", "api-graph.html#pl.input"), ("Drawn", "api-pictures.html#pl.pictures.Chart"),
    ]  # fmt: skip


def _assert_closed(page: str) -> None:
    """Every tag is closed, in order."""
    opened: list[str] = []
    for closes, tag in re.findall(r"<(/?)(\w+)[^>]*>", page):
        if closes:
            assert opened.pop() == tag
        elif tag not in ("meta", "link", "input", "img", "br", "hr"):
            opened.append(tag)
    assert not opened


def test_links_of_made_pages_lead_somewhere() -> None:
    pages = {address(page) for page in all_pages()}
    places = {made.address: set(re.findall(r' id="([^"]+)"', made.body)) for made in _made().values()}
    for page in all_pages():
        for used in api().uses(page):
            place, _, anchor = used.partition("#")
            assert place in places and (not anchor or anchor in places[place]), used
    for made in _made().values():
        _assert_closed(made.body)
        for link in re.findall(r'href="([^"]+)"', made.body):
            place, _, anchor = html.unescape(link).partition("#")
            place = place or made.address
            assert place in pages or anchor in places[place] or (not anchor and place in places), link
        identical = re.findall(r' id="([^"]+)"', made.body)
        assert len(identical) == len(set(identical)), made.address


def test_every_option_is_in_the_reference_of_commands() -> None:
    body = _made()["commands.html"].body
    assert list(commands()) == [name for name, _ in every_command(typer.main.get_command(app))]
    assert command_address("pellucid detect evaluate found.csv") == "commands.html#pellucid-detect-evaluate"
    for name, command in commands().items():
        assert f'<h2 id="pellucid-{name.replace(" ", "-")}">' in body
        for parameter in command.params:
            if not getattr(parameter, "hidden", False):
                for option in parameter.opts:
                    assert f'<tr id="pellucid-{name.replace(" ", "-")}{option}"' in body or not option.startswith(
                        "-"
                    ), f"{name} {option}"


def test_a_search_finds_headings_functions_options_and_words(tmp_path: Path) -> None:
    made = _site(tmp_path, one="# One\n\nSome `code_font` words.\n\n## Deep, down\n\nA *heron*.\n")
    index = (tmp_path / "site/search-index.js").read_text(encoding="utf-8")
    found = json.loads(index.removeprefix("window.PLACES = ").removesuffix(";\n"))
    assert found[-2:] == [
        ["one.html", "One", "One", " code_font one some words "],
        ["one.html#deep-down", "Deep, down", "One", " a deep down heron "],
    ]
    assert '<script src="search.js" defer></script>' in made["one"]
    script = (tmp_path / "site/search.js").read_text(encoding="utf-8")
    assert not re.search(r"https?:|fetch|XMLHttp|innerHTML|eval\(|style\.", script)
    names = {
        title for made in _made().values() if made.listed for _, title, _, _ in places(made.address, f"<main>{made.body}</main>")
    }  # fmt: skip
    assert {
        "pl.trace",
        "pl.nn.Conv2d",
        "pl.train.Run.load",
        "--method of pellucid attribute",
        "pellucid train",
        "pl.nn",
    } <= names


def test_sections_name_every_page_once() -> None:
    shown = [page.path for page in all_pages()]
    assert sorted(shown) == sorted({*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")})


def test_the_chapters_are_a_tour() -> None:
    """The front page names all chapters in their order, each leads to the next at its end, the last to the first guide."""
    pages = {page.name: page for page in all_pages()}
    names = list(ORDER["Chapters"])
    linked = re.findall(r"\]\(docs/([\w-]+)\.md\)", pages["README"].path.read_text(encoding="utf-8"))
    assert [name for name in linked if name in names] == names
    for name, following in pairwise([*names, ORDER["Guides"][0]]):
        after = re.findall(
            r"^Next: \[[^\]]+\]\(([\w-]+)\.md\)", pages[name].path.read_text(encoding="utf-8"), re.MULTILINE
        )
        assert after == [following], name


def _site(folder: Path, **pages: str) -> dict[str, str]:
    """The HTML of pages, built as `make docs` builds them."""
    (folder / "docs").mkdir()
    for name, text in pages.items():
        (folder / "docs" / f"{name}.md").write_text(text, encoding="utf-8")
    order = sections(folder / "docs")
    if errors := build.build_site(order, folder / "site"):
        raise errors[0]
    return {page.name: (folder / "site" / address(page)).read_text(encoding="utf-8") for _, p in order for page in p}


PICTURE = "from pathlib import Path\nPath('a.svg').write_text('<svg/>')"
OTHER = "Path('in').mkdir()\nPath('in/a.svg').write_text('<svg>2</svg>')"


def test_a_page_shows_what_its_code_prints_and_makes(tmp_path: Path) -> None:
    first = f"# One\n\n```python\nx = 6\nprint('<x>')\n```\n\n```bash\necho from bash\n```\n\n```python\n{PICTURE}\n{OTHER}\nprint(x * 7)\n```\n"
    shown = "\n![A picture](a.svg), [its file](in/a.svg), [there](two.md#deep-down), [elsewhere](https://example.org)\n"
    made = _site(tmp_path, one=first + shown, two="# Two\n\n## Deep, down\n\n## Deep, down\n")
    printed = re.findall(r'<pre class="printed"[^>]*>(.*?)</pre>', made["one"], re.DOTALL)
    assert printed == ["&lt;x&gt;", "from bash", "42"]
    assert '<img src="one/a.svg" alt="A picture">' in made["one"]
    assert (tmp_path / "site/one/a.svg").read_text() == "<svg/>"
    assert (tmp_path / "site/one/in/a.svg").read_text() == "<svg>2</svg>"
    assert re.findall('href="([^"]+)">(?:its|there|elsewhere)', made["one"]) == [
        "one/in/a.svg", "two.html#deep-down", "https://example.org"
    ]  # fmt: skip
    assert re.findall('<h2 id="([^"]+)"', made["two"]) == ["deep-down", "deep-down-1"]
    assert '<a rel="next" href="two.html">' in made["one"]
    assert '<a href="one.html" aria-current="page">One</a>' in made["one"]
    assert (tmp_path / "site/style.css").is_file()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("![x](b.svg)", "one.md: shows the picture b.svg, which its code does not make"),
        (f"```python\n{PICTURE}\n```\n\n![x](../a.svg)", "one.md: shows the picture ../a.svg"),
        ("![x](two.md)", "one.md: shows the picture two.md"),
        ("```python\n\nprint(1 / 0)\n```", 'one.md: its code fails (lines are the page\'s)\n{any}File "{any}/.one.md", line 5'),
        (f"```python\n{PICTURE}\n```\n\n![x](a.svg)\n\n```bash\necho\n```\n\n```bash\nsleep 0.01; echo > a.svg\n```",
         "one.md: the picture a.svg is made again below, by the block of line 14"),
        ("```bash\nfalse\necho no\n```", "one.md: its code fails"),
        ("```python\nraise SystemExit\n```\n\n```python\nprint(1)\n```", "one.md: its code ends in block 1 of 2"),
        ("[x](three.md)", "one.md: the link three.md leads nowhere"),
        ("[x](two.md#nothing)", "one.md: the link two.md#nothing leads to a heading that is not there"),
        ("[x](#nothing)", "one.md: the link #nothing leads to a heading that is not there"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_page_is_named(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(PageError) as found:
        _site(tmp_path, one=f"# One\n\n{text}\n", two="# Two\n")
    pattern = re.escape(words).replace(re.escape("{any}"), ".*")
    assert re.match(pattern, str(found.value), re.DOTALL), found.value


def test_code_that_does_not_end_is_named(tmp_path: Path) -> None:
    (tmp_path / "one.md").write_text("# One\n\n```bash\nsleep 5\n```\n", encoding="utf-8")
    with pytest.raises(PageError, match=r"one\.md: its code takes more than 0\.5 seconds"):
        run(Page(tmp_path / "one.md"), tmp_path, seconds=0.5)


@pytest.mark.parametrize("name", [n for n in (*pl.__all__, *asked_by()) if not n.startswith("__")])
def test_public_names_are_documented(name: str) -> None:
    assert re.search(rf"\b{name}\b", TEXT)
    assert getattr(pl, name).__doc__


def every_command(group: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Commands by name, those of groups too: `detect evaluate`."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from every_command(command, f"{above}{name} ")
        else:
            yield f"{above}{name}", command


def test_commands_and_options_are_documented() -> None:
    for name, command in every_command(typer.main.get_command(app)):
        assert f"pellucid {name}" in TEXT, name
        assert "Example: pellucid" in (command.help or ""), name
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("--") and option != "--help":
                    assert option in TEXT, f"{name} {option}"


def test_generated_pages_are_current() -> None:
    if build.has_native():
        assert (ROOT / "docs" / "ops.md").read_text(encoding="utf-8") == build.op_table(), "run `make docs`"
    models_page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    assert models_page == build.with_zoo_table(models_page), "run `make docs`"
    assert "| `resnet18` | 3x224x224 | 11,689,512 | 1,814.1 M |" in models_page
    assert (ROOT / "docs" / "questions.md").read_text(encoding="utf-8") == build.questions_page(), "run `make docs`"
    attribution = (ROOT / "docs" / "attribution.md").read_text(encoding="utf-8")
    assert attribution == build.with_methods_table(attribution), "run `make docs`"
    assert (ROOT / "docs" / "onnx-coverage.md").read_text(encoding="utf-8") == build.onnx_coverage(), "run `make docs`"
    assert (ROOT / "docs" / "neuron.svg").read_text(encoding="utf-8") == build.neuron_picture(), "run `make docs`"
    for name in lab_pictures.SHOTS:
        assert f"docs/{name}" in pages.TRACKED
        raw = (ROOT / "docs" / name).read_bytes()
        assert raw.startswith(b"\x89PNG")
        assert len(raw) < 100_000, f"{name}: a picture that the repository keeps is small"
    if build.has_wide_kernels():
        assert (ROOT / "docs" / "plan.svg").read_text(encoding="utf-8") == build.plan_picture(), "run `make docs`"
