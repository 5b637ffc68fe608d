"""`embed`: a data set laid out on a plane by what a layer makes of it."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.kinds import Executor, Network, TestData
from pellucid.questions.question import Option, question


def method_names() -> list[str]:
    """Ways to lay out points on a plane."""
    from pellucid.explain.features.embedding import METHODS

    return list(METHODS)


@question("embed", "pellucid.explain:embed", pictures="chart", group="look inside", page="layers")
def embed(
    subject: Network,
    data: TestData = "",
    layer: Annotated[str, Option("The layer; what the classifier's last layer reads unless given.")] = "",
    method: Annotated[str, Option("pca, tsne, or umap (needs its extra).", choices=method_names)] = "pca",
    limit: Annotated[int, Option("Pictures to read, evenly spread; 0 reads all.", low=0)] = 2000,
    seed: Annotated[int, Option("For what is random in a method.", low=0)] = 0,
    executor: Executor = "auto",
) -> Any:
    """Lay pictures out by what a layer makes of them.

    It measures how well the layer keeps the classes of a data set apart.

    Example: pellucid embed runs/digits-lenet --method pca --out digits.html
    """
    from pellucid.explain import embed as embed_layer
    from pellucid.questions.measured import images_for

    subject.require_preprocessing()
    return embed_layer(
        subject.net,
        images_for(subject, data),
        layer or None,
        method,
        limit=limit,
        seed=seed,
        executor=executor,
    )
