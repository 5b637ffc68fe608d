"""What each part of R-CNN is worth: the system as a whole beside itself without one part after the other, as its paper does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pellucid.detect.comparison.differing import differences_of
from pellucid.detect.comparison.table import ComparedSystem, Difference
from pellucid.detect.comparison.working import Measuring, Work, settings_for
from pellucid.detect.config import DetectionConfig
from pellucid.detect.errors import DetectorError
from pellucid.detect.run import config_of, require_settings
from pellucid.detect.run_folder import kept_config
from pellucid.errors import unknown
from pellucid.plain import to_json

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


@dataclass(frozen=True)
class Variant:
    """R-CNN without the part `without`, or with all of them: the `name` of its run, what is set `more` for it, and what it `says` of itself."""

    name: str
    more: Mapping[str, Any]
    without: str = ""
    says: str = ""


def variants(work: Work, names: Sequence[str]) -> list[Variant]:
    """R-CNN with all of the parts `names`, and without each, else as its run of the comparison has it or is to have it.

    Raises `DetectorError` for settings that make no sense together, and for runs of other settings.
    """
    require_parts(names)
    if not names:
        return []
    given = settings_for(SYSTEM, work.settings)
    usual, kept = config_of(SYSTEM, given), kept_config(work.folder / SYSTEM)
    if kept is not None:
        require_settings(work.folder / SYSTEM, SYSTEM, kept, given)
    base = usual if kept is None else kept
    own = {name: value for name, value in base.to_dict().items() if value != getattr(usual, name)}
    whole = {part.setting: _there(part, getattr(base, part.setting)) for part in (PARTS[name] for name in names)}
    found = [_variant(work, base, own, whole)]
    for name in names:
        part = PARTS[name]
        values = {**whole, part.setting: part.without}
        found.append(_variant(work, base, own, values, name, _set({part.setting: (part.without, whole[part.setting])})))
    return found


def _variant(
    work: Work,
    base: DetectionConfig,
    own: Mapping[str, Any],
    values: Mapping[str, Any],
    without: str = "",
    says: str = "",
) -> Variant:
    """One with `values` of the settings that parts are; where they are those of `base`, its run is the one of the comparison."""
    called = f"{SYSTEM} without {without}" if without else SYSTEM
    try:
        config = replace(base, **values)
    except DetectorError as error:
        raise DetectorError(f"{called}: {error}") from error
    said = f"{PARTS[without].says}, {says}" if without else ""
    if config == base:
        return Variant(SYSTEM, {}, without, said)
    run = work.folder / f"{SYSTEM}-{f'without-{without}' if without else 'whole'}"
    if (kept := kept_config(run)) is not None:
        wanted = (config if config.weights else replace(config, weights=kept.weights)).to_dict()
        if odd := [name for name, value in kept.to_dict().items() if value != wanted[name]]:
            raise DetectorError(
                f"{run}: is to be {called}, all else as in {work.folder / SYSTEM}, and differs in {', '.join(odd)}; "
                "name another folder, or delete it, and it is trained anew"
            )
    if not without:
        says = _set(
            {name: (value, before) for name, value in values.items() if value != (before := getattr(base, name))}
        )
        said = f"with every part that is left out of others, {says}"
    return Variant(run.name, {**own, **values}, without, said)


def _set(values: Mapping[str, tuple[Any, Any]]) -> str:
    """What is set instead of what, in words."""
    each = (f"{name}={to_json(value)} instead of {to_json(before)}" for name, (value, before) in values.items())
    return f"{', '.join(each)}, all else the same"


def ablation(
    work: Work, names: Sequence[str], setting: Measuring, may_train: bool
) -> tuple[tuple[ComparedSystem, ...], tuple[Difference, ...]]:
    """R-CNN with all of the parts `names` and without each, and how much better it is with than without."""
    found = [_measured(work, one, setting, may_train) for one in variants(work, names)]
    systems = tuple(one for one in found if one is not None)
    if not found or found[0] is None:
        return systems, ()
    pairs = [differences_of((one, found[0]), setting, len(work.pictures)) for one in systems if one is not found[0]]
    return systems, tuple(one for each in pairs for one in each)


def _there(part: LeftOut, value: Any) -> Any:
    """The value of a part that is there: what it has, unless that leaves it out."""
    return part.there if value == part.without else value


def _measured(work: Work, one: Variant, setting: Measuring, may_train: bool) -> ComparedSystem | None:
    """How R-CNN does so; None where it is left out."""
    entry = work.of_run(SYSTEM, one.name, one.more, may_train)
    if entry is None:
        return None
    name = f"{SYSTEM} without {one.without}" if one.without else SYSTEM
    found = work.measured(entry, name, setting, one.without)
    return None if found is None else replace(found, says=one.says)
