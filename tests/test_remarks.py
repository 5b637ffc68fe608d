"""What a run says beside its numbers: what it found before the first step, how long it takes, and what its result is worth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.data import ArrayDataset, Splits
from pellucid.train import StepReport, callbacks, fit, load_run
from pellucid.train.callbacks import Progress
from pellucid.train.classification import Classification
from pellucid.train.found import Pace, duration


def part(*counts: int, seed: int = 0) -> ArrayDataset:
    """So many pictures of each class, which their brightness tells."""
    labels = np.repeat(np.arange(len(counts)), counts)
    noise = np.random.default_rng(seed).integers(0, 20, (len(labels), 1, 8, 8))
    return ArrayDataset(
        (noise + 60 * labels[:, None, None, None]).astype(np.uint8), labels, [f"c{k}" for k in range(len(counts))]
    )


def trained(splits: Splits, out: Path, **settings: object) -> pl.train.Run:
    net = nn.models.build("mlp", num_classes=len(splits.classes), in_channels=1, image_size=8)
    return fit(net, splits, out=out, **{"epochs": 1, "executor": "reference", "batch_size": 8, **settings})  # type: ignore[arg-type]


PARTS = [
    (((8, 8, 8), (2, 2, 2), (2, 2, 2)), []),
    (((8, 8, 8), (2, 2, 0), (2, 2, 2)), ["validation has no picture of c2, so that it is not measured there"]),
    (
        ((8, 8, 8), (2, 2, 2), (0, 3, 0)),
        ["the test part has no picture of c0, c2, so that they are not measured there"],
    ),
    (((8, 8, 0), (2, 2, 2), (2, 2, 2)), ["the training part has no picture of c2, so that it is never learned"]),
    (((40, 8, 4), (2, 2, 2), (2, 2, 2)), ["the classes are very unbalanced: 40 pictures of c0 to learn from, 4 of c2"]),
    (((39, 8, 4), (2, 2, 2), (2, 2, 2)), []),
]


@pytest.mark.parametrize(("counts", "words"), PARTS)
def test_what_is_said_of_the_classes(counts: tuple, words: list[str]) -> None:
    splits = Splits(*(part(*of, seed=k) for k, of in enumerate(counts)))
    said = Classification(splits.classes).remarks(splits)
    assert [line.partition(";")[0] for line in said] == words


def test_remarks_are_kept_with_the_run(tmp_path: Path) -> None:
    classes = ("c0", "c1")
    black = [ArrayDataset(np.zeros((8, 1, 8, 8), np.uint8), labels, classes) for labels in ([0, 1] * 4, [0] * 8)]
    splits = Splits(black[0], black[1], ArrayDataset(np.zeros((4, 1, 8, 8), np.uint8), [0, 0, 1, 1], classes))
    run = trained(splits, tmp_path / "run", learning_rate=1000.0)
    missing, chance = run.remarks
    assert "validation has no picture of c1" in missing
    assert "no better than that of always saying c0, 50.00%; the learning rate 1000 is far from 0.002" in chance
    assert run.to_dict()["remarks"] == json.loads((tmp_path / "run/remarks.json").read_text()) == list(run.remarks)
    assert load_run(tmp_path / "run").remarks == run.remarks
    assert "Nothing useful was learned" in (tmp_path / "run/report.html").read_text()
    (tmp_path / "run/remarks.json").write_text("[1]")
    with pytest.raises(pl.PellucidError, match=r"remarks\.json: cannot be read"):
        load_run(tmp_path / "run")


def test_a_good_run_has_none_and_one_that_went_on_says_so(tmp_path: Path) -> None:
    splits = Splits(part(24, 24, seed=1), part(6, 6, seed=2), part(8, 8, seed=3))
    with pl.quiet():
        run = trained(splits, tmp_path / "run", epochs=6)
        assert (run.test.accuracy, run.remarks) == (1.0, ())  # type: ignore[union-attr]
        assert not (tmp_path / "run/remarks.json").exists()
        longer = trained(splits, tmp_path / "run", epochs=8, resume=True)
    assert longer.remarks == (
        "the run was one of 6 epochs and went on to 8: from epoch 7 on its learning rate follows the cosine schedule of 8 epochs",
    )


def test_numbers_no_better_than_their_mean(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    inputs, noise = random.normal(size=(40, 3)).astype(np.float32), random.normal(size=40)
    net = nn.Sequential(a=nn.Linear(3, 8), b=nn.Linear(8, 1))
    with pl.quiet():
        run = fit(net, pl.data.numbers(inputs, noise), epochs=3, learning_rate=0.5, out=tmp_path / "run")
    assert run.test.r2 <= 0  # type: ignore[union-attr]
    assert "no better than always saying the mean" in run.remarks[-1]


def test_weights_that_are_installed_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.train import remarks

    class Setup:
        net, config = nn.models.build("efficientnet_lite0", num_classes=2), pl.train.TrainConfig()
        data = Splits(*[ArrayDataset(np.zeros((2, 3, 8, 8), np.uint8), [0, 1], "ab")] * 3)

    source = pl.models.published("efficientnet_lite0")
    monkeypatch.setattr(type(source), "path", lambda self: tmp_path)
    (said,) = remarks._weights_at_hand(Setup())  # type: ignore[arg-type]
    assert "--model efficientnet-lite0 --pretrained starts from these" in said
    Setup.config = pl.train.TrainConfig(pretrained=True)
    assert remarks._weights_at_hand(Setup()) == []  # type: ignore[arg-type]
    Setup.config, Setup.net = pl.train.TrainConfig(), nn.models.build("lenet", num_classes=2)
    assert remarks._weights_at_hand(Setup()) == []  # type: ignore[arg-type]


def test_what_is_there_is_told_before_the_first_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained(Splits(part(8, 9, seed=1), part(2, 3, seed=2), part(4, 4, seed=3)), tmp_path / "run", freeze="fc1")
    out, told = capsys.readouterr()
    before, _, after = told.partition("epoch   1/1")
    assert out == ""
    for words in (
        "30 pictures of 8x8, gray, 2 classes",
        "parameters, ",
        "of them trained",
        "3 steps of up to 8 examples",
    ):
        assert words in before
    rows = [line.split() for line in before.splitlines()]
    assert [row for row in rows if row and row[0] in ("c0", "c1")] == [["c0", "8", "2", "4"], ["c1", "9", "3", "4"]]
    assert ["in", "all", "17", "5", "8"] in rows
    assert after.count("\n") == 1
    with pl.quiet():
        trained(Splits(*[part(4, 4)] * 3), tmp_path / "quiet")
    assert capsys.readouterr().err == ""


def test_how_long_the_rest_takes_is_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first step, which compiles, is left out; of a resumed run what was done before too."""
    now = [0.0]
    monkeypatch.setattr("pellucid.train.found.time.monotonic", lambda: now[0])
    pace = Pace()
    for done, seconds, left in ((31, 9.0, 0.0), (32, 2.0, 136.0), (34, 1.0, 66.0)):
        now[0] += seconds
        pace.note(done, 100)
        assert pace.left == pytest.approx(left)
    progress = Progress(found="what there is\n")
    progress.on_start(0, 5)
    for step in range(8):
        now[0] += 2.0
        progress.on_step(StepReport(0, step, 20, step, 0.5, 1.0, 0.1))
    assert capsys.readouterr().err == "what there is\n\nabout 3 min 14 s to go\n"
    assert callbacks.WORTH_TELLING > 1


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"),
        (59.4, "59 s"),
        (75, "1 min 15 s"),
        (120, "2 min"),
        (3599, "59 min"),
        (3700, "1 h 1 min"),
        (86400, "24 h 0 min"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words
