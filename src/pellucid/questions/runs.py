"""`runs`: runs side by side."""

from __future__ import annotations

from typing import Annotated, Any

from pellucid.questions.question import Option, QuestionError, question


def orders() -> list[str]:
    """What runs can be sorted by."""
    from pellucid.train.run_list import SORTED_BY

    return list(SORTED_BY)


@question("runs", "pellucid.train:runs", pictures="page", group="compare", page="training")
def runs(
    folders: Annotated[
        list[str] | None, Option("Folders of runs, or runs themselves; default runs/.", place=True, kind="files")
    ] = None,
    by: Annotated[
        str, Option("Sort by name, score, loss, time, size, epochs, state or date; the best first.", choices=orders)
    ] = "name",
    where: Annotated[
        list[str] | None, Option("Only runs with this setting: NAME=VALUE, as in model=lenet; may be repeated.")
    ] = None,
    state: Annotated[
        list[str] | None, Option("Only runs that are finished, training, unfinished or broken; may be repeated.")
    ] = None,
) -> Any:
    """List runs, or put some side by side.

    Each with its state, accuracy, time and size; the settings that differ, and on a page the curves over each other.

    Example: pellucid runs

    Example: pellucid runs runs/ --by score --out runs.html

    Example: pellucid runs --where model=lenet --state finished --json
    """
    from pellucid.train import runs as list_runs

    wanted: dict[str, str] = {}
    for text in where or []:
        name, equals, value = text.partition("=")
        if not (name.strip() and equals):
            raise QuestionError(f"--where: expected NAME=VALUE, got {text!r}")
        wanted[name.strip()] = value.strip()
    return list_runs(*(folders or []), by=by, where=wanted, states=state or [])
