"""One place of the picture as the network got it: the numbers themselves."""

from __future__ import annotations

from typing import Any

from pellucid.explain import Activation, LayerError
from pellucid.explain.trace.drawn_values import as_maps
from pellucid.lab.network.view import HeldNetworks, cell_of


def pixel(held: HeldNetworks, given: dict[str, Any]) -> dict[str, Any]:
    """What the network got at a place of the picture: each channel's number, and the pixel that it was made from."""
    look = held.look(given)
    traced = look.trace
    one = Activation(traced, traced.fed.main)
    values = one.as_picture if one.value.ndim == 3 else as_maps(one.value)
    row, column = cell_of(given["cell"])
    if not (0 <= row < values.shape[1] and 0 <= column < values.shape[2]):
        raise LayerError(
            f"the input has {values.shape[1]} rows and {values.shape[2]} columns, there is no {given['cell']}"
        )
    pixels = look.example.pixels
    return {
        "row": row,
        "column": column,
        "values": values[:, row, column].tolist(),
        "pixel": None if pixels is None else pixels[:, row, column].tolist(),
    }
