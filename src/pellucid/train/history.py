"""The history of a run: its curves over the epochs, and what its steps did to the layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.pictures import Answer, Chart, Page, Series
from pellucid.text import text_table
from pellucid.train.aim import loss_label
from pellucid.train.checkpoint import VALIDATION, added, find, load, measured
from pellucid.train.config import TrainConfig
from pellucid.train.curves import what_curves_show
from pellucid.train.layers import LayerHistory
from pellucid.train.run_folder import LAYERS
from pellucid.train.task import Measure, Task
from pellucid.train.tasks import TASKS


@dataclass(frozen=True)
class History(Answer):
    """`metrics` has a dict for each epoch; `layers` is None where the layers were not watched."""

    name: str
    metrics: tuple[dict[str, Any], ...]
    layers: LayerHistory | None
    measures: tuple[Measure, ...] = ()
    """The numbers beside the loss that each epoch has, of training and of validation."""
    loss_label: str = "loss"
    other_data: int = 0
    """How many of the first epochs were measured on other data than the later ones."""

    @classmethod
    def of(
        cls,
        folder: Path,
        metrics: Iterable[dict[str, Any]],
        weights: Mapping[str, Any],
        task: type[Task] | None,
        config: TrainConfig,
        other_data: int = 0,
    ) -> History:
        """That of the run in `folder`; `weights` are its parameters or their values by name.

        Where the `task` is not known, the names in the rows say what was measured.
        """
        kernels = [name for name, weight in weights.items() if weight.ndim > 1]
        rows, layers = tuple(metrics), LayerHistory.load(folder / LAYERS, kernels)
        if task is not None:
            return cls(str(folder), rows, layers, task.measures, loss_label(config, task.loss_label), other_data)
        names = measured(rows[0]) if rows else []
        measures = tuple(Measure(name, name.replace("_", " ")) for name in names)
        return cls(str(folder), rows, layers, measures, other_data=other_data)

    @property
    def added(self) -> list[str]:
        """The names of the run's metrics, which only validation has."""
        return added(self.metrics[0]) if self.metrics else []

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        layers = None if self.layers is None else self.layers.to_dict()
        return {"run": self.name, "epochs": list(self.metrics), "layers": layers, "curves": self.shows}

    @property
    def shows(self) -> str:
        """What the curves show since the data is what it is, in a sentence; "" for fewer than three epochs."""
        return what_curves_show(self.metrics[self.other_data :])

    def __str__(self) -> str:
        rows = [
            [
                str(row["epoch"]),
                *(f"{row[name]:z.4f}" for name in ("loss", "validation_loss")),
                *(f"{row[prefix + m.name]:{m.form}}".strip() for m in self.measures for prefix in ("", VALIDATION)),
                *(f"{row[VALIDATION + name]:.4g}" for name in self.added),
                f"{row['learning_rate']:.2e}",
                "best" if row["best"] else "",
            ]
            for row in self.metrics
        ]
        columns = [title for measure in self.measures for title in (measure.title, "validation")] + self.added
        titles = ["epoch", "loss", "validation", *columns, "rate", ""]
        table = text_table(titles, rows, "r" * (len(titles) - 1) + "l")
        table = f"{table}\n{self.shows}" if self.shows else table
        return table if self.layers is None else f"{table}\n\n{self.layers}"

    def charts(self) -> tuple[Chart, ...]:
        """Loss and measures by epoch, and what the steps did to the layers."""
        epochs = [row["epoch"] for row in self.metrics]

        def lines(name: str) -> tuple[Series, ...]:
            both = (("training", name), ("validation", VALIDATION + name))
            return tuple(Series(title, epochs, [row[column] for row in self.metrics]) for title, column in both)

        curves = (
            Chart("Loss", "epoch", self.loss_label, lines("loss"), self.shows),
            *(
                Chart(m.title[:1].upper() + m.title[1:], "epoch", m.title, lines(m.name), percent=m.form.endswith("%"))
                for m in self.measures
            ),
            *(
                Chart(
                    name,
                    "epoch",
                    name,
                    (Series("validation", epochs, [row[VALIDATION + name] for row in self.metrics]),),
                )
                for name in self.added
            ),
        )
        return curves if self.layers is None else (*curves, *self.layers.charts())

    def picture(self) -> Page:
        """The charts on a page."""
        return Page(f"History of {self.name}", self.charts())


def load_history(path: Path | str) -> History:
    """The history of the run in a folder, as far as it has come. The network need not be one of `nn.models`."""
    file = find(path, "last")
    checkpoint = load(file)
    task = TASKS.get(checkpoint.task["name"])
    position = checkpoint.position
    return History.of(file.parent, position.rows, checkpoint.weights, task, checkpoint.config, position.other_data)
