"""The training room's link to a run: its data, its network and its settings stand beside it there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pellucid.data.listing import is_folder
from pellucid.lab.runs.trail import Trail
from pellucid.train.checkpoint import stands
from pellucid.train.run_folder import LAST
from pellucid.train.run_list import summary_of

SETTINGS = ("learning_rate", "batch_size", "optimizer", "seed")
"""Those that a link calls as a run does."""
OF_THE_PAGE = {"epochs_": "epochs", "patience_": "patience", "size_": "image_size"}
"""Those that only the page looks at, and what a run calls them."""


def run_of(network: str) -> Path | None:
    """The folder of the run that is named, or that the checkpoint which is named lies in; None where there is none."""
    path = Path(network)
    run = path if is_folder(path) else path.parent
    return run if network and run.name and stands(run / LAST) else None


def link_to(run: Path) -> list[tuple[str, str]]:
    """What the room's address says of the run in a folder."""
    told: dict[str, Any] = dict(summary_of(run, run.name).settings)
    asked = Trail(run).get("asked")
    if asked is not None:  # as it was typed there: the run itself notes where the data was found
        told |= {**asked["settings"], "data": asked["data"]["name"], "model": asked["network"]["model"]}
    names = {"data": "data", "network": "model", **{name: name for name in SETTINGS}, **OF_THE_PAGE}
    return [*((key, str(told[name])) for key, name in names.items() if told.get(name)), ("run_", run.name)]
