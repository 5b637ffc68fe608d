"""What nodes of a network's graph are worth over the pictures of a data set, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import closing

import numpy as np

from pellucid.data import Batch, Dataset, Loader, Preparation, Subset
from pellucid.data.image import shape_for
from pellucid.data.sample import require_part
from pellucid.graph import Graph, Tensor
from pellucid.inference.ready import Ready
from pellucid.nn.interface import main_input
from pellucid.op import Array
from pellucid.progress import progress

BATCH, MEMORY = 64, 1 << 30


def read_images(
    ready: Ready,
    dataset: Dataset,
    key: Hashable,
    ask: Callable[[Graph], Sequence[Tensor]],
    preprocessing: Preparation | None,
    *,
    batch_size: int = 0,
    title: str = "reading",
) -> Iterator[tuple[Batch, tuple[Array, ...]]]:
    """What `ask` wants of the network's graph, for one batch of pictures after another; `key` tells what that is.

    A `batch_size` of 0 takes as many pictures as keep all values of the network within `MEMORY`, at most `BATCH`.
    """
    if batch_size == 0:
        needed = sum(
            node.nbytes
            for node in ready.graph((1, *shape_for(preprocessing, dataset.shape))).graph.nodes
            if node.inputs
        )
        batch_size = max(1, min(BATCH, MEMORY // max(1, needed)))
    done = 0
    with (
        closing(Loader(dataset, batch_size, preprocessing).epoch(0)) as batches,
        progress(title) as tell,
    ):
        for batch in batches:
            graph = ready.graph(batch.images.shape)
            program = graph.program_of(ready.setting, key, lambda graph=graph: ask(graph.graph))
            x = main_input(graph.graph.inputs)
            yield batch, program({x: batch.images.astype(x.dtype, copy=False)})
            done += len(batch.labels)
            tell(done, len(dataset))


def some_images(dataset: Dataset, limit: int) -> tuple[Dataset, Array]:
    """`limit` pictures evenly spread over a data set (all, if there are not more or `limit` is 0), and their places in it."""
    require_part(dataset)
    if not 0 < limit < len(dataset):
        return dataset, np.arange(len(dataset))
    chosen = np.linspace(0, len(dataset) - 1, limit).round().astype(np.int64)
    return Subset(dataset, chosen, dataset.name), chosen
