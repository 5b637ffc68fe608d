"""Small networks that are no classifier of one picture: several inputs and outputs, maps, sequences, signals, ids."""

from __future__ import annotations

import numpy as np

import pellucid as pl
from pellucid import nn
from pellucid.nn.initializers import normal
from pellucid.op import Array


class TwoAndTwo(nn.Module):
    """A picture and numbers about it -> classes' scores, and a map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.map = nn.Conv2d(4, 1, 1)
        self.about = nn.Linear(5, 4)
        self.fc = nn.Linear(4, 3)

    def forward(self, picture: pl.Tensor, about: pl.Tensor) -> dict[str, pl.Tensor]:  # type: ignore[override]
        x = pl.relu(self.conv(picture))
        return {"scores": self.fc(pl.mean(x, (2, 3)) + self.about(about)), "mask": self.map(x)}


class Segmenter(nn.Module):
    """A picture -> a score of each class for each pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(4, 2, 2, stride=2)

    def forward(self, x: pl.Tensor) -> pl.Tensor:
        return self.up(pl.relu(self.down(x)))


class Signals(nn.Module):
    """A signal (N, C, L) -> classes' scores; with `sequence` (N, L / 2, classes), as for CTC."""

    def __init__(self, sequence: bool = False) -> None:
        super().__init__()
        self.sequence = sequence
        self.conv1 = nn.Conv2d(2, 4, (5, 1), stride=(2, 1), padding=(2, 0))
        self.fc = nn.Linear(4, 3)

    def forward(self, signal: pl.Tensor) -> pl.Tensor:
        x = pl.relu(self.conv1(pl.reshape(signal, (*signal.shape, 1))))
        x = pl.transpose(pl.reshape(x, x.shape[:3]), (0, 2, 1))
        return pl.log_softmax(self.fc(x), 2) if self.sequence else self.fc(pl.mean(x, 1))


class Ids(nn.Module):
    """Numbers of words (N, T) -> classes' scores."""

    def __init__(self) -> None:
        super().__init__()
        self.table = pl.Parameter((10, 4), normal(), name="table")
        self.fc = nn.Linear(4, 3)

    def input_specs(self) -> tuple[nn.InputSpec, ...]:
        return (nn.InputSpec("ids", dtype="int64"),)

    def forward(self, ids: pl.Tensor) -> pl.Tensor:
        return self.fc(pl.mean(pl.gather(self.table, ids, 0), 1))


def example(*shape: int, seed: int = 0) -> Array:
    """Normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


IDS = np.array([[1, 9, 0, 3]])
NETWORKS: dict[str, tuple[type[nn.Module], dict[str, object], dict[str, Array]]] = {
    "two": (TwoAndTwo, {}, {"picture": example(1, 3, 8, 10), "about": example(1, 5)}),
    "segmentation": (Segmenter, {}, {"x": example(1, 3, 8, 10)}),
    "signal": (Signals, {}, {"signal": example(1, 2, 16)}),
    "ctc": (Signals, {"sequence": True}, {"signal": example(1, 2, 16)}),
    "ids": (Ids, {}, {"ids": IDS}),
}


def network(kind: str) -> nn.Module:
    """The network called so, with weights of its own."""
    made, options, _ = NETWORKS[kind]
    net = made(**options)
    net.initialize(0)
    return net.eval()


def given(kind: str) -> dict[str, Array]:
    """An example for it, by the inputs' names."""
    return NETWORKS[kind][2]
