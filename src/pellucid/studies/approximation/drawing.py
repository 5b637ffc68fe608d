"""How an approximation looks: function and network, error, error against units, each unit's share, Stone's steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pellucid.op import Array
from pellucid.pictures import Chart, HeatMap, Maps, Picture, Series
from pellucid.studies.approximation.closure import ClosureStep
from pellucid.studies.approximation.networks import values_of
from pellucid.studies.approximation.target import mesh
from pellucid.text import amount

if TYPE_CHECKING:
    from pellucid.studies.approximation.result import Approximation

LINES, ROWS = 8, 64
"""Most hidden units that are drawn as lines, and as rows or tiles."""


def pictures_of(a: Approximation) -> dict[str, Picture]:
    """Every picture of an approximation by name."""
    axes = a.target.axes(400 if a.target.dimension == 1 else 64)
    points = mesh(axes)
    wanted, given = a.target(points), values_of(a.net, points)
    pictures = _line(a, axes[0], wanted, given) if a.target.dimension == 1 else _plane(a, axes, wanted, given)
    pictures["curve"] = _curve(a)
    if a.built.share_of:
        pictures["shares"] = _shares(a)
    return pictures | {f"closure {number}": _step(a, step) for number, step in enumerate(a.steps, 1)}


def _series(name: str, x: Sequence[float] | Array, y: Sequence[float] | Array, kind: str = "line") -> Series:
    return Series(name, [float(v) for v in x], [float(v) for v in y], kind)


def _line(a: Approximation, x: Array, wanted: Array, given: Array) -> dict[str, Picture]:
    pair = (_series(a.target.name, x, wanted), _series("network", x, given, "dashed"))
    edges = [("tolerance", a.tolerance), *([("bound", a.bound)] if a.bound is not None else [])]
    ends = [x[0], x[-1]]
    limits = [_series(name, [*ends, x[-1], *ends], [v, v, np.nan, -v, -v], "dashed") for name, v in edges]
    error = _series("network - function", x, given - wanted)
    return {
        "function": Chart(f"{a.units:,} hidden units, by {a.method}", "x", "value", pair),
        "error": Chart("Error", "x", "network - function", (error, *limits), _measured(a)),
    }


def _measured(a: Approximation) -> str:
    return f"Largest on {amount(a.grid, 'point')}: {a.error:z.4g}; {a.bound_in_words}."


def _plane(a: Approximation, axes: list[Array], wanted: Array, given: Array) -> dict[str, Picture]:
    shape = [len(axis) for axis in axes]

    def heat(title: str, values: Array, note: str = "", signed: bool = False) -> HeatMap:
        return HeatMap(title, "x", "y", values.reshape(shape).T, axes[0].tolist(), axes[1].tolist(), note, signed)

    return {
        "function": heat(a.target.name, wanted),
        "network": heat(f"Network of {a.units:,} hidden units, by {a.method}", given),
        "error": heat("Error: network - function", given - wanted, _measured(a), True),
    }


def _curve(a: Approximation) -> Chart:
    units, errors = zip(*a.curve, strict=True)
    proven = [np.nan if bound is None else bound for bound in a.bounds]
    series = (
        _series("measured", units, errors),
        _series("tolerance", [units[0], units[-1]], [a.tolerance] * 2, "dashed"),
        *([_series("proven bound", units, proven)] if np.isfinite(proven).any() else []),
    )
    return Chart(f"Error against hidden units, by {a.method}", "hidden units", "largest error", series, "", True, True)


def _shares(a: Approximation) -> Picture:
    """Output weight times unit: lines for a few, rows or tiles for the strongest of many."""
    axes = a.target.axes(200 if a.target.dimension == 1 else 32)
    shares = a.shares(mesh(axes)).T
    strongest = np.sort(np.argsort(-np.abs(shares).max(1), kind="stable")[:ROWS])
    title = "Share of each hidden unit: output weight x unit"
    some = (
        f"{len(strongest)} of {amount(len(shares), 'unit')}, those with the largest shares. "
        if len(shares) > ROWS
        else ""
    )
    note = f"{some}All shares and the output's bias add up to the network."
    if a.target.dimension == 2:
        maps = shares[strongest].reshape(-1, *(len(axis) for axis in axes)).transpose(0, 2, 1)[:, ::-1]
        return Maps(title, maps, signed=True, captions=tuple(map(str, strongest)), note=note)
    if len(shares) <= LINES:
        lines = tuple(_series(f"unit {k}", axes[0], share) for k, share in enumerate(shares))
        return Chart(title, "x", "share", lines, note)
    return HeatMap(
        title, "x", "unit, in the layer's order", shares[strongest], axes[0].tolist(), range(len(strongest)), note, True
    )


def _step(a: Approximation, step: ClosureStep) -> Picture:
    """A step of the closure: f and what the step makes."""
    axes = a.target.axes(400 if a.target.dimension == 1 else 48)
    points = mesh(axes)
    made = {name: values_of(net, points) for name, net in step.networks}
    wanted = a.target(points)
    if a.target.dimension == 2:
        everything = np.stack([wanted, *(np.clip(v, wanted.min(), wanted.max()) for v in made.values())])
        maps = everything.reshape(-1, *(len(axis) for axis in axes)).transpose(0, 2, 1)[:, ::-1]
        note = f"Cut off at the values of f. {step.statement}"
        return Maps(step.name, maps, captions=(a.target.name, *made), note=note)
    span = float(np.ptp(wanted)) or 1.0
    inside = [_series(name, axes[0], _near(v, wanted, span)) for name, v in made.items()]
    marks = _series("s and t" if len(step.points) == 2 else "s", step.points[:, 0], a.target(step.points), "points")
    return Chart(step.name, "x", "value", (_series(a.target.name, axes[0], wanted), *inside, marks), step.statement)


def _near(values: Array, wanted: Array, span: float) -> Array:
    """Values, but not those so far from f that f would be a flat line on the picture."""
    near = (values > wanted.min() - span / 2) & (values < wanted.max() + span / 2)
    return np.where(near, values, np.nan)
