"""How strongly a run pulls at every layer: norms of gradients, updates and weights at sampled steps; layers.csv."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.files import read_limited
from pellucid.graph import Parameter
from pellucid.op import Array
from pellucid.pictures import Answer, Chart, Page, Series
from pellucid.text import amount, text_table
from pellucid.train.config import TrainError

MOST_ROWS = 100_000
"""Rows of layers.csv, one for a parameter at a step, that a run keeps at most: longer runs are sampled at fewer steps."""
_LARGEST = 2**30
_COLUMNS = ("step", "parameter", "gradient", "update", "weight")
_SHOWN, _POINTS = 8, 400


@dataclass(frozen=True)
class LayerHistory(Answer):
    """Euclidean norms at S sampled steps for P trained parameters, float32 (S, P).

    `gradient` is that of the loss, `update` what the step changed the parameter by, `weight` the parameter before it.
    """

    parameters: tuple[str, ...]
    steps: Array
    """Numbers of the steps, int64 (S,), counted from 0 over the whole run."""
    gradient: Array
    update: Array
    weight: Array
    kernels: tuple[int, ...]
    """Which parameters have more than one axis: kernels and matrices, the ones that are drawn."""

    @property
    def ratio(self) -> Array:
        """Norm of the update over norm of the weight, (S, P); NaN where the weight is zero."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.weight > 0, self.update / self.weight, np.nan).astype(np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON: lists over the steps, by parameter."""
        norms = {"gradient": self.gradient, "update": self.update, "weight": self.weight, "ratio": self.ratio}
        rows = {
            name: {what: values[:, number].tolist() for what, values in norms.items()}
            for number, name in enumerate(self.parameters)
        }
        return {"steps": self.steps.tolist(), "parameters": rows}

    def __str__(self) -> str:
        ratio = self.ratio
        rows = [
            [name, f"{self.gradient[0, k]:.2e}", f"{self.gradient[-1, k]:.2e}", f"{_median(ratio[:, k]):.2e}"]
            for k, name in enumerate(self.parameters)
        ]
        table = text_table(["parameter", "gradient first", "last", "update/weight median"], rows, "lrrr")
        return f"{table}\nnorms at {amount(len(self.steps), 'step')}, {self.steps[0]} to {self.steps[-1]}"

    def picture(self) -> Page:
        """The charts on a page."""
        return Page("What the steps did to the layers", self.charts())

    def charts(self) -> tuple[Chart, Chart]:
        """Norms of gradients, and updates over weights, of the kernels and matrices over the steps."""
        return (
            self._chart("Gradient norms", "norm of the gradient", self.gradient, {}),
            self._chart(
                "Updates relative to weights",
                "norm of update / norm of weight",
                self.ratio,
                {"0.001, a rule of thumb": 1e-3},
            ),
        )

    def _chart(self, title: str, label: str, values: Array, marks: Mapping[str, float]) -> Chart:
        chosen = self.kernels or tuple(range(len(self.parameters)))
        shown = [chosen[k] for k in _spread(len(chosen), _SHOWN)]
        steps = _spread(len(self.steps), _POINTS)
        lines = [Series(self.parameters[k], self.steps[steps].tolist(), values[steps, k].tolist()) for k in shown]
        edges = [self.steps[0], self.steps[-1]]
        lines += [Series(name, edges, [mark, mark], "dashed") for name, mark in marks.items()]
        some = "every layer" if len(shown) == len(chosen) else f"{len(shown)} of {len(chosen)} layers"
        note = f"The weights of {some} while the network learned; biases and all others are in layers.csv."
        return Chart(title, "step", label, tuple(lines), note, y_log=True)

    @classmethod
    def load(cls, path: Path, kernels: Sequence[str] = ()) -> LayerHistory | None:
        """What a layers.csv holds, or None where there is none. `kernels` names the parameters with more than one axis."""
        rows = _read(path)
        if not rows:
            return None
        names = tuple(rows[next(iter(rows))])
        table = np.array([[row[name] for name in names] for row in rows.values()], np.float32)
        drawn = tuple(k for k, name in enumerate(names) if name in kernels)
        return cls(names, np.array(list(rows), np.int64), table[..., 0], table[..., 1], table[..., 2], drawn)


class LayerWatch:
    """Measures what every `every`-th step does to the trained parameters; 0 never.

    A run of more than MOST_ROWS rows is sampled at fewer steps, chosen by its length alone: a resumed run has the same.
    """

    def __init__(self, parameters: Sequence[Parameter], every: int, total_steps: int) -> None:
        self.parameters = parameters
        samples = max(1, MOST_ROWS // max(1, len(parameters)))
        self.every = max(every, -(-total_steps // samples)) if every else 0
        self._rows: dict[int, Array] = {}

    def before(self, step: int) -> list[Array] | None:
        """Copies of the parameters, if this step is to be measured."""
        return [p.value.copy() for p in self.parameters] if self.every and step % self.every == 0 else None

    def note(self, step: int, before: list[Array] | None, gradient_norms: Array) -> dict[str, dict[str, float]]:
        """Measure what a step did since `before`; by parameter its norms of gradient, update and weight, and their ratio."""
        if before is None:
            return {}
        weights = [_norm(old) for old in before]
        updates = [_norm(np.subtract(p.value, old, out=old)) for p, old in zip(self.parameters, before, strict=True)]
        self._rows[step] = np.stack([gradient_norms, updates, weights], 1).astype(np.float32)
        return {
            p.name: _measured(float(g), u, w)
            for p, g, u, w in zip(self.parameters, gradient_norms, updates, weights, strict=True)
        }

    def restore(self, path: Path, step: int) -> None:
        """Go on from a file's rows of the steps before `step`."""
        names = [p.name for p in self.parameters]
        for number, row in _read(path).items():
            if number < step:
                if set(row) != set(names):
                    raise TrainError(f"{path}: its parameters are not those of the run; remove it to go on without it")
                self._rows[number] = np.array([row[name] for name in names], np.float32)

    def rows(self) -> Iterator[tuple[int, dict[str, dict[str, float]]]]:
        """What was measured, step by step, as `note` gives it."""
        for step, norms in self._rows.items():
            yield (
                step,
                {p.name: _measured(*map(float, values)) for p, values in zip(self.parameters, norms, strict=True)},
            )

    def to_csv(self) -> str:
        """The text of layers.csv, one row for a parameter at a sampled step; "" where nothing was measured."""
        if not self._rows:
            return ""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for step, norms in self._rows.items():
            writer.writerows(
                [step, p.name, *map(str, values)] for p, values in zip(self.parameters, norms, strict=True)
            )
        return text.getvalue()


def _measured(gradient: float, update: float, weight: float) -> dict[str, float]:
    return {"gradient": gradient, "update": update, "weight": weight, "ratio": update / weight if weight else math.nan}


def _read(path: Path) -> dict[int, dict[str, tuple[float, ...]]]:
    """Rows by step and parameter: norms of gradient, update and weight."""
    if not path.exists():
        return {}
    found: dict[int, dict[str, tuple[float, ...]]] = {}
    try:
        lines = csv.reader(read_limited(path, _LARGEST).decode().splitlines())
        if tuple(next(lines)) != _COLUMNS:
            raise ValueError(f"its first line is not {','.join(_COLUMNS)}")
        for step, name, gradient, update, weight in lines:
            if not 0 <= int(step) < 2**63:
                raise ValueError(f"no step has the number {step:.30}")
            found.setdefault(int(step), {})[name] = (float(gradient), float(update), float(weight))
        if len({frozenset(row) for row in found.values()}) > 1:
            raise ValueError("steps have different parameters")
    except (ValueError, StopIteration, OSError, csv.Error) as error:
        raise TrainError(f"{path}: not the norms that a run writes ({error}); remove it to go on without it") from error
    return found


def _norm(values: Array) -> float:
    """Euclidean norm, summed in float64, in the same order whatever the number of threads."""
    return float(np.sqrt(np.square(values, dtype=np.float64).sum()))


def _spread(count: int, most: int) -> list[int]:
    """At most `most` of the numbers below `count`, evenly spread, with the first and the last."""
    return sorted({round(k) for k in np.linspace(0, count - 1, min(count, most))})


def _median(values: Array) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if finite.size else float("nan")
