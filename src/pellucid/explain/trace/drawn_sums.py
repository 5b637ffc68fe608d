"""Pictures of a sum: what it reads, its weights and their products, channel by channel, and its strongest terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pellucid.explain.trace.terms import Block, Terms
from pellucid.op import Array
from pellucid.pictures import Chart, Maps, Series

CHANNELS = 8
"""Channels whose maps are drawn, those whose products sum to the largest absolute value."""
BARS = 40
"""Terms that are drawn as bars."""


@dataclass(frozen=True)
class Patch:
    """What a block of products reads of each channel, the weights there, and the products: (channels, rows, columns) each.

    `channels` are those of `total` whose `sums` are largest by absolute value first.
    """

    read: str
    weight: str
    total: int
    channels: tuple[int, ...]
    sums: tuple[float, ...]
    values: Array
    weights: Array
    products: Array


def drawn_terms(terms: Terms) -> list[Chart | Maps]:
    """The strongest terms as bars, and where a sum goes over patches of channels, those as maps."""
    strongest = terms.strongest(BARS)
    some = f"The {len(strongest)} strongest of {len(terms)}" if len(terms) > len(strongest) else f"All {len(terms)}"
    words = f"{some} products that are summed, the largest by absolute value first."
    values = Series("", range(1, len(strongest) + 1), terms.values[strongest].tolist(), "bars")
    bars = Chart("What the sum is made of", "rank", "product", (values,), words)
    return [bars, *(maps for patch in patches(terms) for maps in _drawn(patch))]


def patches(terms: Terms) -> list[Patch]:
    """The blocks that multiply elements (channel, row, column) by weights, as maps of the strongest channels."""
    return [patch for block in _alike(terms.blocks) if (patch := _patch(block)) is not None]


def _alike(blocks: Sequence[Block]) -> list[Block]:
    """The blocks with those of the same factors in one: where padding is read through, each term is a block of its own."""
    found: dict[tuple[tuple[str, int], ...], list[Block]] = {}
    for block in blocks:
        found.setdefault(tuple((c.name, c.places.shape[1]) for c in block.columns), []).append(block)
    return [same[0] if len(same) == 1 else _joined(same) for same in found.values()]


def _joined(blocks: Sequence[Block]) -> Block:
    columns = tuple(
        replace(
            same[0], places=np.concatenate([c.places for c in same]), values=np.concatenate([c.values for c in same])
        )
        for same in zip(*(block.columns for block in blocks), strict=True)
    )
    return Block(np.concatenate([block.values for block in blocks]), columns)


def _patch(block: Block) -> Patch | None:
    if len(block.values) < 2 or len(block.columns) < 2 or block.columns[0].places.shape[1] != 3:
        return None
    places = block.columns[0].places
    channels, number = np.unique(places[:, 0], return_inverse=True)
    rows, row = np.unique(places[:, 1], return_inverse=True)
    across, column = np.unique(places[:, 2], return_inverse=True)
    if len(rows) * len(across) < 2:
        return None
    sums = np.bincount(number, block.values, len(channels))
    shown = np.argsort(-np.abs(sums), kind="stable")[:CHANNELS]

    def maps(values: Array) -> Array:
        filled = np.full((len(channels), len(rows), len(across)), np.nan)
        filled[number, row, column] = values
        return filled[shown]

    read, weight = block.columns[:2]
    named = tuple(int(k) for k in channels[shown])
    values, weights, products = maps(read.values), maps(weight.values), maps(block.values)
    return Patch(
        read.name, weight.name, len(channels), named, tuple(map(float, sums[shown])), values, weights, products
    )


def _drawn(patch: Patch) -> list[Maps]:
    shown = len(patch.channels)
    words = f"{shown} of {patch.total} channels" if shown < patch.total else ""
    captions = tuple(f"channel {k}" for k in patch.channels)
    totals = tuple(f"{value:+z.3g}" for value in patch.sums)
    return [
        _maps(f"What it reads: {patch.read}", patch.values, captions, words),
        _maps(f"Times {patch.weight}", patch.weights, captions, words),
        _maps("Products, and their sum in each channel", patch.products, totals, words),
    ]


def _maps(title: str, values: Array, captions: Sequence[str], note: str) -> Maps:
    return Maps(title, values, signed=True, captions=tuple(captions), note=note)
