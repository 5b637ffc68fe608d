"""What the curves of a run show, rule by rule."""

from __future__ import annotations

import re

import pytest

from pellucid.train.curves import what_curves_show

FALLING = [1.0, 0.8, 0.6, 0.5, 0.4, 0.3]


def rows(training: list[float], validation: list[float], **last: float) -> list[dict]:
    pairs = zip(training, validation, strict=True)
    return [{"epoch": n + 1, "loss": t, "validation_loss": v, "accuracy": 0.9} | last for n, (t, v) in enumerate(pairs)]


@pytest.mark.parametrize(
    ("training", "validation", "last", "words"),
    [
        (FALLING, [1.0, 0.9, 0.8, 0.7, 0.8, 0.9], {}, "validation loss rises from epoch 5 on"),
        (FALLING, [1.0, 0.7, 0.72, 0.75, 0.8, 0.9], {}, "rises from epoch 3 on while training loss falls: overfitting"),
        (FALLING, [1.1, 0.9, 0.7, 0.6, 0.5, 0.4], {}, "both still fall at the end: train longer"),
        (FALLING, [1.0, 0.7, 0.7, 0.7, 0.7, 0.7], {}, "leveled off"),
        ([0.5] * 6, [0.5, 0.5, 0.5, 0.5, 0.5, 0.6], {}, "leveled off"),
        ([2.3] * 6, [2.3] * 6, {"accuracy": 0.1}, r"training accuracy stays low \(10.0% at the end\): underfitting"),
        ([1.8] * 6, [0.5] * 6, {"accuracy": 0.4, "validation_accuracy": 0.9}, "leveled off"),
        ([0.9] * 6, [0.9] * 6, {"r2": 0.12}, r"training R2 stays low \(0.12 at the end\): underfitting"),
        ([2.3, 4.0, 9.0], [2.3, 5.0, 10.0], {}, "rose from 2.3 to 9: diverged"),
        ([2.3, 2.0, float("nan")], [2.3, 5.0, 10.0], {}, "diverged"),
        ([1.0, 0.5, 0.2], [1.0, 0.6, 0.3], {}, "train longer"),
        ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], {}, "leveled off"),
        ([1.0, 0.5], [1.0, 0.6], {}, "^$"),
        ([], [], {}, "^$"),
    ],
)
def test_rules(training: list[float], validation: list[float], last: dict, words: str) -> None:
    assert re.search(words, what_curves_show(rows(training, validation, **last)))
