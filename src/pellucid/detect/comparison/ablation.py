"""What each part of R-CNN is worth: the system as a whole beside itself without one part after the other, as its paper does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pellucid.detect.comparison.differing import differences_of
from pellucid.detect.comparison.table import ComparedSystem, Difference
from pellucid.detect.comparison.working import Measuring, Work, settings_for
from pellucid.detect.config import DetectionConfig
from pellucid.detect.run import SYSTEMS
from pellucid.errors import unknown

SYSTEM = "rcnn"
"""Whose parts are left out."""


@dataclass(frozen=True)
class LeftOut:
    """A part of R-CNN: the `setting` that it is, with the values that stand for it and for what is in its place."""

    setting: str
    there: Any
    without: Any
    says: str


PARTS: Mapping[str, LeftOut] = {
    "proposals": LeftOut(
        "search", "selective-search", "grid", "as many windows evenly laid over the picture instead of selective search"
    ),
    "crop": LeftOut("context", 16, 0, "regions cut out without what is around them"),
    "fine-tuning": LeftOut("fine_tune", 400, 0, "the network as it was published"),
    "box-regression": LeftOut("regression", True, False, "boxes where the proposals are"),
}
"""Parts by name."""


def require_parts(names: Sequence[str]) -> None:
    """Raise an error for a part that there is not."""
    for name in names:
        if name not in PARTS:
            raise unknown("part of R-CNN", name, PARTS)


def ablation(
    work: Work, names: Sequence[str], setting: Measuring, may_train: bool
) -> tuple[tuple[ComparedSystem, ...], tuple[Difference, ...]]:
    """R-CNN with all of the parts `names` and without each, and how much better it is with than without."""
    if not names:
        return (), ()
    given = settings_for(SYSTEM, work.settings)
    whole = {part.setting: _there(part, given) for part in (PARTS[name] for name in names)}
    found = [_measured(work, f"{SYSTEM}-whole", whole, "", setting, may_train)]
    for name in names:
        part = PARTS[name]
        settings = {**whole, part.setting: part.without}
        found.append(_measured(work, f"{SYSTEM}-without-{name}", settings, name, setting, may_train))
    systems = tuple(one for one in found if one is not None)
    if found[0] is None:
        return systems, ()
    pairs = [differences_of((one, found[0]), setting, len(work.pictures)) for one in systems if one is not found[0]]
    return systems, tuple(one for each in pairs for one in each)


def _there(part: LeftOut, given: Mapping[str, Any]) -> Any:
    """The value of a part that is there: what is given, unless that leaves it out."""
    value = given.get(part.setting, part.there)
    return part.there if value == part.without else value


def _measured(
    work: Work, name: str, settings: Mapping[str, Any], without: str, setting: Measuring, may_train: bool
) -> ComparedSystem | None:
    """How R-CNN does with such settings; where they are its usual ones, its run is the one of the comparison."""
    usual = {**SYSTEMS[SYSTEM].settings, **settings_for(SYSTEM, work.settings)}
    is_usual = DetectionConfig.of({**usual, **settings}) == DetectionConfig.of(usual)
    entry = work.of_run(SYSTEM, SYSTEM if is_usual else name, {} if is_usual else settings, may_train)
    if entry is None:
        return None
    return work.measured(entry, f"{SYSTEM} without {without}" if without else SYSTEM, setting, without)
