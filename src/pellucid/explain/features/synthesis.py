"""Pictures made to excite one unit, or one class, as strongly as can be: gradient ascent on the picture."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.autodiff import gradients
from pellucid.data import Preprocessing
from pellucid.errors import PellucidError
from pellucid.given import settle
from pellucid.graph import Graph, Tensor, constant, input
from pellucid.inference.layers import find_unit, per_unit
from pellucid.inference.ready import Ready
from pellucid.inference.scores import before_softmax
from pellucid.inference.shown import as_pixels
from pellucid.inference.target import TargetLike, find_target
from pellucid.nn import Module
from pellucid.nn.axes import COLUMNS, ROWS, in_layout, layout_of
from pellucid.nn.card import card_of, carded
from pellucid.nn.required import require_net
from pellucid.op import Array, Shape
from pellucid.pictures import Answer, Chart, Page, Series, Tile, Tiles
from pellucid.progress import long, progress
from pellucid.renamed import old_property
from pellucid.seeds import random_numbers
from pellucid.text import amount


class SynthesisError(PellucidError, ValueError):
    """A picture cannot be made for what was asked."""


MOST = {"rate": 1_000_000, "jitter": 1, "blur": 1, "total_variation": 1_000_000, "l2": 1_000_000}
"""The largest settings of an ascent: shares of the sides, and numbers whose products stay finite."""


@dataclass(frozen=True)
class Ascent:
    """How a picture is found: `steps` of gradient ascent, and what keeps it a picture.

    Every step goes along the gradient divided by its root mean square, at first by `rate` times half the way from black
    to white (times 1 where it is not known how pictures become the input), less and less towards the end. `jitter`
    shifts the picture by up to that share of its sides before each step and back after it (Mordvintsev et al. 2015;
    Olah et al. 2017). `blur` is the standard deviation, as a share of the sides, of the Gaussian that
    follows every fourth step (Yosinski et al. 2015). `total_variation` weighs the sum of absolute differences of neighboring pixels (Mahendran
    and Vedaldi 2015), and `l2` that of squared differences from gray (Simonyan et al. 2014, equation 1), against the
    unit; both are in units of the root mean square of its gradient at the start, so that they mean the same for all.
    Raises `SynthesisError` for what is negative, or above `MOST`.
    """

    steps: int = 200
    rate: float = 0.3
    jitter: float = 0.06
    blur: float = 0.003
    total_variation: float = 0.3
    l2: float = 0.0

    def __post_init__(self) -> None:
        settle(self, SynthesisError)
        if self.steps < 1 or not self.rate > 0:
            raise SynthesisError(f"steps and rate must be above 0, got steps={self.steps}, rate={self.rate}")
        for name, most in MOST.items():
            if (value := getattr(self, name)) < 0:
                raise SynthesisError(f"{name} must not be negative, got {value}")
            if not value <= most:
                raise SynthesisError(f"{name} must be at most {most:,}, got {value}")

    def shifts(self, sides: Sequence[int]) -> list[int]:
        """The largest shift along each side, in pixels."""
        return [int(self.jitter * side) for side in sides]


BLUR_EVERY = 4
NOISE = 0.05
"""Standard deviation of what the start differs by from gray, as a share of half the way from black to white."""


@dataclass(frozen=True)
class Synthesis(Answer):
    """A picture that excites `what`: `image` float (C, H, W) as the network takes it, `shown` uint8 for looking at.

    `reached` is the activation for the picture, `start` that for the one begun with, `gray` that for an even gray one
    (zeros where it is not known how pictures become the input); `steps` are the activations on the way. `variation` is
    the total variation of `image`.
    """

    what: str
    image: Array
    shown: Array
    scale: str
    start: float
    gray: float
    grey = old_property("gray")
    reached: float
    steps: tuple[float, ...]
    variation: float
    ascent: Ascent
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        facts = ("what", "scale", "start", "reached", "variation", "seed")
        return {
            **{fact: getattr(self, fact) for fact in facts},
            "grey": self.gray,
            "steps": list(self.steps),
            "ascent": vars(self.ascent),
            "picture": self.tiles().to_dict(),
        }

    def __str__(self) -> str:
        return (
            f"{self.what}: {self.reached:z.6g} after {amount(len(self.steps), 'step')}; {self.start:z.6g} at the start, "
            f"{self.gray:z.6g} for an even gray picture\ntotal variation {self.variation:z.4g}; shown {self.scale}"
        )

    def tiles(self) -> Tiles:
        """The picture alone; one tile for each channel where there are neither 1 nor 3."""
        settings = ", ".join(f"{name} {value:g}" for name, value in vars(self.ascent).items())
        whole = len(self.shown) in (1, 3)
        tiles = [Tile(self.shown)] if whole else [Tile(c[None], f"channel {k}") for k, c in enumerate(self.shown)]
        return Tiles(self.what, tuple(tiles), 4, f"shown {self.scale}; {settings}, seed {self.seed}")

    def chart(self) -> Chart:
        """The activation on the way."""
        numbers = range(len(self.steps))
        level = Series("even gray picture", (0, len(self.steps) - 1), (self.gray, self.gray), "dashed")
        series = (Series(self.what, numbers, self.steps), level)
        shifted = any(self.ascent.shifts(self.shown.shape[1:]))
        note = "on the picture as it is shifted at that step" if shifted else ""
        return Chart("Activation by step", "step", "activation", series, note)

    def drawing(self) -> Tiles:
        """What excites it, alone."""
        return replace(self.tiles(), title=f"What excites {self.what}, to {self.reached:z.4g}")

    def picture(self) -> Page:
        """The picture, and the activation on the way to it."""
        return Page(f"What excites {self.what}", (str(self), self.tiles(), self.chart()))


@carded
@long
def maximize(
    net: Module,
    layer: str,
    unit: int,
    shape: Shape,
    *,
    place: tuple[int, ...] | None = None,
    ascent: Ascent | None = None,
    seed: int = 0,
    executor: str = "auto",
) -> Synthesis:
    """A picture (C, H, W) of `shape` that excites a unit of a layer as strongly as can be (Erhan et al. 2009).

    The unit counts at one `place` of its map, or, by default, by its mean over all places. With a preprocessing on the
    network's card the picture's values stay those that a picture can have. Starts from weak noise drawn from `seed`.
    """
    require_net(net)

    def goal(graph: Graph) -> Tensor:
        node = find_unit(graph, layer, unit)
        if place is None:
            return ops.mean(per_unit(node)[0, unit])
        if len(place) != node.ndim - 2 or any(not 0 <= i < n for i, n in zip(place, node.shape[2:], strict=True)):
            raise SynthesisError(f"{layer}: its maps are {node.shape[2:]}, there is no place {place}")
        return node[(0, unit, *place)]

    where = "" if place is None else f" at {','.join(map(str, place))}"
    what = f"{layer}, unit {unit}{where}"
    key = layer, unit, place
    return _climb(net, goal, key, what, shape, ascent or Ascent(), seed, executor)


@carded
@long
def class_model(
    net: Module,
    target: TargetLike,
    shape: Shape,
    *,
    ascent: Ascent | None = None,
    seed: int = 0,
    executor: str = "auto",
) -> Synthesis:
    """A picture that scores as high as can be for class `target`, a number or a name on its card (Simonyan et al. 2014).

    It may be any place in an output, or the sum over a region, see `Target`. The score is that before a final softmax
    (section 3 of the paper); `Ascent(l2=0.01, blur=0, jitter=0, total_variation=0)` is the paper's own objective, the
    defaults give pictures that are easier to recognize.
    """
    require_net(net)
    outputs = Ready(net, executor).graph(_taken(net, shape)[0]).outputs
    place = find_target(outputs, target, card_of(net).classes)

    def goal(graph: Graph) -> Tensor:
        scores, _ = before_softmax(outputs[place.output])
        return ops.sum(scores[place.region(scores.ndim)])

    what = f"score of class {place.label}" if place.label and not place.several else f"score of {place.words}"
    return _climb(net, goal, place, what, shape, ascent or Ascent(), seed, executor)


def _climb(
    net: Module,
    goal: Callable[[Graph], Tensor],
    key: Hashable,
    what: str,
    shape: Shape,
    ascent: Ascent,
    seed: int,
    executor: str,
) -> Synthesis:
    from scipy.ndimage import gaussian_filter

    ready, preprocessing = Ready(net, executor), card_of(net).pictures
    taken, along = _taken(net, shape)
    asked = ready.graph(taken)
    x = asked.graph.image
    low, high, gray = _range(preprocessing, x, shape)

    def build() -> list[Tensor]:
        wanted, variation = goal(asked.graph), _total_variation(x, along)
        squares = ops.sum((x - constant(gray)) ** 2)
        weights = (input((), x.dtype, name) for name in ("total_variation", "l2"))
        aim = wanted - next(weights) * variation - next(weights) * squares
        return [wanted, variation, *gradients(aim, [x])]

    program = asked.program_of(ready.setting, ("ascent", key, gray.tobytes()), build)

    def compute(picture: Array, strength: float) -> tuple[float, float, Array]:
        fed = {"total_variation": ascent.total_variation * strength, "l2": ascent.l2 * strength, x.name: picture}
        given = {node: np.asarray(fed[node.name], x.dtype) for node in program.graph.inputs}
        value, varies, slope = program(given)
        return float(value), float(varies), slope

    generator = random_numbers(seed)
    half = 1.0 if preprocessing is None else float(np.mean(high - low)) / 2
    picture = np.clip(gray + NOISE * half * generator.standard_normal(x.shape), low, high)
    start, _, slope = compute(picture, 0.0)
    strength = float(np.sqrt(np.mean(slope**2)))
    if strength == 0:
        raise SynthesisError(
            f"{what}: has no gradient at a gray picture with noise; take the layer before its activation function, or another seed"
        )
    reach = ascent.shifts([taken[axis] for axis in along])
    values: list[float] = []
    with progress("making a picture") as tell:
        for step in range(ascent.steps):
            shift = tuple(int(generator.integers(-r, r + 1)) for r in reach)
            value, _, slope = compute(np.roll(picture, shift, along), strength)
            values.append(value)
            slope = np.roll(slope, tuple(-s for s in shift), along)
            size = float(np.sqrt(np.mean(slope**2)))
            if size > 0:
                picture = picture + ascent.rate * half * (1 - step / ascent.steps) / size * slope
            if ascent.blur and (step + 1) % BLUR_EVERY == 0:
                spread = [ascent.blur * side if axis in along else 0.0 for axis, side in enumerate(taken)]
                picture = gaussian_filter(picture, spread)
            picture = np.clip(picture, low, high)
            tell(step + 1, ascent.steps)
    reached, varies, _ = compute(picture, strength)
    even, *_ = compute(gray, strength)
    image = picture[0].astype(x.dtype)
    shown, scale = as_pixels(image if preprocessing else np.moveaxis(picture, along, (2, 3))[0], preprocessing)
    return Synthesis(what, image, shown, scale, start, even, reached, tuple(values), varies, ascent, seed)


def _taken(net: Module, shape: Shape) -> tuple[Shape, tuple[int, int]]:
    """The shape of a picture (C, H, W) as the network takes it, with the batch axis, and the axes of rows and columns."""
    if len(shape) != 3:
        raise SynthesisError(f"wants a network of pictures (C, H, W), this one takes {shape}")
    layout = layout_of(net, shape)
    return in_layout((1, *shape), layout), (layout.index(ROWS), layout.index(COLUMNS))


def _total_variation(x: Tensor, along: tuple[int, int]) -> Tensor:
    """Sum of the absolute differences of pixels of x that are neighbors `along` rows and columns (Rudin et al. 1992)."""

    def apart(axis: int) -> Tensor:
        before = (slice(None),) * axis
        return ops.sum(ops.absolute(x[(*before, slice(1, None))] - x[(*before, slice(None, -1))]))

    return apart(along[0]) + apart(along[1])


def _range(preprocessing: Preprocessing | None, x: Tensor, shape: Shape) -> tuple[Array, Array, Array]:
    """Inputs like x that are as small and as large as can be, and the one between them; zeros for want of ends."""
    if preprocessing is None:
        return np.full(x.shape, -np.inf, x.dtype), np.full(x.shape, np.inf, x.dtype), np.zeros(x.shape, x.dtype)
    low, high = (preprocessing.normalize(np.full((1, *shape), end, np.uint8)).astype(x.dtype) for end in (0, 255))
    return low, high, (low + high) / 2
