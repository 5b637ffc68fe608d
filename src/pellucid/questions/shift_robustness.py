"""`shift-robustness`: what shifting pictures does to a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pellucid.questions.kinds import Executor, Network, TestData
from pellucid.questions.question import Option, QuestionError, question

Shifts = Annotated[str, Option("Pixels to shift by, with commas between.")]


@question(
    "shift-robustness",
    "pellucid.studies:shift_robustness",
    pictures="page",
    group="compare",
    page="why-convolution",
)
def shift_robustness(
    subject: Network, data: TestData = "", shifts: Shifts = "0,1,2,3", executor: Executor = "auto"
) -> Any:
    """Measure what shifting pictures does to a network.

    Accuracy, answers that stay the same, and how far features move, for test pictures shifted by a few pixels.

    Example: pellucid shift-robustness runs/digits-lenet --shifts 0,1,2 --out shifts.html
    """
    from pellucid.questions.measured import measured
    from pellucid.studies import shift_robustness as measure
    from pellucid.train.evaluation import require_fitting

    pixels = pixels_of(shifts)
    test = measured(subject, data).dataset
    require_fitting(subject.source, subject.classes, subject.shape, test)
    nets = {Path(subject.source).name: subject.net}
    subject.require_preprocessing()
    return measure(nets, test, shifts=pixels, executor=executor)


def pixels_of(text: str) -> list[int]:
    """`"0,1,2"` -> `[0, 1, 2]`."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise QuestionError(f"--shifts: expected whole numbers with commas between, got {text!r}") from None
