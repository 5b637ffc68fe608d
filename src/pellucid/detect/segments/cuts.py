"""Foreground and background of a picture's parts by minimum cuts, for many seeds at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pellucid.detect.segments.parts import SuperPixels
from pellucid.plain import Array

LARGEST = 2**30
"""What all that may flow comes to, in whole numbers: the library's have 32 bits."""


@dataclass(frozen=True)
class Cuts:
    """G questions about P parts: each of `seeds`, bool (G, P), is foreground for sure, each of `background`, bool (G, P), is not, and neighbors are
    held together by `ties` (G, E)."""

    parts: SuperPixels
    seeds: Array
    background: Array
    ties: Array

    def foreground(self, gains: Array) -> Array:
        """Which parts are foreground, bool (G, P): those whose sum of `gains` (G, P), less the ties that are cut, is largest; of equally good
        answers the smallest.

        All questions are one flow from a source to a sink (Ford and Fulkerson: what the source still reaches is the smallest cut).
        """
        fixed = self.seeds | self.background
        node = np.cumsum(~fixed.reshape(-1)).reshape(fixed.shape) - 1
        ones, others = self.parts.pairs.T
        free, ahead = ~fixed[:, ones], ~fixed[:, others]
        inner = free & ahead
        given, taken = np.maximum(gains, 0.0), np.maximum(-gains, 0.0)
        for here, there, loose in ((ones, others, free & ~ahead), (others, ones, ahead & ~free)):
            for ends, wanted in ((given, self.seeds), (taken, self.background)):
                question, pair = np.nonzero(loose & wanted[:, there])
                np.add.at(ends, (question, here[pair]), self.ties[question, pair])
        straight = np.minimum(given, taken)  # what flows straight through a node decides nothing
        question, pair = np.nonzero(inner)
        first, second = node[question, ones[pair]], node[question, others[pair]]
        reached = _reached((first, second, self.ties[inner]), (given - straight)[~fixed], (taken - straight)[~fixed])
        found = self.seeds.copy()
        found[~fixed] = reached
        return found


def _reached(held: tuple[Array, Array, Array], given: Array, taken: Array) -> Array:
    """Which of N nodes are on the source's side of the minimum cut, bool (N,): at most `given` (N,) flows in, `taken` (N,) out, and between
    pairs of nodes either way what holds them, (ones, others, how strongly)."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    count = len(given)
    ones, others, strong = held
    found = np.zeros(count + 2, bool)
    if given.any():
        scale = LARGEST / max(given.sum(), taken.max(), strong.max(initial=0.0))
        source, sink, every = count, count + 1, np.arange(count)
        rows = np.concatenate([ones, others, np.full(count, source), every])
        columns = np.concatenate([others, ones, every, np.full(count, sink)])
        capacities = np.round(np.concatenate([strong, strong, given, taken]) * scale).astype(np.int32)
        some = capacities > 0
        graph = csr_array((capacities[some], (rows[some], columns[some])), shape=(count + 2, count + 2))
        left = graph - maximum_flow(graph, source, sink).flow
        left.eliminate_zeros()
        found[breadth_first_order(left, source, return_predecessors=False)] = True
    return found[:count]
