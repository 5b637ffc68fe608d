"""`history`: how a run learned."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.question import Option, question


@question("history", "pellucid.train:load_history", pictures="page", group="look inside", page="insight")
def history(run: Annotated[str, Option("A run's folder.", place=True, kind="source")]) -> Any:
    """Show how a run learned, epoch by epoch.

    Loss and accuracy; every layer's gradient norms, and how fast its weights changed.

    Example: pellucid history runs/digits-lenet --out history.html
    """
    from pellucid.train import load_history

    return load_history(run)
