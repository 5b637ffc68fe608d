"""Every page of the documentation runs and becomes a page of the site, every public name and option is documented, generated pages are current."""

from __future__ import annotations

import html
import re
import sys
from pathlib import Path

import pytest
import typer

import pellucid as pl
from pellucid.cli import app
from pellucid.questions import asked_by

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))
import build  # noqa: E402
from pages import Page, PageError, all_pages, run, sections  # noqa: E402
from website import address, write  # noqa: E402

TEXT = "\n".join(page.read_text(encoding="utf-8") for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")))


@pytest.mark.parametrize("page", all_pages(), ids=lambda page: page.name)
def test_page_runs_and_is_written(page: Page, tmp_path: Path) -> None:
    (folder := tmp_path / "run").mkdir()
    written = write(run(page, folder), tmp_path).read_text(encoding="utf-8")
    for source in re.findall(r'<img src="([^"]+)"', written):
        assert (tmp_path / html.unescape(source)).is_file()


def test_sections_name_every_page_once() -> None:
    shown = [page.path for page in all_pages()]
    assert sorted(shown) == sorted({*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")})


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


def test_commands_and_options_are_documented() -> None:
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
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
    if build.has_wide_kernels():
        assert (ROOT / "docs" / "plan.svg").read_text(encoding="utf-8") == build.plan_picture(), "run `make docs`"
