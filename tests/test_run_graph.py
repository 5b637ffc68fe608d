"""Runs of networks of one's own, and of ONNX files: a graph beside the weights makes them usable without code or file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import pellucid as pl
from pellucid import nn
from pellucid.cli import app
from pellucid.data import ArrayDataset, Splits
from pellucid.opening import open_model
from pellucid.train import CheckpointError, fit, load_run
from pellucid.train.checkpoint import load
from pellucid.train.run_folder import GRAPH


def pictures(count: int, classes: int = 3) -> ArrayDataset:
    random = np.random.default_rng(count)
    labels = np.arange(count) % classes
    return ArrayDataset(random.integers(0, 256, (count, 3, 8, 8), np.uint8), labels, [f"c{k}" for k in range(classes)])


SPLITS = Splits(pictures(24), pictures(9), pictures(12))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.relu = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return self.relu(self.bn(self.conv(x)) + x)


class Net(nn.Module):
    """A layer used twice, one used never, names that a file's network has for itself, and what only trains."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.block, self.again = nn.Conv2d(3, 4, 3, padding=1), Block(), nn.Conv2d(4, 4, 1)
        self.unused, self.drop, self.head = nn.Linear(2, 2), nn.Dropout(0.5), nn.Linear(256, 3)
        self.scale = pl.Parameter((1,), lambda shape, _: np.ones(shape, np.float32), "float32", "scale")

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        x = self.again(self.again(self.block(self.conv1(x))))
        return self.head(self.drop(pl.reshape(x, (len(x), 256)))) * self.scale


def opened_file(path: Path) -> pl.interop.OnnxNetwork:
    pl.save_onnx(nn.models.build("mlp", num_classes=5, in_channels=3, image_size=8), path)
    net = pl.load_onnx(path)
    net.set_classes(3)
    return net


NETS: dict[str, Callable[[Path], nn.Module]] = {
    "module": lambda folder: Net(),
    "sequence": lambda folder: nn.Sequential(flat=nn.Flatten(), fc=nn.Linear(192, 3), soft=nn.Softmax()),
    "normalized": lambda folder: nn.Sequential(
        gn=nn.GroupNorm(1, 3), up=nn.ConvTranspose2d(3, 2, 3), act=nn.GELU(), flat=nn.Flatten(), fc=nn.Linear(200, 3)
    ),
    "loaded": lambda folder: opened_file(folder / "net.onnx"),
}


@pytest.mark.parametrize("name", NETS)
def test_a_run_of_ones_own_network_needs_no_code(tmp_path: Path, name: str) -> None:
    with pl.quiet():
        run = fit(NETS[name](tmp_path), SPLITS, epochs=2, out=tmp_path / "run")
    assert run.remarks == () or all("graph" not in remark for remark in run.remarks)
    for path in tmp_path.glob("*.onnx"):
        path.unlink()
    (tmp_path / "run").rename(tmp_path / "moved")
    images = SPLITS.test.images(np.arange(12))
    for which in ("best", "last"):
        again = load_run(tmp_path / "moved", which)
        given = load_run(tmp_path / "moved", which, net=run.net)
        np.testing.assert_array_equal(again.predict(images), given.predict(images))
    graph, best = ((tmp_path / "moved" / file).stat().st_size for file in (GRAPH, "best.safetensors"))
    assert graph < 4096 + best / 4
    assert open_model(tmp_path / "moved" / GRAPH).classes == ("c0", "c1", "c2")  # the run's, by its graph


def test_commands_take_a_run_of_ones_own_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for k in range(24):
        place = Path("photos") / f"c{k % 3}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(SPLITS.train.image(k).transpose(1, 2, 0)).save(place / f"{k}.png")
    with pl.quiet():
        fit(Net(), pl.load("photos"), epochs=1, out="run")

    def call(*arguments: str) -> str:
        done = CliRunner().invoke(app, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    picture = "photos/c0/0.png"
    assert "c0" in call("predict", "run", picture)
    assert json.loads(call("evaluate", "run", "--json")) == json.loads(Path("run/test.json").read_text())
    layers = call("inspect", "run")
    assert all(name in layers for name in ("conv1", "block.conv", "block.bn", "head"))
    for layer in ("conv1", "block.relu"):
        assert layer in call("attribute", "run", picture, "--method", "grad-cam", "--layer", layer)
    assert "4" in call("filters", "run", "--out", "filters.svg")
    assert "N" in call("export", "run", "out.onnx")
    with pytest.raises(CheckpointError, match=r"go on with it in Python: pl\.fit"):
        call("train", "--resume", "--out", "run")


def test_without_the_onnx_package_the_run_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, pl.quiet():
        patch.setitem(sys.modules, "onnx", None)
        run = fit(NETS["sequence"](tmp_path), SPLITS, epochs=1, out=tmp_path / "run")
    assert "keeps no graph of its network" in run.remarks[0]
    assert "pip install 'pellucid[onnx]'" in run.remarks[0]
    assert run.to_dict()["remarks"] == list(run.remarks)
    with pytest.raises(CheckpointError, match=r"a Sequential of your own, and there is no graph\.onnx"):
        load_run(tmp_path / "run")
    assert load_run(tmp_path / "run", net=run.net).remarks == run.remarks
    with pl.quiet():  # the graph comes when it can
        fit(NETS["sequence"](tmp_path), SPLITS, out=tmp_path / "run", resume=True)
    assert load_run(tmp_path / "run").remarks == ()


def test_a_network_that_onnx_cannot_say_is_trained_all_the_same(tmp_path: Path) -> None:
    class ByBatch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(192, 3)

        def forward(self, x: pl.Tensor) -> pl.Tensor:
            y = self.fc(pl.reshape(x, (len(x), 192)))
            return pl.relu(y) if len(x) == 3 else y

    with pl.quiet():
        run = fit(ByBatch(), SPLITS, epochs=1, out=tmp_path / "run")
    assert "depends on the size of the batch" in run.remarks[0]


def test_rows_of_numbers(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    inputs = random.normal(size=(40, 5)).astype(np.float32)
    net = nn.Sequential(a=nn.Linear(5, 4), relu=nn.ReLU(), b=nn.Linear(4, 1))
    with pl.quiet():
        run = fit(net, pl.data.numbers(inputs, inputs.sum(1)), epochs=1, out=tmp_path / "run")
    np.testing.assert_array_equal(load_run(tmp_path / "run").predict(inputs), run.predict(inputs))


def test_a_run_of_an_onnx_file_does_without_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes on, and is started from, after the file has moved; and a run that never stopped ends with the same bytes."""
    monkeypatch.chdir(tmp_path)
    net = nn.models.build("lenet", num_classes=5, in_channels=1, image_size=8)
    pl.save_onnx(net, "net.onnx")

    def call(*arguments: str) -> None:
        done = CliRunner().invoke(app, ("train", "--batch", "128", *arguments), catch_exceptions=False)
        assert done.exit_code == 0, done.output

    call("--model", "net.onnx", "--epochs", "1", "--out", "run")
    call("--resume", "--out", "run", "--epochs", "2")
    call("--model", "net.onnx", "--epochs", "1", "--out", "other")
    Path("net.onnx").unlink()
    call("--resume", "--out", "other", "--epochs", "2")
    one, other = (load(Path(run, "last.safetensors")).weights for run in ("run", "other"))
    assert {name: value.tobytes() for name, value in one.items()} == {n: v.tobytes() for n, v in other.items()}
    assert Path("run", GRAPH).read_bytes() == Path("other", GRAPH).read_bytes()
    assert open_model("run").net.state_dict()["fc3.weight"].shape == (10, 84)
    call("--from", "other", "--epochs", "1", "--out", "from")
    Path("other").rename("gone")
    assert open_model("from").classes == tuple(map(str, range(10)))


@pytest.mark.parametrize("damage", ["empty", "other", "huge"])
def test_a_graph_that_does_not_fit_is_an_error(tmp_path: Path, damage: str) -> None:
    onnx = pytest.importorskip("onnx")
    with pl.quiet():
        fit(NETS["sequence"](tmp_path), SPLITS, epochs=1, out=tmp_path / "run")
    graph = tmp_path / "run" / GRAPH
    proto = onnx.load(graph, load_external_data=False)
    if damage == "other":
        next(t for t in proto.graph.initializer if t.name == "fc.bias").name = "else"
        next(n for n in proto.graph.node if n.op_type == "Gemm").input[2] = "else"
    elif damage == "huge":
        next(t for t in proto.graph.initializer if t.name == "fc.weight").dims[0] = 10**12
    graph.write_bytes(b"" if damage == "empty" else proto.SerializeToString())
    words = {"empty": "not an ONNX file", "other": "parameters that the checkpoint has not: else", "huge": "no numbers"}
    with pytest.raises(pl.PellucidError, match=words[damage]):
        load_run(tmp_path / "run")
