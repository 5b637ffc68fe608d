"""The loss around a network's weights: along one or two random directions, filter by filter as large as the weights."""

from __future__ import annotations

import copy
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.data import Dataset, Loader, Preparation, Preprocessing, Subset
from pellucid.data.sample import require_part
from pellucid.errors import PellucidError
from pellucid.graph import Parameter
from pellucid.inference.prediction import Predictor, mean_loss
from pellucid.nn import Module
from pellucid.nn.card import OfCard, preparation_for
from pellucid.nn.required import require_net
from pellucid.nn.score_kind import class_scores, taken_for_logits
from pellucid.op import Array
from pellucid.pictures import Answer, Chart, HeatMap, Series
from pellucid.progress import Cancelled, long, progress, shown, spoken, tell
from pellucid.renamed import old_property
from pellucid.seeds import random_numbers
from pellucid.text import amount, text_table

_COARSEST = 4
"""Steps along a side that the first grid has at least."""


WIDEST = 1e6
"""The largest span: beyond it weights in float32 would soon be no finite numbers."""


class LandscapeError(PellucidError, ValueError):
    """A landscape is asked for with settings or of a network that have none."""


@dataclass(frozen=True)
class LossLandscape(Answer):
    """Mean cross-entropy at the weights plus a times a first and b times a second direction, for `a` and `b` in `offsets`.

    `losses[i, j]` is that at a = offsets[i], b = offsets[j]; along one direction `losses[i]`. The weights themselves are
    at 0. An offset of 1 changes every filter by as much as it has.
    """

    offsets: Array
    losses: Array
    size: int
    """The points along a side that were asked for; the grid has fewer where it was stopped before."""
    seed: int
    images: int
    pictures = old_property("images")

    @property
    def center(self) -> float:
        """The loss of the network itself."""
        return float(self.losses[(len(self.offsets) // 2,) * self.losses.ndim])

    @property
    def complete(self) -> bool:
        """Whether the grid is as fine as was asked for."""
        return len(self.offsets) == self.size

    def lowest(self) -> tuple[float, tuple[float, ...]]:
        """The lowest loss on the grid, and the offsets where it is."""
        place = np.unravel_index(np.nanargmin(self.losses), self.losses.shape)
        return float(self.losses[place]), tuple(float(self.offsets[k]) for k in place)

    def curvatures(self) -> tuple[float, ...]:
        """Along each direction (L(h) - 2 L(0) + L(-h)) / h^2, h being the grid's step."""
        middle = len(self.offsets) // 2
        step = float(self.offsets[middle + 1])
        lines = [self.losses] if self.losses.ndim == 1 else [self.losses[:, middle], self.losses[middle]]
        return tuple(float((line[middle + 1] - 2 * line[middle] + line[middle - 1]) / step**2) for line in lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        lowest, place = self.lowest()
        return {
            "offsets": self.offsets.tolist(),
            "losses": self.losses.tolist(),
            "center": self.center,
            "lowest": lowest,
            "lowest_at": list(place),
            "curvatures": list(self.curvatures()),
            "pictures": self.images,
            "seed": self.seed,
            "complete": self.complete,
        }

    def __str__(self) -> str:
        lowest, place = self.lowest()
        half = len(self.offsets) // 2
        every = next(k for k in range(1, half + 1) if half % k == 0 and 2 * half // k <= 8)
        if self.losses.ndim == 1:
            rows = [[f"{a:zg}", f"{v:z.4g}"] for a, v in zip(self.offsets, self.losses, strict=True)]
            table = text_table(["a", "loss"], rows, "rr")
        else:
            shown, losses = self.offsets[::every], self.losses[::every, ::every]
            rows = [[f"{b:zg}", *(f"{v:z.3g}" for v in losses[:, k])] for k, b in enumerate(shown)]
            table = text_table(["b \\ a", *(f"{a:zg}" for a in shown)], rows[::-1], "r" * (len(shown) + 1))
        step = self.offsets[half + 1]
        bends = " and ".join(f"{c:z.4g}" for c in self.curvatures())
        unfinished = "" if self.complete else f"\nstopped before the grid of {self.size} points a side"
        return (
            f"{table}\nloss {self.center:z.4f} at the weights on {amount(self.images, 'picture')}, "
            f"lowest {lowest:z.4f} at ({', '.join(f'{p:zg}' for p in place)})\n"
            f"curvature at the weights {bends} (steps of {step:g}); directions of seed {self.seed}{unfinished}"
        )

    def picture(self) -> HeatMap | Chart:
        """The logarithms of the losses as a heat map, whose `figure()` turns in space; along one direction a line."""
        note = f"Directions of seed {self.seed}, scaled filter by filter; {amount(self.images, 'picture')}; the weights are at 0."
        offsets = self.offsets.tolist()
        if self.losses.ndim == 1:
            return Chart("Loss around the weights", "a", "loss", (Series("", offsets, self.losses.tolist()),), note)
        with np.errstate(divide="ignore"):
            heights = np.log10(self.losses).T
        return HeatMap("Loss around the weights, log10", "a", "b", heights, offsets, offsets, note)


class Survey:
    """The loss around the weights that `net` has now, ready to be measured: iterating gives finer and finer whole grids.

    `points` evaluations are still to be made and take about `seconds`, as one did that has been made at the weights. They
    are those of a copy, whose weights are moved.
    """

    def __init__(
        self,
        net: Module,
        data: Dataset,
        preprocessing: Preprocessing | OfCard | None = "card",
        *,
        size: int = 17,
        span: float = 1.0,
        directions: int = 2,
        limit: int = 1000,
        seed: int = 0,
        batch_size: int = 64,
        executor: str = "auto",
    ) -> None:
        require_part(data)
        _check(size, span, directions, limit)
        self.size, self.directions, self.seed = size, directions, seed
        net = copy.deepcopy(net)
        self.parameters = [p for p in net.named_parameters().values() if p.trainable and p.ndim > 1]
        if not self.parameters:
            raise LandscapeError("landscape: the network has no kernel or matrix to move")
        self._own = [p.value.copy() for p in self.parameters]
        self._moves = [filter_normalized(self.parameters, seed, number) for number in range(directions)]
        self.offsets = np.linspace(-span, span, size)
        self.offsets[size // 2] = 0.0
        self._batches = _pictures(data, preparation_for(net, preprocessing), limit, batch_size)
        self._labels = np.concatenate([labels for _, labels in self._batches])
        self._predictor = Predictor(net, executor)
        for images, _ in (self._batches[0], self._batches[-1]):
            scores = self._predictor.logits(images, class_scores)  # compiles it
            if scores.shape[-1] <= self._labels.max():
                raise LandscapeError(
                    f"landscape: the network gives {amount(scores.shape[-1], 'score')}, the data {data.name} has {amount(len(data.classes), 'class')}"
                )
        self._kind = taken_for_logits(self._predictor.kind(self._batches[0][0].shape))
        started = time.perf_counter()
        middle = (size // 2,) * directions
        self._known = {middle: self._loss()}
        if not np.isfinite(self._known[middle]):
            raise LandscapeError("landscape: the loss is not finite at the weights themselves")
        self.points = size**directions - 1
        self.seconds = self.points * (time.perf_counter() - started)

    def __iter__(self) -> Iterator[LossLandscape]:
        for stride in _strides(self.size):
            kept = range(0, self.size, stride)
            for point in itertools.product(kept, repeat=self.directions):
                if point not in self._known:
                    self._move(point)
                    self._known[point] = self._loss()
                    tell(len(self._known) - 1, self.points)
            losses = np.array([self._known[point] for point in itertools.product(kept, repeat=self.directions)])
            losses = losses.reshape((len(kept),) * self.directions)
            yield LossLandscape(self.offsets[::stride], losses, self.size, self.seed, len(self._labels))

    def _move(self, point: Sequence[int]) -> None:
        """Give the copy the weights at a point of the grid."""
        for number, (parameter, value) in enumerate(zip(self.parameters, self._own, strict=True)):
            changes = (self.offsets[k] * move[number] for k, move in zip(point, self._moves, strict=True))
            parameter.value = sum(changes, value)

    def _loss(self) -> float:
        scores = np.concatenate([self._predictor.logits(images, class_scores) for images, _ in self._batches])
        with np.errstate(all="ignore"):  # far from the weights scores may be infinite
            return mean_loss(scores, self._labels, self._kind.independent)


@long
def loss_landscape(
    net: Module,
    data: Dataset,
    preprocessing: Preprocessing | OfCard | None = "card",
    *,
    show: Callable[[LossLandscape], None] | None = None,
    **options: Any,
) -> LossLandscape:
    """The loss of `net` in inference on `data` along filter-normalized random directions (Li et al. 2018, section 4).

    With `preprocessing` None the data set's values are taken as they are, else as the network's card says or as given.

    `options` are those of `Survey`: `size` points a side (odd), from -`span` to `span` (at most `WIDEST`), along one or two `directions`,
    drawn from `seed`, on up to `limit` pictures, evenly spread, which are kept in memory. Biases, the parameters of norms
    and running statistics stay as they are. The grid is refined step by step; `show` is given each whole grid, and an
    interruption (Ctrl-C) after the first gives the last one. A copy's weights are moved, never those of `net`.
    """
    require_net(net)
    survey = Survey(net, data, preprocessing, **options)
    found: LossLandscape | None = None
    if shown():
        print(
            f"landscape of {amount(survey.points + 1, 'point')}: about {_duration(survey.seconds)}",
            file=spoken(),
            flush=True,
        )
    with progress("landscape"):
        try:
            for found in survey:
                if show is not None:
                    show(found)
        except (KeyboardInterrupt, Cancelled):
            if found is None:
                raise
    assert found is not None
    return found


def filter_normalized(parameters: Sequence[Parameter], seed: int, number: int = 0) -> list[Array]:
    """Direction `number` of a seed: normal numbers, scaled so that each filter has the norm of the weight's.

    A filter is what one index of the first axis holds: what makes one channel, or one row of a matrix.
    """
    random = random_numbers(seed, number)
    found: list[Array] = []
    for parameter in parameters:
        direction = random.standard_normal(parameter.shape)
        axes = tuple(range(1, parameter.ndim))
        size = np.sqrt(np.square(direction).sum(axes, keepdims=True))
        wanted = np.sqrt(np.square(parameter.value, dtype=np.float64).sum(axes, keepdims=True))
        found.append((direction * wanted / size).astype(parameter.dtype))
    return found


def _check(size: int, span: float, directions: int, limit: int) -> None:
    if size < 3 or size % 2 == 0:
        raise LandscapeError(
            f"landscape: size must be odd and at least 3, so that the weights are on the grid, got {size}"
        )
    if not 0 < span <= WIDEST:
        raise LandscapeError(f"landscape: span must be a positive number, at most {WIDEST:,.0f}, got {span:g}")
    if directions not in (1, 2):
        raise LandscapeError(f"landscape: directions must be 1 or 2, got {directions}")
    if limit < 1:
        raise LandscapeError(f"landscape: limit must be at least 1 picture, got {limit}")


def _strides(size: int) -> list[int]:
    """Strides of the grids from coarse to fine: halves of each other that leave the middle on every grid."""
    strides = [1]
    while (size // 2) % (2 * strides[-1]) == 0 and (size - 1) // (2 * strides[-1]) >= _COARSEST:
        strides.append(2 * strides[-1])
    return strides[::-1]


def _pictures(
    data: Dataset, preprocessing: Preparation | None, limit: int, batch_size: int
) -> list[tuple[Array, Array]]:
    """Batches of up to `limit` pictures, evenly spread over the data, and their labels."""
    if len(data) > limit:
        data = Subset(data, np.linspace(0, len(data) - 1, limit).astype(int), data.name)
    with closing(Loader(data, batch_size, preprocessing).epoch(0)) as batches:
        return [(batch.images, batch.labels) for batch in batches]


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
