"""`open_model` on everything it opens, and what it says of everything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pellucid as pl
from pellucid.opening import OpeningError


@pytest.fixture(scope="module")
def digits_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("opening") / "run"
    net = pl.nn.models.build("mlp", image_size=8, hidden=(8,))
    pl.fit(net, pl.load("digits"), epochs=1, out=folder)
    return folder


@pytest.mark.parametrize("file", ["", "best.safetensors", "last.safetensors"])
def test_runs_and_checkpoints(digits_run: Path, file: str) -> None:
    digits = pl.load("digits")
    opened = pl.open_model(digits_run / file)
    assert opened.shape == (1, 8, 8)
    assert opened.classes == digits.classes
    assert opened.run is not None
    assert opened.source == str(digits_run / file)
    assert opened.evaluate(digits.test).count == len(digits.test)


@pytest.mark.parametrize(
    ("name", "options", "shape", "classes"),
    [
        ("lenet", {}, (1, 28, 28), 10),
        ("resnet18", {"num_classes": 3, "in_channels": 1, "image_size": 32}, (1, 32, 32), 3),
    ],
)
def test_names(name: str, options: dict[str, int], shape: tuple[int, int, int], classes: int) -> None:
    opened = pl.open_model(name, **options)
    assert (opened.shape, opened.classes, opened.preprocessing, opened.run) == (shape, (), None, None)
    assert opened.net.eval()(pl.input((1, *shape))).shape == (1, classes)


def test_predictions_are_the_networks(digits_run: Path, tmp_path: Path) -> None:
    digits = pl.load("digits")
    for i in range(5):
        Image.fromarray(digits.test.image(i)[0]).save(tmp_path / f"{i}.png")
    opened = pl.open_model(digits_run)
    answers = opened.predict(pl.data.find_images([tmp_path]), top=3, batch_size=2)
    assert [Path(a["image"]).name for a in answers] == [f"{i}.png" for i in range(5)]
    assert opened.preprocessing is not None
    images = opened.preprocessing.normalize(digits.test.images(np.arange(5)))
    for answer, expected in zip(answers, pl.predict(opened.net, images), strict=True):
        best = np.argsort(-expected)[:3]
        assert [p["class"] for p in answer["predictions"]] == [digits.classes[k] for k in best]
        np.testing.assert_allclose([p["probability"] for p in answer["predictions"]], expected[best], rtol=1e-5)


@pytest.mark.parametrize(
    ("what", "options", "words"),
    [
        ("resnet81", {}, r"neither a run's folder, nor a file \(.*\), nor a model's name \(did you mean 'resnet18'"),
        ("run", {"num_classes": 3}, "run: num_classes can be chosen for a model's name only"),
        ("notes.txt", {}, r"notes.txt: not a file that can be opened; those end in .*\.safetensors"),
        ("none.safetensors", {}, "there is no such run"),
    ],
)
def test_errors(
    what: str, options: dict[str, int], words: str, digits_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(digits_run.parent)
    Path("notes.txt").write_text("no model")
    with pytest.raises(pl.PellucidError, match=words):
        pl.open_model(what, **options)


def test_folders_are_the_pictures_in_and_below_them(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "below/c.gif", "notes.txt", "empty/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = pl.data.find_images([tmp_path / "b.png", tmp_path, "elsewhere.png"])
    assert found == [
        tmp_path / "b.png",
        *(tmp_path / n for n in ("a.JPG", "b.png", "below/c.gif")),
        Path("elsewhere.png"),
    ]
    with pytest.raises(pl.data.DataError, match="empty: no picture"):
        pl.data.find_images([tmp_path / "empty"])


def test_what_has_not_learned_answers_nothing(tmp_path: Path) -> None:
    with pytest.raises(OpeningError, match="lenet: it is not known how pictures become its input"):
        pl.open_model("lenet").predict([tmp_path / "x.png"])


def test_data_of_other_classes_is_refused(digits_run: Path) -> None:
    letters = pl.data.ArrayDataset(np.zeros((2, 1, 8, 8), np.uint8), [0, 1], list("ab"), "letters")
    with pytest.raises(pl.data.DataError, match=r"knows the classes 0, 1, .* and 2 more, the data letters has a, b"):
        pl.open_model(digits_run).evaluate(letters)


@pytest.mark.parametrize("name", pl.nn.models.names())
def test_the_head_is_what_depends_on_the_classes(name: str) -> None:
    a, b = (pl.nn.models.build(name, num_classes=n) for n in (3, 4))
    shapes = {path: p.shape for path, p in a.named_parameters().items()}
    differ = {path for path, p in b.named_parameters().items() if p.shape != shapes[path]}
    head = pl.nn.models.head(name)
    assert differ == {f"{head}.weight", f"{head}.bias"}


def test_an_exported_run_knows_what_it_knew(digits_run: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    digits, run = pl.load("digits"), pl.open_model(digits_run)
    pl.save_onnx(run, tmp_path / "run.onnx")
    again = pl.open_model(tmp_path / "run.onnx")
    assert (again.shape, again.classes, again.preprocessing) == (run.shape, run.classes, run.preprocessing)
    assert again.evaluate(digits.test).accuracy == run.evaluate(digits.test).accuracy


@pytest.mark.parametrize(
    "said", ["[", "[1e999999999]", '{"mean": 1}', '{"image_size": [8, 8], "mean": [], "x": 1, "std": []}']
)
def test_metadata_that_make_no_sense(said: str, digits_run: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    pl.save_onnx(pl.open_model(digits_run), tmp_path / "run.onnx")
    proto = onnx.load(tmp_path / "run.onnx")
    next(entry for entry in proto.metadata_props if entry.key == "preprocessing").value = said
    onnx.save(proto, tmp_path / "run.onnx")
    with pytest.raises(OpeningError, match=r"run.onnx.*metadata"):
        pl.open_model(tmp_path / "run.onnx")


def test_a_picture_is_read_once_for_the_network_and_for_the_eye(digits_run: Path, tmp_path: Path) -> None:
    Image.fromarray(pl.load("digits").test.image(0)[0]).save(tmp_path / "a.png")
    opened = pl.open_model(digits_run)
    read = opened.input(tmp_path / "a.png")
    assert opened.preprocessing is not None
    np.testing.assert_array_equal(read.pixels, opened.read(tmp_path / "a.png"))
    np.testing.assert_array_equal(read.values, opened.preprocessing.normalize(read.pixels))
    assert (read.pixels.dtype, read.values.dtype, read.source) == (np.uint8, np.float32, str(tmp_path / "a.png"))
    with pytest.raises(OpeningError, match="lenet: it is not known how pictures become its input"):
        pl.open_model("lenet").input(tmp_path / "a.png")
    with pytest.raises(pl.data.DataError, match=r"none\.png"):
        opened.input(str(tmp_path / "none.png"))


def test_preprocessing_for_what_does_not_say(digits_run: Path, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), (255, 0, 128)).save(tmp_path / "a.png")
    opened = pl.open_model("resnet18", image_size=32, num_classes=4, preprocessing="symmetric")
    assert opened.preprocessing is not None
    picture = opened.input(tmp_path / "a.png").values
    np.testing.assert_allclose(picture[:, 0, 0], [1, -1, 128 / 127.5 - 1], atol=1e-6)
    assert len(opened.predict([tmp_path / "a.png"])[0]["predictions"]) == 4
    with pytest.raises(OpeningError, match="cannot be chosen"):
        pl.open_model(digits_run, preprocessing="unit")
    with pytest.raises(pl.data.DataError, match="unit, symmetric, imagenet"):
        pl.open_model("resnet18", preprocessing="imagnet")
    with pytest.raises(pl.data.DataError, match="3 channels, the network takes 1"):
        pl.open_model("lenet", preprocessing="imagenet")


@pytest.mark.parametrize("freeze", ["", "backbone"])
def test_an_onnx_file_is_trained_on_other_classes(freeze: str, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    file, folder, digits = tmp_path / "lenet.onnx", tmp_path / "run", pl.load("digits")
    pl.save_onnx(pl.models.build("lenet", image_size=8, in_channels=1, num_classes=7), file)
    before = pl.load_onnx(file)
    net = pl.models.build(str(file), image_size=8, in_channels=1, num_classes=10)
    run = pl.fit(net, digits, epochs=1, freeze=freeze, out=folder, report=False)
    assert run.test is not None
    again = pl.open_model(folder)
    assert again.evaluate(digits.test).accuracy == run.test.accuracy
    kept = {n for n, p in again.net.named_parameters().items() if p.shape == before.named_parameters()[n].shape}
    same = {
        n for n in kept if np.array_equal(again.net.named_parameters()[n].value, before.named_parameters()[n].value)
    }
    assert set(again.net.named_parameters()) - kept == {"fc3.weight", "fc3.bias"}
    assert same == (kept if freeze else set())


def test_what_an_onnx_file_cannot_be_made(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    x = pl.input((1, 3, 8, 8), name="images")
    pl.save_onnx(pl.Graph([pl.mean(x, (2, 3))]), tmp_path / "mean.onnx")
    sizes = {"image_size": 8, "in_channels": 3}
    with pytest.raises(pl.PellucidError, match="no layer with a weight"):
        pl.models.build(str(tmp_path / "mean.onnx"), num_classes=5, **sizes)
    with pytest.raises(pl.PellucidError, match="8 cannot be made 9"):
        pl.models.build(str(tmp_path / "mean.onnx"), num_classes=5, image_size=9, in_channels=3)
    with pytest.raises(pl.PellucidError, match="has its own weights"):
        pl.models.build(str(tmp_path / "mean.onnx"), pretrained=True)
    assert onnx.load(tmp_path / "mean.onnx").graph.input[0].name == "images"
