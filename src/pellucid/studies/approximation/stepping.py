"""A network of a given size taken apart: its pieces added one by one, or the minima and maxima of Stone's theorem step by step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import whole_numbers
from pellucid.errors import unknown
from pellucid.op import Array
from pellucid.pictures import Answer, Chart, Page, Series
from pellucid.progress import long
from pellucid.studies.approximation import METHODS, Approximation, approximation_of_size, require_tolerance
from pellucid.studies.approximation.errors import ApproximationError
from pellucid.studies.approximation.networks import Part, values_of
from pellucid.studies.approximation.target import make_target, place
from pellucid.text import amount

POINTS = 257
"""Places where everything is computed: every eighth is one of 33 that a drawn function goes through."""
MOST = 512
"""Pieces of a network that is taken apart."""


@dataclass(frozen=True)
class Piece:
    """What one step adds: a `name`, its formula, and its values (POINTS,); of the lattice also the minimum or maximum that it is part of."""

    formula: str
    values: Array
    statement: str
    together: Array
    minimum: Array | None = None


@dataclass(frozen=True)
class ApproximationSteps(Answer):
    """A network of one hidden layer, `found`, after `step` of its pieces: 0 is before the first, `len(pieces)` is the whole network."""

    found: Approximation
    size: int
    x: Array
    wanted: Array
    start: Array
    begins: str
    pieces: tuple[Piece, ...]
    step: int

    @property
    def together(self) -> Array:
        """What the pieces up to here make (POINTS,); minus infinity where the maximum is of nothing yet."""
        return self.pieces[self.step - 1].together if self.step else self.start

    @property
    def statement(self) -> str:
        """What the step does, as a sentence."""
        return self.pieces[self.step - 1].statement if self.step else self.begins

    @property
    def error(self) -> float:
        """The largest distance from the function at this step, where it is computed here."""
        return float(np.abs(self.together - self.wanted).max())

    def facts(self) -> tuple[str, str, str]:
        """Size, measured error and bound of the whole network, as sentences."""
        size, _, bound = self.found.facts()
        at = place(np.array(self.found.error_at))
        return size, f"largest error {self.found.error:z.4g} at {at}, on {amount(self.found.grid, 'point')}", bound

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: `error` is the whole network's, `step_error` this step's."""
        piece = self.pieces[self.step - 1] if self.step else None
        return {
            "function": self.found.target.name,
            "domain": [list(interval) for interval in self.found.target.box],
            "method": self.found.method,
            "size": self.size,
            "units": self.found.units,
            "step": self.step,
            "steps": len(self.pieces),
            "statement": self.statement,
            "x": self.x.tolist(),
            "wanted": self.wanted.tolist(),
            "together": self.together.tolist(),
            "piece": None if piece is None else piece.values.tolist(),
            "minimum": None if piece is None or piece.minimum is None else piece.minimum.tolist(),
            "formulas": [one.formula for one in self.pieces],
            "step_error": self.error,
            "error": self.found.error,
            "error_at": list(self.found.error_at),
            "bound": self.found.bound,
            "why": self.found.why,
            "facts": list(self.facts()),
        }

    def chart(self) -> Chart:
        """The function, what the pieces make together, and the piece that came last."""
        series = [Series(self.found.target.name, list(self.x), list(self.wanted))]
        series.append(Series("pieces together", list(self.x), [v if np.isfinite(v) else np.nan for v in self.together]))
        if self.step:
            piece = self.pieces[self.step - 1]
            series.append(Series("this piece", list(self.x), list(self._near(piece.values)), "dashed"))
            if piece.minimum is not None:
                series.append(Series("minimum so far", list(self.x), list(self._near(piece.minimum))))
        title = f"Step {self.step} of {len(self.pieces)}, by {self.found.method}"
        return Chart(title, "x", "value", tuple(series), self.statement)

    def _near(self, values: Array) -> Array:
        """Values without those so far away that the function would be flat beside them."""
        low, high = min(self.wanted.min(), 0.0), max(self.wanted.max(), 0.0)
        room = (high - low) or 1.0
        return np.where((values > low - room) & (values < high + room), values, np.nan)

    def picture(self) -> Page:
        """The step's chart, and the facts of the whole network."""
        return Page(f"{self.found.target.name} by {self.found.method}, piece by piece", (*self.facts(), self.chart()))

    def __str__(self) -> str:
        lines = [f"{k:>4}  {one.formula}" for k, one in enumerate(self.pieces, 1)]
        return "\n".join([*self.facts(), "", f"step {self.step} of {len(self.pieces)}: {self.statement}", "", *lines])


@long
def approximation_steps(
    f: Callable[..., Any] | str | Sequence[float],
    domain: Sequence[Any] = (-1, 1),
    units: int = 8,
    method: str = "relu",
    step: int = -1,
    *,
    tolerance: float = 0.1,
    lipschitz: float | None = None,
    seed: int = 0,
) -> ApproximationSteps:
    """A network of `units` hidden units close to a function of one variable, after `step` of its pieces (-1: all).

    "relu" and "sigmoid" add pieces from left to right, "train" the largest first. With "lattice", `units` is the number of minima,
    each close to f from below up to `tolerance`, and a step is an affine function through two of f's values, the minimum
    of those so far, or the maximum of the minima. f, `domain`, `lipschitz` and `seed` are those of `approximate`. Raises `ApproximationError`.
    """
    units, step = (
        whole_numbers.whole("approximation_steps", what, given, raises=ApproximationError)
        for what, given in (("units", units), ("step", step))
    )
    if not 1 <= units <= MOST:
        raise ApproximationError(f"units: a whole number from 1 to {MOST}, got {units}")
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    require_tolerance(tolerance)
    target = make_target(f, domain, lipschitz)
    if target.dimension != 1:
        raise ApproximationError(
            f"{target.name}: pieces are added up for functions of one variable; of two, ask approximate"
        )
    given = f if target.drawn is None else tuple(target.drawn.tolist())
    found, pieces, start, begins = _taken_apart(given, target.box[0], units, method, tolerance, lipschitz, seed)
    at = len(pieces) if step == -1 else step
    if not 0 <= at <= len(pieces):
        raise ApproximationError(f"step: from 0 to {len(pieces)}, or -1 for all, got {step}")
    x = found.target.axes(POINTS - 1)[0]
    return ApproximationSteps(found, units, x, found.target(x[:, None]), start, begins, pieces, at)


@functools.lru_cache(maxsize=16)
def _taken_apart(
    f: Any, box: tuple[float, float], units: int, method: str, tolerance: float, lipschitz: float | None, seed: int
) -> tuple[Approximation, tuple[Piece, ...], Array, str]:
    """The network with its pieces; kept, since one goes through them step by step."""
    target = make_target(f, box, lipschitz)
    target.require_continuous(tolerance)
    found = approximation_of_size(target, method, units, tolerance, seed)
    x = target.axes(POINTS - 1)[0][:, None]
    if found.built.parts:
        pieces = _lattice(found.built.parts, x)
        return found, pieces, np.full(POINTS, -np.inf), "Nothing yet: the maximum of no minima."
    shares = found.shares(x).T
    state = found.net.state_dict()
    constant = float(state["output.bias"][0])
    order = np.argsort(-np.abs(shares).max(1), kind="stable") if method == "train" else np.arange(len(shares))
    name = {"relu": "relu", "sigmoid": "sigmoid"}.get(method, "tanh")
    sums = constant + np.cumsum(shares[order], axis=0)
    weights, biases, outputs = (state[k].ravel() for k in ("hidden.weight", "hidden.bias", "output.weight"))
    pieces = tuple(
        Piece(
            formula := f"{outputs[k]:z.4g} {name}({_affine(weights[k], biases[k])})",
            shares[k],
            f"Piece {number} of {len(order)}: {formula} is added.",
            together,
        )
        for number, (k, together) in enumerate(zip(order.tolist(), sums, strict=True), 1)
    )
    return found, pieces, np.full(POINTS, constant), f"A constant, {constant:z.4g}: the output's bias, before any unit."


def _affine(weight: float, bias: float) -> str:
    """`-2 x + 0.5`, without what is 1 or 0."""
    factor = "" if weight == 1 else f"{weight:z.4g} "
    return f"{factor}x" + (f" {'-' if bias < 0 else '+'} {abs(bias):.4g}" if bias else "")


def _lattice(parts: Sequence[Part], x: Array) -> tuple[Piece, ...]:
    """Affine functions, minima and maxima in the order in which the proof takes them."""
    pieces: list[Piece] = []
    reached = np.full(POINTS, -np.inf)
    for number, part in enumerate(parts, 1):
        lowest = np.full(POINTS, np.inf)
        for k, line in enumerate(part.values(x).T):
            lowest = np.minimum(lowest, line)
            formula = _affine(part.weight[k, 0], part.bias[k])
            through = f"through f at s ({place(part.point)}) and at t ({place(part.others[k])})"
            words = (
                f"Two points: an affine function, {formula}, {through}."
                if k == 0
                else f"Minimum of {k + 1} affine functions: {formula}, {through}, takes off what was too high there."
            )
            pieces.append(Piece(formula, line, words, reached, lowest))
        reached = np.maximum(reached, lowest)
        words = (
            f"Maximum of {number} {'minimum' if number == 1 else 'minima'}: the one of s ({place(part.point)}) joins."
        )
        pieces.append(Piece(f"minimum {number} joins", lowest, words, reached))
    return tuple(pieces)


def whole(steps: ApproximationSteps) -> Array:
    """What the network itself gives where the pieces are computed (POINTS,), by the engine."""
    return values_of(steps.found.net, steps.x[:, None])
