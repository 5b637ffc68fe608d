"""A linear support vector machine for each class, which learns from the objects and from those regions of background that it takes for objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.plain import Array
from pellucid.seeds import short_seed

NORM = 20.0
"""What features are scaled to: the mean of their norms. With it and COST the machines are the authors'."""
COST = 1e-3
BIAS = 10.0
"""The feature that the bias is the weight of."""
POSITIVE = 2.0
"""How much an object counts beside a region of background."""
BACKGROUND = 0.3
"""A region that overlaps every object of a class by less is background to it."""
HARD = -1.0001
"""The score from which on background is learned from."""
EASY = -1.2
"""The score below which background is forgotten after a fit."""
ROUNDS = 20_000
"""Of a fit, at most."""
RETRAIN = 2000
"""Regions of background after which a class is fitted anew."""


class Mine:
    """What a class learns from: features of its objects (P, D), and of regions of background, each of which is there once."""

    def __init__(self, positives: Array) -> None:
        self.positives = positives
        self.added = 0
        """Regions that came since the last fit."""
        self.fitted = False
        self._features, self._keys = [positives[:0]], [np.zeros((0, 2), np.int64)]
        self._there: set[tuple[int, int]] = set()

    def __len__(self) -> int:
        return len(self._there)

    @property
    def negatives(self) -> Array:
        """Features of background (N, D)."""
        self._features = [np.concatenate(self._features)]
        return self._features[0]

    @property
    def keys(self) -> Array:
        """Which regions these are, int64 (N, 2): picture and region."""
        self._keys = [np.concatenate(self._keys)]
        return self._keys[0]

    def add(self, features: Array, keys: Array) -> int:
        """Take regions in that are not there yet; how many there were."""
        new: list[int] = []
        for place, (picture, region) in enumerate(keys.tolist()):
            if (picture, region) not in self._there:
                self._there.add((picture, region))
                new.append(place)
        self._features.append(features[new])
        self._keys.append(keys[new])
        self.added += len(new)
        return len(new)

    def forget(self, easy: Array) -> None:
        """Leave regions out."""
        self._features, self._keys = [self.negatives[~easy]], [self.keys[~easy]]
        self._there = {(picture, region) for picture, region in self.keys.tolist()}

    @property
    def is_due(self) -> bool:
        """Whether it should be fitted: there is something to separate, and it was not fitted yet or much has come since."""
        return bool(len(self.positives) and len(self)) and (not self.fitted or self.added > RETRAIN)


@dataclass
class Machines:
    """Classifiers of K classes: `weights` float64 (K, D) of features times `scale`, `biases` (K,). Untaught ones say -1, background, always."""

    weights: Array
    biases: Array
    scale: float = 1.0

    @classmethod
    def untaught(cls, classes: int, numbers: int, scale: float) -> Machines:
        """Those that nothing has been learned of."""
        return cls(np.zeros((classes, numbers)), np.full(classes, -1.0), scale)

    def scores(self, features: Array) -> Array:
        """w . f + b of regions (R, D) for each class, float64 (R, K)."""
        return features.astype(np.float64) * self.scale @ self.weights.T + self.biases

    def fit(self, label: int, mine: Mine, seed: int) -> None:
        """Learn a class anew from what it has, and let it forget what is easy."""
        examples = np.concatenate([mine.positives, mine.negatives]).astype(np.float64) * self.scale
        wanted = np.arange(len(examples)) < len(mine.positives)
        self.weights[label], self.biases[label] = separating(examples, wanted, seed)
        mine.fitted, mine.added = True, 0
        mine.forget(self.scores(mine.negatives)[:, label] < EASY)


def separating(examples: Array, wanted: Array, seed: int) -> tuple[Array, float]:
    """Weights (D,) and bias by which examples (N, D) that are `wanted`, bool (N,), score more than the others."""
    from sklearn.svm import LinearSVC

    how: dict[str, Any] = {"loss": "hinge", "dual": True, "C": COST, "intercept_scaling": BIAS}
    machine = LinearSVC(
        **how, class_weight={True: POSITIVE, False: 1.0}, random_state=short_seed(seed), max_iter=ROUNDS
    )
    machine.fit(examples, wanted)
    return np.asarray(machine.coef_)[0], np.asarray(machine.intercept_).item()


def hard(mine: Mine, scores: Array, background: Array) -> Array:
    """Which regions of a picture a class should learn from: bool (R,), of `background` those that it is not sure of, or all before its first fit."""
    return background & ((scores > HARD) | (not mine.fitted))


def scale_for(features: list[Array]) -> float:
    """What features are to be multiplied by so that the mean of their norms is `NORM`; 1 where all are 0."""
    norms = np.concatenate([np.zeros(0)] + [np.linalg.norm(one.astype(np.float64), axis=1) for one in features])
    mean = float(norms.mean()) if len(norms) else 0.0
    return NORM / mean if mean > 0 else 1.0
