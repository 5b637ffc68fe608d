"""Whether a map depends on what the network has learned: the same map while the weights are randomized, layer by layer."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pellucid.explain.attribution.method import attribute
from pellucid.graph import Parameter
from pellucid.inference.fed import Given
from pellucid.inference.scores import Scores
from pellucid.inference.target import ScoreError, Target, TargetLike
from pellucid.nn import Module
from pellucid.nn.card import carded
from pellucid.nn.required import require_net
from pellucid.op import Array
from pellucid.pictures import Answer, Chart, Series
from pellucid.progress import long, progress
from pellucid.seeds import random_numbers
from pellucid.text import named_table, some_of


@dataclass(frozen=True)
class Randomization(Answer):
    """How alike a map stays when a network's layers are randomized from the top down.

    After stage i the layers in `stages[: i + 1]` are random, and the map's rank correlation with that of the network as it
    is (Spearman's) is `correlations[i]`. A method whose correlation stays high does not show what was learned.
    """

    method: str
    target: int | None
    stages: tuple[tuple[str, ...], ...]
    correlations: tuple[float, ...]
    place: Target = field(default_factory=Target)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        rows = zip(self.stages, self.correlations, strict=True)
        stages = [{"layers": list(layers), "correlation": correlation} for layers, correlation in rows]
        return {"method": self.method, "target": self.target, "place": str(self.place), "stages": stages}

    def __str__(self) -> str:
        rows = [
            [some_of(layers, 3), f"{correlation:+z.2f}"]
            for layers, correlation in zip(self.stages, self.correlations, strict=True)
        ]
        table = named_table(["randomized, with all above", "correlation"], rows, "lr")
        return f"{self.method}, {self.place.words}: rank correlation with the map of the trained network\n{table}"

    def picture(self) -> Chart:
        """The correlation over the layers."""
        x = (0, *np.cumsum([len(layers) for layers in self.stages]).tolist())
        title = f"{self.method} while layers are randomized from the top"
        note = "Adebayo et al. 2018, Sanity Checks for Saliency Maps, section 3"
        curve = Series(self.method, x, (1.0, *self.correlations))
        return Chart(title, "randomized layers", "rank correlation with the map as it was", (curve,), note)


@carded
@long
def randomization_check(
    net: Module,
    image: Given,
    target: TargetLike = None,
    *,
    method: str = "grad-cam",
    stages: int = 8,
    of: str = "",
    executor: str = "auto",
    seed: int = 0,
    **options: Any,
) -> Randomization:
    """Randomize a copy of the network from its last layer to its first, in `stages`, and compare the method's maps.

    A parameter is randomized by shuffling its values, so that their distribution stays. `net` and its weights are not
    touched. `options` are the method's (Adebayo et al. 2018, Sanity Checks for Saliency Maps, section 3).
    """
    require_net(net)
    if stages < 1:
        raise ScoreError(f"randomization: stages must be at least 1, got {stages}")
    copied = copy.deepcopy(net)
    scores, picture, place = Scores.aimed("randomization", copied, image, target, executor, of)
    layers = _layers(scores, picture)
    random = random_numbers(seed)
    arguments: dict[str, Any] = {"method": method, "of": of, "executor": executor, "seed": seed, **options}
    parts = [part for part in np.array_split(np.arange(len(layers)), stages) if len(part)]
    names = list(layers)
    done: list[tuple[str, ...]] = []
    correlations: list[float] = []
    with progress(f"randomizing for {method}") as tell:
        before = attribute(copied, image, place, **arguments)
        for part in parts:
            done.append(tuple(names[i] for i in part))
            for parameter in (p for name in done[-1] for p in layers[name]):
                parameter.value = random.permutation(parameter.value.reshape(-1)).reshape(parameter.shape)
            after = attribute(copied, image, place, **arguments)
            correlations.append(rank_correlation(before.heat, after.heat))
            tell(len(done), len(parts))
    return Randomization(method, before.target, tuple(done), tuple(correlations), place)


def rank_correlation(a: Array, b: Array) -> float:
    """Spearman's rank correlation of two maps; 0 where one of them is the same everywhere."""
    from scipy.stats import rankdata

    x, y = (rankdata(m) - (m.size + 1) / 2 for m in (a, b))
    below = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / below) if below > 0 else 0.0


def _layers(scores: Scores, image: Array) -> dict[str, list[Parameter]]:
    """The trainable parameters of each layer, by the layers' names, from the score down."""
    nodes = scores.graph(image.shape).graph.nodes
    read = (
        value for node in reversed(nodes) for value in node.inputs if isinstance(value, Parameter) and value.trainable
    )
    layers: dict[str, list[Parameter]] = {}
    for parameter in dict.fromkeys(read):
        layers.setdefault(parameter.name.rpartition(".")[0] or parameter.name, []).append(parameter)
    return layers
