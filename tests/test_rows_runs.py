"""Runs that learned from rows of numbers are opened, measured and asked as those that learned from pictures are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

import lab_run
import pellucid as pl
from pellucid.cli import app as commands
from pellucid.lab import Library
from pellucid.lab.app import create_app

ROWS = [[1.0, 2.0], [0.0, 0.0], [-3.0, 1.5]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of points by name, of points in a table, and of arrays in Python that no file holds."""
    folder = tmp_path_factory.mktemp("rows")
    lab_run.train(folder / "named", "circles", "Linear 4, Tanh", epochs=5, batch_size=20)
    generator = np.random.default_rng(0)
    points = generator.normal(size=(200, 2))
    lines = [f"{x},{y},{'up' if y > x else 'down'}" for x, y in points.tolist()]
    (folder / "points.csv").write_text("x,y,class\n" + "\n".join(lines))
    lab_run.train(folder / "table", str(folder / "points.csv"), "Linear 4, Tanh", batch_size=20)
    net = pl.nn.Sequential(pl.nn.Linear(2, 2))
    targets = np.where(points[:, 0] > 0, "right", "left")
    pl.fit(net, (points * 7 + 5, targets), epochs=2, out=folder / "arrays", report=False)
    np.save(folder / "rows.npy", np.array(ROWS))
    np.save(folder / "row.npy", np.array(ROWS[0]))
    return folder


def said(*words: str) -> Any:
    done = CliRunner().invoke(commands, [*words, "--json"])
    assert done.exit_code == 0, done.output + str(done.exception)
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", ["named", "table"])
def test_it_is_measured_on_its_own_rows(runs: Path, name: str) -> None:
    told = json.loads((runs / name / "test.json").read_text())
    found = said("evaluate", str(runs / name))
    assert {key: found[key] for key in told} == told
    page = runs / f"{name}.html"
    assert CliRunner().invoke(commands, ["evaluate", str(runs / name), "--out", str(page)]).exit_code == 0
    assert f"{told['accuracy']:.2%}" in page.read_text()


@pytest.mark.parametrize("name", ["named", "table", "arrays"])
@pytest.mark.parametrize(
    ("given", "rows"),
    [(["rows.npy"], ROWS), (["row.npy"], ROWS[:1]), ([json.dumps(ROWS)], ROWS), (["[1, 2]", "[[0, 0]]"], ROWS[:2])],
)
def test_it_predicts_what_python_does(runs: Path, name: str, given: list[str], rows: list[list[float]]) -> None:
    run = pl.load_run(runs / name)
    files = [str(runs / one) if one.endswith(".npy") else one for one in given]
    found = [one["predictions"] for one in said("predict", str(runs / name), *files)]
    wanted = [run.task.guesses(row, 5) for row in run.predict(np.array(rows))]
    assert [[g["class"] for g in row] for row in found] == [[g["class"] for g in row] for row in wanted]
    got, expected = ([g["probability"] for row in one for g in row] for one in (found, wanted))
    assert np.allclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize("name", ["named", "table", "arrays"])
def test_it_is_asked_of_a_row_as_its_data_has_it(runs: Path, name: str) -> None:
    run = pl.load_run(runs / name)
    (row,) = run.predict(np.array(ROWS[:1]))
    found = said("trace", str(runs / name), "[1, 2]")
    assert np.isclose(found["probability"], row.max(), rtol=1e-6)
    assert said("trace", str(runs / name), str(runs / "row.npy"))["score"] == found["score"]
    assert str(run.net.num_parameters()) in json.dumps(said("inspect", str(runs / name)))
    with TestClient(
        create_app(Library(str(runs / name)), "t"), "http://127.0.0.1", cookies={"pellucid": "t"}
    ) as client:
        begun = client.get("/api/v1/network/begin").json()
        assert begun["picture"] == "random:0"
        looked = client.get("/api/v1/network/overview", params={"model": begun["model"], "picture": "[1, 2]"}).json()
        assert looked["score"] == found["score"]


BAD = {
    "evaluate RUN --data digits": "knows the classes",
    "evaluate ARRAYS": "learned from arrays, which no file holds",
    "predict RUN": "takes no pictures but rows of numbers (2,)",
    "predict RUN photo.png": "as in [[1, 2], [3, 4]]",
    "predict RUN [[1,2,3]]": "wants inputs (N, 2), got (1, 3)",
    "trace RUN [[1,2],[3,4]]": "an example is one row of numbers",
    "trace RUN [1,2] --preprocessing unit": "takes no pictures",
    "landscape RUN": "takes no pictures",
    "inspect RUN --size 32": "the file has its own",
}


@pytest.mark.parametrize("words", BAD)
def test_what_it_cannot_be_asked_is_said(runs: Path, words: str) -> None:
    named = words.replace("RUN", str(runs / "named")).replace("ARRAYS", str(runs / "arrays"))
    done = CliRunner().invoke(commands, named.split())
    assert isinstance(done.exception, pl.PellucidError), done.output + str(done.exception)
    assert BAD[words] in str(done.exception)
