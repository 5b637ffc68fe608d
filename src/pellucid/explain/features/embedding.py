"""What a layer makes of the pictures of a data set, on a plane: each picture a point, near those that it takes for alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.data import Dataset
from pellucid.errors import unknown
from pellucid.inference.layers import LayerError, find_layer, layer_before_head
from pellucid.inference.reading import read_images, some_images
from pellucid.inference.ready import Ready
from pellucid.nn import Module
from pellucid.nn.card import card_of, carded
from pellucid.nn.required import require_net
from pellucid.op import Array
from pellucid.pictures import Answer, Chart, Series
from pellucid.progress import long
from pellucid.seeds import require_seed
from pellucid.text import amount, human_bytes

METHODS = ("pca", "tsne", "umap")
NEIGHBORS = 5
MEMORY = 1 << 30
"""Bytes that a layer's outputs for all pictures may take."""
COMPONENTS = 50
"""Principal components that t-SNE and UMAP start from, where a layer has more numbers."""


@dataclass(frozen=True)
class Embedding(Answer):
    """A layer's outputs on a plane: `coordinates` (N, 2) and `labels` (N,), numbers of `classes`.

    `indices` (N,) say which pictures of `data` these are, `width` how many numbers the layer has for one. `accuracy` is
    the share of pictures whose class most of their 5 nearest neighbors on the plane have, `layer_accuracy` the same
    among the layer's own numbers: what the plane loses. `explained` is the share of variance along either axis (PCA).
    """

    layer: str
    method: str
    data: str
    coordinates: Array
    labels: Array
    indices: Array
    classes: tuple[str, ...]
    width: int
    accuracy: float
    layer_accuracy: float
    explained: tuple[float, ...]
    how: str

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        facts = ("layer", "method", "how", "data", "width", "accuracy", "layer_accuracy")
        arrays = ("coordinates", "labels", "indices")
        return {
            **{fact: getattr(self, fact) for fact in facts},
            "classes": list(self.classes),
            "explained": list(self.explained),
            **{name: getattr(self, name).tolist() for name in arrays},
        }

    def __str__(self) -> str:
        facts = self._facts()
        return "\n".join([f"{self.layer} of {self.data}: {facts[0]}", *facts[1:]])

    def _facts(self) -> list[str]:
        shares = " and ".join(f"{share:.1%}" for share in self.explained)
        return [
            f"{amount(len(self.labels), 'picture')}, {amount(self.width, 'number')} for each",
            self.how + (f"; the two axes have {shares} of the variance" if shares else ""),
            f"the {NEIGHBORS} nearest neighbors name the class of {self.accuracy:.1%} on the plane, {self.layer_accuracy:.1%} in the layer",
        ]

    def picture(self) -> Chart:
        """The points, colored by class."""
        axes = [f"axis {k + 1}" for k in range(2)]
        if self.explained:
            axes = [f"{axis} ({share:.1%} of the variance)" for axis, share in zip(axes, self.explained, strict=True)]
        series = [
            Series(name, *self.coordinates[self.labels == number].T.tolist(), kind="points")
            for number, name in enumerate(self.classes)
            if (self.labels == number).any()
        ]
        note = "; ".join(self._facts())
        return Chart(f"{self.layer} of {self.data}, by {self.method}", axes[0], axes[1], tuple(series), note)


@carded
@long
def embed(
    net: Module,
    dataset: Dataset,
    layer: str | None = None,
    method: str = "pca",
    *,
    limit: int = 2000,
    seed: int = 0,
    batch_size: int = 0,
    executor: str = "auto",
) -> Embedding:
    """Lay out what a layer gives for the pictures of a data set on a plane; `layer` is that before the classifier's last.

    `method` is pca (principal components), tsne (van der Maaten and Hinton 2008) or umap (McInnes et al. 2018, extra
    `pellucid[umap]`). All numbers of the layer count, at all places of its maps. At most `limit` pictures, evenly
    spread, are read (0: all).
    """
    require_net(net)
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    require_seed(seed, 2**32 - 1)  # scikit-learn's largest
    if method == "umap":
        _umap()  # what is missing is said before the work
    part, places = some_images(dataset, limit)
    if len(part) <= NEIGHBORS:
        raise LayerError(f"{part.name}: an embedding wants more than {NEIGHBORS} pictures, got {len(part)}")
    ready = Ready(net, executor)
    graph = ready.graph((1, *part.shape)).graph
    name = layer or layer_before_head(graph)
    needed = find_layer(graph, name).nbytes * len(part)
    if needed > MEMORY:
        raise LayerError(
            f"{name}: its outputs for {len(part)} pictures take {human_bytes(needed)}, at most {human_bytes(MEMORY)} is held; lower limit"
        )

    rows: list[Array] = []
    labels: list[Array] = []
    for batch, (values,) in read_images(
        ready,
        part,
        ("layer", name),
        lambda graph: [find_layer(graph, name)],
        card_of(net).preprocessing,
        batch_size=batch_size,
        title="reading the layer",
    ):
        rows.append(values.reshape(len(values), -1))
        labels.append(batch.labels)
    features, truth = np.concatenate(rows), np.concatenate(labels)
    broken = len(features) - int(np.isfinite(features).all(1).sum())
    if broken:
        raise LayerError(
            f"{name}: wants finite numbers to lay out, got NaN or infinity for {broken:,} of {amount(len(features), 'picture')}; "
            "take a layer before the first that gives such, or weights that are finite"
        )
    coordinates, explained, how = _laid_out(features, method, seed)
    return Embedding(
        name,
        method,
        part.name,
        coordinates,
        truth,
        places,
        part.classes,
        features.shape[1],
        neighbor_accuracy(coordinates, truth),
        neighbor_accuracy(features, truth),
        explained,
        how,
    )


def neighbor_accuracy(points: Array, labels: Array, neighbors: int = NEIGHBORS) -> float:
    """The share of `points` (N, D) whose label most of their nearest neighbors have; of equals the smallest label counts."""
    from sklearn.neighbors import NearestNeighbors

    nearest: Any = NearestNeighbors(n_neighbors=neighbors).fit(points)
    found = labels[nearest.kneighbors(return_distance=False)]
    votes = np.stack([np.bincount(row, minlength=int(labels.max()) + 1) for row in found])
    return float(np.mean(votes.argmax(1) == labels))


def _laid_out(features: Array, method: str, seed: int) -> tuple[Array, tuple[float, ...], str]:
    """Coordinates (N, 2), the shares of variance that they explain, and how they were made."""
    if features.shape[1] < 2:
        raise LayerError(f"an embedding wants a layer with at least 2 numbers for a picture, got {features.shape[1]}")
    if method == "pca":
        coordinates, shares = _principal(features, 2, seed)
        return coordinates, tuple(float(s) for s in shares), "principal components (PCA)"
    start, reduced = features, ""
    if min(features.shape) > COMPONENTS:
        start, shares = _principal(features, COMPONENTS, seed)
        reduced = f", from {COMPONENTS} principal components with {shares.sum():.1%} of the variance"
    if method == "tsne":
        from sklearn.manifold import TSNE

        perplexity = min(30.0, (len(features) - 1) / 3)
        made: Any = TSNE(2, perplexity=perplexity, random_state=seed, init="pca").fit_transform(start)
        return np.asarray(made, np.float64), (), f"t-SNE, perplexity {perplexity:g}, seed {seed}{reduced}"
    neighbors = min(15, len(features) - 1)
    made = _umap().UMAP(n_neighbors=neighbors, random_state=seed, n_jobs=1).fit_transform(start)
    return np.asarray(made, np.float64), (), f"UMAP, {neighbors} neighbors, seed {seed}{reduced}"


def _principal(features: Array, count: int, seed: int) -> tuple[Array, Array]:
    """The first principal components of features (N, D): coordinates (N, count), and shares of the variance."""
    from sklearn.decomposition import PCA

    solver = "arpack" if min(features.shape) > count else "full"
    fitted: Any = PCA(count, svd_solver=solver, random_state=seed)
    coordinates = fitted.fit_transform(features.astype(np.float64))
    return coordinates, fitted.explained_variance_ratio_


def _umap() -> Any:
    try:
        import umap  # pyright: ignore[reportMissingImports, reportMissingTypeStubs]
    except ImportError as error:
        raise LayerError("UMAP needs the extra: pip install 'pellucid[umap]'") from error
    return umap
