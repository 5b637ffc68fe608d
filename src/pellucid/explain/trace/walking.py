"""From a class score back to pixels: the strongest paths, and the share of the score that each carries."""

from __future__ import annotations

import heapq
import itertools
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pellucid.explain.trace.expansion import Expansion, without_batch
from pellucid.explain.trace.local_parts import RULE, PartRule, sized
from pellucid.explain.trace.terms import Index
from pellucid.explain.trace.tracing import Trace, TraceError, require_trace
from pellucid.flags import flag
from pellucid.graph import Graph, Input, Parameter, Tensor
from pellucid.inference.scores import before_softmax
from pellucid.inference.shown import as_ground
from pellucid.inference.target import Target
from pellucid.op import Array
from pellucid.pictures import Answer, Box, Grid, Overlay, Page
from pellucid.progress import long, progress
from pellucid.text import WIDTH


@dataclass(frozen=True)
class PathStep:
    """An element on a path, and the share of the score that all paths carry which come down to it this way."""

    layer: str
    index: Index
    value: float
    share: float

    def __str__(self) -> str:
        place = f"[{','.join(map(str, self.index))}]" if self.index else ""
        return f"{self.layer}{place} {self.value:z.4g} ({_percent(self.share)})"


@dataclass(frozen=True)
class Path:
    """A way from the score to a pixel, or to a parameter or constant that stands by itself (a bias).

    `ends` says which: "pixel" of the picture, "input" for an element of another input, "parameter", "constant", or "value"
    for one of a layer that the rule does not open. `share` is the part of the score that the path carries, `contribution`
    the same in the score's units.
    """

    steps: tuple[PathStep, ...]
    share: float
    contribution: float
    ends: str

    def __str__(self) -> str:
        text = " <- ".join(map(str, self.steps))
        return "\n".join(textwrap.wrap(text, WIDTH - 4, initial_indent="    ", subsequent_indent="    "))


@dataclass(frozen=True, eq=False)
class WalkBack(Answer):
    """The strongest paths from a score; there are none stronger.

    `gap` is how far the sums of the layers on the way (`num_sums`) were from the values that the engine computed, at
    most, relative to the sum of their terms' absolute values.
    """

    target: int | None
    label: str
    place: Target
    score: float
    paths: tuple[Path, ...]
    gap: float
    num_sums: int
    image: Array
    axes: tuple[int, int] = (-2, -1)
    """Which numbers of a pixel's index are its row and its column."""

    @property
    def share(self) -> float:
        """What the paths carry of the score together."""
        return sum(path.share for path in self.paths)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "target": self.target,
            "class": self.label,
            "place": str(self.place),
            "score": self.score,
            "share": self.share,
            "paths": [asdict(path) for path in self.paths],
            "rule": RULE,
            "gap": self.gap,
            "sums": self.num_sums,
        }

    @property
    def _who(self) -> str:
        count = len(self.paths)
        return (
            "This path carries"
            if count == 1
            else f"These {count} paths carry"
            if count
            else "No path to a pixel carries"
        )

    def notes(self) -> list[str]:
        """What the numbers mean, and how sure they are."""
        return [
            f"{self._who} {_percent(self.share)} of the score {self.score:z.6g} of {self.place.words}; in "
            "brackets the share of all paths that come down this way.",
            f"Each of the {self.num_sums} layers' sums on the way adds up to what the engine computed, to {self.gap:.1e}.",
            RULE,
        ]

    def __str__(self) -> str:
        parts = [f"{k:>2}. {_percent(p.share)} ({p.contribution:+z.4g})\n{p}" for k, p in enumerate(self.paths, 1)]
        return "\n".join([*parts, "", *(line for note in self.notes() for line in textwrap.wrap(note, WIDTH))])

    def drawing(self) -> Overlay:
        """The picture with the pixels where the paths end, each with the numbers of its paths."""
        around = min(self.image.shape[1:]) // 64
        strongest = max((abs(p.share) for p in self.paths), default=1.0) or 1.0
        pixels: dict[Index, list[int]] = {}
        for number, path in enumerate(self.paths):
            if path.ends == "pixel":
                place = (0, 0, *path.steps[-1].index)
                pixels.setdefault((place[self.axes[0]], place[self.axes[1]]), []).append(number)
        boxes: list[Box] = []
        for (row, column), numbers in pixels.items():
            rows, columns = (row - around, row + around + 1), (column - around, column + around + 1)
            weight = max(abs(self.paths[k].share) for k in numbers) / strongest
            boxes.append(Box(rows, columns, ", ".join(str(k + 1) for k in numbers), weight))
        title = f"Where the strongest paths to {self.place.words} end"
        shares = "; ".join(f"{k}: {_percent(p.share)}" for k, p in enumerate(self.paths, 1))
        return Overlay(
            title, self.image, boxes=tuple(boxes), note=f"Shares of the score that each path carries: {shares}"
        )

    def picture(self) -> Page:
        """The pixels where the paths end, and the paths as a table."""
        rows = [
            [str(k), _percent(p.share), f"{p.contribution:+z.4g}", " <- ".join(map(str, p.steps))]
            for k, p in enumerate(self.paths, 1)
        ]
        table = Grid(["path", "share", "contribution", "from the score to its end"], rows, "lrrl")
        return Page(f"The strongest paths to {self.place.words}", (self.drawing(), table, *self.notes()))


def _percent(share: float) -> str:
    return f"{100 * share:+z.3g} %"


@long
def walk_back(
    trace: Trace,
    count: int = 10,
    *,
    biases: bool = True,
    shown: Array | None = None,
) -> WalkBack:
    """The `count` strongest paths from what the trace asks about back to pixels, by the size of what they carry.

    A final softmax is left out: paths start at the score that it is given. Without `biases` only paths that end at
    pixels count. `shown`, uint8 (C, H, W), is the picture to draw on. First the strongest way down from every element is
    worked out, layer by layer; then paths are found best first, so there
    are no stronger ones than those that are given. Raises `TraceError` where the score is 0, which has no shares.
    """
    biases = flag("walk_back", "biases", biases, TraceError)
    require_trace(trace)
    if count < 1:
        raise TraceError(f"walk_back: wants at least one path, got {count}")
    if trace.why_no_gradient:
        raise TraceError(f"walk_back: there is no score to go back from: {trace.why_no_gradient}")
    output, place = trace.output, trace.place
    start, _ = before_softmax(output)
    start = start if start.shape == output.shape else output
    values = trace.activations.of(start)
    score = float(place.of(values)[0])
    if not score:
        raise TraceError(f"walk_back: the score of {place.words} is 0, of which no path carries a share")
    with progress("walking back"):
        rule = PartRule(Graph([start]), trace.activations, biases)
    walk = _Walk(trace, rule, score, count)
    region = np.argwhere(place.upstream(start))
    ends = itertools.islice(walk.best_first(start, region), count)
    paths = tuple(walk.path(end) for end in ends)
    gap, num_sums = walk.completeness()
    image = as_ground(trace[trace.graph.names[walk.image]].as_picture) if shown is None else shown
    rows, columns = trace.prepared.axes.rows_and_columns(walk.image)
    axes = (-2, -1) if walk.image.ndim != 4 or rows is None or columns is None else (rows - 4, columns - 4)
    return WalkBack(trace.target, trace.label, place, score, paths, gap, num_sums, image, axes)


@dataclass(frozen=True, eq=False)
class _Place:
    """Where a path is: an element, what all coefficients on the way multiply to, and where it came from.

    `node` None is an activation's f(0), whose value is `factor` itself.
    """

    node: Tensor | None
    index: Index
    factor: float
    before: _Place | None


class _Walk:
    def __init__(self, trace: Trace, rule: PartRule, score: float, count: int) -> None:
        self.trace, self.rule, self.score, self.count = trace, rule, score, count
        self.image = trace.fed.main
        self.visited: dict[tuple[Tensor, Index], None] = {}
        self.sums = Expansion(trace.activations, trace.graph.names, frozenset(trace.kept))

    def best_first(self, node: Tensor, starts: Array) -> Iterator[_Place]:
        """The ends of paths from elements (n, axes) of a node, strongest first.

        What lies below each open place is bounded by its strongest way down.
        """
        sizes = self.rule.strongest(node)[tuple(starts.T)]
        chosen = np.argsort(-sizes, kind="stable")[: self.count]
        heap: list[tuple[float, int, _Place]] = [
            (-float(sizes[k]), number, _Place(node, tuple(map(int, starts[k])), 1.0, None))
            for number, k in enumerate(chosen)
        ]
        number = len(heap)
        while heap:
            _, _, place = heapq.heappop(heap)
            if place.node is None or not self.rule.opens(place.node):
                yield place
                continue
            for bound, child in self.onward(place):
                heapq.heappush(heap, (-bound, number, child))
                number += 1

    def onward(self, place: _Place) -> Iterator[tuple[float, _Place]]:
        """The ways on from a place, at most as many as paths are wanted, each with the size of its strongest path."""
        assert place.node is not None
        alone = self.rule.alone(place.node, place.index) * place.factor
        if alone:
            yield abs(alone), _Place(None, place.index, alone, place)
        for parts in self.rule.parts(place.node, place.index):
            factors = parts.coefficients * place.factor
            sizes = sized(self.rule.strongest(parts.source)[tuple(parts.places.T)], factors)
            for k in np.argsort(-sizes, kind="stable")[: self.count]:
                if sizes[k]:
                    yield (
                        float(sizes[k]),
                        _Place(parts.source, tuple(map(int, parts.places[k])), float(factors[k]), place),
                    )

    def path(self, end: _Place) -> Path:
        """A path, by its steps from the score: layers' elements, and its end, behind what only moves it."""
        if end.node is not None:
            node, index = self.sums.resolved(end.node, end.index)
            end = _Place(node, index, end.factor, end.before)
        places = [end]
        while (before := places[-1].before) is not None:
            places.append(before)
        kept = frozenset(self.trace.kept)
        steps: list[PathStep] = []
        for place in reversed(places):
            if place.node is None or place is end or place.node in kept:
                steps.append(self.step(place))
            if place.node is not None and place.node in kept and place is not end:
                self.visited[place.node, place.index] = None
        carried = self.carried(end)
        return Path(tuple(steps), carried / self.score, carried, self.kind(end))

    def kind(self, end: _Place) -> str:
        if end.node is None:
            return "constant"
        if isinstance(end.node.op, Input):
            return "pixel" if end.node is self.image else "input"
        return "parameter" if isinstance(end.node, Parameter) else "value"

    def carried(self, place: _Place) -> float:
        """What all paths through a place carry, in the score's units."""
        return (
            place.factor
            if place.node is None
            else place.factor * float(self.trace.activations.of(place.node)[place.index])
        )

    def step(self, place: _Place) -> PathStep:
        share = self.carried(place) / self.score
        if place.node is None:
            assert place.before is not None
            assert place.before.node is not None
            curve = place.before.node
            return PathStep(f"{curve.op.kind}(0)", (), float(self.rule.alone(curve, place.index)), share)
        name = self.trace.graph.names.get(place.node, place.node.name)
        value = float(self.trace.activations.of(place.node)[place.index])
        return PathStep(name, without_batch(place.node, place.index), value, share)

    def completeness(self) -> tuple[float, int]:
        """How far the sums of the layers' elements on the paths are from what the engine computed, and their number."""
        gaps = [0.0]
        for node, index in self.visited:
            terms = self.sums.terms(node, index)
            if size := float(np.abs(terms.values).sum()):
                with np.errstate(invalid="ignore"):  # infinities that are opposite add up to no number
                    gaps.append(abs(float(terms.values.sum()) - float(self.sums.values.of(node)[index])) / size)
        return max(gaps), len(self.visited)
