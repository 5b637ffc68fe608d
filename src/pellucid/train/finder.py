"""`find_learning_rate`: real steps at a rate that grows, to see where the loss falls fastest and where it explodes."""

from __future__ import annotations

import copy
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from typing import Any, Unpack

import numpy as np

from pellucid.data import Batch, Loader, Parts, Preparation
from pellucid.errors import NonFiniteError
from pellucid.given import argument
from pellucid.nn import Module
from pellucid.nn.required import require_net
from pellucid.op import Array
from pellucid.pictures import Answer, Chart, Series
from pellucid.progress import long, progress
from pellucid.text import amount
from pellucid.train.aim import Functions
from pellucid.train.arrays import Targets, parts_for, targets_or_config
from pellucid.train.checks import require_trainable, settled
from pellucid.train.config import TrainConfig, TrainError
from pellucid.train.settings import Settings, shows_settings
from pellucid.train.setup import Setup
from pellucid.train.task import Task
from pellucid.train.tasks import task_for

WORSE = 4.0
"""The search ends where the smoothed loss is this many times the lowest so far."""


@dataclass(frozen=True)
class RateSearch(Answer):
    """The loss of each step (n,) before its update, the rate of that update, and the loss smoothed over the steps.

    `steepest` is the rate where the smoothed loss falls fastest per decade, before it is lowest; `safe` a tenth of the
    rate where it is lowest. Both are None where the loss did not fall by more than twice what it varies from step to step.
    """

    optimizer: str
    rates: Array
    losses: Array
    smoothed: Array
    steepest: float | None
    safe: float | None
    exploded: bool
    """Whether the search ended before the highest rate, as the loss exploded or was no longer finite."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        arrays = {"rates": self.rates, "losses": self.losses, "smoothed": self.smoothed}
        found = {"steepest": self.steepest, "safe": self.safe, "exploded": self.exploded}
        return {"optimizer": self.optimizer, **found, **{name: values.tolist() for name, values in arrays.items()}}

    def __str__(self) -> str:
        lowest = int(np.argmin(self.smoothed))
        if self.steepest is None or self.safe is None:
            found = ["the loss did not fall by more than chance; try more steps or higher rates"]
        else:
            found = [
                f"steepest  {self.steepest:.2e}  where the loss falls fastest",
                f"safe      {self.safe:.2e}  a tenth of the rate where it is lowest ({self.rates[lowest]:.2e})",
            ]
        end = "exploded at" if self.exploded else "had not exploded at the highest rate,"
        found.append(
            f"the loss went from {self.smoothed[0]:z.4f} to {self.smoothed[lowest]:z.4f}, and {end} {self.rates[-1]:.2e}"
        )
        return "\n".join([f"{self.optimizer}, {amount(len(self.rates), 'step')} from {self.rates[0]:.2e}", *found])

    def picture(self) -> Chart:
        """The loss over the rate, up to twice what it was at first, with the rates found."""
        limit = 2 * float(self.smoothed[: np.argmin(self.smoothed) + 1].max())
        beyond = int((self.losses > limit).sum())
        note = (
            f"{beyond} losses above {limit:z.3g} are not shown, the largest is {self.losses.max():z.3g}"
            if beyond
            else ""
        )
        series = [
            Series(name, self.rates.tolist(), np.where(values > limit, np.nan, values).tolist(), kind)
            for name, values, kind in (("loss", self.losses, "points"), ("smoothed", self.smoothed, "line"))
        ]
        ends = float(self.losses.min()), float(self.losses[self.losses <= limit].max())
        for name, rate in (("steepest", self.steepest), ("safe", self.safe)):
            if rate is not None:
                series.append(Series(f"{name} {rate:z.2g}", (rate, rate), ends, "dashed"))
        title = f"Loss as the learning rate grows ({self.optimizer})"
        return Chart(title, "learning rate", "loss", tuple(series), note, x_log=True)


@shows_settings
@long
def find_learning_rate(
    net: Module,
    data: Parts | Targets | Sequence[Any],
    y: Targets | TrainConfig | None = None,
    config: TrainConfig | None = None,
    *,
    lowest: float = 1e-6,
    highest: float = 1.0,
    steps: int = 100,
    preprocessing: Preparation | None = None,
    task: Task | str | None = None,
    **settings: Unpack[Settings],
) -> RateSearch:
    """Try learning rates from `lowest` to `highest`, each step by the same factor higher than the last (Smith 2017).

    Data, or arrays, are those of `fit`, and the steps those that it would begin with: the same settings, weights to start
    from, batches and augmentation. The search ends early where the loss explodes. It trains a copy: `net` stays as it is,
    also for those who ask it meanwhile.
    """
    require_net(net)
    lowest, highest = (
        argument(float, rate, name, TrainError) for rate, name in ((lowest, "lowest"), (highest, "highest"))
    )
    steps = argument(int, steps, "steps", TrainError)
    if not 0 < lowest < highest < float("inf"):
        raise TrainError(f"lowest and highest must be positive rates, the second higher, got {lowest} and {highest}")
    if steps < 10:
        raise TrainError(f"steps must be at least 10, got {steps}")
    y, config = targets_or_config(y, config)
    data = parts_for(net, data, y, task=task)
    plain, config, functions = Functions.taken_from(settings, config)
    config = settled(data, config, plain)
    task = task_for(data, config, task)
    config = config.of_task(task.name)
    require_trainable(data, task, config)
    rates = np.geomspace(lowest, highest, steps)
    losses: list[float] = []
    exploded = False
    with progress("finding the learning rate") as tell:
        setup = Setup(copy.deepcopy(net), data, task, config, preprocessing, functions=functions)
        with closing(_batches(setup.loader)) as batches:
            for step, (rate, batch) in enumerate(zip(rates, batches, strict=False)):
                try:
                    losses.append(setup.stepper(batch, float(rate), step).loss)
                except NonFiniteError:
                    exploded = True
                    break
                smooth = smoothed(losses, steps)
                exploded = bool(smooth[-1] > WORSE * smooth.min())
                if exploded:
                    break
                tell(step + 1, steps)
    if len(losses) < 3:
        raise TrainError(f"the loss explodes at learning rate {lowest:g} already; start from a lower one")
    return _judged(config.optimizer, rates[: len(losses)], np.array(losses), smoothed(losses, steps), exploded)


def smoothed(losses: list[float], steps: int) -> Array:
    """Each loss as a mean of those around it, weighted by a Gaussian whose deviation is a 40th of all `steps`."""
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(np.array(losses), max(1.0, steps / 40), mode="nearest")


def _judged(optimizer: str, rates: Array, losses: Array, smooth: Array, exploded: bool) -> RateSearch:
    lowest = int(np.argmin(smooth))
    varies = 1.4826 * float(
        np.median(np.abs(losses - smooth))
    )  # a standard deviation that the explosion has no part in
    steepest = safe = None
    if lowest > 0 and smooth[0] - smooth[lowest] > 2 * varies:
        slopes = np.gradient(smooth, np.log10(rates))
        steepest = float(rates[np.argmin(slopes[: lowest + 1])])
        safe = float(rates[lowest] / 10)
    return RateSearch(optimizer, rates, losses, smooth, steepest, safe, exploded)


def _batches(loader: Loader) -> Generator[Batch]:
    """The batches of epoch after epoch."""
    for epoch in count():
        with closing(loader.epoch(epoch)) as batches:
            yield from batches
