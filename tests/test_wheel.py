"""A wheel has every file of the package, and the lab of an installed one serves all of its pages' files."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
SERVE = """
import json, sys
sys.meta_path[:] = [one for one in sys.meta_path if not type(one).__module__.startswith("_editable")]
sys.path.insert(0, sys.argv[1])
import pellucid
from pellucid.lab import Library
from pellucid.lab.desk import desk
from pellucid.lab.rooms import ROOMS
assert pellucid.__file__.startswith(sys.argv[1]), pellucid.__file__
with desk(Library()) as asked:
    found = {name: len(asked.ask(f"/static/{name}").body) for name in json.loads(sys.argv[2])}
    print(json.dumps([found, {room.name: asked.ask(f"/{room.name}").status for room in ROOMS}]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel as it is built, without the engine in C++."""
    build = pytest.importorskip("scikit_build_core.build")
    folder = tmp_path_factory.mktemp("wheel")
    with contextlib.chdir(ROOT), contextlib.redirect_stdout(io.StringIO()):
        return folder / build.build_wheel(str(folder), {"wheel.cmake": "false"})


def test_a_wheel_has_every_file(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        there = {name: archive.getinfo(name).file_size for name in archive.namelist()}
    tracked = subprocess.run(["git", "ls-files", "src"], cwd=ROOT, capture_output=True, text=True, check=False)
    own = tracked.stdout.split() or [str(path.relative_to(ROOT)) for path in SOURCE.rglob("*.py")]
    for path in own:
        assert there.get(path.removeprefix("src/")) == (ROOT / path).stat().st_size, path


def test_an_installed_lab_serves_every_file(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
    folder = SOURCE / "pellucid" / "lab" / "static"
    files = {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    words = [sys.executable, "-c", SERVE, str(tmp_path), json.dumps([*files])]
    told = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    served, rooms = json.loads(told.stdout)
    assert served == files
    assert set(rooms.values()) == {200}
