"""Pictures of what a layer gives: maps side by side, or the outputs of a dense layer as bars."""

from __future__ import annotations

from pellucid.op import Array
from pellucid.pictures import Chart, Grid, Maps, Series


def drawn_values(
    title: str,
    values: Array,
    what: str,
    *,
    scale: str = "shared",
    signed: bool | None = None,
    limit: int = 64,
    strongest: bool = False,
) -> Chart | Maps | Grid:
    """Values (K, ...), at most `limit` maps of them, the first or the `strongest`; one number for each of K as bars, a number alone as a table.

    Of a sequence (T, K) there is one map, a row for each of T.
    """
    shown = f"{title}, {'x'.join(map(str, values.shape)) or 'a number'}"
    if values.ndim == 0 or not values.size:
        return Grid([what], [[f"{value:z.6g}"] for value in values.reshape(-1)], "r", title=shown)
    if values.size == len(values):
        return Chart(shown, "unit", what, (Series("", range(len(values)), values.ravel().tolist(), "bars"),))
    made = Maps.strongest if strongest else Maps.first
    return made(shown, as_maps(values), limit, scale=scale, signed=signed)


def as_maps(values: Array) -> Array:
    """Values (K, ...) as maps (K, H, W): one number for each of K as maps of one cell, a sequence (T, K) as one map."""
    if values.ndim < 2:
        return values.reshape(-1, 1, 1)
    return values[None] if values.ndim == 2 else values.reshape(len(values), values.shape[1], -1)
