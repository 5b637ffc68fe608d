"""Tables of layers: every number counted once, twice-used layers and imported networks included, times that add up."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

import pellucid as pl
from pellucid import nn
from pellucid.executors import available_executors
from pellucid.graph import Parameter
from pellucid.nn.summary import WIDEST, Summary
from precisions import PRECISIONS

EXECUTORS = [name for name, reason in available_executors().items() if not reason]
ZOO = ("lenet", "deck", "resnet18", "googlenet", "efficientnet_lite0", "densenet121")


class Twice(nn.Module):
    """A convolution and its norm used twice, a residual sum, and a head; a frozen stem that nothing is learned before."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(2)
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.bn = nn.BatchNorm2d(4)
        self.relu = nn.ReLU()
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(4 * 16, 3)

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        x = self.pool(x)
        x = x + self.bn(self.conv(self.relu(self.bn(self.conv(x)))))
        return self.fc(self.flatten(x))


def test_every_number_of_a_small_network() -> None:
    summary = Twice().summary((4, 8, 8), batch=2)
    map_bytes, weights, channels = 4 * 2 * 4 * 16, 4 * (4 * 4 * 9 + 4), 4 * 4
    conv, bn = 2 * 64 * 36, 10 * 128
    rows = {r.name: (r.parameters, r.multiply_adds, r.activation_bytes, r.gradient_bytes) for r in summary.rows}
    assert rows == {
        "pool": (0, 0, map_bytes, 0),  # no parameter has a part in it
        "conv": (148, conv, map_bytes, map_bytes + weights),
        "bn": (8, 0, map_bytes, map_bytes + 2 * channels),
        "relu": (0, 0, map_bytes, map_bytes),
        "conv_1": (0, conv, map_bytes, map_bytes),  # its weights count once
        "bn_1": (0, 0, map_bytes, map_bytes),
        "add": (0, 0, map_bytes, map_bytes),
        "flatten": (0, 0, map_bytes, map_bytes),
        "fc": (195, 2 * 64 * 3, 24, 24 + 4 * 195),
    }
    flops = {r.name: r.flops for r in summary.rows}
    assert flops["conv"] == flops["conv_1"] == 2 * conv + 128  # and the bias
    assert flops["bn"] == flops["bn_1"] < bn
    moved = {r.name: r.bytes_moved for r in summary.rows}
    assert moved["conv"] == moved["conv_1"] == 2 * map_bytes + weights
    assert moved["add"] == 3 * map_bytes
    assert next(r for r in summary.rows if r.name == "add").intensity == pytest.approx(128 / (3 * map_bytes))
    assert summary.total_parameters == sum(r.parameters for r in summary.rows)
    assert {r.name: r.kind for r in summary.rows}["conv_1"] == "Conv2d"


COUNTS = {
    "a picture of 10x10, three layers of 200": (10, (200, 200, 200), 10, 102_610),
    "a picture of 100x100, one layer of 20,000": (100, (20_000,), 0, 200_020_000),
}


@pytest.mark.parametrize("what", COUNTS)
def test_the_lectures_counts_without_memory_for_them(what: str) -> None:
    """Slides 42 and 43: about 100 thousand parameters, and about 200 million."""
    size, widths, classes, parameters = COUNTS[what]
    tracemalloc.start()
    layers: dict[str, nn.Module] = {"flatten": nn.Flatten()}
    inputs = size * size
    for number, width in enumerate((*widths, *([classes] if classes else [])), 1):
        layers[f"fc{number}"] = nn.Linear(inputs, width)
        inputs = width
    summary = nn.Sequential(**layers).summary((1, size, size))
    text = str(summary)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert summary.total_parameters == parameters
    assert f"{parameters:,}" in text
    biases = sum((*widths, classes))
    assert summary.total_multiply_adds == parameters - biases
    assert summary.total_flops == 2 * (parameters - biases) + biases
    assert summary.total_gradient_bytes == 4 * (parameters + biases)
    assert peak < 1e6


@pytest.mark.parametrize("name", ZOO)
def test_tables_fit_and_add_up(name: str) -> None:
    net = nn.models.build(name)
    config = net.config()
    summary = net.summary((config["in_channels"], config["image_size"], config["image_size"]))
    assert max(map(len, str(summary).splitlines())) <= WIDEST
    assert sum(r.parameters for r in summary.rows) == summary.total_parameters == net.num_parameters()
    graph = net.eval().graph((1, *summary.input_shape))
    assert summary.total_flops <= sum(n.op.cost(n).flops for n in graph.nodes if n.inputs)
    assert json.loads(json.dumps(summary.to_dict()))["total_multiply_adds"] == summary.total_multiply_adds
    assert summary._repr_html_().count("<tr>") == len(summary.rows) + 2
    assert all(isinstance(p, Parameter) and p.version == 0 for p in net.named_parameters().values())


def test_an_imported_network_has_the_same_table(tmp_path: Path) -> None:
    net = Twice()
    net.initialize(1)
    pl.save_onnx(net, tmp_path / "twice.onnx", shape=(4, 8, 8))
    ours, theirs = (n.summary((4, 8, 8)) for n in (net, pl.load_onnx(tmp_path / "twice.onnx")))
    for facts in ("multiply_adds", "activation_bytes", "gradient_bytes", "bytes_moved", "receptive_field"):
        assert [getattr(r, facts) for r in theirs.rows] == [getattr(r, facts) for r in ours.rows], facts
    assert theirs.total_parameters == ours.total_parameters


def _adds_up(summary: Summary) -> None:
    names = {row.name for row in summary.rows}
    for row in summary.rows:
        assert (row.seconds is None) == bool(row.timed_with)
        assert row.timed_with in (names | {""}) - {row.name}
    assert summary.total_seconds == sum(row.seconds or 0 for row in summary.rows) > 0
    assert summary.run_seconds
    assert sum(summary.flops_timed_in(r) for r in summary.rows if not r.timed_with) == summary.total_flops
    assert max(map(len, str(summary).splitlines())) <= WIDEST


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_times_of_layers(executor: str, precision: str) -> None:
    if precision == "bfloat16" and executor != "native":
        pytest.skip("only the native executor computes in bfloat16")
    net = Twice()
    net.initialize(1)
    counted, summary = net.summary((4, 8, 8)), pl.time_layers(net, (4, 8, 8), executor=executor, precision=precision)
    _adds_up(summary)
    assert [(r.name, r.flops) for r in summary.rows] == [(r.name, r.flops) for r in counted.rows]
    assert summary.measured.startswith(f"on {executor}, {precision}")
    assert summary.picture().parts[-2:] == net.summary((4, 8, 8)).picture().parts[-2:]


@pytest.mark.skipif("native" not in EXECUTORS, reason="the native executor is not built here")
def test_steps_are_given_to_the_layer_with_most_of_the_work() -> None:
    net = Twice()
    net.initialize(1)
    times = {r.name: r.timed_with for r in pl.time_layers(net, (4, 8, 8), executor="native").rows}
    assert {n: w for n, w in times.items() if n in ("conv", "bn", "relu")} == {"conv": "", "bn": "conv", "relu": "conv"}
    assert times["bn_1"] == times["add"] == "conv_1"
    assert times["conv_1"] == times["fc"] == ""


@pytest.mark.skipif("native" not in EXECUTORS, reason="the native executor is not built here")
@pytest.mark.parametrize("name", ["googlenet", "efficientnet_lite0"])
def test_every_step_belongs_to_a_layer(name: str) -> None:
    net = nn.models.build(name, image_size=32, num_classes=5)
    net.initialize(1)
    _adds_up(pl.time_layers(net, (3, 32, 32), executor="native"))


def test_the_command(tmp_path: Path) -> None:
    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        call = [sys.executable, "-m", "pellucid", "inspect", *arguments]
        return subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    shown = command("lenet", "--time", "--out", "lenet.html").stdout
    assert "GFLOP/s" in shown
    assert "a whole run takes" in shown
    assert "<table>" in (tmp_path / "lenet.html").read_text(encoding="utf-8")
    plain = json.loads(command("lenet", "--time", "--batch", "2", "--executor", "reference", "--json").stdout)
    assert plain["total_seconds"] == pytest.approx(sum(layer["seconds"] for layer in plain["layers"]))
    assert plain["measured"] == "on reference, float32"
    assert json.loads(command("lenet", "--json").stdout)["total_seconds"] is None
    wrong = command("lenet", "--time", "--plan")
    assert wrong.returncode == 2
    assert "--profile times its steps" in wrong.stderr.replace("\n", " ")
    assert np.isfinite(plain["run_seconds"])
