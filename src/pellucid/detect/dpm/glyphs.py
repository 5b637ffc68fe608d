"""Cells and filters as one sees them: in each cell lines along its edges, the stronger the lighter."""

from __future__ import annotations

import numpy as np

from pellucid.plain import Array

SIDE = 16
"""Pixels of a cell in a drawing."""


def glyphs(cells: Array, side: int = SIDE) -> Array:
    """Cells (rows, columns, 32) as a picture uint8 (1, rows * side, columns * side): what is above 0, both signs of an edge together."""
    strength = (
        np.clip(cells[..., :9], 0, None) + np.clip(cells[..., 9:18], 0, None) + np.clip(cells[..., 18:27], 0, None)
    )
    drawn = np.einsum("rco,oij->ricj", strength, _lines(side)).reshape(len(cells) * side, cells.shape[1] * side)
    return np.round(255 * drawn / max(float(drawn.max()), 1e-9)).astype(np.uint8)[None]


def _lines(side: int) -> Array:
    """A line through the middle for each of nine directions of a gradient, which an edge is across: (9, side, side)."""
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    angles = np.pi / 9 * np.arange(9)[:, None, None]
    off = np.abs(columns * np.cos(angles) + rows * np.sin(angles))
    along = np.abs(rows * np.cos(angles) - columns * np.sin(angles))
    return np.clip(1.3 - off, 0, 1) * (along <= side / 2)
