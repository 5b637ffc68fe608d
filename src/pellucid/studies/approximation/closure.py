"""The steps of Stone's theorem as the lattice construction takes them, each with networks that show it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pellucid.nn import Module
from pellucid.op import Array
from pellucid.studies.approximation.lattice import lattice_of
from pellucid.studies.approximation.networks import Part, values_of
from pellucid.studies.approximation.target import TargetFunction, mesh, place


@dataclass(frozen=True)
class ClosureStep:
    """One step: what it says, the points that it is about (K, dimension), what it makes, and numbers about that."""

    name: str
    statement: str
    points: Array
    networks: tuple[tuple[str, Module], ...]
    numbers: dict[str, float]


def closure_steps(target: TargetFunction, parts: tuple[Part, ...]) -> tuple[ClosureStep, ...]:
    """Two points, the minimum over t for one s, and the maximum over s."""
    middle = np.mean(target.box, axis=1)
    several = [p for p in parts if len(p.bias) > 1] or parts
    part = min(several, key=lambda p: float(np.linalg.norm(p.point - middle)))
    s, t = part.point, part.others[-1]
    at_s, at_t = target(np.stack([s, t]))
    pair = Part(s, t[None], part.weight[-1:], part.bias[-1:])
    points = mesh(target.axes((2000, 100)[target.dimension - 1]))
    wanted = target(points)
    line, minimum, maximum = lattice_of([pair]), lattice_of([part]), lattice_of(parts)
    above = float((values_of(minimum, points) - wanted).max())
    errors = values_of(maximum, points) - wanted
    some = [n for n in (1, 4) if n < len(parts)]
    growing = [(f"max of {n}" if n > 1 else "first minimum", lattice_of(parts[:n])) for n in some]
    return (
        ClosureStep(
            "1. Two points: an affine function through both values",
            f"s ({place(s)}) and t ({place(t)}) have different coordinates; a constant and multiples of the coordinates "
            f"add up to an affine function that is f(s) = {at_s:z.4g} at one and f(t) = {at_t:z.4g} at the other.",
            np.stack([s, t]),
            (("affine function", line),),
            {"value_at_s": float(at_s), "value_at_t": float(at_t)},
        ),
        ClosureStep(
            "2. Minimum over t",
            f"{len(part.bias)} affine function(s) through f(s), one through f(t) for each t; their minimum has f(s) at s and is at most "
            f"{max(above, 0.0):z.4g} above f anywhere.",
            s[None],
            (("affine function", line), ("minimum", minimum)),
            {"functions": len(part.bias), "largest_above": above},
        ),
        ClosureStep(
            "3. Maximum over s",
            f"{len(parts)} minima; their maximum is at most {max(float(-errors.min()), 0.0):z.4g} below f and "
            f"{max(float(errors.max()), 0.0):z.4g} above. max(a, b) = (a + b + |a - b|) / 2.",
            np.stack([p.point for p in parts]),
            (*growing, (f"max of {len(parts)}", maximum)),
            {"minima": len(parts), "largest_below": float(-errors.min()), "largest_above": float(errors.max())},
        ),
    )
