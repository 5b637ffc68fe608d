"""The same answers for a network of our own, its ONNX file and a module of PyTorch's: traces, paths, fields."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch

import pellucid as pl
from pellucid import nn

PICTURE = np.random.default_rng(0).standard_normal((1, 8, 8)).astype(np.float32)


class Twice(nn.Module):
    """A network that uses one convolution twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.again = nn.Conv2d(4, 4, 3, padding=1)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(64, 5)

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        x = self.relu(self.conv(x))
        x = self.pool(self.relu(self.again(self.relu(self.again(x)))))
        return self.fc(self.flatten(x))


class Theirs(torch.nn.Module):
    """The same in PyTorch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 4, 3, padding=1)
        self.again = torch.nn.Conv2d(4, 4, 3, padding=1)
        self.fc = torch.nn.Linear(64, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.conv(x))
        x = torch.relu(self.again(torch.relu(self.again(x))))
        return self.fc(torch.flatten(torch.nn.functional.max_pool2d(x, 2), 1))


@cache
def networks() -> dict[str, nn.Module]:
    own = Twice()
    own.initialize(2)
    theirs = Theirs().eval()
    state = {name: torch.from_numpy(p.value.copy()) for name, p in own.named_parameters().items()}
    theirs.load_state_dict(state)
    with TemporaryDirectory() as folder:
        pl.save_onnx(own, Path(folder) / "net.onnx", shape=(1, 8, 8))
        read = pl.load_onnx(Path(folder) / "net.onnx")
    return {"own": own, "onnx": read, "torch": pl.from_torch(theirs, torch.from_numpy(PICTURE[None]))}


@pytest.mark.parametrize("name", ["onnx", "torch"])
def test_traces_are_the_same(name: str) -> None:
    own, other = (pl.trace(networks()[n], PICTURE, 2) for n in ("own", name))
    assert other.score == pytest.approx(own.score, rel=1e-6)
    (entrance,) = (a for a in other.values() if a.shape == (1, 8, 8))
    np.testing.assert_allclose(entrance.gradient, own["image"].gradient, rtol=1e-4, atol=1e-7)
    assert [name for name in other if name.startswith("again")] == ["again", "again_1"]
    second, found = (trace["again_1"][1, 3, 4] for trace in (own, other))
    assert sorted(t.value for t in found.terms) == pytest.approx(
        sorted(t.value for t in second.terms), rel=1e-4, abs=1e-7
    )
    assert found.receptive_field == second.receptive_field == ((0, 7), (1, 8))


@pytest.mark.parametrize("name", ["onnx", "torch"])
def test_paths_and_fields_are_the_same(name: str) -> None:
    own, other = (pl.walk_back(pl.trace(networks()[n], PICTURE, 2), 8) for n in ("own", name))
    assert [p.contribution for p in other.paths] == pytest.approx([p.contribution for p in own.paths], rel=1e-4)
    assert [p.ends for p in other.paths] == [p.ends for p in own.paths]
    last = {n: pl.trace(networks()[n], PICTURE, 2).graph for n in ("own", name)}
    fields = [pl.receptive_field(networks()[n], PICTURE, g.names[g.outputs[0]], (2,)) for n, g in last.items()]
    assert (fields[0].rows, fields[0].columns) == (fields[1].rows, fields[1].columns) == ((0, 8), (0, 8))
    np.testing.assert_allclose(fields[1].effective, fields[0].effective, rtol=1e-4, atol=1e-7)
