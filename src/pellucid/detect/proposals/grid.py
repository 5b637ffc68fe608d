"""Windows of a few shapes and sizes, evenly laid over a picture whatever is on it: what proposals are better than."""

from __future__ import annotations

import numpy as np

from pellucid.plain import Array

SIZES = (1.0, 0.7, 0.5, 0.35, 0.25, 0.18, 0.12)
"""Of windows, as shares of the picture's sides."""
SHAPES = ((1.0, 1.0), (1.0, 0.5), (0.5, 1.0))
"""Shares of that again, across and down."""
STEPS = (0.15, 0.2, 0.25, 0.35, 0.5, 0.7, 1.0)
"""Of its sides a window lies beside the one before: the densest that there may be windows for."""


def grid(height: int, width: int, most: int) -> Array:
    """At most `most` windows float64 (N, 4) over a picture, the large ones first."""
    laid = np.zeros((0, 4))
    for step in STEPS:
        laid = _laid(height, width, step)
        if len(laid) <= most:
            break
    return laid[:most]


def _laid(height: int, width: int, step: float) -> Array:
    found: list[Array] = []
    for size in SIZES:
        for across, down in SHAPES:
            wide, high = max(1.0, size * across * width), max(1.0, size * down * height)
            left, top = _starts(width, wide, step), _starts(height, high, step)
            corners = np.stack(np.meshgrid(left, top), -1).reshape(-1, 2)
            found.append(np.concatenate([corners, corners + np.array([wide - 1, high - 1])], 1))
    every = np.round(np.concatenate(found))
    _, firsts = np.unique(every, axis=0, return_index=True)
    return every[np.sort(firsts)]


def _starts(side: int, extent: float, step: float) -> Array:
    return np.linspace(0, side - extent, 1 + int(np.ceil((side - extent) / (step * extent))))
