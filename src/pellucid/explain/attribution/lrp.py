"""Layer-wise relevance propagation: the score handed back from layer to layer, each giving to its inputs what they did."""

from __future__ import annotations

from pellucid.explain.attribution.backward import propagate
from pellucid.explain.attribution.method import Asked, Found, method
from pellucid.explain.attribution.relevance import Rules
from pellucid.graph import Tensor
from pellucid.inference.scores import ScoreGraph
from pellucid.inference.target import ScoreError


@method("Bach et al. 2015, On Pixel-Wise Explanations for Non-Linear Classifier Decisions, equation 58")
def lrp_epsilon(asked: Asked, *, epsilon: float = 1e-6) -> Found:
    """Relevance goes to inputs as their parts of each sum, whose size is raised by `epsilon`.

    Biases keep their parts. A convolution with its batch norm is one layer; a residual addition is a sum of two.
    """
    return _relevance(asked, epsilon, False)


@method("Montavon et al. 2019, Layer-Wise Relevance Propagation: An Overview, section 10.3 and table 10.1")
def lrp_composite(asked: Asked, *, epsilon: float = 1e-6) -> Found:
    """Another rule at each depth: epsilon for linear layers, z-plus for convolutions, z-B for the one at the picture.

    z-plus gives to inputs as their positive parts alone, z-B counts a pixel's value from the lowest and the highest of its
    channel. Both leave the bias out, so that all relevance arrives, unless a sum has no positive part but its bias.
    """
    return _relevance(asked, epsilon, True)


def _relevance(asked: Asked, epsilon: float, composite: bool) -> Found:
    if epsilon < 0:
        raise ScoreError(f"lrp: epsilon must not be negative, got {epsilon}")

    def build(graph: ScoreGraph) -> list[Tensor]:
        return [graph.score, propagate(graph, graph.score * graph.weights, Rules(graph, epsilon, composite).step)]

    shape = asked.image.shape
    scores, relevance = asked.compute(("lrp", epsilon, composite), build)
    graph = asked.scores.graph(shape)
    note = graph.once(("rules", composite), lambda graph: Rules(graph, epsilon, composite).told())
    score = asked.value(scores)
    return Found(score, relevance[0], note=note, promised=score)
