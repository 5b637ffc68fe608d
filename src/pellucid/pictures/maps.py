"""Maps of numbers side by side: the values themselves, drawn as colors."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np

from pellucid.pictures.colors import about_zero, color, limits, scale_below
from pellucid.pictures.lettering import MARGIN
from pellucid.pictures.picture import ROOM, Picture, PictureError
from pellucid.pictures.tiles import Tile, Tiles, checked_ends
from pellucid.plain import Array

SCALES = ("shared", "each")


@dataclass(frozen=True)
class Maps(Picture):
    """Maps `values` (K, H, W), or one (H, W), in rows of `columns`, each with its name in `captions` (its number unless given).

    Colors go from dark for the smallest to light for the largest value: of all maps together where `scale` is "shared", of
    every map by itself where it is "each", which shows form, not size. `signed` maps (those with a value below zero, unless
    it is said) are blue below zero, white at zero and red above. `ends` are the values where a shared scale ends, if
    not those of these maps, which may be the first of `total`.
    """

    kind = "maps"
    share = "half"
    title: str
    values: Array
    scale: str = "shared"
    signed: bool | None = None
    captions: tuple[str, ...] = ()
    columns: int = 8
    note: str = ""
    ends: tuple[float, float] | None = None
    total: int = 0

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise PictureError(f"{self.title}: scale is 'shared' or 'each', not {self.scale!r:.60}")
        if self.values.ndim not in (2, 3) or self.values.dtype.kind not in "biuf":
            raise PictureError(
                f"{self.title}: wants maps of numbers (K, H, W) or (H, W), got {self.values.dtype} {self.values.shape}"
            )
        if not all(self.values.shape[-2:]):
            raise PictureError(f"{self.title}: maps have at least one row and one column, got {self.values.shape}")
        if self.captions and len(self.captions) != len(self.maps):
            raise PictureError(f"{self.title}: has {len(self.captions)} captions for {len(self.maps)} maps")
        object.__setattr__(self, "ends", checked_ends(self.title, self.ends))
        if self.signed is None:
            object.__setattr__(self, "signed", bool((self.values < 0).any()))

    @classmethod
    def first(
        cls,
        title: str,
        values: Array,
        limit: int,
        *,
        scale: str = "shared",
        signed: bool | None = None,
        captions: tuple[str, ...] = (),
        note: str = "",
    ) -> Maps:
        """The first `limit` of maps (K, H, W), on a shared scale that of all."""
        whole = cls(title, values, scale, signed)
        ends = limits(values, bool(whole.signed)) if len(values) > limit else None
        return cls(
            title, values[:limit], scale, whole.signed, captions[:limit], note=note, ends=ends, total=len(values)
        )

    @classmethod
    def strongest(
        cls, title: str, values: Array, limit: int, *, scale: str = "shared", signed: bool | None = None
    ) -> Maps:
        """The maps of (K, H, W) with the largest absolute values, the strongest first, on a shared scale that of all.

        All of them in their order where there are no more than `limit`.
        """
        if len(values) <= limit:
            return cls.first(title, values, limit, scale=scale, signed=signed)
        largest = np.nan_to_num(np.abs(values.astype(np.float64)), nan=-1.0).reshape(len(values), -1).max(1)
        order = np.argsort(-largest, kind="stable")
        captions, note = tuple(map(str, order)), "the strongest by their largest absolute value"
        return cls.first(title, values[order], limit, scale=scale, signed=signed, captions=captions, note=note)

    @property
    def maps(self) -> Array:
        """The values as (K, H, W)."""
        return self.values if self.values.ndim == 3 else self.values[None]

    @property
    def words(self) -> str:
        """What the colors mean, how many maps there are, and the note."""
        ends = "blue {:.4g}, white 0, red {:.4g}" if self.signed else "dark {:.4g}, light {:.4g}"
        parts = ["each map on its own scale: form, not size"]
        if self.scale == "shared":
            parts = [ends.format(*self._shared()) + (" on all maps" if max(self.total, len(self.maps)) > 1 else "")]
        return "; ".join([*parts, *self._told()])

    def _told(self) -> list[str]:
        """What is said besides the colors."""
        parts: list[str] = []
        if self.total > len(self.maps):
            parts.append(f"{len(self.maps)} of {self.total} maps")
        missing, endless = int(np.isnan(self.values).sum()), int(np.isinf(self.values).sum())
        if missing or endless:
            told = [f"{missing:,} that are not numbers (NaN)"] * bool(missing) + [f"{endless:,} infinite"] * bool(
                endless
            )
            parts.append(f"hatched: {' and '.join(told)}")
        return [*parts, *([self.note] if self.note else [])]

    def _shared(self) -> tuple[float, float]:
        signed = bool(self.signed)
        if self.ends is None:
            return limits(self.values, signed)
        return about_zero(self.ends) if signed else self.ends

    def _scale(self, y: float, width: float) -> tuple[str, float]:
        signed, many = bool(self.signed), max(self.total, len(self.maps)) > 1
        if self.scale == "shared":
            words = "one scale for all maps" if many else ""
            return scale_below(*self._shared(), signed, (MARGIN, y, width), words)
        shown = ("-largest", "0", "largest") if signed else ("smallest", "", "largest")
        words = "of each map by itself: form, not size" if many else ""
        return scale_below(-1.0 if signed else 0.0, 1.0, signed, (MARGIN, y, width), words, shown)

    def tiles(self) -> Tiles:
        """The maps as small pictures, without their numbers."""
        signed, shared = bool(self.signed), self._shared()
        names = self.captions or (
            [str(k) for k in range(len(self.maps))] if len(self.maps) > 1 else [""] * len(self.maps)
        )
        pictures: list[Tile] = []
        for one, name in zip(self.maps, names, strict=True):
            ends = shared if self.scale == "shared" else limits(one, signed)
            pictures.append(Tile(color(one, *ends, signed).transpose(2, 0, 1), name))
        return Tiles(self.title, tuple(pictures), min(self.columns, max(1, len(pictures))), self.words)

    def svg(self, room: float = ROOM) -> str:
        return replace(self.tiles(), note="; ".join(self._told())).drawn(
            room, self._scale if len(self.maps) else None, list(self.maps)
        )

    def pixels(self) -> Array:
        """The maps alone as one picture, uint8 (H, W, 3), a gray line between them."""
        return self.tiles().pixels()


def map_tiles(
    title: str,
    maps: Array,
    scale: str = "shared",
    signed: bool = False,
    limit: int = 64,
    captions: tuple[str, ...] = (),
    note: str = "",
) -> Tiles:
    """What `Maps` draws, without the numbers; `Maps` is what to use."""
    warnings.warn("pictures.map_tiles(...) is pictures.Maps.first(...).tiles()", DeprecationWarning, stacklevel=2)
    return Maps.first(title, maps, limit, scale=scale, signed=signed, captions=captions, note=note).tiles()
