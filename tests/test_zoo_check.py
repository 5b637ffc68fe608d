"""`make zoo-check`: the table over a folder of model files, with why what fails does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from onnx import helper

from onnx_models import save, small_classifier

PROGRAM = Path(__file__).parents[1] / "benchmarks" / "zoo_check.py"


def test_every_file_of_a_folder_is_looked_at_and_what_fails_is_told(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    small_classifier(models / "good.onnx")
    (models / "torn.onnx").write_bytes((models / "good.onnx").read_bytes()[:200])
    save(
        models / "strange.onnx", [helper.make_node("Unheard", ["x"], ["y"], domain="com.example")], {"x": (1, 3, 8, 8)}
    )
    command = [sys.executable, str(PROGRAM), str(models), "--json", str(tmp_path / "found.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = {Path(row["file"]).name: row["stages"] for row in json.loads((tmp_path / "found.json").read_text())}
    assert all(told["ok"] for told in found["good.onnx"].values()), found["good.onnx"]
    assert [*found["good.onnx"]] == ["open", "run", "right", "explain", "attribute", "export", "speed", "back"]
    assert [*found["strange.onnx"]] == ["open"] and "com.example.Unheard" in found["strange.onnx"]["open"]["says"]
    assert [*found["torn.onnx"]] == ["open"] and "torn.onnx" in found["torn.onnx"]["open"]["says"]
    assert "1 of 3 files pass everything" in done.stdout
    assert "strange.onnx: open: UnsupportedError" in done.stdout


def test_a_folder_without_model_files_is_refused(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, str(PROGRAM), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and f"{tmp_path}: no file here ends in .onnx" in done.stderr
