"""Which pictures are the same: to the byte by a checksum, and all but the same by a hash of how their brightness changes.

The hash is dHash (Krawetz 2013), across and down: of 9 x 9 mean brightnesses whether each is brighter than its neighbor, 128 bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pellucid.data.errors import DataError
from pellucid.plain import Array
from pellucid.progress import tell

BITS = 128
SIDE = 72
"""Pixels of the square that a picture is made into before it is hashed."""
DIFFERENCE = 12.0
"""How far mean brightnesses of near duplicates differ on average, of 255: without this all even pictures would be alike."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Shares of red, green and blue in the brightness of a color, as in ITU-R 601."""
MOST_PAIRS = 2_000_000
ROWS = 256


def brightness(picture: Array) -> Array:
    """The mean brightness of 9 x 9 fields, float32 (81,), of a picture uint8 (C, SIDE, SIDE)."""
    gray = LUMA @ picture.reshape(3, -1) if len(picture) == 3 else picture[0].astype(np.float32)
    return gray.reshape(9, SIDE // 9, 9, SIDE // 9).mean((1, 3)).ravel()


def hashes(fields: Array) -> Array:
    """uint64 (N, 2) of mean brightnesses (N, 81)."""
    square = fields.reshape(-1, 9, 9)
    across = square[:, :8, 1:] > square[:, :8, :-1]
    down = square[:, 1:, :8] > square[:, :-1, :8]
    bits = np.stack([across, down], 1).reshape(-1, 2, 64)
    return np.packbits(bits, axis=2).view(np.uint64)[..., 0]


def near_pairs(fields: Array, distance: int) -> Array:
    """Pairs (M, 2) of pictures whose hashes differ in at most `distance` bits, and whose brightness is alike.

    Raises `DataError` for a distance that says nothing, and where there are more than `MOST_PAIRS`.
    """
    if not 0 <= distance <= BITS // 4:
        raise DataError(f"distance must be from 0 to {BITS // 4} of {BITS} bits, got {distance}")
    codes, found, count = hashes(fields), list[Array](), 0
    for start in range(0, len(codes), ROWS):
        part = codes[start : start + ROWS, None]
        differ = np.zeros((len(part), len(codes) - start), np.uint8)
        for half in range(2):
            differ += np.bitwise_count(part[:, :, half] ^ codes[None, start:, half])
        rows, columns = np.nonzero(differ <= distance)
        later = columns > rows
        pairs = np.stack([rows[later], columns[later]], 1) + start
        alike = np.abs(fields[pairs[:, 0]] - fields[pairs[:, 1]]).mean(1) <= DIFFERENCE
        found.append(pairs[alike])
        count += int(alike.sum())
        if count > MOST_PAIRS:
            raise DataError(f"more than {MOST_PAIRS:,} pairs of pictures are alike; choose a smaller distance")
        tell(min(start + ROWS, len(codes)), len(codes))
    return np.concatenate(found) if found else np.empty((0, 2), np.int64)


def groups_of(pairs: Array, count: int) -> list[list[int]]:
    """Groups of those of `count` things that pairs (M, 2) connect, each in order, the largest first."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(pairs):
        return []
    ones = np.ones(len(pairs), np.int8)
    _, number = connected_components(
        coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(count, count)), directed=False
    )
    order = np.argsort(number, kind="stable")
    edges = np.flatnonzero(np.diff(number[order])) + 1
    return sorted((g.tolist() for g in np.split(order, edges) if len(g) > 1), key=lambda g: (-len(g), g))


def same(keys: Sequence[str]) -> list[list[int]]:
    """Groups of places that have one key, each in order, the largest first."""
    places: dict[str, list[int]] = {}
    for place, key in enumerate(keys):
        places.setdefault(key, []).append(place)
    return sorted((group for group in places.values() if len(group) > 1), key=lambda g: (-len(g), g))
