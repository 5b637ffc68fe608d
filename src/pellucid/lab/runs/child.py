"""The process that trains a run of the lab: told what by its first line, steered by the others, it says what happens as lines of JSON."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO, Any

from pellucid.errors import PellucidError
from pellucid.plain import parse_json, to_json
from pellucid.progress import quiet

NICENESS = 10


class Speaker:
    """Says what happens, a line of JSON each; one who no longer listens is no reason to stop."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out

    def __call__(self, said: dict[str, Any]) -> None:
        try:
            print(to_json(said), file=self._out, flush=True)
        except BrokenPipeError:
            self._out = open(os.devnull, "w")  # noqa: SIM115


def main() -> None:
    """Train as the first line of stdin says.

    {"asked": ..., "data": what `pl.load` is given, "runs": folder of runs, "resume": bool, "out": folder to resume}
    """
    os.nice(NICENESS)
    speak = Speaker(os.fdopen(os.dup(1), "w"))
    os.dup2(2, 1)  # what others print is no word of ours
    order = parse_json(sys.stdin.readline())
    try:
        with quiet():
            _train(order, speak)
    except PellucidError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        speak({"is": "refused", **problem_of(error)})
        sys.exit(1)
    except KeyboardInterrupt:
        speak({"is": "end", "state": "stopped"})
        sys.exit(130)


def problem_of(error: PellucidError) -> dict[str, Any]:
    """A typed error as it is told."""
    where = str(getattr(error, "where", ""))
    return {"title": type(error).__name__, "detail": str(error), **({"where": where} if where else {})}


def _train(order: dict[str, Any], speak: Speaker) -> None:
    from pellucid.lab.runs.asked import AskedRun
    from pellucid.lab.runs.control import Control
    from pellucid.lab.runs.observer import Observer
    from pellucid.lab.runs.trail import Trail
    from pellucid.train.checkpoint import load
    from pellucid.train.loop import fit_in, run_name
    from pellucid.train.run_folder import LAST, begun
    from pellucid.train.stepper import DivergedError
    from pellucid.train.stopping import stop_signals

    asked, resume = AskedRun.of(order["asked"]), bool(order.get("resume"))
    control = Control(asked.paused, asked.pace)
    out, runs = Path(order["out"]) if resume else None, Path(order["runs"])
    with (
        stop_signals(),
        begun(out, asked.name or run_name(asked.data.name, asked.network.model), resume, runs) as folder,
    ):
        control.listen(sys.stdin)  # a stop that comes before the first step ends the run after it, with a checkpoint
        trail = Trail(folder.path)
        trail.begin(order["asked"])
        data = trail.keep_table(asked.data.name, order["data"])
        os.dup2(os.open(trail.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644), 2)
        speak({"is": "begun", "run": folder.path.name})
        observer = Observer(control, trail, speak)
        try:
            stored = load(folder.path / LAST).config if resume else None
            net, parts, config = asked.network_and_data(data)
            run = fit_in(folder, net, parts, stored or config, resume=resume, callbacks=[observer])
            end: dict[str, Any] = {"state": "stopped" if run.status == "interrupted" else "finished"}
        except DivergedError as error:
            rate = {} if error.rate is None else {"rate": error.rate}
            found = {**problem_of(error), "step": error.step, **rate, "gradient": observer.largest_gradient()}
            end = {"state": "diverged", "problem": found}
        except PellucidError as error:
            if not (folder.path / LAST).exists():  # nothing was begun, and nothing is left
                trail.remove()
                raise
            end = {"state": "failed", "problem": problem_of(error)}
        trail.put("end", end)
        speak({"is": "end", **end})


if __name__ == "__main__":
    main()
