"""Plans as a user sees them: `pellucid inspect --plan`, `explain_plan`, and what `pellucid doctor` says of the native executor."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import pellucid as pl
from pellucid import cli
from pellucid.executors import available_executors, choice, explain_plan
from pellucid.executors.passes import PASSES
from precisions import PRECISIONS

needs_native = pytest.mark.skipif(bool(available_executors()["native"]), reason="the native executor is not built here")
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `pellucid` with arguments: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["pellucid", *arguments])
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        shown = capsys.readouterr()
        return int(stopped.value.code or 0), shown.out, shown.err

    return run


@needs_native
def test_a_plan_is_shown_pass_by_pass_and_step_by_step(command: Command) -> None:
    code, shown, _ = command("inspect", "deck", "--plan", "--batch", "2", "--threads", "1")
    assert code == 0
    assert shown.startswith("deck: inference on 2x3x32x32, float32\n")
    for name in PASSES:
        assert f"\n{name} " in shown
    assert "3 conv2d+bias+relu: relu1_1, relu2_1, relu3_1" in shown
    assert "1 matmul+bias: fc" in shown
    steps = shown.partition("-- every run")[2]
    places = [steps.index(f"\n{name}") for name in ("relu1_1", "conv1_2", "pool1", "fc")]
    assert places == sorted(places)
    assert re.search(r"2x16x32x32 (blocked|channels_last) @", steps)
    assert "to output fc" in steps
    assert "steps a run on 1 thread:" in steps
    assert steps.endswith("through the reference kernel: nothing\n")


@needs_native
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_training_step_timed_as_plain_data(command: Command, precision: str) -> None:
    arguments = ("--train", "--profile", "--batch", "4", "--json", "--threads", "1", "--precision", precision)
    found = json.loads(command("inspect", "lenet", *arguments)[1])
    assert (found["batch"], found["training"], found["precision"]) == (4, True, precision)
    assert [p["name"] for p in found["passes"]] == list(PASSES)
    assert {s["phase"] for s in found["steps"]} >= {"compute", "update"}
    assert all(s["seconds"] > 0 for s in found["steps"])
    run = [s for s in found["steps"] if s["phase"] != "prepare"]
    assert found["seconds"] == pytest.approx(sum(s["seconds"] for s in run))
    assert found["flops"] == sum(s["flops"] for s in run)
    written = {w["place"] for s in run for w in s["writes"]}
    assert {"output loss", "parameter conv1.weight", "parameter optimizer/velocity/conv1.weight", "arena"} <= written


@needs_native
def test_the_graph_after_a_pass(command: Command) -> None:
    shown = command("inspect", "deck", "--after", "fuse")[1]
    assert "made  fc = matmul+bias(flatten, fc/transpose, fc.bias), in place of fc/matmul, fc" in shown
    assert "moved pool1 = max_pool2d(conv1_2)" in shown
    assert "conv1_1.weight   parameter_leaf" in shown
    data = json.loads(command("inspect", "deck", "--after", "fuse", "--json")[1])
    assert [p["name"] for p in data["passes"] if "graph" in p] == ["fuse"]


@needs_native
def test_a_plan_without_passes(command: Command) -> None:
    shown = command("inspect", "lenet", "--without", "fuse", "--without", "commute")[1]
    assert "\nfuse" not in shown
    assert "\ncommute" not in shown
    assert "conv2d+bias" not in shown


@needs_native
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--without", "fues"), "unknown pass 'fues' (did you mean 'fuse'?)"),
        (("--after", "fues"), "unknown pass 'fues' (did you mean 'fuse'?)"),
        (("--plan", "--precision", "float8"), "unknown precision 'float8'"),
        (("--plan", "--executor", "torch"), "only the native executor makes plans, not 'torch'"),
        (("--batch", "0"), "greater than or equal to 1"),
    ],
)
def test_bad_options(command: Command, arguments: tuple[str, ...], words: str) -> None:
    code, _, error = command("inspect", "lenet", *arguments)
    assert code == 2
    assert words in error


@needs_native
def test_reports_leave_parameters_as_they_are() -> None:
    w = pl.Parameter.of(np.ones(3, np.float32), name="w")
    x = pl.input((3,), name="x")
    report = explain_plan([(w * x).sum()], {w: w - x}, {"x": np.full(3, 0.5)})
    np.testing.assert_array_equal(w.value, [1, 1, 1])
    assert report.seconds is not None
    assert report.seconds > 0
    assert [s.phase for s in report.steps][-1] == "update"
    untimed = explain_plan([(w * x).sum()], {w: w - x})
    assert untimed.seconds is None
    assert [s.name for s in untimed.steps] == [s.name for s in report.steps]


@needs_native
def test_ops_without_a_kernel_are_named() -> None:
    report = explain_plan([pl.ops.atan(pl.input((3,)))])
    assert report.reference_kernels == ("Atan",)
    assert any(step.kind == "reference atan" for step in report.steps)
    assert str(report).endswith("through the reference kernel: Atan")


@pytest.fixture
def not_built(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """As where the native module was not built."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name.endswith("._native") else find(name, *rest)
    )
    choice._native_missing.cache_clear()
    yield monkeypatch
    choice._native_missing.cache_clear()


def test_why_there_is_no_native_executor(not_built: pytest.MonkeyPatch, tmp_path: Path, command: Command) -> None:
    note = "no C++ compiler was found; install one (Debian: g++) and install Pellucid again"
    (tmp_path / "native_missing.txt").write_text(f"{note}\n", encoding="utf-8")
    package = sys.modules["pellucid.executors"]
    not_built.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    assert available_executors()["native"] == note
    assert choice.default_executor() == "reference"
    assert json.loads(command("doctor", "--json")[1])["executors"]["native"] == note
    assert f"native         {note}\n" in command("doctor")[1]
    code, shown, error = command("inspect", "lenet", "--plan")
    assert (code, shown) == (2, "")
    assert error == f"pellucid: error: executor 'native' cannot be used here: {note}\n"
    assert command("inspect", "lenet")[0] == 0


def test_no_native_executor_and_no_note(not_built: pytest.MonkeyPatch) -> None:
    not_built.setattr(sys.modules["pellucid.executors"], "__path__", [])
    assert "it could not be compiled" in available_executors()["native"]


def test_a_native_executor_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise ImportError("libgomp.so.1: cannot open shared object file")

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(choice.importlib, "import_module", fail)
    choice._native_missing.cache_clear()
    assert "libgomp.so.1" in available_executors()["native"]
    monkeypatch.undo()
    choice._native_missing.cache_clear()


@needs_native
def test_doctor_names_what_the_native_executor_runs_on(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PELLUCID_THREADS", "3")
    line = json.loads(command("doctor", "--json")[1])["executors"]["native"]
    assert line.startswith("available: oneDNN 3.")
    assert "kernels for x86-64-v" in line
    assert line.endswith("3 threads")
