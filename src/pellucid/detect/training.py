"""What every system's training has in common: rounds of steps, what is needed to go on after a stop, and the detector that comes of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from pellucid.detect.config import DetectionConfig
from pellucid.detect.detector import Detector
from pellucid.detect.pictures_with_boxes import PicturesWithBoxes
from pellucid.plain import Array


class Training(ABC):
    """A detector in training on `pictures`, in rounds: epochs, or stages that follow one another.

    A stopped training is made anew, is given what `arrays` gave, and takes the steps that were not taken yet.
    """

    unit: ClassVar[str] = "epoch"
    """What a round is called."""
    pictures: PicturesWithBoxes
    config: DetectionConfig

    @property
    @abstractmethod
    def lengths(self) -> Sequence[int]:
        """How many steps each round has."""

    @abstractmethod
    def steps(self, number: int) -> Iterable[Any]:
        """What the steps of a round see, in order: as many as `lengths` says."""

    @abstractmethod
    def step(self, seen: Any, number: int, count: int) -> Mapping[str, float]:
        """Take a step of round `number`, the `count`th of all (from 0), and say what was measured; rounds tell the means.

        Raises `NonFiniteError` where a number is not finite.
        """

    @abstractmethod
    def arrays(self) -> dict[str, Array]:
        """What is needed to go on."""

    @abstractmethod
    def take(self, arrays: dict[str, Array]) -> None:
        """Go on from what `arrays` gave."""

    @abstractmethod
    def detector(self) -> Detector:
        """What has been learned so far, ready to be asked."""

    @property
    def ready(self) -> bool:
        """Whether the detector can be asked already."""
        return True

    def title(self, number: int) -> str:
        """What the bar of progress says in a round."""
        return "training"
