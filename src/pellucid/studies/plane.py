"""A network on points of a plane: which class it gives each place, before and after it has learned."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.data import Parts, Splits, Standardization, load
from pellucid.data.points import REACH
from pellucid.errors import PellucidError
from pellucid.given import argument
from pellucid.inference.prediction import Predictor, softmax
from pellucid.nn import Module
from pellucid.nn.described import Design, design
from pellucid.nn.models import build
from pellucid.op import Array
from pellucid.pictures import Answer, Chart, HeatMap, Maps, Page, Series
from pellucid.progress import long, progress
from pellucid.studies.convolution import TellEpochs
from pellucid.text import amount
from pellucid.train import fit
from pellucid.train.stopping import require_whole

NETWORK = "Linear 4, Tanh, Linear 2, Tanh"
MOST_SIDE, MOST_SHOWN, MOST_EPOCHS = 200, 1000, 500
"""Places along a side, points that are shown, and epochs."""
USUAL = 1.2 * REACH
"""Where the plane of points like those of the sets ends."""
Ends = tuple[tuple[float, float], tuple[float, float]]
"""Those of x, and of y."""
MARGIN = 0.1
"""How far the plane reaches beyond the points, as a share of their reach."""


class PlaneError(PellucidError, ValueError):
    """Data that are no points of a plane, or settings that make no sense."""


@dataclass(frozen=True)
class Plane:
    """What a network says of the places of a plane, rows from the top: the probability of each class (K, rows, columns).

    `x` and `y` are the ends of the plane, in the points' own units; places lie in the middle of their cells.
    """

    x: tuple[float, float]
    y: tuple[float, float]
    classes: tuple[str, ...]
    probabilities: Array

    @classmethod
    def of(
        cls,
        predictor: Predictor,
        preparation: Any,
        classes: tuple[str, ...],
        ends: Ends,
        side: int,
    ) -> Plane:
        """That of a network with its present weights; `preparation` makes points its input."""
        across, down = _middles(*ends[0], side), _middles(*ends[1], side)[::-1]
        places = np.stack(np.broadcast_arrays(across[None, :], down[:, None]), -1).reshape(-1, 2)
        found = softmax(predictor.logits(preparation.normalize(places)))
        return cls(*ends, classes, found.T.reshape(-1, side, side))

    @property
    def winner(self) -> Array:
        """The number of the most likely class of each place."""
        return self.probabilities.argmax(0)

    def to_dict(self) -> dict[str, Any]:
        """Plain data: of each place the most likely class and its probability; where the columns and the rows are."""
        _, rows, columns = self.probabilities.shape
        return {
            "x": list(self.x),
            "y": list(self.y),
            "rows": rows,
            "columns": columns,
            "across": _middles(*self.x, columns).round(6).tolist(),
            "down": _middles(*self.y, rows)[::-1].round(6).tolist(),
            "classes": list(self.classes),
            "winner": self.winner.tolist(),
            "probability": self.probabilities.max(0).round(6).tolist(),
        }

    def picture(self) -> HeatMap | Maps:
        """Of two classes the probability of the second, of more that of each."""
        if len(self.classes) != 2:
            return Maps("Probability of each class", self.probabilities)
        _, rows, columns = self.probabilities.shape
        x, y = _middles(*self.x, columns).tolist(), _middles(*self.y, rows).tolist()
        lean = (self.probabilities[1] - self.probabilities[0])[::-1]
        blue, red = self.classes
        note = f"Probability of {red} less that of {blue}: white is undecided."
        return HeatMap("Which class each place is given", "x", "y", lean, x, y, note, True)


@dataclass(frozen=True)
class DecisionPlane(Answer):
    """Points of a plane with their classes, a network, and the plane that it divides after `epochs` of training.

    `loss` and `accuracy` are those of the `part` of the data that is held out, the last one that there is.
    """

    data: str
    classes: tuple[str, ...]
    parts: dict[str, tuple[Array, Array]]
    """By part the points (N, 2) and the numbers of their classes (N,)."""
    design: Design
    plane: Plane
    epochs: int
    part: str
    loss: float
    accuracy: float
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; of each part at most a thousand points."""
        parts = {
            name: {
                "count": len(labels),
                "points": points[:MOST_SHOWN].round(4).tolist(),
                "targets": labels[:MOST_SHOWN].tolist(),
            }
            for name, (points, labels) in self.parts.items()
        }
        return {
            "data": self.data,
            "classes": list(self.classes),
            "parts": parts,
            "network": self.design.to_dict(),
            "plane": self.plane.to_dict(),
            "epochs": self.epochs,
            "part": self.part,
            "loss": self.loss,
            "accuracy": self.accuracy,
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        counts = ", ".join(f"{name} {len(labels)}" for name, (_, labels) in self.parts.items())
        learned = f"after {amount(self.epochs, 'epoch')}" if self.epochs else "before it has learned anything"
        head = f"{self.data} ({counts}), {self.design.network}: {self.design.parameters:,} parameters"
        return "\n".join(
            [head, f"{learned}: {self.part} loss {self.loss:.4f}, accuracy {self.accuracy:.2%}", *self.notes]
        )

    def chart(self) -> Chart:
        """The points to train on."""
        points, labels = next(iter(self.parts.values()))
        own = {name: points[labels == number] for number, name in enumerate(self.classes)}
        series = tuple(Series(name, p[:, 0].tolist(), p[:, 1].tolist(), "points") for name, p in own.items())
        return Chart("Points to train on", "x", "y", series)

    def picture(self) -> Page:
        """The plane, the points, and the network."""
        return Page(self.data, (str(self), self.plane.picture(), self.chart(), self.design.grid()))


@long
def decision_plane(
    data: str | Splits = "circles",
    network: str = NETWORK,
    epochs: int = 0,
    *,
    seed: int = 0,
    learning_rate: float = 0.03,
    batch_size: int = 10,
    optimizer: str = "adam",
    side: int = 40,
    executor: str = "auto",
) -> DecisionPlane:
    """Which class a network gives each place of a plane, after so many `epochs` of learning from points; 0 shows it untrained.

    `data` are points as `pl.load` gives them ("circles noise=0.2", "xor", "spirals", "gaussians", a CSV file with x, y and a
    class on each line), `network` a list of layers or a model by name, see `pl.design`. The plane has `side` x `side` places.
    The training is that of `pl.fit` with the same settings.

    >>> print(decision_plane("circles", epochs=0).design.parameters)
    28
    """
    epochs, side = argument(int, epochs, "epochs", PlaneError), argument(int, side, "side", PlaneError)
    if not 2 <= side <= MOST_SIDE:
        raise PlaneError(f"side: wants 2 to {MOST_SIDE} places, got {side}")
    if not 0 <= epochs <= MOST_EPOCHS:
        raise PlaneError(f"epochs: wants 0 to {MOST_EPOCHS}, got {epochs}; train for longer with pl.fit")
    splits = data if isinstance(data, Splits) else load(data)
    if tuple(splits.shape) != (2,):
        raise PlaneError(f"{splits.source or 'data'}: its examples are {splits.shape}, no points of a plane (2,)")
    made = design(network, (2,), len(splits.classes))
    net = build(network, num_classes=len(splits.classes), in_channels=2, image_size=1)
    preparation: Any = Standardization.of(splits.train)
    if epochs:
        with tempfile.TemporaryDirectory() as folder, progress("training", alone=True) as tell:
            run = fit(
                net,
                splits,
                callbacks=[TellEpochs(tell, 0, epochs)],
                out=Path(folder) / "run",
                report=False,
                epochs=epochs,
                seed=seed,
                learning_rate=learning_rate,
                batch_size=batch_size,
                optimizer=optimizer,
                executor=executor,
                watch_every=0,
            )
        require_whole(run)
        preparation = run.preprocessing
    else:
        net.initialize(seed)
    predictor = Predictor(net.eval(), executor)
    loss, accuracy = _measured(net, predictor, preparation, splits.test)
    plane = Plane.of(predictor, preparation, splits.classes, ends_of(splits), side)
    parts = {name: (_points(part), np.asarray(part.labels)) for name, part in splits.parts().items()}
    return DecisionPlane(
        splits.source or splits.train.name, splits.classes, parts, made, plane, epochs, splits.test_part, loss, accuracy,
        splits.notes,
    )  # fmt: skip


def ends_of(splits: Parts) -> Ends:
    """The ends of a square that all points lie in, with some room around them: those of x, and of y.

    Points about as far apart as those of the sets lie in the same plane as these, so that it stands still while some are added.
    """
    points = np.concatenate([_points(part) for part in splits.parts().values()])
    if 0.4 * REACH < np.abs(points).max() <= USUAL:
        return (-USUAL, USUAL), (-USUAL, USUAL)
    low, high = points.min(0), points.max(0)
    half = (0.5 + MARGIN) * max(float((high - low).max()), 1e-6)
    x, y = ((float(middle - half), float(middle + half)) for middle in (low + high) / 2)
    return x, y


def _middles(low: float, high: float, count: int) -> Array:
    """The middles of so many cells between two ends, in rising order."""
    return low + (high - low) * (np.arange(count) + 0.5) / count


def _points(part: Any) -> Array:
    return np.asarray(part.images(np.arange(len(part))), np.float64)


def _measured(net: Module, predictor: Predictor, preparation: Any, part: Any) -> tuple[float, float]:
    from pellucid.inference.prediction import mean_loss

    scores = predictor.logits(preparation.normalize(_points(part)))
    labels = np.asarray(part.labels)
    return mean_loss(scores, labels), float((scores.argmax(1) == labels).mean())
