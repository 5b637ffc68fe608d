"""The settings by which a detector is trained: plain data, checked when it is made."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from pellucid.data import Preprocessing
from pellucid.detect.canvas import MULTIPLE
from pellucid.detect.errors import DetectorError
from pellucid.errors import listed, suggest, unknown
from pellucid.given import settings_given, settle
from pellucid.plain import PlainError, read
from pellucid.seeds import require_seed

SELECTIVE_SEARCH, GRID = SEARCHES = ("selective-search", "grid")
"""What finds proposals."""
ON_OBJECT = 0.5
"""The overlap from which on a region lies on an object."""
MOST_ROUNDS = 10
"""Of scoring and moving regions."""
SEGMENT_SOURCES, MOST_SEGMENTS = ("mini-cpmc", "selective-search"), 200
"""What finds segments, and how many of a picture are kept at most."""
PUBLISHED, RANDOM = "published", "random"
"""Weights that a backbone begins with, beside those of a file."""
SHARED, OWN = CONTEXT_NETWORKS = ("shared", "own")
"""Which network looks at what is around regions."""
FITTED = "fitted"
BEGINNINGS = (RANDOM, FITTED)
"""What the last layer is when fine-tuning begins."""

MOST_ANCHORS = 8
"""Sizes of anchors, and ratios, at most."""


def _setting(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class DetectionConfig:
    """Settings of `pl.detect.train`, of the command's options, and of a run's config.toml."""

    backbone: str = _setting("efficientnet-lite0", "The network that looks at the picture or at regions, by name.")
    weights: str = _setting(
        "",
        "What the backbone begins with: published, random, or a file of weights; published where there are some, unless given.",
    )
    image_size: int = _setting(512, "Pixels of the longer side of a picture as the network sees it, a multiple of 32.")
    epochs: int = _setting(12, "Times that every picture is seen.")
    batch_size: int = _setting(2, "Pictures of a step.")
    learning_rate: float = _setting(0.001, "Of the backbone; new layers that begin random learn ten times as fast.")
    schedule: str = _setting("cosine", "How the learning rate falls, as in `pellucid train`.")
    warmup: float = _setting(0.1, "The share of all steps over which the learning rate grows to its value.")
    momentum: float = _setting(0.9, "Of the gradient.")
    weight_decay: float = _setting(5e-4, "Added to the gradient, as a share of the weight.")
    clip_norm: float = _setting(10.0, "The norm that a gradient is shortened to; 0 leaves it.")
    flip: bool = _setting(True, "Whether pictures are mirrored at random.")
    scale: float = _setting(0.0, "The share by which pictures are made smaller at random.")
    proposals: int = _setting(1000, "Regions of each picture that are looked at, at most.")
    search: str = _setting(
        "selective-search", "What finds proposals: selective-search, or a grid of windows that are evenly laid."
    )
    search_size: int = _setting(
        500,
        "Pixels of the longer side of a picture as proposals are searched on it; with more, smaller objects are found, in more time.",
    )
    background: float = _setting(
        0.1,
        "Fast R-CNN: the overlap with an object from which on a region is taken for background, up to 0.5; 0 takes those that touch none too.",
    )
    balanced: bool = _setting(
        False,
        "Fast R-CNN: whether regions on objects are drawn evenly over the classes of a picture, so that rare and small ones are learned too.",
    )
    width: int = _setting(1024, "Units of each of the two layers above the regions.")
    anchor_sizes: tuple[float, ...] = _setting(
        (48.0, 96.0, 192.0, 320.0),
        "Faster R-CNN: sides of the squares that proposals begin as, in pixels of the canvas.",
    )
    anchor_ratios: tuple[float, ...] = _setting(
        (0.5, 1.0, 2.0), "Faster R-CNN: height by width of what else each of these squares becomes, of the same area."
    )
    proposal_width: int = _setting(256, "Faster R-CNN: channels of the layer that proposes regions.")
    crop_size: int = _setting(
        0, "R-CNN: pixels of the side of a region as the network sees it; 0 takes the size that it was trained at."
    )
    context: int = _setting(16, "R-CNN: how many of these are around the region, on each side; 0 leaves none.")
    regression: bool = _setting(True, "R-CNN: whether boxes are moved by what the network says of them.")
    fine_tune: int = _setting(
        0, "R-CNN: steps in which the network learns the classes of regions first; 0 leaves it as it was published."
    )
    fine_tune_from: int = _setting(
        0, "R-CNN: only layers whose maps have a stride of so many pixels learn then: 0 all, 16 or 32 the last ones."
    )
    fine_tune_begin: str = _setting(
        RANDOM,
        "R-CNN: the last layer when fine-tuning begins: random, as with the authors, and then it learns ten times as fast; or fitted to what the "
        "network says of regions.",
    )
    context_network: str = _setting(
        SHARED,
        "segDeepM: what looks at what is around regions: the network that looks at regions too, shared; or own, a second one that is fine-tuned "
        "on them enlarged, as the authors' is, which takes as long again.",
    )
    fine_tune_batch: int = _setting(128, "R-CNN: regions of such a step, a quarter of them on objects.")
    rounds: int = _setting(
        1,
        "R-CNN and Fast R-CNN: times that regions are scored and moved; from the second on where the last one moved them.",
    )
    aspects: int = _setting(
        1, "DPM: groups of objects by their shape, each with a component and its mirror image; the authors' 3."
    )
    parts: int = _setting(8, "DPM: parts of a component; 0 leaves roots alone.")
    relabelings: int = _setting(2, "DPM: times that objects are found anew with parts; the authors' 8.")
    minings: int = _setting(4, "DPM: times that background is gathered for each of these; the authors' 10.")
    negatives: int = _setting(80, "DPM: pictures that background is gathered from; the authors' 200.")
    last_negatives: int = _setting(200, "DPM: the same in the last round; 0, as with the authors, takes all.")
    cost: float = _setting(
        0.0, "DPM: what an example on the wrong side costs; 0: the authors' 0.001, and more for fewer than 350 objects."
    )
    cache: int = _setting(400, "DPM: megabytes of background that are learned from at once; the authors' 3000.")
    segments: int = _setting(100, "segDeepM and segDPM: segments of each picture that are looked at, at most.")
    segment_source: str = _setting(
        "mini-cpmc", "segDeepM and segDPM: what finds segments, mini-cpmc or selective-search."
    )
    context_rescoring: bool = _setting(
        False, "DPM: whether boxes are scored anew by where they lie and by the best box of every class on the picture."
    )
    models: str = _setting(
        "",
        "segDPM: trained models of parts that segments are added to, files, a folder, or a run of dpm; its own unless given.",
    )
    seed: int = _setting(0, "Same seed, same detector.")
    executor: str = _setting("auto", "Who computes: native, reference or torch; auto takes native where it is built.")
    threads: int = _setting(0, "Threads that compute; 0 takes every processor.")

    def __post_init__(self) -> None:
        from pellucid.executors.setting import Setting
        from pellucid.train.schedules import PLATEAU, SCHEDULES

        require_seed(self.seed)
        settle(self, DetectorError, any_size=False)
        Setting(self.executor, threads=self.threads)
        if self.search not in SEARCHES:
            raise unknown("search for proposals", self.search, SEARCHES)
        least = dict.fromkeys(
            ("image_size", "epochs", "batch_size", "proposals", "width", "proposal_width", "rounds"), 1
        )
        least |= dict.fromkeys(("aspects", "relabelings", "minings", "negatives", "cache"), 1)
        least |= dict.fromkeys(("parts", "last_negatives"), 0)
        for name, value in {**least, "context": 0, "fine_tune": 0, "fine_tune_from": 0, "fine_tune_batch": 4}.items():
            if getattr(self, name) < value:
                raise DetectorError(f"{name} must be {value} or more, got {getattr(self, name)}")
        if self.image_size < 64 or self.image_size > 4096:
            raise DetectorError(f"image_size must be from 64 to 4096, got {self.image_size}")
        if self.image_size % MULTIPLE:
            near = self.image_size // MULTIPLE * MULTIPLE
            raise DetectorError(
                f"image_size must be a multiple of {MULTIPLE}, got {self.image_size}; {near} and {near + MULTIPLE} are the next"
            )
        if not 64 <= self.search_size <= 4096:
            raise DetectorError(f"search_size must be from 64 to 4096, got {self.search_size}")
        for name, low, high in (("anchor_sizes", 8, 4096), ("anchor_ratios", 0.1, 10)):
            given = getattr(self, name)
            if not 1 <= len(given) <= MOST_ANCHORS or not all(low <= one <= high for one in given):
                raise DetectorError(
                    f"{name} must be 1 to {MOST_ANCHORS} numbers from {low} to {high}, got {list(given)}"
                )
        if self.crop_size and not 32 <= self.crop_size <= 1024:
            raise DetectorError(f"crop_size must be from 32 to 1024, or 0, got {self.crop_size}")
        if self.rounds > MOST_ROUNDS:
            raise DetectorError(f"rounds must be from 1 to {MOST_ROUNDS}, got {self.rounds}")
        if self.rounds > 1 and not self.regression:
            raise DetectorError(f"rounds={self.rounds} move boxes by regression, which regression=false leaves out")
        if not 0 <= self.cost < math.inf:
            raise DetectorError(f"cost must be a positive number, got {self.cost}; 0 goes by a class's objects")
        if not 1 <= self.segments <= MOST_SEGMENTS:
            raise DetectorError(f"segments must be from 1 to {MOST_SEGMENTS}, got {self.segments}")
        if self.segment_source not in SEGMENT_SOURCES:
            raise unknown("segment_source", self.segment_source, SEGMENT_SOURCES)
        if self.fine_tune_begin not in BEGINNINGS:
            raise unknown("fine_tune_begin", self.fine_tune_begin, BEGINNINGS)
        if self.context_network not in CONTEXT_NETWORKS:
            raise unknown("context_network", self.context_network, CONTEXT_NETWORKS)
        if self.context_network == OWN and not self.fine_tune:
            raise DetectorError(
                "context_network='own' is a second network that is fine-tuned, and without fine_tune both would be the same; give it steps, or share"
            )
        if self.schedule not in SCHEDULES or self.schedule == PLATEAU:
            known = [name for name in SCHEDULES if name != PLATEAU]
            raise DetectorError(
                f"unknown schedule {self.schedule!r}{suggest(self.schedule, known)}; {listed(self.schedule, known)}"
            )
        if not 0 < self.learning_rate < math.inf:
            raise DetectorError(f"learning_rate must be a positive number, got {self.learning_rate}")
        for name in ("weight_decay", "clip_norm"):
            if not 0 <= getattr(self, name) < math.inf:
                raise DetectorError(f"{name} must be a number of 0 or more, got {getattr(self, name)}")
        if not 0 <= self.momentum < 1:
            raise DetectorError(f"momentum must lie in [0, 1), got {self.momentum}")
        if not 0 <= self.background < ON_OBJECT:
            raise DetectorError(f"background must lie in [0, {ON_OBJECT}), got {self.background}")
        for name in ("warmup", "scale"):
            if not 0 <= getattr(self, name) < 1:
                raise DetectorError(f"{name} must lie in [0, 1), got {getattr(self, name)}")

    @classmethod
    def kept(cls, settings: dict[str, Any]) -> tuple[DetectionConfig, tuple[str, ...], Preprocessing]:
        """Config, classes and preprocessing of a detector with a network, as its file keeps them. Raises `DetectorError`."""
        try:
            classes = read(tuple[str, ...], settings.get("classes"), "classes")
            config = cls.of(read(dict[str, Any], settings.get("config"), "config"))
            way = read(dict[str, Any], settings.get("preprocessing"), "preprocessing")
        except PlainError as error:
            raise DetectorError(str(error)) from error
        return config, classes, Preprocessing.from_dict(way)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def of(cls, given: dict[str, Any]) -> DetectionConfig:
        """Settings by name. Raises `DetectorError` for names that there are not, and for values of another kind."""
        names = [each.name for each in fields(cls)]
        for name in given:
            if name not in names:
                raise DetectorError(f"there is no setting {name!r}{suggest(name, names)}; {listed(name, names)}")
        try:
            return read(cls, settings_given(cls, given))
        except PlainError as error:
            raise DetectorError(str(error)) from error
