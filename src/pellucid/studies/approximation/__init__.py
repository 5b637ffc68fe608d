"""Networks of one hidden layer for a given function: the universal approximation theorem, carried out and measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pellucid.errors import unknown
from pellucid.progress import long, progress, tell
from pellucid.studies.approximation.closure import closure_steps
from pellucid.studies.approximation.errors import ApproximationError
from pellucid.studies.approximation.lattice import lattice
from pellucid.studies.approximation.networks import Built, Maker, values_of
from pellucid.studies.approximation.relu import relu
from pellucid.studies.approximation.result import Approximation
from pellucid.studies.approximation.sigmoid import sigmoid
from pellucid.studies.approximation.target import TargetFunction, make_target, mesh
from pellucid.studies.approximation.trained import train

__all__ = ["METHODS", "Approximation", "ApproximationError", "approximate"]

MOST_UNITS = 20_000
"""Hidden units that a network has at most, unless more are asked for."""
METHODS: dict[str, Callable[[TargetFunction, float, int], Maker]] = {
    "lattice": lambda target, tolerance, seed: lattice(target, tolerance),
    "relu": lambda target, tolerance, seed: relu(target),
    "sigmoid": lambda target, tolerance, seed: sigmoid(target),
    "train": lambda target, tolerance, seed: train(target, seed),
}
"""Constructions by name: for a target, a tolerance and a seed, the maker of networks by size."""


@long
def approximate(
    f: Callable[..., Any] | str | Sequence[float],
    domain: Sequence[Any],
    tolerance: float = 0.01,
    method: str = "relu",
    *,
    lipschitz: float | None = None,
    max_units: int = MOST_UNITS,
    seed: int = 0,
) -> Approximation:
    """A network within `tolerance` of a continuous function f on a box, everywhere that is measured (Cybenko 1989).

    f is a formula of x (and y), "sin(3*x) + x^2", a Python function of one or two NumPy arrays, or a drawn one: the numbers that it goes
    through at evenly spaced places of the domain, joined by lines, as a sequence or a text "0, 1, 0.5"; `domain` is (a, b) or
    ((a, b), (c, d)). `method`: "relu" interpolates, "sigmoid" adds steps, "lattice" takes maxima of minima of affine
    functions (Stone), "train" trains one hidden layer. The size is doubled until the error, measured by running the
    network on a fine grid, and the bound, where "relu" and "sigmoid" have one, are within `tolerance`; then the smallest
    size is looked for. A bound is proven from `lipschitz`, f's Lipschitz constant, or from the formula. Raises
    `ApproximationError` for what is not continuous, and where `max_units` hidden units do not reach the tolerance.
    """
    require_tolerance(tolerance)
    if max_units < 1:
        raise ApproximationError(f"max_units: must be at least 1, got {max_units}")
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    target = make_target(f, domain, lipschitz)
    target.require_continuous(tolerance)
    search = _Search(target, tolerance, method, max_units, METHODS[method](target, tolerance, seed))
    with progress(f"approximating by {method}"):
        return search.run()


def require_tolerance(tolerance: float) -> None:
    """Raise `ApproximationError` for what is no finite number above 0."""
    if not (math.isfinite(tolerance) and tolerance > 0):
        raise ApproximationError(f"tolerance: must be a number above 0, and finite, got {tolerance}")


def approximation_of_size(target: TargetFunction, method: str, size: int, tolerance: float, seed: int) -> Approximation:
    """The network of a construction's `size`, with its measured error, whatever that is."""
    make = lattice(target, tolerance, fewer=True) if method == "lattice" else METHODS[method](target, tolerance, seed)
    search = _Search(target, tolerance, method, MOST_UNITS, make)
    return search.measured(search.built(size))


class _Search:
    """Networks made and measured, size by size."""

    def __init__(self, target: TargetFunction, tolerance: float, method: str, max_units: int, make: Maker) -> None:
        self.target, self.tolerance, self.method, self.max_units = target, tolerance, method, max_units
        self.make = make
        self.curve: dict[int, tuple[float, float | None]] = {}
        self.best: Approximation | None = None

    def run(self) -> Approximation:
        """The smallest network found that is close enough."""
        size = 1
        while not self.fits(found := self.measured(self.built(size))):
            tell(size.bit_length(), self.max_units.bit_length())  # of the doublings, at most
            size *= 2
        if self.method != "train":  # another size is another random start
            low, high = size // 2, size
            while high - low > max(1, high // 32):
                middle = (low + high) // 2
                built = self.built(middle)
                if self.promised(built) and self.fits(tried := self.measured(built)):
                    found, high = tried, middle
                else:
                    low = middle
        steps = closure_steps(self.target, found.built.parts) if found.built.parts else ()
        return replace(found, **self.all_measured(), steps=steps)

    def promised(self, built: Built) -> bool:
        """Whether the bound is within the tolerance, where the construction has one by which its size is chosen."""
        return self.method not in ("relu", "sigmoid") or built.bound is None or built.bound <= self.tolerance

    def fits(self, found: Approximation) -> bool:
        """Whether it is within the tolerance: measured, and proven where the construction promises it."""
        return found.error <= self.tolerance and self.promised(found.built)

    def built(self, size: int) -> Built:
        """The network of a size; raises where it has too many units."""
        try:
            built = self.make(size)
        except ApproximationError as error:
            raise self.failed(str(error)) from error
        if built.units > self.max_units:
            raise self.failed(f"The next network has {built.units:,}, max_units are {self.max_units:,}")
        return built

    def measured(self, built: Built) -> Approximation:
        """The network with its error on a fine grid, with several points for every cell of the construction."""
        one = self.target.dimension == 1
        points = mesh(
            self.target.axes(max(4000, 8 * built.cells + 3) if one else min(max(112, 3 * built.cells + 2), 256))
        )
        errors = np.abs(values_of(built.net, points) - self.target(points))
        worst = int(np.argmax(errors))
        at = tuple(map(float, points[worst]))
        found = Approximation(
            self.target, self.method, self.tolerance, built, float(errors[worst]), at, len(points), ()
        )
        self.curve[built.units] = found.error, built.bound
        if self.best is None or found.error < self.best.error:
            self.best = found
        return found

    def all_measured(self) -> dict[str, Any]:
        """The errors and the bounds of all networks by their units."""
        rows = sorted(self.curve.items())
        return {"curve": tuple((units, error) for units, (error, _) in rows), "bounds": tuple(b for _, (_, b) in rows)}

    def failed(self, reason: str) -> ApproximationError:
        """The error that says what was reached."""
        words = f"{self.target.name}: the tolerance {self.tolerance:g} is not reached. "
        if self.best is None:
            return ApproximationError(words + reason)
        best = replace(self.best, **self.all_measured())
        bound = f" (bound {best.bound:z.4g})" if best.bound is not None else ""
        error = ApproximationError(
            f"{words}The best of {best.units:,} hidden units has an error of {best.error:z.4g}{bound}. {reason}"
        )
        error.best = best
        return error
