"""What a run is measured on: the parts that it was trained with, the words that say so, and scores that are not numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pellucid as pl
from pellucid import nn
from pellucid.cli import training
from pellucid.data import ArrayDataset, DataError, Dataset, Splits
from pellucid.errors import PellucidError
from pellucid.explain import ScoreError
from pellucid.opening import OpeningError, open_model
from pellucid.plain import to_json
from pellucid.questions.measured import measured, parts_of
from pellucid.studies import shift_robustness
from pellucid.train import Calibration, Run, TrainError


def noise(root: Path, *parts: str, count: int = 20, start: int = 0) -> Path:
    random = np.random.default_rng(len(parts) + 10 * start)
    for part in parts or ("",):
        for label in ("cat", "dog"):
            (root / part / label).mkdir(parents=True, exist_ok=True)
            for i in range(start, start + count):
                pixels = random.integers(0, 256, (8, 8), np.uint8)
                Image.fromarray(pixels).save(root / part / label / f"{i}.png")
    return root


def fitted(splits: Splits, out: Path, **settings: object) -> Run:
    net = nn.models.build("mlp", num_classes=2, in_channels=1, image_size=8)
    settings = {"epochs": 1, "batch_size": 8, "executor": "reference", **settings}
    return pl.fit(net, splits, out=out, **settings)  # type: ignore[arg-type]


def names(dataset: Dataset) -> set[str]:
    return {dataset[i].name for i in range(len(dataset))}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on a folder that was split by seed 5 and had an unreadable picture."""
    root = noise(tmp_path_factory.mktemp("data") / "pets")
    (root / "cat" / "bad.png").write_bytes(b"none")
    return fitted(pl.load(root, channels=1, seed=5, on_bad_image="skip"), root.parent / "run")


def test_a_run_is_measured_on_the_very_pictures_that_it_did_not_learn_from(run: Run) -> None:
    splits = pl.load(run.config.data, channels=1, seed=5, on_bad_image="skip")
    found = measured(open_model(run.folder), "")
    assert (
        names(found.dataset)
        == names(splits.test)
        != names(pl.load(run.config.data, channels=1, on_bad_image="skip").test)
    )
    assert run.evaluate(found.dataset, "reference").to_dict() == {**run.test.to_dict(), "part": ""}  # type: ignore[union-attr]
    for part, pictures_of in parts_of(open_model(run.folder), "").parts().items():
        assert names(pictures_of) == names(splits.parts()[part])


def test_all_pictures_of_an_unsplit_folder_are_measured(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = noise(tmp_path / "other", start=50)
    training.evaluate(str(run.folder), str(other), executor="reference", as_json=True)
    found, error = capsys.readouterr()
    assert (json.loads(found)["part"], json.loads(found)["count"]) == ("all", 40)
    assert error == ""
    training.evaluate(str(run.folder), run.config.data, executor="reference")
    found, error = capsys.readouterr()
    assert " on 40 pictures, " in found
    assert "28 of these 40 pictures are among those that the run has learned from" in error
    assert "skipped cat/bad.png" in error
    training.evaluate(
        str(run.folder), str(noise(tmp_path / "parts", "train", "test", count=3, start=80)), executor="reference"
    )
    assert " on 6 test pictures, " in capsys.readouterr().out


def test_a_folder_that_has_grown_says_so(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    root = Path(run.config.data)
    Image.new("L", (8, 8)).save(root / "cat" / "new.png")
    try:
        found = measured(open_model(run.folder), "")
    finally:
        (root / "cat" / "new.png").unlink()
    assert len(found.dataset) == 6
    expected = "pellucid: 1 picture has come since the data was split, left out: cat/new.png\n"
    assert capsys.readouterr().err == expected


def test_what_was_left_out_from_the_start_has_not_come_since(tmp_path: Path) -> None:
    root = noise(tmp_path / "pets", "train", "extra")
    (root / "docs").mkdir()
    Image.new("L", (8, 8)).save(root / "docs" / "0.png")
    record = pl.data.SplitRecord.of(pl.load(root, channels=1))
    assert [note.partition(":")[0] for note in record.notes] == ["docs", "extra"]
    assert pl.load(root, channels=1, record=record).notes == ()


def test_a_run_that_does_not_say_how_its_data_was_split(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    record = run.folder / "data.json"
    kept = record.read_bytes()
    record.unlink()
    try:
        with pytest.raises(DataError, match=r"bad\.png"):
            measured(open_model(run.folder), "")
        assert "does not say how its data was split; it is split anew by seed 0" in capsys.readouterr().err
        record.write_bytes(b"{}")
        with pytest.raises(PellucidError, match=r"data\.json: cannot be read"):
            open_model(run.folder)
    finally:
        record.write_bytes(kept)


def test_validation_pictures_are_not_called_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is no test part, the pictures that chose the epoch are measured, and every word says so."""
    splits = pl.load(noise(tmp_path / "pets", "train", "val", count=8), channels=1)
    assert splits.test is splits.validation
    run = fitted(splits, tmp_path / "run")
    assert run.test is not None
    assert (run.test.part, run.test.count) == ("validation", 16)
    assert json.loads((run.folder / "validation.json").read_text())["part"] == "validation"
    assert not (run.folder / "test.json").exists()
    report = (run.folder / "report.html").read_text()
    assert "on 16 validation pictures" in report
    assert "The data has no test pictures: this is measured on those that also chose the epoch" in report
    assert "test pictures," not in report
    training.evaluate(str(run.folder), executor="reference")
    found, error = capsys.readouterr()
    assert " on 16 validation pictures, " in found
    assert "these are those for validation, which also chose the best epoch" in error


def test_training_again_reads_the_data_as_it_was_split(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pellucid.cli.train_options import network_and_data
    from pellucid.train.starting import Origin

    options = {"model": "mlp", "num_classes": 2, "in_channels": 1, "image_size": 8}
    _, splits = network_and_data(Origin(options), run.config, download=False, pretrained=False, record=run.data)
    assert names(splits.train) == names(pl.load(run.config.data, channels=1, seed=5, on_bad_image="skip").train)


def broken(weight: float = math.nan) -> nn.Module:
    """A network whose score of class 1 is NaN where the first pixel is bright."""
    net = nn.Sequential(flatten=nn.Flatten(), fc=nn.Linear(64, 2))
    net.initialize(0)
    values = {name: np.zeros_like(value) for name, value in net.state_dict().items()}
    values["fc.weight"][1, 0] = weight
    net.load_state_dict(values)
    return net


PREPROCESSING = pl.data.usual_preprocessing("unit", (1, 8, 8))
FEW = ArrayDataset(np.full((6, 1, 8, 8), 9, np.uint8), [0, 0, 0, 0, 1, 1], ("a", "b"))


@pytest.mark.parametrize("executor", ["reference", "auto"])
@pytest.mark.parametrize("weight", [math.nan, math.inf])
def test_scores_that_are_not_numbers_are_counted(weight: float, executor: str) -> None:
    found = pl.train.evaluate(broken(weight), FEW, PREPROCESSING, executor=executor)
    assert (found.count, found.not_numbers, found.unanswered, found.accuracy) == (6, 6, (4, 2), 0.0)
    assert not found.confusion.any()
    assert math.isnan(found.loss)
    assert math.isnan(found.calibration.error)
    assert "The scores of 6 of 6 pictures are not numbers (NaN)" in str(found)
    assert "calibration is not known" in str(found)
    plain = json.loads(to_json(found.to_dict()))
    assert (plain["not_numbers"], plain["loss"], plain["calibration"]["error"]) == (6, "NaN", None)
    assert [row["recall"] for row in found.per_class()] == [0, 0]
    from pellucid.train.report import evaluation_page

    assert "The scores of 6 of 6 pictures are not numbers" in evaluation_page(found, FEW).html()


def test_some_scores_that_are_not_numbers() -> None:
    """Infinity times 0 is NaN, and so is what softmax makes of infinity; -infinity is a probability of 0."""
    images = np.zeros((6, 1, 8, 8), np.uint8)
    images[:2, 0, 0, 0] = 255
    some = ArrayDataset(images, [0, 1, 0, 0, 1, 0], ("a", "b"))

    class Some(nn.Module):
        def forward(self, x: pl.Tensor) -> pl.Tensor:
            first = pl.reshape(x, (len(x), 64))[:, 0:1]
            return pl.concat([first * 0.0 + 1.0, pl.log(0.5 - first)], 1)

    found = pl.train.evaluate(Some(), some, PREPROCESSING, executor="reference")
    assert (found.count, found.not_numbers, found.unanswered) == (6, 2, (1, 1))
    assert found.accuracy == 0.5
    assert found.confusion.tolist() == [[3, 0], [1, 0]]
    assert [row["recall"] for row in found.per_class()] == [0.75, 0]
    assert found.calibration.count.sum() == 4
    assert [wrong["index"] for wrong in found.most_wrong] == [4]


def test_other_answers_of_such_a_network(tmp_path: Path) -> None:
    measured = shift_robustness(broken(), FEW, PREPROCESSING, (0, 1), executor="reference")
    assert measured.rows[0].not_numbers == 6
    assert measured.rows[0].accuracy == measured.rows[0].agreement == (0.0, 0.0)
    assert "the scores of 6 of 6 pictures are not numbers" in str(measured)
    json.dumps(measured.to_dict(), allow_nan=False)

    compared = pl.compare(broken(), broken(), np.ones((1, 8, 8), np.float32), executors=("reference", "reference"))
    assert compared.not_numbers == ("fc",)
    assert "1 layer gives values that are not numbers (NaN), the first is fc" in str(compared)
    with pytest.raises(ScoreError, match="not numbers"):
        pl.trace(broken(), np.ones((1, 8, 8), np.float32), executor="reference")
    traced = pl.trace(broken(), np.ones((1, 8, 8), np.float32), executor="reference", any_score=True)
    assert math.isnan(traced.score) and "not a number (NaN)" in str(traced)
    with pytest.raises(TrainError, match="numbers"):
        Calibration.of(np.array([[math.nan, 0.5]]), np.array([0]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = noise(tmp_path / "mixed", count=2)
    (root / "bad.png").write_bytes(b"none")
    for hidden in ("._0.png", ".ipynb_checkpoints/0.png", "__MACOSX/0.png", "Thumbs.db"):
        (root / hidden).parent.mkdir(exist_ok=True)
        (root / hidden).write_bytes(b"none")
    return root


@pytest.mark.parametrize("as_json", [False, True])
def test_one_bad_file_does_not_cost_the_other_answers(
    run: Run, folder: Path, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    with pytest.raises(OpeningError, match=r"^[^\n]*bad\.png: not a readable picture[^\n]*$"):
        training.predict(str(run.folder), [folder], executor="reference", as_json=as_json)
    found = capsys.readouterr().out
    training.predict(str(run.folder), [folder], executor="reference", as_json=as_json, on_bad_image="skip")
    skipped = capsys.readouterr()
    assert skipped.out == found
    assert skipped.err.startswith("pellucid: skipped ")
    if as_json:
        assert [len(answer["predictions"]) for answer in json.loads(found)] == [0, 2, 2, 2, 2]
        assert "not a readable picture" in json.loads(found)[0]["error"]
    else:
        assert len(found.splitlines()) == 4
    with pytest.raises(OpeningError, match="must be error or skip, got 'ignore'"):
        training.predict(str(run.folder), [folder], on_bad_image="ignore")


def test_predictions_that_are_not_numbers_are_named(run: Run, folder: Path) -> None:
    opened = open_model(run.folder)
    for parameter in opened.net.parameters():
        parameter.value = parameter.value * np.nan
    answers = opened.predict([folder / "cat" / "0.png"], executor="reference")
    assert answers == [
        {
            "image": str(folder / "cat/0.png"),
            "predictions": [],
            "error": f"{folder / 'cat/0.png'}: its scores are not numbers",
        }
    ]
    with pytest.raises(DataError, match=r"bad\.png"):
        opened.predict([folder / "bad.png"])


def test_parts_without_pictures_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    class Empty(ArrayDataset):
        def __init__(self) -> None:
            super().__init__(np.zeros((1, 1, 8, 8), np.uint8), [0], ("a", "b"), "nothing")
            self.labels = self.labels[:0]

    with pytest.raises(DataError, match="nothing: there is no picture in it"):
        pl.train.evaluate(broken(1.0), Empty(), PREPROCESSING)
    for parts in ((Empty(), FEW, FEW), (FEW, Empty(), FEW), (FEW, FEW, Empty())):
        with pytest.raises(TrainError, match="set nothing has no picture; every part of the data needs some"):
            fitted(Splits(*parts), tmp_path / "run", batch_size=2)
    assert not (tmp_path / "run").exists()
