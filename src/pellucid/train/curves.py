"""What the curves of a run show, in a sentence: too little learned, too much, or not to the end; by rules that are stated."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

RISE = 0.05
"""Validation loss has risen that ends this share above its lowest."""
FALL = 0.02
"""A loss still falls that is this share lower in the last third of the epochs than in the third before, by their means."""
LOW = 0.5
"""Training accuracy (or R2) below this is low."""
FEWEST = 3
"""Epochs below which curves show nothing."""


def what_curves_show(rows: Sequence[Mapping[str, Any]]) -> str:
    """A sentence on the epochs of a run, of which the first rule that fits speaks; "" for fewer than three epochs.

    Diverged: training loss ends above 1.5 times what it was in the first epoch. Overfitting: validation loss ends `RISE` above its lowest, while
    training loss is lower at the end than it was there. Train longer: both losses still fall (`FALL`). Underfitting:
    training accuracy, or R2, ends below `LOW`, and validation's does too (mixed pictures are hard to tell). Else they have leveled off.
    """
    if len(rows) < FEWEST:
        return ""
    training = [float(row["loss"]) for row in rows]
    validation = [float(row["validation_loss"]) for row in rows]
    epochs = [int(row["epoch"]) for row in rows]
    if not math.isfinite(training[-1]) or training[-1] > 1.5 * training[0]:
        return (
            f"training loss rose from {training[0]:.3g} to {training[-1]:.3g}: diverged; try a lower learning rate, or "
            "gradients that are clipped"
        )
    lowest = validation.index(min(validation))
    if validation[-1] > (1 + RISE) * validation[lowest] and training[-1] < training[lowest]:
        return (
            f"validation loss rises from epoch {epochs[lowest + 1]} on while training loss falls: overfitting; more pictures, "
            "augmentation or weight decay help"
        )
    if _still_falls(training) and _still_falls(validation):
        return "training and validation loss both still fall at the end: train longer"
    for name, title in (("accuracy", "accuracy"), ("r2", "R2")):
        value = rows[-1].get(name)
        if value is not None and max(value, rows[-1].get(f"validation_{name}", value)) < LOW:
            shown = f"{value:.1%}" if name == "accuracy" else f"{value:.2f}"
            return (
                f"training {title} stays low ({shown} at the end): underfitting; try a larger network or another rate"
            )
    return "training and validation loss have leveled off"


def _still_falls(losses: Sequence[float]) -> bool:
    third = max(1, len(losses) // 3)
    before, last = losses[-2 * third : -third], losses[-third:]
    return sum(last) / third < (1 - FALL) * sum(before) / third
