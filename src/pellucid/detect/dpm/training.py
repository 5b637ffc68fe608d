"""Training of models of parts, class after class: roots, pairs that mirror one another, all pairs together, parts, and a last round."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from pellucid.data.sample import generator
from pellucid.detect.boxes import sizes
from pellucid.detect.config import DetectionConfig
from pellucid.detect.detections import Detections
from pellucid.detect.dpm.beginning import facing, groups_of, root_size, warped, with_parts
from pellucid.detect.dpm.boxes_of_filters import predictor_of, turned
from pellucid.detect.dpm.context import ContextMachine, arrays_of, machines_of, taught
from pellucid.detect.dpm.detector import DPMDetector
from pellucid.detect.dpm.histograms import mirrored
from pellucid.detect.dpm.learning import (
    Fitted,
    Speak,
    Ways,
    found_objects,
    learn,
    objective_of,
    with_weights,
)  # fmt: skip
from pellucid.detect.dpm.mixture import BIAS, OCTAVES, MirroredPair, model_of
from pellucid.detect.dpm.model import Component, PartsModel, PlacedPart
from pellucid.detect.dpm.rescoring import RescoredDPMDetector
from pellucid.detect.dpm.searching import (
    INTERVAL_OF_BACKGROUND,
    Around,
    Background,
    Example,
    Kept,
    around,
    bytes_of,
    on_object,
)  # fmt: skip
from pellucid.detect.errors import DetectorError
from pellucid.detect.pictures_with_boxes import PicturesWithBoxes
from pellucid.detect.training import Training
from pellucid.plain import Array
from pellucid.progress import tell

PART_SIDE = 6
"""Cells of a part's side."""
RANDOM_WINDOWS = 2000
"""Of background, that roots are first learned from."""
INTERVAL = 10
"""Levels of an octave of a model that is done."""
SURE = 0.05
"""The share of objects that score less than a model's threshold."""
ON_EACH = 5
"""Windows of a component on each object that teach where it is."""
CONTEXT = 5
"""The stage in which boxes are scored anew."""
ROOM = 2**20
NOTHING = -1000.0
"""What the model of a class without objects says, always."""


@dataclass(frozen=True)
class Round:
    """A round: of the class `label`, in the stage `stage`, of the group `group` (all where None), the `repeat`th of these."""

    label: int
    stage: int
    group: int | None = None
    repeat: int = 0


def threshold_of(best: Sequence[float]) -> float:
    """The score from which on windows are shown, of the best scores of objects: what most of them reach, 0 at most."""
    return min(0.0, float(np.quantile(best, SURE)))


def _kept() -> Kept[Around]:
    return Kept(lambda there: bytes_of(there.levels))


class DPMTraining(Training):
    """Models of parts in training on `pictures`, a class after the other; a round is a fit."""

    unit = "fit"
    names: ClassVar[tuple[str, ...]] = ("root", "pair", "mixture", "parts", "last round", "context")

    def __init__(self, pictures: PicturesWithBoxes, config: DetectionConfig) -> None:
        self.pictures, self.config = pictures, config
        self.kept, self.label_kept = Kept(bytes_of), -1
        self.objects_kept = _kept()
        self.objects = [self._objects(label) for label in range(len(pictures.classes))]
        if not any(self.objects):
            raise DetectorError(
                f"{pictures.name}: every object is difficult or smaller than 16 x 16 pixels; models of parts learn from larger ones"
            )
        self.groups = [self._groups(label) for label in range(len(pictures.classes))]
        self.rounds = [each for label in range(len(pictures.classes)) for each in self._rounds(label)]
        self.rounds += [Round(0, CONTEXT)] if self.rescored else []
        self.machines: tuple[ContextMachine, ...] = ()
        self.pairs: dict[int, list[MirroredPair]] = {}
        self.models: dict[int, PartsModel] = {}

    @property
    def rescored(self) -> bool:
        """Whether boxes are scored anew by context."""
        return self.config.context_rescoring

    def _objects(self, label: int) -> list[Example]:
        """Objects of a class that are not difficult, and not too small."""
        return [
            Example(number, box)
            for number, o in enumerate(self.pictures.objects)
            for box in o.boxes[(o.labels == label) & ~o.difficult]
            if sizes(box[None]).min() >= 16
        ]

    def _groups(self, label: int) -> list[Array]:
        if not self.objects[label]:
            return []
        return groups_of(sizes(np.stack([each.box for each in self.objects[label]])), self.config.aspects)

    def _rounds(self, label: int) -> list[Round]:
        groups = range(len(self.groups[label]))
        if not groups:
            return []
        again = self.config.relabelings
        own = [Round(label, 0, group) for group in groups]
        own += [Round(label, 1, group, repeat) for group in groups for repeat in range(-(-again // 2))]
        own += [Round(label, 2)] if len(groups) > 1 else []
        own += [Round(label, 3, None, repeat) for repeat in range(again if self.config.parts else 0)]
        return [*own, Round(label, 4)]

    @property
    def lengths(self) -> Sequence[int]:
        """A step each."""
        return [1] * len(self.rounds)

    @property
    def ready(self) -> bool:
        """Whether every class has its model."""
        return len(self.models) == sum(map(bool, self.objects)) and bool(self.machines) >= self.rescored

    def title(self, number: int) -> str:
        """The class and the stage."""
        now = self.rounds[number]
        return (
            self.names[now.stage]
            if now.stage == CONTEXT
            else f"{self.pictures.classes[now.label]}, {self.names[now.stage]}"
        )

    def steps(self, number: int) -> Iterable[Round]:
        """The round itself."""
        return [self.rounds[number]]

    def step(self, seen: Round, number: int, count: int) -> dict[str, float]:
        """Find objects anew, gather background, fit; in the last round of a class also what its model has beside weights."""

        def going() -> None:
            tell(count, sum(self.lengths))

        if seen.label != self.label_kept:
            self.objects_kept, self.label_kept = _kept(), seen.label
        from threadpoolctl import threadpool_limits

        with threadpool_limits(
            1, "blas"
        ):  # a fit waits for memory, not for a processor; levels are looked at side by side
            told = self.take_round(seen, going)
        return {"class": float(seen.label), "stage": float(seen.stage + 1), **told}

    def take_round(self, now: Round, going: Callable[[], None]) -> dict[str, float]:
        """Take a round, and say what was measured."""
        if now.stage == CONTEXT:
            return self._context(going)
        return (self._root, self._pair, self._mixture, self._parts, self._last)[now.stage](now, going).plain()

    def random(self, now: Round) -> np.random.Generator:
        """Numbers of a round."""
        return generator(self.config.seed, 7, now.label, now.stage, now.group or 0)

    def background(self, label: int) -> Background:
        """What a class is held against: the same pictures in every round."""
        return Background(self.pictures, label, generator(self.config.seed, 8), self.kept)

    def speak(self, label: int) -> Speak | None:
        """What speaks for windows of a class beside filters: nothing."""
        return None

    def around(self, label: int, rows: Sequence[int]) -> list[Callable[[], Around]]:
        """Objects of a class with what is around them."""
        windows = [(pair.root.shape[0], pair.root.shape[1]) for pair in self.pairs[label]]

        def one(row: int) -> Around:
            there = self.objects[label][row]
            return around(self.pictures.read(there.picture), there.box, windows)

        return [lambda row=row: self.objects_kept.of(row, lambda: one(row)) for row in rows]

    def _root(self, now: Round, going: Callable[[], None]) -> Fitted:
        """A root of its own for a group, from warped objects and background anywhere."""
        assert now.group is not None
        own = [self.objects[now.label][row] for row in self.groups[now.label][now.group].tolist()]
        size = root_size(sizes(np.stack([each.box for each in own])))
        seen: list[Array] = []
        for each in own:
            seen.append(warped(self.pictures.read(each.picture), each.box, size))
            going()
        cells, random = np.stack(seen), self.random(now)
        turn = facing(cells, random)
        cells[turn] = np.stack([mirrored(c) for c in cells])[turn]
        pair = MirroredPair.of_root(np.zeros(cells.shape[1:]), 0.0)
        objects, ways = Ways.none([pair]), Ways.none([pair])
        rest = np.concatenate([np.zeros((len(cells), OCTAVES)), np.full((len(cells), 1), BIAS)], 1)
        objects.take(np.concatenate([cells.reshape(len(cells), -1), rest], 1).astype(np.float32))
        model, there = model_of("", [pair], INTERVAL_OF_BACKGROUND), self.background(now.label)
        pictures = there.order[: self.config.negatives]
        for picture in pictures:
            windows = there.random(model, picture, -(-RANDOM_WINDOWS // len(pictures)), random)
            ways.add([pair], picture, windows, there.levels(picture), INTERVAL_OF_BACKGROUND)
            going()
        objective = objective_of([pair], objects, ways, self.config.cost)
        weights = objective.least(pair.vector)
        self.pairs.setdefault(now.label, []).extend(with_weights([pair], weights))
        before, after = objective(pair.vector)[0], objective(weights)[0]
        return Fitted(self.pairs[now.label], before, after, objects.count, ways.count)

    def _learned(
        self, now: Round, which: Sequence[int], minings: int, negatives: int, going: Callable[[], None]
    ) -> Fitted:
        """Some of the pairs of a class, from the objects of their groups."""
        pairs = [self.pairs[now.label][k] for k in which]
        rows = np.sort(np.concatenate([self.groups[now.label][k] for k in which])).tolist()
        speak, on = self.speak(now.label), [self.objects[now.label][row].picture for row in rows]
        objects = found_objects(pairs, self.around(now.label, rows), going, on, speak)
        there = self.background(now.label)
        pictures = there.order[: negatives or len(there.order)]
        room = self.config.cache * ROOM
        fitted = learn(pairs, objects, there, pictures, max(1, minings), room, self.config.cost, going, speak)
        for k, pair in zip(which, fitted.pairs, strict=True):
            self.pairs[now.label][k] = pair
        return fitted

    def _pair(self, now: Round, going: Callable[[], None]) -> Fitted:
        assert now.group is not None
        return self._learned(now, [now.group], self.config.minings // 3, self.config.negatives, going)

    def _mixture(self, now: Round, going: Callable[[], None]) -> Fitted:
        every = range(len(self.pairs[now.label]))
        return self._learned(now, every, self.config.minings // 2, self.config.negatives, going)

    def _parts(self, now: Round, going: Callable[[], None]) -> Fitted:
        if not now.repeat:
            random = self.random(now)
            self.pairs[now.label] = [
                with_parts(pair, self.config.parts, PART_SIDE, random) for pair in self.pairs[now.label]
            ]
        every = range(len(self.pairs[now.label]))
        return self._learned(now, every, self.config.minings, self.config.negatives, going)

    def _last(self, now: Round, going: Callable[[], None]) -> Fitted:
        every = range(len(self.pairs[now.label]))
        fitted = self._learned(now, every, self.config.minings, self.config.last_negatives, going)
        self.models[now.label] = self._done(now.label, going)
        return fitted

    def _context(self, going: Callable[[], None]) -> dict[str, float]:
        """Machines of context, from what models find on the pictures that they learned from."""
        detector, found = DPMDetector([self.model(k) for k in range(len(self.pictures.classes))]), list[Detections]()
        for number in range(len(self.pictures)):
            found.append(detector.detect(self.pictures.read(number), detector.counted))
            going()
        classes = len(self.pictures.classes)
        self.machines = tuple(taught(found, self.pictures.objects, self.pictures.sizes, classes, self.config.seed))
        return {"boxes": float(sum(map(len, found)))}

    def _done(self, label: int, going: Callable[[], None]) -> PartsModel:
        """The model of a class: with the score that most objects reach, and where windows say that objects are."""
        pairs = self.pairs[label]
        model = model_of(self.pictures.classes[label], pairs, INTERVAL)
        best: list[float] = []
        parts: list[tuple[Array, ...]] = []
        speak, objects = self.speak(label), self.objects[label]
        for example, there in zip(objects, self.around(label, range(len(objects))), strict=True):
            object_ = there()
            speaks = None if speak is None else speak(pairs, example.picture, -object_.edges[:2])
            windows = on_object(model, object_, ON_EACH, speaks)
            going()
            if not len(windows):
                continue
            best.append(float(windows.scores.max()))
            low, high = np.split(object_.edges, 2)
            roots = np.concatenate(
                [np.maximum(windows.boxes[:, 0, :2], low), np.minimum(windows.boxes[:, 0, 2:], high)], 1
            )
            parts.append((windows.components, roots, windows.boxes, np.tile(object_.box, (len(windows), 1))))
        if not parts:
            return replace(model, threshold=0.0)
        components, roots, filters, boxes = (np.concatenate(each) for each in zip(*parts, strict=True))
        predicted: list[Component] = []
        for k, component in enumerate(model.components):
            own = components // 2 == k // 2
            if own.any():
                predictor = predictor_of(roots[own], filters[own], boxes[own], components[own] % 2 == 1)
                component = replace(component, predictor=turned(predictor) if k % 2 else predictor)
            predicted.append(component)
        return replace(model, components=tuple(predicted), threshold=threshold_of(best))

    def arrays(self) -> dict[str, Array]:
        """Weights of the pairs, and of the models that are done."""
        found: dict[str, Array] = {}
        for label, pairs in self.pairs.items():
            for k, pair in enumerate(pairs):
                found |= {f"{label}.{k}.{name}": np.asarray(value) for name, value in vars(pair).items()}
        for label, model in self.models.items():
            found[f"{label}.threshold"] = np.array(model.threshold)
            for k, component in enumerate(model.components):
                if component.predictor is not None:
                    found[f"{label}.{k}.predictor"] = component.predictor
        return found | arrays_of(self.machines)

    def take(self, arrays: dict[str, Array]) -> None:
        """The inverse of `arrays`."""
        for label in range(len(self.pictures.classes)):
            pairs: list[MirroredPair] = []
            while f"{label}.{len(pairs)}.root" in arrays:
                own = f"{label}.{len(pairs)}."
                told: dict[str, Any] = {
                    name: arrays[own + name] for name in MirroredPair.__dataclass_fields__ if own + name in arrays
                }
                told["bias"] = float(told["bias"].item())
                pairs.append(MirroredPair(**told))
            if pairs:
                self.pairs[label] = pairs
            if f"{label}.threshold" in arrays:
                model = model_of(
                    self.pictures.classes[label], pairs, INTERVAL, float(arrays[f"{label}.threshold"].item())
                )
                components = tuple(
                    replace(c, predictor=arrays.get(f"{label}.{k}.predictor")) for k, c in enumerate(model.components)
                )
                self.models[label] = replace(model, components=components)
        self.machines = machines_of(arrays, len(self.pictures.classes))

    def detector(self) -> DPMDetector:
        """Models of all classes; what nothing was learned of is never found."""
        models = [self.model(label) for label in range(len(self.pictures.classes))]
        return RescoredDPMDetector(models, self.machines) if self.machines else DPMDetector(models)

    def model(self, label: int) -> PartsModel:
        """That of a class; one that says no to everything where there is none yet."""
        if label in self.models:
            return self.models[label]
        nothing = PlacedPart(np.zeros((1, 1, 32), np.float32), NOTHING, np.zeros(OCTAVES))
        return PartsModel(self.pictures.classes[label], (Component(nothing, (), (1, 1)),), (1, 1), 0.0)
