"""A round of the latent support vector machine: objects are found anew, background that is taken for objects is gathered, weights are fitted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pellucid.detect.dpm.mixture import MirroredPair, by_component, described, model_of
from pellucid.detect.dpm.objective import LatentObjective, Penalized
from pellucid.detect.dpm.pyramid import Level
from pellucid.detect.dpm.scanning import Placed, Windows
from pellucid.detect.dpm.searching import INTERVAL, INTERVAL_OF_BACKGROUND, Around, Background, on_object
from pellucid.plain import Array

HARD = -1.002
"""The score from which on background is learned from."""
ENOUGH = 1.05
"""Mining ends with a last fit where what was found anew makes the objective larger by less."""
COST, OBJECTS = 0.001, 350
"""The authors' cost of an example on the wrong side, and objects that VOC's classes have, for which it is meant."""
FEWEST = 16
"""Windows of a picture that are gathered, at most, where memory is short."""


class Speaks(Protocol):
    """What something beside filters, such as segments, adds to the scores of windows."""

    def __call__(self, placed: Placed, scores: Array) -> Array:
        """That at all places of a level, of a component, of which filters give the scores."""
        ...

    def of(self, windows: Windows) -> tuple[Array, Array]:
        """The numbers that it is made of, (N, F), and which of several things each window has chosen, (N,)."""
        ...


Speak = Callable[[Sequence[MirroredPair], int, Array], Speaks]
"""What speaks by the weights of pairs on a picture, by its number, of which a part is looked at that begins at a corner (x, y)."""


class Ways:
    """Examples and the ways in which each is seen: rows of `features` of the pair that has the way, which belong to `owners`."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._features = [[np.zeros((0, size), np.float32)] for size in sizes]
        self._owners = [[np.zeros(0, np.int64)] for _ in sizes]
        self.bytes = 0
        """Memory that features take."""
        self.count = 0
        """Examples."""
        self._there: set[tuple[int, ...]] = set()
        self._numbers: dict[tuple[int, ...], int] = {}

    @classmethod
    def none(cls, pairs: Sequence[MirroredPair]) -> Ways:
        """No example yet."""
        return cls([len(pair.vector) for pair in pairs])

    @property
    def features(self) -> list[Array]:
        """Of each pair, float32 (N, weights)."""
        self._features = [[np.concatenate(parts)] if len(parts) > 1 else parts for parts in self._features]
        return [part for (part,) in self._features]

    @property
    def owners(self) -> list[Array]:
        """Which examples these rows belong to, int64 (N,) of each pair."""
        return [np.concatenate(parts) for parts in self._owners]

    def take(self, features: Array) -> None:
        """Examples of the first pair that are seen in one way each."""
        self._features[0].append(features)
        self._owners[0].append(np.arange(self.count, self.count + len(features)))
        self.count, self.bytes = self.count + len(features), self.bytes + features.nbytes

    def add(
        self,
        pairs: Sequence[MirroredPair],
        key: int,
        windows: Windows,
        levels: dict[int, Level],
        interval: int,
        speaks: Speaks | None = None,
    ) -> None:
        """Take windows of a picture (`key`) in that are not there yet; those at one place of a level are one example."""
        said, which_said = (None, np.zeros(len(windows), np.int64)) if speaks is None else speaks.of(windows)
        for component, number, rows in by_component(windows):
            new: list[int] = []
            owners: list[int] = []
            for row in rows.tolist():
                places = windows.places[row].ravel().tolist()
                whole = (key, number, component, *places, int(which_said[row]))
                if whole not in self._there:
                    self._there.add(whole)
                    owners.append(self._numbers.setdefault((key, number, *places[:2]), self.count))
                    self.count = len(self._numbers)
                    new.append(row)
            if new:
                which, flipped = divmod(component, 2)
                finer = levels.get(number - interval)
                own = None if said is None else said[new]
                seen = described(pairs[which], bool(flipped), windows.places[new], levels[number], finer, own)
                self._features[which].append(seen)
                self._owners[which].append(np.array(owners, np.int64))
                self.bytes += seen.nbytes

    def forget(self, scores: Array, room: float) -> None:
        """Leave out examples that have a margin (a score below -1), those with the largest first, until `room` bytes are taken."""
        order = np.argsort(scores, kind="stable")
        easy = order[scores[order] < -1.0]
        each = np.zeros(self.count)
        features, owners = self.features, self.owners
        for seen, own in zip(features, owners, strict=True):
            np.add.at(each, own, seen.shape[1] * seen.itemsize)
        stays = np.ones(self.count, bool)
        if self.bytes > room:
            stays[easy[: int(np.searchsorted(np.cumsum(each[easy]), self.bytes - room)) + 1]] = False
        renumbered = np.cumsum(stays) - 1
        self._features = [[seen[stays[own]]] for seen, own in zip(features, owners, strict=True)]
        self._owners = [[renumbered[own[stays[own]]]] for own in owners]
        self._numbers = {key: int(renumbered[n]) for key, n in self._numbers.items() if stays[n]}
        self._there = {whole for whole in self._there if (*whole[:2], *whole[3:5]) in self._numbers}
        self.count, self.bytes = len(self._numbers), sum(parts[0].nbytes for parts in self._features)


@dataclass(frozen=True)
class Fitted:
    """Pairs after a round, what the objective on the same examples was before and is now, and how many examples there were."""

    pairs: list[MirroredPair]
    before: float
    after: float
    positives: int
    negatives: int

    def plain(self) -> dict[str, float]:
        """For a table of rounds."""
        return {
            "positives": float(self.positives),
            "negatives": float(self.negatives),
            "objective_before": self.before,
            "objective": self.after,
        }


def penalized(pairs: Sequence[MirroredPair]) -> Penalized:
    """The weights of pairs together."""
    bounds = [bound for pair in pairs for bound in pair.bounds]
    return Penalized(
        tuple(len(pair.vector) for pair in pairs), np.concatenate([pair.penalties for pair in pairs]), bounds
    )


def cost_of(cost: float, objects: int) -> float:
    """What an example on the wrong side costs: what is said, or, where that is 0, `COST`; of fewer than `OBJECTS` as much more, so that
    weights do not cost more than all objects of a class together."""
    return cost or COST * max(1.0, OBJECTS / max(1, objects))


def objective_of(
    pairs: Sequence[MirroredPair], objects: Ways, background: Ways, cost: float, twice: bool = True
) -> LatentObjective:
    """Of objects, which count twice for their mirror images, and background."""
    signs = np.repeat([1.0, -1.0], [objects.count, background.count])
    counts = np.where((signs > 0) & twice, 2.0, 1.0)
    features = [np.concatenate(both) for both in zip(objects.features, background.features, strict=True)]
    owners = [
        np.concatenate([ours, theirs + objects.count])
        for ours, theirs in zip(objects.owners, background.owners, strict=True)
    ]
    return LatentObjective(penalized(pairs), features, owners, signs, counts, cost_of(cost, objects.count))


def weights_of(pairs: Sequence[MirroredPair]) -> Array:
    """Of all pairs as one vector."""
    return np.concatenate([pair.vector for pair in pairs])


def with_weights(pairs: Sequence[MirroredPair], weights: Array) -> list[MirroredPair]:
    """Pairs with other weights."""
    return [pair.with_vector(part) for pair, part in zip(pairs, penalized(pairs).split(weights), strict=True)]


def found_objects(
    pairs: Sequence[MirroredPair],
    objects: Sequence[Callable[[], Around]],
    tell: Callable[[], None],
    pictures: Sequence[int] = (),
    speak: Speak | None = None,
) -> Ways:
    """The best window on each object, of those that share enough with it, and what speaks most for it; an object without one is left out.

    What speaks is of its picture, whose number is among `pictures`.
    """
    model, found = model_of("", pairs, INTERVAL), Ways.none(pairs)
    for number, object_ in enumerate(objects):
        there = object_()
        speaks = None if speak is None else speak(pairs, pictures[number], -there.edges[:2])
        windows = on_object(model, there, adds=speaks)
        if len(windows):
            best = int(windows.scores.argmax())
            one = Windows(*(part[best : best + 1] for part in vars(windows).values()))
            found.add(pairs, number, one, there.levels, INTERVAL, speaks)
        tell()
    return found


def learn(
    pairs: list[MirroredPair],
    objects: Ways,
    background: Background,
    pictures: Sequence[int],
    rounds: int,
    room: int,
    cost: float,
    tell: Callable[[], None],
    speak: Speak | None = None,
) -> Fitted:
    """Weights from objects as they were found, and from the background of `pictures` that is taken for objects, gathered `rounds` times
    (fewer where little comes of it) in `room` bytes."""
    first, weights = weights_of(pairs), weights_of(pairs)
    ways, objective = Ways.none(pairs), objective_of(pairs, objects, Ways.none(pairs), cost)
    at = 0
    for round_ in range(rounds):
        known = objective(weights)[0]
        at, whole = _gathered(with_weights(pairs, weights), background, pictures, ways, at, room, tell, speak)
        objective = objective_of(pairs, objects, ways, cost)
        last = round_ == rounds - 1 or (round_ and whole and objective(weights)[0] < ENOUGH * known)
        weights = objective.least(weights)
        if last:
            break
        ways.forget(objective.scores(weights)[0][objects.count :], room / 2)
        objective = objective_of(pairs, objects, ways, cost)
    return Fitted(with_weights(pairs, weights), objective(first)[0], objective(weights)[0], objects.count, ways.count)


def _gathered(
    pairs: list[MirroredPair],
    background: Background,
    pictures: Sequence[int],
    ways: Ways,
    at: int,
    room: int,
    tell: Callable[[], None],
    speak: Speak | None = None,
) -> tuple[int, bool]:
    """Background added, from the picture `at` on, until memory is full; where to go on, and whether all pictures were seen."""
    model = model_of("", pairs, INTERVAL_OF_BACKGROUND)
    largest = 4 * max(len(pair.vector) for pair in pairs)
    most = max(FEWEST, int(2 * max(0, room - ways.bytes) / largest / max(1, len(pictures))))
    for seen in range(len(pictures)):
        picture = pictures[(at + seen) % len(pictures)]
        if ways.bytes + FEWEST * largest > room and ways.count:
            return (at + seen) % len(pictures), False
        speaks = None if speak is None else speak(pairs, picture, np.zeros(2))
        windows = background.hard(model, picture, HARD, most, speaks)
        ways.add(pairs, picture, windows, background.levels(picture), INTERVAL_OF_BACKGROUND, speaks)
        tell()
    return at, True
