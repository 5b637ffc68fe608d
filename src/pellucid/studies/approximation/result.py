"""What an approximation is: the network, its measured error, the bound, and how the error fell with more units."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.nn import Module
from pellucid.op import Array
from pellucid.pictures import Answer, Page, Picture
from pellucid.studies.approximation.closure import ClosureStep
from pellucid.studies.approximation.errors import ApproximationError
from pellucid.studies.approximation.networks import Built, values_of
from pellucid.studies.approximation.target import TargetFunction, place
from pellucid.text import amount, text_table


@dataclass(frozen=True)
class Approximation(Answer):
    """A network close to a function.

    `error` is the largest distance measured on a grid of `grid` points, at `error_at`; `curve` has (hidden units, measured error) of every network
    made on the way, `bounds` what is proven of each.
    """

    target: TargetFunction
    method: str
    tolerance: float
    built: Built
    error: float
    error_at: tuple[float, ...]
    grid: int
    curve: tuple[tuple[int, float], ...]
    steps: tuple[ClosureStep, ...] = ()
    bounds: tuple[float | None, ...] = ()

    @property
    def net(self) -> Module:
        """The network: takes points (N, dimension) in float64 and gives (N, 1)."""
        return self.built.net

    @property
    def units(self) -> int:
        """Number of hidden units; with "lattice" of affine functions."""
        return self.built.units

    @property
    def bound(self) -> float | None:
        """A proven bound of the error on the whole domain, up to rounding; None where there is none."""
        return self.built.bound

    @property
    def why(self) -> str:
        """What proves the bound, or why there is none."""
        return self.built.why

    @property
    def bound_in_words(self) -> str:
        """The bound and what proves it, or why there is none."""
        return f"no bound: {self.why}" if self.bound is None else f"bound {self.bound:z.4g}, {self.why}"

    def __call__(self, points: Array) -> Array:
        """What the network gives (N,) at points (N, dimension), or (N,) of one variable; computed by the engine."""
        return values_of(self.net, self._points(points))

    def shares(self, points: Array) -> Array:
        """Output weight times unit (N, units) at points: they and the output's bias add up to the output."""
        if not self.built.share_of:
            raise ApproximationError(f"{self.method}: its output is a maximum, not a sum that units have shares of")
        units = values_of(self.net, self._points(points), self.built.share_of)
        return units * self.net.state_dict()["output.weight"]

    def _points(self, points: Array) -> Array:
        return np.asarray(points, np.float64).reshape(-1, self.target.dimension)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "function": self.target.name,
            "domain": [list(interval) for interval in self.target.box],
            "method": self.method,
            "tolerance": self.tolerance,
            "units": self.units,
            "parameters": self.net.num_parameters(),
            "error": self.error,
            "error_at": list(self.error_at),
            "grid": self.grid,
            "bound": self.bound,
            "why": self.why,
            "curve": [
                {"units": units, "error": error, "bound": bound}
                for (units, error), bound in zip(self.curve, self.bounds or [None] * len(self.curve), strict=True)
            ],
            "closure": [
                {"name": s.name, "statement": s.statement, "points": s.points.tolist(), **s.numbers} for s in self.steps
            ],
        }

    def facts(self) -> tuple[str, str, str]:
        """Size, measured error and bound, as sentences."""
        box = " x ".join(f"[{low:g}, {high:g}]" for low, high in self.target.box)
        return (
            f"{self.target.name} on {box} by {self.method}: {self.units:,} hidden units, {amount(self.net.num_parameters(), 'parameter')}",
            f"largest error {self.error:z.4g} at {place(np.array(self.error_at))}, on {amount(self.grid, 'point')} (tolerance {self.tolerance:g})",
            self.bound_in_words,
        )

    def __str__(self) -> str:
        rows = [[f"{units:,}", f"{error:z.4g}"] for units, error in self.curve]
        table = text_table(["hidden units", "largest error"], rows, "rr")
        return "\n".join([*(textwrap.fill(fact, 80) for fact in self.facts()), "", table])

    def pictures(self) -> dict[str, Picture]:
        """Each picture by name: "function", "error", "curve", "shares" or "closure 1" to "closure 3"; "network" in 2-D."""
        from pellucid.studies.approximation.drawing import pictures_of

        return pictures_of(self)

    def picture(self) -> Page:
        """All pictures: function and network, error, error against units, and each hidden unit's share."""
        return Page(f"{self.target.name} by {self.method}", (*self.facts(), *self.pictures().values()))
