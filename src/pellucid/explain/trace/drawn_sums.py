"""Pictures of a sum: what it reads, its weights and their products, channel by channel, and its strongest terms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pellucid.explain.trace.terms import Block, Terms
from pellucid.op import Array
from pellucid.pictures import Chart, Maps, Series

CHANNELS = 8
"""Channels whose maps are drawn, those whose products sum to the largest absolute value."""
BARS = 40
"""Terms that are drawn as bars."""


def drawn_terms(terms: Terms) -> list[Chart | Maps]:
    """The strongest terms as bars, and where a sum goes over patches of channels, those as maps."""
    strongest = terms.strongest(BARS)
    some = f"The {len(strongest)} strongest of {len(terms)}" if len(terms) > len(strongest) else f"All {len(terms)}"
    words = f"{some} products that are summed, the largest by absolute value first."
    values = Series("", range(1, len(strongest) + 1), terms.values[strongest].tolist(), "bars")
    bars = Chart("What the sum is made of", "rank", "product", (values,), words)
    return [bars, *(maps for block in terms.blocks for maps in _patches(block))]


def _patches(block: Block) -> list[Maps]:
    """Maps of a block that multiplies elements (channel, row, column) by weights."""
    if len(block.values) < 2 or len(block.columns) < 2 or block.columns[0].places.shape[1] != 3:
        return []
    places = block.columns[0].places
    channels, number = np.unique(places[:, 0], return_inverse=True)
    rows, row = np.unique(places[:, 1], return_inverse=True)
    across, column = np.unique(places[:, 2], return_inverse=True)
    if len(rows) * len(across) < 2:
        return []
    sums = np.bincount(number, block.values, len(channels))
    shown = np.argsort(-np.abs(sums), kind="stable")[:CHANNELS]

    def maps(values: Array) -> Array:
        filled = np.full((len(channels), len(rows), len(across)), np.nan)
        filled[number, row, column] = values
        return filled[shown]

    read, weight = block.columns[:2]
    words = f"{len(shown)} of {len(channels)} channels" if len(shown) < len(channels) else ""
    captions = tuple(f"channel {channels[k]}" for k in shown)
    totals = tuple(f"{sums[k]:+z.3g}" for k in shown)
    return [
        _maps(f"What it reads: {read.name}", maps(read.values), captions, words),
        _maps(f"Times {weight.name}", maps(weight.values), captions, words),
        _maps("Products, and their sum in each channel", maps(block.values), totals, words),
    ]


def _maps(title: str, values: Array, captions: Sequence[str], note: str) -> Maps:
    return Maps(title, values, signed=True, captions=tuple(captions), note=note)
