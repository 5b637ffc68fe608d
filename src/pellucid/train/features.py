"""What the frozen part of a network makes of every picture, computed once and kept while the rest is being trained."""

from __future__ import annotations

import math
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.data import Inputs, Loader, cache_bytes
from pellucid.data.image import shape_for
from pellucid.data.sample import Normalizing
from pellucid.executors import compile
from pellucid.graph import Graph
from pellucid.inference.prediction import Predictor
from pellucid.inference.ready import ReadyGraph
from pellucid.op import Array, Shape
from pellucid.progress import tell
from pellucid.text import amount
from pellucid.train.step import cut
from pellucid.train.tuning import Tuning


@dataclass
class FeatureSet:
    """The features of a data set's pictures: `values` float32 (N, ...), in the order of the pictures."""

    values: Array
    name: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one picture's features."""
        return self.values.shape[1:]

    def __len__(self) -> int:
        return len(self.values)

    def images(self, indices: Array) -> Array:
        """The features of the pictures at `indices`."""
        return np.asarray(self.values[indices])


class FeaturePredictor(Predictor):
    """A network in inference, from the features that its frozen part has made."""

    def __init__(self, tuning: Tuning, shape: tuple[int, ...], **setting: Any) -> None:
        super().__init__(tuning.net, **setting)
        self._tuning, self._shape = tuning, shape

    def graph(self, shape: Shape) -> ReadyGraph:
        """The graph from features of `shape`, with the batch axis."""
        input_shape = (shape[0], *self._shape)

        def build() -> Graph:
            halves = cut(self._tuning, input_shape)
            assert halves is not None
            return Graph([halves.scores])

        return self.ready.graph_of(("features", input_shape, self._tuning.frozen), build)


def compute_features(
    tuning: Tuning,
    parts: tuple[Inputs, ...],
    preprocessing: Normalizing,
    batch_size: int,
    folder: Path,
    setting: dict[str, Any],
    stopped: Callable[[], bool],
) -> list[FeatureSet] | None:
    """The features of each part's pictures, or None: no part of the network is fixed, or there is no room.

    With `stopped()` the rest of them is left out.

    Up to PELLUCID_CACHE_MB they are kept in memory, beyond that in a file in `folder` that is gone when they are.
    """
    halves = cut(tuning, (batch_size, *shape_for(preprocessing, parts[0].shape)))
    if halves is None:
        return None
    program = compile([halves.features], **setting)
    count = sum(map(len, parts))

    def computed() -> Iterator[Array]:
        done = 0
        for part in parts:
            with closing(Loader(part, batch_size, preprocessing).epoch(0)) as batches:
                for batch in batches:
                    if stopped():
                        return
                    size = len(batch.images)
                    padded = np.resize(
                        batch.images, (batch_size, *batch.images.shape[1:])
                    )  # one kernel for all batches
                    yield program({"images": padded})[0][:size]
                    done += size
                    tell(done, count)

    try:
        values = _kept(computed(), (count, *halves.features.shape[1:]), folder)
    except OSError as error:
        warnings.warn(
            f"{folder}: no room for the features of {amount(count, 'picture')} ({error.strerror}); each epoch computes them anew",
            stacklevel=2,
        )
        return None
    starts = np.cumsum([0, *map(len, parts)])
    return [
        FeatureSet(values[start : start + len(part)], part.name) for start, part in zip(starts, parts, strict=False)
    ]


def _kept(computed: Iterator[Array], shape: tuple[int, ...], folder: Path) -> Array:
    if 4 * math.prod(shape) <= cache_bytes():
        values = np.empty(shape, np.float32)
        start = 0
        for some in computed:
            values[start : start + len(some)] = some
            start += len(some)
        return values
    with tempfile.TemporaryFile(dir=folder) as file:
        for some in computed:
            file.write(some.tobytes())
        file.truncate(4 * math.prod(shape))
        file.flush()
        return np.memmap(file, np.float32, "r", shape=shape)
