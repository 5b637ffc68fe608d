"""Every code block of the documentation runs, every public name and option is documented, generated pages are current."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import pellucid as pl
from pellucid.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_code_blocks_run(page: Path, tmp_path: Path) -> None:
    blocks = re.findall(r"```(python|bash)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    if not blocks:
        pytest.skip("no code on this page")
    binaries = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    python = "\n".join(code for kind, code in blocks if kind == "python")
    commands = [["bash", "-ec", code] for kind, code in blocks if kind == "bash"] + [[sys.executable, "-c", python]]
    for command in commands:
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, f"{command[-1]}\n{done.stderr}"


@pytest.mark.parametrize("name", [n for n in pl.__all__ if not n.startswith("__")])
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
    spec = importlib.util.spec_from_file_location("docs_build", ROOT / "docs" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    if build.has_native():
        assert (ROOT / "docs" / "ops.md").read_text(encoding="utf-8") == build.op_table(), "run `make docs`"
    models_page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    assert models_page == build.with_zoo_table(models_page), "run `make docs`"
    assert "| `resnet18` | 3x224x224 | 11,689,512 | 1,814.1 M |" in models_page
    assert (ROOT / "docs" / "onnx-coverage.md").read_text(encoding="utf-8") == build.onnx_coverage(), "run `make docs`"
    assert (ROOT / "docs" / "neuron.svg").read_text(encoding="utf-8") == build.neuron_picture(), "run `make docs`"
    if build.has_wide_kernels():
        assert (ROOT / "docs" / "plan.svg").read_text(encoding="utf-8") == build.plan_picture(), "run `make docs`"
