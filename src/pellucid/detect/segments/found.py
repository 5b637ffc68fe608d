"""Where segments come from, by name, and those of a picture, kept between runs by what the picture holds."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping

import numpy as np

from pellucid.detect.boxes import BoxError
from pellucid.detect.config import MOST_SEGMENTS
from pellucid.detect.keeping import kept
from pellucid.detect.looking import GivenPicture, picture_of
from pellucid.detect.proposals.selective_search import selective_search, small
from pellucid.detect.segments.mini_cpmc import ALIKE, mini_cpmc
from pellucid.detect.segments.parts import distinct
from pellucid.detect.segments.segment_set import SegmentSet
from pellucid.errors import unknown
from pellucid.plain import Array
from pellucid.seeds import require_seed
from pellucid.whole_numbers import whole

VERSION = 1
"""Of the search: another one finds other segments."""
LEAST, OF_PIXELS = 1500, 500 * 375
"""Pixels that a segment has at least on a picture of so many or more; on a smaller one the same share."""
LOOKED_AT = 1500
"""Regions of selective search that are gone through, the likeliest first."""


def selective_search_segments(image: Array, least: int, most: int, seed: int) -> Array:
    """The regions of selective search, the likeliest first, as masks bool (N, h, w) on a picture uint8 (3, h, w)."""
    found = selective_search(image, 10_000, seed)
    trees = [h.tree for h in found.hierarchies]
    sources = [(which, region) for which, region in found.sources.tolist() if trees[which].sizes[region] >= least]
    finest, labels = np.unique(np.stack([h.labels.reshape(-1) for h in found.hierarchies]), axis=1, return_inverse=True)
    areas = np.bincount(labels, minlength=finest.shape[1]).astype(np.float64)
    members = np.zeros((min(LOOKED_AT, len(sources)), finest.shape[1]), bool)
    for number, (which, region) in enumerate(sources[: len(members)]):
        inside = np.zeros(trees[which].count, bool)
        inside[trees[which].leaves(region)] = True
        members[number] = inside[finest[which]]
    stays = distinct(members, areas, least, ALIKE, most)
    return members[stays].take(labels.reshape(image.shape[1:]), 1)


SOURCES: Mapping[str, Callable[[Array, int, int, int], Array]] = {
    "mini-cpmc": lambda image, least, most, seed: mini_cpmc(image, least, most),  # the same for every seed
    "selective-search": selective_search_segments,
}
"""What finds segments, by name: the names in `SEGMENT_SOURCES`."""


def least_pixels(size: tuple[int, ...]) -> int:
    """Pixels that a segment has at least on a picture of `size` (rows, columns)."""
    return max(1, round(LEAST * min(1.0, size[0] * size[1] / OF_PIXELS)))


def segments_of(image: GivenPicture, source: str = "mini-cpmc", seed: int = 0, most: int = 100) -> SegmentSet:
    """Segments of a picture uint8 (3, H, W) in RGB, or its file, at most `most`, the plainest first: always the same for one seed.

    "mini-cpmc" finds them by minimum cuts, "selective-search" takes its regions. They are kept from when the picture was
    searched before. Raises `BoxError` for what is no picture, `UnknownNameError` for a source that there is not.
    """
    if source not in SOURCES:
        raise unknown("source of segments", source, SOURCES)
    image = picture_of(image, "segments", BoxError)
    require_seed(seed)
    most = whole("segments", "most", most, raises=BoxError)
    if not 1 <= most <= MOST_SEGMENTS:
        raise BoxError(f"segments: at most how many must be from 1 to {MOST_SEGMENTS}, got {most}")
    searched = small(image)
    size = (searched.shape[1], searched.shape[2])
    least = least_pixels(size)
    packed = kept(
        "segments",
        (f"{VERSION} {source} {seed} {image.shape}".encode(), image.tobytes()),
        lambda found: found.dtype == np.uint8 and found.ndim == 1 and _unpacked(found, size) is not None,
        lambda: _packed(SOURCES[source](searched, least, MOST_SEGMENTS, seed)),
    )
    masks = _unpacked(packed, size)
    assert masks is not None  # what was kept fits
    return SegmentSet(image, masks[:most], source, least, seed)


def _packed(masks: Array) -> Array:
    """Masks as bytes: eight pixels each, compressed."""
    return np.frombuffer(
        zlib.compress(np.packbits(masks.reshape(len(masks), masks[0].size if len(masks) else 0), axis=1).tobytes(), 1),
        np.uint8,
    )


def _unpacked(packed: Array, size: tuple[int, int]) -> Array | None:
    """The inverse of `_packed` for masks of `size`, or None for what is none; no more than `MOST_SEGMENTS` are read."""
    pixels = size[0] * size[1]
    row = -(-pixels // 8)
    try:
        read = zlib.decompressobj()
        whole = read.decompress(packed.tobytes(), row * MOST_SEGMENTS + 1)
    except zlib.error:
        return None
    if not read.eof or len(whole) % row:
        return None
    bits = np.unpackbits(np.frombuffer(whole, np.uint8).reshape(-1, row), axis=1, count=pixels)
    return bits.astype(bool).reshape(-1, *size)
