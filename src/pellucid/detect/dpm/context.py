"""Context: a box is scored anew from its own score, where it lies, and how sure the best box of every class on the picture is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.detect.average_precision import RIGHT, UNCOUNTED, match
from pellucid.detect.detections import Detections
from pellucid.detect.errors import DetectorError
from pellucid.detect.pictures_with_boxes import Objects
from pellucid.plain import Array
from pellucid.seeds import short_seed

STEEPNESS = 1.5
"""Scores become shares by a sigmoid so steep."""
NOTHING = -1.1
"""What stands for the best score of a class of which there is no box."""
DEGREE, COST, POSITIVE = 3, 1.0, 2.0
"""Of the support vector machine: its kernel (x . y + 1)^3, what an error costs, and how much a right box counts."""


def sure(scores: Array) -> Array:
    """Scores as shares, 0 to 1."""
    return 1.0 / (1.0 + np.exp(-STEEPNESS * scores))


def context_of(boxes: Array, scores: Array, best: Array, size: tuple[int, ...]) -> Array:
    """What boxes (N, 4) of a class are scored by: their scores, sides as shares of the picture's `size` (H, W), and the `best` score (K,)
    of each class on it: float64 (N, 5 + K)."""
    height, width = size
    sides = boxes / np.array([width, height, width, height])
    return np.concatenate([sure(scores)[:, None], sides, np.tile(sure(best), (len(boxes), 1))], 1)


def best_of(found: Sequence[Array]) -> Array:
    """The best of each class's scores (K,)."""
    return np.array([each.max() if len(each) else NOTHING for each in found])


@dataclass(frozen=True)
class ContextMachine:
    """A cubic machine: `support` (S, 5 + K) with `strengths` (S,), and a `bias`. One without support says the bias, always."""

    support: Array
    strengths: Array
    bias: float

    def scores(self, seen: Array) -> Array:
        """Margins (N,) of boxes by their context (N, 5 + K)."""
        return (seen @ self.support.T + 1.0) ** DEGREE @ self.strengths + self.bias

    @classmethod
    def taught(cls, seen: Array, right: Array, seed: int) -> ContextMachine:
        """Learned of boxes (N, 5 + K) and which are right, bool (N,). Where all or none are, it says so of every box."""
        from sklearn.svm import SVC

        if right.all() or not right.any():
            return cls(np.zeros((0, seen.shape[1])), np.zeros(0), 1.0 if len(right) and right.all() else -1.0)
        how: dict[str, Any] = {"kernel": "poly", "degree": DEGREE, "gamma": 1.0, "coef0": 1.0, "C": COST}
        machine = SVC(**how, class_weight={True: POSITIVE, False: 1.0}, random_state=short_seed(seed))
        machine.fit(seen, right)
        return cls(
            np.asarray(machine.support_vectors_, np.float64),
            np.asarray(machine.dual_coef_, np.float64)[0],
            float(np.asarray(machine.intercept_).item()),
        )


def taught(
    found: Sequence[Detections], objects: Sequence[Objects], sizes: Sequence[tuple[int, int]], classes: int, seed: int
) -> list[ContextMachine]:
    """A machine for each class from what was found on pictures of `sizes` (W, H); boxes on difficult objects are left out."""
    best = [best_of([d.scores[d.labels == label] for label in range(classes)]) for d in found]
    machines: list[ContextMachine] = []
    for label in range(classes):
        matched = match(found, objects, label)
        counted = np.flatnonzero(matched.verdicts != UNCOUNTED).tolist()
        seen = [
            context_of(found[p].boxes[k : k + 1], found[p].scores[k : k + 1], best[p], sizes[p][::-1])
            for p, k in zip(matched.picture[counted].tolist(), matched.place[counted].tolist(), strict=True)
        ]
        whole = np.concatenate([np.zeros((0, 5 + classes)), *seen])
        machines.append(ContextMachine.taught(whole, matched.verdicts[counted] == RIGHT, seed))
    return machines


@dataclass(frozen=True)
class ContextSaid:
    """How a box was scored anew: its score `before`, what it was scored by, which is its share, its sides, and the best share of each
    class, and the `margin` that this gives it; a box whose place a surer one took has less than that one, whatever its margin."""

    before: float
    seen: Array
    margin: float

    def words(self, score: float) -> str:
        """In a line."""
        less = (
            ""
            if math.isclose(score, self.margin, rel_tol=1e-9, abs_tol=1e-9)
            else (f"; {score:+.3f} as it has to have less than the box that took its place by what filters say")
        )
        return (
            f"scored anew by context, {self.before:+.3f} became {self.margin:+.3f}: its own score, where it lies, and how sure the best box of "
            f"every class is{less}"
        )

    def plain(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"before": self.before, "seen": self.seen.tolist(), "margin": self.margin}


def arrays_of(machines: Sequence[ContextMachine]) -> dict[str, Array]:
    """Numbers of machines by name."""
    found: dict[str, Array] = {}
    for label, machine in enumerate(machines):
        found |= {f"context.{label}.{name}": np.asarray(value) for name, value in vars(machine).items()}
    return found


def machines_of(arrays: Mapping[str, Array], classes: int) -> tuple[ContextMachine, ...]:
    """The machines that `arrays_of` kept, none where there are none. Raises `DetectorError`."""
    if not any(name.startswith("context.") for name in arrays):
        return ()
    found: list[ContextMachine] = []
    for label in range(classes):
        try:
            support, strengths, bias = (arrays[f"context.{label}.{name}"] for name in ("support", "strengths", "bias"))
        except KeyError as error:
            raise DetectorError(f"its numbers do not fit machines of context: {error}") from error
        if support.ndim != 2 or support.shape != (len(strengths), 5 + classes) or bias.size != 1:
            raise DetectorError(
                f"its numbers do not fit machines of context: wants (N, {5 + classes}) and (N,), got {support.shape}, {strengths.shape}"
            )
        found.append(ContextMachine(support, strengths, float(bias.item())))
    return tuple(found)
