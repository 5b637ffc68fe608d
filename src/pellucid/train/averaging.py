"""A moving average of a network's weights: kept beside them, and put into their place while the network is asked."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager

from pellucid import ops
from pellucid.graph import Parameter, Tensor
from pellucid.scopes import scope

Averages = Mapping[Parameter, Parameter]
"""The average of each parameter that training changes."""


def fresh_averages(parameters: list[Parameter]) -> dict[Parameter, Parameter]:
    """Averages that start with the parameters' values."""
    return {p: Parameter.of(p.value, f"optimizer/average/{p.name}", trainable=False) for p in parameters}


def averaging(
    averages: Averages, new: Mapping[Parameter, Tensor], decay: float, count: Tensor
) -> dict[Parameter, Tensor]:
    """The new averages: a <- d a + (1 - d) w, with d the smaller of `decay` and (1 + t) / (10 + t) at step t = `count`.

    So the first steps, whose weights are far from where training leads, are soon forgotten.
    """
    kept = ops.minimum((count + 1.0) / (count + 10.0), decay)
    changed: dict[Parameter, Tensor] = {}
    for parameter, average in averages.items():
        if parameter in new:
            with scope(f"average/{parameter.name}"):
                changed[average] = average + (new[parameter] - average) * (1.0 - kept)
    return changed


@contextmanager
def in_place(averages: Averages) -> Generator[None]:
    """Inside, the network has its averages for weights."""
    _exchange(averages)
    try:
        yield
    finally:
        _exchange(averages)


def _exchange(averages: Averages) -> None:
    for parameter, average in averages.items():
        own = parameter.value.copy()
        parameter.value = average.value
        average.value = own
