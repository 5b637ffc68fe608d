"""Predictions of many pictures as files: tables that no program takes for formulas, lines, pages, names from stdin."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import pellucid as pl
from pellucid.cli import app
from pellucid.data import Quantity
from pellucid.prediction_files import given_on, prediction_file

NAMES = ("=1+1.png", "-a,b.png", "@x.png", 'über "q".png', "plain.png")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of two classes, one of numbers, and pictures with names of every kind."""
    place = tmp_path_factory.mktemp("predicting")
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (24, 1, 8, 8), np.uint8)
    net = pl.nn.Sequential(flatten=pl.nn.Flatten(), fc=pl.nn.Linear(64, 2))
    data = pl.data.ArrayDataset(images, np.arange(24) % 2, ("=cat", "dog"))
    splits = pl.data.Splits(*(pl.data.Subset(data, np.arange(k, k + 8), "p") for k in (0, 8, 16)))
    settings: dict[str, Any] = {"epochs": 1, "batch_size": 4, "report": False}
    with pl.quiet():
        pl.fit(net, splits, **settings, out=place / "run")
        heights = pl.data.numbers(images, random.random((24, 2)), [Quantity("age", "years"), Quantity("-height", "m")])
        pl.fit(
            pl.nn.Sequential(flatten=pl.nn.Flatten(), fc=pl.nn.Linear(64, 2)),
            heights,
            **settings,
            out=place / "numbers",
        )
    (place / "in").mkdir()
    for number, name in enumerate(NAMES):
        Image.fromarray(images[number, 0]).save(place / "in" / name)
    for label in ("=cat", "dog"):
        (place / "held" / label).mkdir(parents=True)
        for number in range(6):
            Image.effect_noise((8, 8), 90).save(place / "held" / label / f"{number}.png")
    (place / "held" / "dog" / "bad.png").write_bytes(b"none")
    (place / "in" / "bad.png").write_bytes(b"none")
    return place


def asked(place: Path, *words: str, given: bytes = b"") -> Any:
    """What the command prints, in `place`; what goes wrong is in its `exception`."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(place)
        return CliRunner().invoke(app, ["predict", *words], input=given)


def test_a_table_is_no_program(place: Path) -> None:
    done = asked(
        place / "in",
        "../run",
        *(f"./{n}" if n.startswith("-") else n for n in NAMES),
        "bad.png",
        "--out",
        "../new/a.csv",
    )
    assert isinstance(done.exception, pl.PellucidError)
    assert "bad.png: not a readable picture" in str(done.exception)
    assert "5 pictures answered, 1 unreadable" in done.stdout
    rows = list(csv.reader(io.StringIO((place / "new" / "a.csv").read_text(encoding="utf-8"))))
    assert rows[0] == ["file", "class", "probability", "class 2", "probability 2", "error"]
    assert len(rows) == 7
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]
    assert {row[0] for row in rows[1:]} == {
        "./=1+1.png",
        "./-a,b.png",
        "./@x.png",
        'über "q".png',
        "plain.png",
        "bad.png",
    }
    assert all((place / "in" / row[0]).exists() for row in rows[1:])
    assert {row[1] for row in rows[1:-1]} <= {"'=cat", "dog"}
    assert rows[-1][1:5] == [""] * 4
    expected = pl.open_model(place / "run").predict([place / "in" / "plain.png"])[0]["predictions"]
    (plain,) = (row for row in rows if row[0] == "plain.png")
    assert [float(plain[2]), float(plain[4])] == pytest.approx([p["probability"] for p in expected], rel=1e-5)


def test_numbers_have_a_column_each(place: Path) -> None:
    done = asked(place, "numbers", "in", "--out", "n.csv", "--on-bad-image", "skip")
    assert done.exit_code == 0, done.output
    rows = list(csv.DictReader(io.StringIO((place / "n.csv").read_text())))
    assert list(rows[0]) == ["file", "age [years]", "'-height [m]", "error"]
    assert all(row["error"] or float(row["age [years]"]) for row in rows)


@pytest.mark.parametrize("run", ["run", "numbers"])
def test_lines_and_pages_have_every_picture(run: str, place: Path) -> None:
    assert asked(place, run, "in", "--out", f"{run}.jsonl").exit_code == 1
    lines = [json.loads(line) for line in (place / f"{run}.jsonl").read_text().splitlines()]
    assert [line["image"] for line in lines] == sorted(f"in/{name}" for name in (*NAMES, "bad.png"))
    assert sum("error" in line for line in lines) == 1
    assert asked(place, run, "in", "--out", f"{run}.html").exit_code == 1
    page = (place / f"{run}.html").read_text()
    assert (page.count("<figure>"), page.count('<img src="data:image/png;base64,')) == (6, 5)
    assert page.endswith("</main></html>\n")


@pytest.mark.parametrize("between", [b"\n", b"\0", b"\r\n"])
def test_names_come_on_standard_input(between: bytes, place: Path) -> None:
    given = between.join(os.fsencode(f"in/{name}") for name in NAMES) + between
    done = asked(place, "run", "-", given=given)
    assert done.exit_code == 0, done.output
    assert done.stdout.count("\n") == len(NAMES)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF"])
def test_a_picture_comes_on_standard_input(kind: str, place: Path) -> None:
    raw = io.BytesIO()
    Image.new("L", (8, 8), 90).save(raw, kind)
    done = asked(place, "run", "-", "--json", given=raw.getvalue())
    assert done.exit_code == 0, done.output
    (answer,) = json.loads(done.stdout)
    assert answer["image"] == "standard input"
    assert len(answer["predictions"]) == 2


def test_what_is_neither_is_refused() -> None:
    with pytest.raises(pl.PellucidError, match="names of files are expected"):
        list(given_on(io.BufferedReader(io.BytesIO(b"x" * 2**18))))


@pytest.mark.parametrize("ending", ["csv", "jsonl", "html"])
def test_nothing_is_lost_when_it_is_stopped(ending: str, place: Path) -> None:
    path = place / f"stopped.{ending}"
    guess = {"predictions": [{"class": "a", "probability": 0.5}]}
    with pytest.raises(KeyboardInterrupt), prediction_file(path, "t") as add:
        for number in range(3):
            add({"image": f"{number}.png", **guess}, np.zeros((3, 9, 9), np.uint8))
            assert f"{number}.png" in path.read_text()
        raise KeyboardInterrupt


def test_pictures_are_asked_for_one_batch_at_a_time(place: Path) -> None:
    taken: list[int] = []

    def many() -> Any:
        for number in range(10_000):
            taken.append(number)
            yield place / "in" / "plain.png"

    answers = pl.open_model(place / "run").predictions(many(), batch_size=8)
    assert next(answers)[0]["predictions"]
    assert len(taken) == 8


@pytest.mark.parametrize(
    "words",
    [
        ("evaluate", "run", "--data", "held"),
        ("units", "run", "--data", "held", "--layer", "fc"),
        ("embed", "run", "--data", "held", "--layer", "fc"),
        ("receptive-field", "run", "held/dog/1.png", "held/dog/bad.png", "--at", "fc"),
    ],
    ids=lambda words: words[0],
)
def test_one_bad_file_does_not_cost_the_others(
    words: tuple[str, ...], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    stopped = CliRunner().invoke(app, [*words, "--json"])
    assert "bad.png: not a readable picture" in str(stopped.exception)
    done = CliRunner().invoke(app, [*words, "--on-bad-image", "skip", "--json"])
    assert done.exit_code == 0, done.output + str(done.exception)
    assert "bad.png: not a readable picture" in done.stderr
    assert json.loads(done.stdout)
    assert CliRunner().invoke(app, [*words, "--on-bad-image", "ignore"]).exit_code == 2


def test_evaluating_a_folder_leaves_out_what_is_unreadable(place: Path) -> None:
    run = pl.load_run(place / "run")
    assert run.evaluate(place / "held", on_bad_image="skip").count == 12
    assert pl.evaluate(run.net, place / "held", on_bad_image="skip").count == 12
    with pytest.raises(pl.PellucidError, match="1 unreadable pictures"):
        run.evaluate(place / "held")
