"""What happens to a network when its pictures are shifted by a few pixels: accuracy, answers, and features, measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.data import Dataset, Preprocessing, augment
from pellucid.data.image import shape_for
from pellucid.errors import PellucidError
from pellucid.executors import Program
from pellucid.graph import Graph, Tensor
from pellucid.inference.ready import Ready
from pellucid.nn import Module
from pellucid.nn.card import OfCard, preparation_for
from pellucid.op import Array
from pellucid.ops.convolution import Conv2d
from pellucid.ops.linear import Matmul
from pellucid.pictures import Answer, Chart, Grid, Page, Series
from pellucid.progress import long, progress
from pellucid.text import amount
from pellucid.walks import depending

DIRECTIONS = tuple((down, across) for down in (-1, 0, 1) for across in (-1, 0, 1) if (down, across) != (0, 0))
BATCH = 256


class ShiftError(PellucidError, ValueError):
    """Shifts, or a network, that cannot be measured."""


@dataclass(frozen=True)
class ShiftRow:
    """One network: a number for each shift, means over pictures and directions.

    `accuracy` is the share of right answers, `agreement` of answers that are the same as for the picture that is not
    shifted, `feature_change` how far the features move: |shifted - not shifted| / |not shifted|, Euclidean norms over all
    pictures. Scores that are not numbers are no answer; `not_numbers` counts the pictures that have such, shifted or not.
    """

    name: str
    accuracy: tuple[float, ...]
    agreement: tuple[float, ...]
    feature_change: tuple[float, ...]
    not_numbers: int = 0


@dataclass(frozen=True)
class ShiftRobustness(Answer):
    """How networks do on `count` pictures of `data`, shifted by so many pixels in eight directions."""

    data: str
    count: int
    shifts: tuple[int, ...]
    rows: tuple[ShiftRow, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        measures = ("accuracy", "agreement", "feature_change")
        networks = {
            r.name: {
                **{n: list(getattr(r, n)) for n in measures},
                "not_numbers": r.not_numbers,
            }
            for r in self.rows
        }
        return {"data": self.data, "count": self.count, "shifts": list(self.shifts), "networks": networks}

    def grid(self, what: str = "accuracy") -> Grid:
        """A table of "accuracy", "agreement" or "feature_change"."""
        titles = [what.replace("_", " "), *(f"{shift} px" for shift in self.shifts)]
        rows = [[r.name, *(f"{value:.1%}" for value in getattr(r, what))] for r in self.rows]
        return Grid(titles, rows, "l" + "r" * len(self.shifts))

    def __str__(self) -> str:
        tables = [str(self.grid(what)) for what in ("accuracy", "agreement", "feature_change")]
        return "\n\n".join(
            [f"{amount(self.count, 'picture')} of {self.data}, shifted in 8 directions", *self._warnings(), *tables]
        )

    def _warnings(self) -> list[str]:
        return [
            f"{r.name}: the scores of {r.not_numbers:,} of {amount(self.count, 'picture')} are not numbers (NaN); they count as no answer"
            for r in self.rows
            if r.not_numbers
        ]

    def chart(self, what: str = "accuracy") -> Chart:
        """A line for each network over the shift in pixels."""
        series = tuple(Series(r.name, self.shifts, getattr(r, what)) for r in self.rows)
        title = {
            "accuracy": "Accuracy on shifted pictures",
            "agreement": "Same answer as without the shift",
            "feature_change": "Change of what the last layer reads",
        }[what]
        note = (
            f"{amount(self.count, 'picture')} of {self.data}, means over 8 directions; what comes in repeats the edge."
        )
        return Chart(title, "shift in pixels", what.replace("_", " "), series, note, percent=True)

    def picture(self) -> Page:
        """Charts and tables of accuracy, agreement and feature change."""
        parts = [
            part for what in ("accuracy", "agreement", "feature_change") for part in (self.chart(what), self.grid(what))
        ]
        return Page(f"Shifted pictures of {self.data}", (*self._warnings(), *parts))


@long
def shift_robustness(
    nets: Module | Mapping[str, Module],
    data: Dataset,
    preprocessing: Preprocessing | OfCard = "card",
    shifts: Sequence[int] = (0, 1, 2, 3),
    *,
    executor: str = "auto",
) -> ShiftRobustness:
    """Accuracy, agreement and feature change of one network, or of several by name, on shifted pictures of `data`.

    Every picture is shifted by each of `shifts` pixels in eight directions; what comes in repeats the edge. Features are
    what the last layer with weights reads. Pictures become the input as each network's card says, unless `preprocessing`
    is given. Raises `ShiftError` for shifts that leave nothing of the pictures, and for a card that says nothing.
    """
    require_shifts(shifts, data.shape)
    named = {"network": nets} if isinstance(nets, Module) else dict(nets)
    measured: list[ShiftRow] = []
    with progress("measuring shifts") as tell:
        for number, (name, net) in enumerate(named.items()):
            probe = _Probe(net, data, preprocessing, executor)

            def told(done: int, of: int, number: int = number) -> None:
                tell(number * of + done, of * len(named))

            measured.append(probe.measure(name, shifts, told))
    return ShiftRobustness(data.name, len(data), tuple(shifts), tuple(measured))


def require_shifts(shifts: Sequence[int], shape: tuple[int, int, int]) -> None:
    """Raise `ShiftError` unless shifts leave something of pictures of `shape` (C, H, W)."""
    rows, columns = shape[1:]
    if not shifts or min(shifts) < 0 or max(shifts) >= min(rows, columns):
        raise ShiftError(
            f"shifts: whole numbers from 0 to {min(rows, columns) - 1} for pictures of {rows}x{columns}, got {list(shifts)}"
        )


class _Probe:
    """A network that gives scores and features for batches of one size."""

    def __init__(self, net: Module, data: Dataset, preprocessing: Preprocessing | OfCard, executor: str) -> None:
        known = preparation_for(net, preprocessing)
        if known is None:
            raise ShiftError("it is not known how pictures become the network's input; give preprocessing, or a card")
        self.data, self.preprocessing = data, known
        self.size = min(BATCH, len(data))
        ready = Ready(net, executor)
        asked = ready.graph((self.size, *shape_for(known, data.shape)))
        scores = asked.output
        self.images = asked.graph.image
        self.program: Program = asked.program(ready.setting, [scores, features(scores)])

    def measure(self, name: str, shifts: Sequence[int], tell: Callable[[int, int], None]) -> ShiftRow:
        """The network's numbers for each shift, going through the pictures once."""
        right, same, moved = (np.zeros(len(shifts)) for _ in range(3))
        norm, not_numbers = 0.0, 0
        for start in range(0, len(self.data), self.size):
            indices = np.arange(start, min(start + self.size, len(self.data)))
            images, labels = self.data.images(indices), self.data.labels[indices]
            answers, base = self.run(images)
            silent = answers < 0
            norm += float(np.sum(base.astype(np.float64) ** 2))
            for k, shift in enumerate(shifts):
                for down, across in DIRECTIONS if shift else DIRECTIONS[:1]:
                    got, seen = self.run(shifted(images, shift * down, shift * across)) if shift else (answers, base)
                    share = 1 / (len(DIRECTIONS) if shift else 1)
                    right[k] += share * np.sum(got == labels)
                    same[k] += share * np.sum((got == answers) & (got >= 0))
                    silent |= got < 0
                    moved[k] += share * np.sum((seen.astype(np.float64) - base) ** 2)
            not_numbers += int(silent.sum())
            tell(int(indices[-1]) + 1, len(self.data))
        count = len(self.data)
        change = np.sqrt(moved / norm) if norm else moved
        accuracy, agreement, moves = (tuple(map(float, v)) for v in (right / count, same / count, change))
        return ShiftRow(name, accuracy, agreement, moves, not_numbers)

    def run(self, images: Array) -> tuple[Array, Array]:
        """The best class (N,) of uint8 pictures (N, C, H, W), -1 for scores that are not numbers, and the features (N, ...)."""
        filled = np.concatenate([images, np.repeat(images[-1:], self.size - len(images), 0)])
        scores, seen = self.program({self.images: self.preprocessing.normalize(filled)})
        scores = scores[: len(images)]
        return np.where(np.isnan(scores).any(1), -1, scores.argmax(1)), seen[: len(images)]


def shifted(images: Array, down: int, across: int) -> Array:
    """uint8 pictures (N, C, H, W) moved by whole pixels; what comes in repeats the edge."""
    change = np.array([1, -down, -across, 1, 0], np.float32)
    return augment(images, np.tile(change, (len(images), 1)))


def features(scores: Tensor) -> Tensor:
    """What the last layer with weights reads on the way to `scores`: the value that it multiplies by them."""
    graph = Graph([scores])
    seeing = depending(graph.nodes, graph.inputs)
    for node in reversed(graph.nodes):
        if isinstance(node.op, Matmul | Conv2d) and node.inputs[0] in seeing and node.inputs[1] not in seeing:
            return node.inputs[0]
    raise ShiftError(f"{graph.names[scores]}: no layer with weights leads to it, so there are no features to compare")
