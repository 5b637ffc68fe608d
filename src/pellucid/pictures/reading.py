"""Pictures out of their plain data, which may come from anywhere: nothing in it is believed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from pellucid.pictures.chart import Chart
from pellucid.pictures.diagram import Diagram
from pellucid.pictures.heat_map import HeatMap
from pellucid.pictures.maps import Maps
from pellucid.pictures.overlay import Overlay
from pellucid.pictures.page import Grid, Page
from pellucid.pictures.picture import Picture, PictureError
from pellucid.pictures.tiles import Tiles
from pellucid.plain import PlainError, parse_json, read

KINDS: dict[str, type[Picture]] = {
    kind.kind: kind for kind in (Chart, HeatMap, Tiles, Maps, Overlay, Diagram, Grid, Page)
}
"""The closed set of what can be drawn."""
MOST_TEXT = 2**30
"""Characters of JSON that are read."""
_DEEPEST = 20


def from_json(text: str | bytes) -> Picture:
    """The picture whose `to_json` or .json file this is; raises `PictureError` for anything else."""
    if len(text) > MOST_TEXT:
        raise PictureError(f"a picture: has {len(text):,} characters of JSON, at most {MOST_TEXT:,} are read")
    try:
        return from_dict(parse_json(text))
    except PlainError as error:
        raise PictureError(f"a picture: {error}") from error


def from_dict(plain: Any) -> Picture:
    """The picture whose `to_dict` this is; raises `PictureError` for anything else."""
    try:
        return _picture(plain, "picture", 0)
    except PlainError as error:
        raise PictureError(str(error)) from error


def _picture(plain: Any, where: str, depth: int) -> Picture:
    if depth > _DEEPEST:
        raise PlainError(f"{where}: pages are nested more than {_DEEPEST} deep")
    if not isinstance(plain, dict):
        raise PlainError(f"{where}: must be a picture's fields by name")
    fields = dict(cast(dict[str, Any], plain))
    name = fields.pop("kind", None)
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise PlainError(f"{where}.kind: must be one of {', '.join(KINDS)}, got {name!r:.60}")
    if kind is Page:
        parts = fields.pop("parts", None)
        if not isinstance(parts, list | tuple):
            raise PlainError(f"{where}.parts: must be a list")
        inside = [_part(part, f"{where}.parts[{k}]", depth + 1) for k, part in enumerate(cast(list[Any], parts))]
        head = read(_Head, fields, where)
        return Page(head.title, tuple(inside), head.folded)
    return read(kind, fields, where)


def _part(plain: Any, where: str, depth: int) -> Picture | str:
    if isinstance(plain, dict) and cast(dict[str, Any], plain).get("kind") == "text":
        return read(_Words, plain, where).text
    return _picture(plain, where, depth)


@dataclass(frozen=True)
class _Head:
    """What a page has besides its parts."""

    title: str
    folded: bool = False


@dataclass(frozen=True)
class _Words:
    """A paragraph of a page."""

    kind: str
    text: str
