"""Every question stands in one place: the command, the functions of `pl.`, the list in the documentation come from it."""

from __future__ import annotations

import importlib
import inspect
import json
import shlex
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

import pellucid as pl
from pellucid.cli import app
from pellucid.cli.asking import command_of
from pellucid.questions import Question, QuestionError, all_questions, asked_by
from pellucid.questions.kinds import Network, Show
from pellucid.questions.question import Option

DOCS = Path(__file__).parents[1] / "docs"
NEEDS = ("efficientnet-lite0", "photo.jpg", "cat.jpg", "fashion-mnist", "why-convolution")
"""What an example is about that takes published weights, a download or a minute."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the examples name: `runs/digits-lenet` and `three.png`."""
    folder = tmp_path_factory.mktemp("asking")
    data = pl.load("digits")
    net = pl.models.build("lenet", in_channels=1, num_classes=10, image_size=8)
    with pl.quiet():
        pl.fit(net, data, epochs=2, batch_size=100, out=folder / "runs" / "digits-lenet", report=False)
    three = next(sample for sample in data.test if sample.label == 3)
    Image.fromarray(np.asarray(three.image)[0]).save(folder / "three.png")
    return folder


EXAMPLES = [
    pytest.param(asked, example, id=example.removeprefix("pellucid "))
    for asked in all_questions().values()
    for example in asked.examples
    if not any(word in example for word in NEEDS)
]


@pytest.mark.parametrize(("asked", "example"), EXAMPLES)
def test_examples_run_and_are_drawn_as_declared(
    asked: Question, example: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    words = shlex.split(example)[1:]
    if asked.name == "landscape":
        words[words.index("17")] = "3"
    drawn = tmp_path / "answer.json"
    kept = [word for n, word in enumerate(words) if word not in ("--out", "--json") and words[n - 1] != "--out"]
    done = CliRunner().invoke(app, [*kept, "--json", "--out", str(drawn)])
    assert done.exit_code == 0, done.output + str(done.exception)

    def refuse(word: str) -> None:
        raise AssertionError(word)

    assert isinstance(json.loads(done.stdout, parse_constant=refuse), dict)
    assert json.loads(drawn.read_text(), parse_constant=refuse)["kind"] in asked.pictures


def test_every_question_is_asked_the_same_way_everywhere() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    groups = set()
    for name, asked in all_questions().items():
        assert asked.name == name == asked.ask.__name__.replace("_", "-")
        assert inspect.getmodule(asked.ask).__name__ == f"pellucid.questions.{asked.ask.__name__}"  # type: ignore[union-attr]
        assert asked.summary.endswith(".")
        assert asked.examples
        assert all(example.startswith(f"pellucid {name}") for example in asked.examples)
        assert (DOCS / f"{asked.page}.md").is_file()
        assert asked.functions
        groups.add(asked.group)
        options = {option for p in commands[name].params for option in p.opts}
        assert {"--json", "--out"} <= options
        for p in asked.parameters:
            assert p.option.help.endswith((".", ";")), p.name
            named = p.option.name or p.name.replace("_", "-")
            if p.option.kind != "show" and not p.option.place:
                assert f"--{named}" in options
    assert groups == {"look inside", "compare", "learn"}


def test_functions_of_questions_are_public() -> None:
    assert set(asked_by()) <= set(dir(pl))
    for name, module in asked_by().items():
        assert getattr(pl, name) is getattr(importlib.import_module(module), name)
    found = {
        name
        for module in (pl.explain, pl.studies)
        for name in module.__all__
        if inspect.isfunction(getattr(module, name))
    }
    others = {
        "activation_names", "faithfulness", "filter_normalized", "loss_names", "parse_place", "time_layers",
        *(m.function.__name__ for m in pl.explain.METHODS.values()),
    }  # fmt: skip
    assert found - others <= set(asked_by()), "declare a question that asks them"


def test_a_new_question_takes_one_declaration(folder: Path, tmp_path: Path) -> None:
    """What one file in `questions/` brings: a command with its options, read and opened arguments, output and drawing."""
    seen: list[Any] = []

    def mean(
        subject: Network,
        show: Show,
        share: Annotated[float, Option("Of what.", low=0)] = 0.5,
        kind: Annotated[str, Option("How.", choices=lambda: ["plain", "fancy"])] = "plain",
    ) -> Any:
        """The mean of it.

        Example: pellucid mean lenet
        """
        if kind == "odd":
            raise QuestionError("--kind: odd is none")
        show(pl.explain.activation_curve("relu"))
        seen.append((type(subject).__name__, subject.source, share, kind))
        return pl.explain.activation_curve("relu")

    own = typer.Typer()
    own.command("mean")(command_of(Question("mean", mean, (), ("chart",), "learn", "explain")))
    own.command("other")(lambda: None)
    runner = CliRunner()
    out = tmp_path / "mean.json"
    assert (
        runner.invoke(
            own, ["mean", str(folder / "runs" / "digits-lenet"), "--share", "0.25", "--out", str(out)]
        ).exit_code
        == 0
    )
    assert seen == [("Opened", str(folder / "runs" / "digits-lenet"), 0.25, "plain")]
    assert json.loads(out.read_text())["kind"] == "chart"
    assert runner.invoke(own, ["mean", str(folder / "runs" / "digits-lenet"), "--share", "-1"]).exit_code == 2
    told = runner.invoke(own, ["mean", str(folder / "runs" / "digits-lenet"), "--kind", "odd"])
    assert (told.exit_code, "--kind: odd is none" in told.output) == (2, True)
    help_text = runner.invoke(own, ["mean", "--help"]).output
    assert all(word in help_text for word in ("The mean of it.", "--share", "--kind", "--preprocessing", "--json"))
    assert "--show" not in help_text


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        (["trace", "1/x", "x=0", "--json"], ["formula", "1/x", "x=0", "--json"]),
        (["trace", "2+3"], ["formula", "2+3"]),
        (["trace", "x*y", "x=-1", "y=2", "--svg", "g.svg"], ["formula", "x*y", "x=-1", "y=2", "--out", "g.svg"]),
        (["trace", "lenet", "three.png"], ["trace", "lenet", "three.png"]),
        (["trace", "--help"], ["trace", "--help"]),
        (["trace"], ["trace"]),
        (["explain", "a", "b=c"], ["explain", "a", "b=c"]),
    ],
)
def test_trace_of_a_formula_is_formula(typed: list[str], command: list[str]) -> None:
    from pellucid.cli import renamed

    if command[0] == "formula":
        with pytest.warns(DeprecationWarning, match="pellucid formula"):
            assert renamed(typed) == command
    else:
        assert renamed(typed) == command


def test_paths_that_end_at_biases_are_asked_for() -> None:
    walk = typer.main.get_command(app).commands["walk-back"]  # type: ignore[attr-defined]
    (biases,) = [p for p in walk.params if p.name == "biases"]
    assert biases.default is False
    assert (biases.opts, biases.secondary_opts) == (["--biases"], ["--no-biases"])
