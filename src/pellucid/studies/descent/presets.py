"""Functions of two variables that optimizers are tried on, each with a map, a start, and step sizes that suit it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Box = tuple[tuple[float, float], tuple[float, float]]


@dataclass(frozen=True)
class Preset:
    """A function as a formula of x and y, the part of the plane that is shown, where to start, and what is to be seen.

    `minima` are its lowest places, where they are known; `rates` are step sizes that suit it, by optimizer.
    """

    formula: str
    box: Box
    start: tuple[float, float]
    says: str
    minima: tuple[tuple[float, float], ...] = ()
    rates: Mapping[str, float] = field(default_factory=dict[str, float])

    def start_in(self, box: Box) -> tuple[float, float]:
        """Its start, or the middle of a box that does not have it."""
        if all(low <= value <= high for value, (low, high) in zip(self.start, box, strict=True)):
            return self.start
        (left, right), (bottom, top) = box
        return (left + right) / 2, (bottom + top) / 2

    def rate(self, optimizer: str) -> float:
        """The step size that suits it."""
        return self.rates.get(optimizer, USUAL_RATES[optimizer])


USUAL_RATES = {"sgd": 0.1, "momentum": 0.02, "nesterov": 0.02, "rmsprop": 0.05, "adam": 0.1, "adamw": 0.1}
"""Step sizes where a function has none of its own."""
_MOVED = {"rmsprop": 0.05, "adam": 0.2, "adamw": 0.2}
PRESETS: dict[str, Preset] = {
    "valley": Preset(
        "(x^2 + 25*y^2)/2",
        ((-4.5, 2.5), (-2.0, 2.0)),
        (-4.0, 1.5),
        "A narrow valley, 25 times as steep across as along: plain descent is thrown from wall to wall.",
        ((0.0, 0.0),),
        {"sgd": 0.07, "momentum": 0.02, "nesterov": 0.02, "rmsprop": 0.05, "adam": 0.3, "adamw": 0.3},
    ),
    "bowl": Preset(
        "x^2 + y^2",
        ((-3.0, 3.0), (-3.0, 3.0)),
        (-2.5, 2.0),
        "A round bowl: the slope points straight at the lowest place, and every optimizer finds it.",
        ((0.0, 0.0),),
        {"sgd": 0.1, "momentum": 0.02, "nesterov": 0.02, "rmsprop": 0.05, "adam": 0.2, "adamw": 0.2},
    ),
    "saddle": Preset(
        "x^2 - y^2 + y^4/4",
        ((-2.5, 2.5), (-2.5, 2.5)),
        (-2.0, 0.01),
        "A saddle at 0, 0 between two lowest places: down along x, then hardly any slope to tell where to go.",
        ((0.0, 2**0.5), (0.0, -(2**0.5))),
        {"sgd": 0.05, "momentum": 0.02, "nesterov": 0.02, "rmsprop": 0.02, "adam": 0.1, "adamw": 0.1},
    ),
    "rosenbrock": Preset(
        "(1-x)^2 + 100*(y-x^2)^2",
        ((-2.0, 2.0), (-1.0, 3.0)),
        (-1.2, 1.0),
        "A bent valley with a floor that is almost flat (Rosenbrock 1960): finding it is easy, following it is not.",
        ((1.0, 1.0),),
        {"sgd": 0.001, "momentum": 0.0005, "nesterov": 0.0005, "rmsprop": 0.01, "adam": 0.1, "adamw": 0.1},
    ),
    "beale": Preset(
        "(1.5-x+x*y)^2 + (2.25-x+x*y^2)^2 + (2.625-x+x*y^3)^2",
        ((-4.5, 4.5), (-4.5, 4.5)),
        (1.0, 1.5),
        "A plateau between steep walls in the corners (Beale 1958): a step that suits the walls is nothing on the plateau.",
        ((3.0, 0.5),),
        {"sgd": 0.01, "momentum": 0.004, "nesterov": 0.004, "rmsprop": 0.02, "adam": 0.1, "adamw": 0.1},
    ),
    "himmelblau": Preset(
        "(x^2+y-11)^2 + (x+y^2-7)^2",
        ((-5.0, 5.0), (-5.0, 5.0)),
        (-0.3, -1.0),
        "Four lowest places, all as low (Himmelblau 1972): which one is found depends on the start and on the optimizer.",
        ((3.0, 2.0), (-2.805118086953, 3.131312518251), (-3.779310253378, -3.283185991286), (3.584428340330, -1.848126526964)),
        {"sgd": 0.01, "momentum": 0.003, "nesterov": 0.003, "rmsprop": 0.05, "adam": 0.2, "adamw": 0.2},
    ),
    "plateau": Preset(
        "1 - exp(-(x^2+y^2)/2)",
        ((-5.0, 5.0), (-5.0, 5.0)),
        (-3.5, 2.0),
        "A hole in a plain: far from it the slope is as good as 0, and steps that follow its size hardly move.",
        ((0.0, 0.0),),
        {"sgd": 0.5, "momentum": 0.2, "nesterov": 0.2, **_MOVED},
    ),
    "waves": Preset(
        "(x^2+y^2)/10 + 2 - cos(3*x) - cos(3*y)",
        ((-5.0, 5.0), (-5.0, 5.0)),
        (-3.6, 2.9),
        "Many hollows, one of which is the lowest: descent ends in the first that holds it.",
        ((0.0, 0.0),),
        {"sgd": 0.05, "momentum": 0.02, "nesterov": 0.02, **_MOVED},
    ),
    "corner": Preset(
        "abs(x) + 5*abs(y)",
        ((-3.0, 3.0), (-2.0, 2.0)),
        (-2.5, 1.3),
        "Corners at both axes: the slope is as large beside the lowest place as far from it, so a fixed step never settles.",
        ((0.0, 0.0),),
        {"sgd": 0.05, "momentum": 0.01, "nesterov": 0.01, "rmsprop": 0.05, "adam": 0.1, "adamw": 0.1},
    ),
    "neuron": Preset(
        "(softplus(-2*x+y) + softplus(-x+y) + softplus(0.5*x-y) + softplus(0.5*x+y) + softplus(-x-y) + softplus(-2*x-y))/6",
        ((-3.0, 3.0), (-3.5, 3.5)),
        (-2.0, 3.0),
        "The loss of a neuron with weight x and bias y on six points of two classes that overlap.",
        (),
        {"sgd": 1.0, "momentum": 0.3, "nesterov": 0.3, "rmsprop": 0.1, "adam": 0.3, "adamw": 0.3},
    ),
}  # fmt: skip
"""Functions of two variables by name, from the narrow valley of the lecture to the loss of a neuron."""
