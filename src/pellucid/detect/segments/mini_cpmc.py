"""Segments by constrained parametric minimum cuts, a small version: seeds on a grid, and foreground of every size around each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pellucid.detect.segments.cuts import Cuts
from pellucid.detect.segments.parts import SuperPixels, parts_of
from pellucid.plain import Array

GRID = 5
"""Seeds of foreground in each row and column of them."""
SEED = 0.06
"""The side of a seed's square, as a share of the picture's shorter side."""
BIASES = 20
"""Foreground biases that are tried with each seed."""
ALIKE = 0.95
"""Of two segments whose intersection over union is so much, one goes."""
CENTERS, ROUNDS = 5, 10
"""Colors that stand for the background's, and rounds in which they are found."""
SMOOTH = 10.0
"""How much a border counts beside colors: that of one pixel where the color does not change as so many pixels of the picture's usual
preference for foreground or background."""
UNLIKE = 0.75
"""What being like a segment before takes from being plain, times the intersection over union."""


def mini_cpmc(image: Array, least: int, most: int) -> Array:
    """Masks bool (N, h, w) on a picture uint8 (3, h, w), the plainest first: at most `most`, of `least` pixels each or more.

    After Carreira and Sminchisescu (CPMC, 2012): each of 5 x 5 seeds is foreground and edges of the picture are background; parts prefer the
    side whose colors they have; some 20 biases make foreground from the least to the most; every connected piece of a minimum
    cut is a segment. Here the cuts are of small even parts rather than of pixels, and a segment is the plainer the more the
    color changes along its border, rather than as learned.
    """
    parts = parts_of(image)
    members = candidates(parts, image.shape[1:], least)
    return members[ranked(parts, members, most)].take(parts.labels, 1)  # each mask in one piece of memory


def candidates(parts: SuperPixels, size: tuple[int, ...], least: int) -> Array:
    """All segments of `least` pixels or more, bool (N, P), none twice."""
    found = [np.zeros((0, len(parts)), bool)]
    for edges in _backgrounds(parts.labels):
        background = np.zeros(len(parts), bool)
        background[edges] = True
        seeds = _seeds(parts, size, background)
        if len(seeds):
            found += [pieces(parts, cut, least) for cut in _cuts(parts, seeds, background)]
    return np.unique(np.concatenate(found), axis=0)


def _backgrounds(labels: Array) -> list[Array]:
    """Parts at edges of the picture: all edges, or all but the lower one, where objects often reach beyond the picture."""
    edges = [labels[0], labels[:, 0], labels[:, -1]]
    return [np.concatenate([*edges, labels[-1]]), np.concatenate(edges)]


def _seeds(parts: SuperPixels, size: tuple[int, ...], background: Array) -> Array:
    """Parts below each square of the grid that are not background, bool (G, P); squares without any are left out."""
    height, width = size
    half = max(1, round(SEED * min(size) / 2))
    found = np.zeros((GRID * GRID, len(parts)), bool)
    for number, (y, x) in enumerate(np.ndindex(GRID, GRID)):
        row, column = (2 * y + 1) * height // (2 * GRID), (2 * x + 1) * width // (2 * GRID)
        square = parts.labels[max(0, row - half) : row + half, max(0, column - half) : column + half]
        found[number, square.reshape(-1)] = True
    found &= ~background
    return found[found.any(1)]


def _cuts(parts: SuperPixels, seeds: Array, background: Array) -> Iterator[Array]:
    """Foreground around each seed at each bias, bool (G, P)."""
    away = _distances(parts, _centers(parts, background))
    likeness = np.stack([away - _distances(parts, parts.colors[own]) for own in seeds])
    weights = parts.areas / parts.areas.sum()
    spread = np.sqrt(((likeness - (likeness @ weights)[:, None]) ** 2) @ weights)
    cuts = Cuts(parts, seeds, np.broadcast_to(background, seeds.shape), SMOOTH * spread[:, None] * parts.ties)
    for biases in np.stack([_biases(parts, one) for one in likeness], 1):
        yield cuts.foreground(parts.areas * (likeness + biases[:, None]))


def _biases(parts: SuperPixels, likeness: Array) -> Array:
    """Those at which by color alone 0, 1/19, ... all of the picture would be foreground, (BIASES,)."""
    order = np.argsort(-likeness, kind="stable")
    shares = np.cumsum(parts.areas[order]) / parts.areas.sum()
    return -likeness[order[np.minimum(np.searchsorted(shares, np.linspace(0, 1, BIASES)), len(order) - 1)]]


def _centers(parts: SuperPixels, chosen: Array) -> Array:
    """A few colors that stand for those of the chosen parts, (N, 3): k-means that begins with those far from one another."""
    colors, weights = parts.colors[chosen], parts.areas[chosen]
    centers = colors[:1]
    for _ in range(CENTERS - 1):
        away = weights * _squares(colors, centers).min(1)
        if not away.any():
            break
        centers = np.concatenate([centers, colors[[away.argmax()]]])
    for _ in range(ROUNDS):
        nearest = _squares(colors, centers).argmin(1)
        counts = np.bincount(nearest, weights, len(centers))
        sums = np.stack([np.bincount(nearest, weights * plane, len(centers)) for plane in colors.T], 1)
        centers = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1.0)[:, None], centers)
    return centers


def _distances(parts: SuperPixels, colors: Array) -> Array:
    """How far each part's color is from the nearest of `colors` (N, 3): (P,)."""
    return np.sqrt(_squares(parts.colors, colors).min(1))


def _squares(ones: Array, others: Array) -> Array:
    return ((ones[:, None] - others[None]) ** 2).sum(2)


def pieces(parts: SuperPixels, foreground: Array, least: int) -> Array:
    """The connected pieces of each foreground, bool (G, P), that have `least` pixels: bool (N, P)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count, each = foreground.shape
    question, pair = np.nonzero(foreground[:, parts.pairs[:, 0]] & foreground[:, parts.pairs[:, 1]])
    ones, others = (parts.pairs[pair] + (each * question)[:, None]).T
    graph = coo_array((np.ones(len(ones), np.int8), (ones, others)), shape=(count * each, count * each))
    total, labels = connected_components(graph, directed=False)
    labels, areas = np.where(foreground, labels.reshape(count, each), -1), np.broadcast_to(parts.areas, (count, each))
    large = np.flatnonzero(np.bincount(labels[foreground], areas[foreground], total) >= least)
    own = np.full(total, -1)
    own[labels[foreground]] = np.nonzero(foreground)[0]
    return labels[own[large]] == large[:, None]


def ranked(parts: SuperPixels, members: Array, most: int) -> list[int]:
    """Which of segments bool (N, P) stay, the plainest first, at most `most`; each is the less plain the more it is like one before.

    (Carbonell and Goldstein's maximal marginal relevance, as in CPMC)
    """
    given = members.astype(np.float32) * np.sqrt(parts.areas).astype(np.float32)
    sizes, plain = members @ parts.areas, _contrasts(parts, members)
    like = np.zeros(len(members))
    stays: list[int] = []
    while len(stays) < min(most, len(members)):
        number = int(np.where(like < ALIKE, plain - UNLIKE * like, -np.inf).argmax())
        if like[number] >= ALIKE:
            break
        stays.append(number)
        shared = given @ given[number]
        like = np.maximum(like, shared / (sizes + sizes[number] - shared))
    return stays


def _contrasts(parts: SuperPixels, members: Array) -> Array:
    """How much the color changes along the border of each of segments (N, P), 0 to 1; what has no border has less."""
    ones, others = parts.pairs.T
    found = np.full(len(members), -1.0)
    for number, own in enumerate(members):
        crossing = own[ones] != own[others]
        if crossing.any():
            found[number] = 1.0 - parts.ties[crossing].sum() / parts.lengths[crossing].sum()
    return found
