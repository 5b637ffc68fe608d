"""The history of a run: its curves over the epochs, and what its steps did to the layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pellucid.pictures import Chart, Page, Series
from pellucid.text import text_table
from pellucid.train.checkpoint import find, load
from pellucid.train.layers import LayerHistory
from pellucid.train.run_folder import LAYERS


@dataclass(frozen=True)
class History:
    """`metrics` has a dict for each epoch; `layers` is None where the layers were not watched."""

    name: str
    metrics: tuple[dict[str, Any], ...]
    layers: LayerHistory | None

    @classmethod
    def of(cls, folder: Path, metrics: Iterable[dict[str, Any]], weights: Mapping[str, Any]) -> History:
        """That of the run in `folder`; `weights` are its parameters or their values by name."""
        kernels = [name for name, weight in weights.items() if weight.ndim > 1]
        return cls(str(folder), tuple(metrics), LayerHistory.load(folder / LAYERS, kernels))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        layers = None if self.layers is None else self.layers.to_dict()
        return {"run": self.name, "epochs": list(self.metrics), "layers": layers}

    def __str__(self) -> str:
        rows = [
            [
                str(row["epoch"]),
                *(f"{row[name]:.4f}" for name in ("loss", "validation_loss")),
                *(f"{row[name]:.2%}" for name in ("accuracy", "validation_accuracy")),
                f"{row['learning_rate']:.2e}",
                "best" if row["best"] else "",
            ]
            for row in self.metrics
        ]
        titles = ["epoch", "loss", "validation", "accuracy", "validation", "rate", ""]
        table = text_table(titles, rows, "rrrrrrl")
        return table if self.layers is None else f"{table}\n\n{self.layers}"

    def charts(self) -> tuple[Chart, ...]:
        """Loss and accuracy by epoch, and what the steps did to the layers."""
        epochs = [row["epoch"] for row in self.metrics]

        def lines(*names: str) -> tuple[Series, ...]:
            titles = ("training", "validation")
            return tuple(
                Series(t, epochs, [row[n] for row in self.metrics]) for t, n in zip(titles, names, strict=True)
            )

        curves = (
            Chart("Loss", "epoch", "mean cross-entropy", lines("loss", "validation_loss")),
            Chart("Accuracy", "epoch", "accuracy", lines("accuracy", "validation_accuracy"), percent=True),
        )
        return curves if self.layers is None else (*curves, *self.layers.charts())

    def picture(self) -> Page:
        """The charts on a page."""
        return Page(f"History of {self.name}", self.charts())


def load_history(path: Path | str) -> History:
    """The history of the run in a folder, as far as it has come. The network need not be one of `nn.models`."""
    file = find(path, "last")
    checkpoint = load(file)
    return History.of(file.parent, checkpoint.position.rows, checkpoint.weights)
