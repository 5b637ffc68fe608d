"""`pellucid history`: what happened in training."""

from __future__ import annotations

from typing import Annotated

import typer

from pellucid.cli.options import Json, Out, show


def history(
    run: Annotated[str, typer.Argument(help="A run's folder.")],
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Show how a run learned: loss and accuracy by epoch; every layer's gradient norms and how fast its weights changed.

    Example: pellucid history runs/digits-lenet --out history.html
    """
    from pellucid.train.history import load_history

    show(load_history(run), as_json, out)
