"""The runs of the lab: started and steered here, told as plain data; they belong to the server's folder and not to a page."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from pellucid.errors import suggest
from pellucid.lab.events import Hub
from pellucid.lab.holdings import Library
from pellucid.lab.runs.asked import AskedRun
from pellucid.lab.runs.control import DOINGS
from pellucid.lab.runs.living import Living
from pellucid.lab.runs.process import Process
from pellucid.lab.runs.trail import Trail
from pellucid.lab.wire import Problem, require_known
from pellucid.seeds import fresh_seed
from pellucid.train.noted_steps import COLUMNS, NotedSteps, spread

MOST_LIVING = 3
"""Runs that may train at the same time."""
MOST_ROWS, MOST_POINTS, MOST_LOOKED = 200, 400, 2000
"""Epochs that are told of a run, points of its curve in an event, and points that may be asked for."""
START, SETTLE, STOP = 60.0, 15.0, 1.5
"""Seconds that are waited for a process to begin, to be set up, and to stop."""
RESUMABLE = ("stopped", "killed", "diverged", "failed")
ENDED = ("finished", *RESUMABLE)
STEERED = ("do", "stages", "pace")
"""What a run is steered by."""


class Runs:
    """All runs below the folder of a library's."""

    def __init__(self, library: Library, hub: Hub) -> None:
        self.holdings, self.hub = library, hub
        self.folder = library.folder
        self._lock = threading.Lock()
        self._living: dict[str, Living] = {}
        self._starting = 0
        self._closing = 0.0
        self._changes: dict[str, int] = {}

    def start(self, body: Any) -> dict[str, Any]:
        """Start what a body says, or what an earlier run was, `again`. Raises `Problem` and `PellucidError`."""
        if not isinstance(body, dict):
            raise Problem(400, "No run", "a run is asked for by an object", remedy="See docs/lab.md")
        asked = self._again(body) if "again" in body else AskedRun.of(body)
        data = self.allowed(asked)
        asked.config()
        return self._begin({"asked": asked.to_dict(), "data": data, "resume": False})

    def steer(self, name: str, body: Any) -> dict[str, Any]:
        """Pause, resume, step, stop, or set the pace of a run. Raises `Problem`."""
        what = body.get("do") if isinstance(body, dict) else None
        if what not in DOINGS:
            raise Problem(400, "No such thing to do", f"{what!r:.60}", "do", f"There are {', '.join(DOINGS)}")
        require_known(body, STEERED)
        if not isinstance(body.get("stages", False), bool):
            raise Problem(400, "No such choice", f"stages is true or false, got {body['stages']!r:.60}", "stages")
        state = self.state(name)
        living = self._living.get(name)
        if living is not None and living.process is not None and living.state in ENDED:
            living.process.wait(SETTLE)  # it has said so, and holds its folder until it is gone
        if living is None or living.gone:
            if what == "resume" and state["state"] in RESUMABLE:
                return self._resume(name)
            raise Problem(409, "Not now", f"{name} is {state['state']}, so there is nothing to {what}", "do")
        if living.state == "stopping":
            raise Problem(409, "Not now", f"{name} is stopping", "do")
        pace = body.get("pace")
        if what == "pace" and (isinstance(pace, bool) or not (isinstance(pace, int | float) and 0 <= pace < 1e6)):
            raise Problem(400, "No pace", f"steps a second, 0 for any, got {pace!r:.60}", "pace")
        if what == "step" and body.get("stages") and self._accumulates(name):
            raise Problem(
                409, "Not for this run", f"{name} adds up gradients of several batches for each step", "stages"
            )
        assert living.process is not None
        with living.changed:
            if what == "stop":
                living.state = "stopping"
            elif what == "pace":
                living.pace = float(body["pace"])
        living.process.say({key: body[key] for key in STEERED if key in body})
        self._note(name)
        return self.state(name)

    def state(self, name: str, whole: bool = True) -> dict[str, Any]:
        """How a run stands; `whole` with what was asked and its last words. Raises `Problem` where there is none."""
        living = self._living.get(name)
        if living is None:
            return self._left(name, whole)
        trail = self._trail(name)
        with living.changed:
            told = {
                "run": name,
                "network": str(self.folder / name),
                "state": living.state,
                **living.numbers,
                **living.plan,
                "rows": thinned(living.rows),
                "seconds": sum(row["seconds"] for row in living.rows),
                "stages": living.stages,
                "pace": living.pace,
                "problem": living.problem,
                "changes": self._changes.get(name, 0),
            }
            words = living.words
        told["snapshots"] = trail.snapshots()
        if told["state"] in ("killed", "failed", "diverged"):
            told["log"] = trail.words() or words
        return {**told, **self._asked(trail, whole)}

    def listing(self) -> dict[str, Any]:
        """All runs, the newest first, and what may be trained on."""
        from pellucid import models
        from pellucid.train.run_folder import LAST

        paths = [p for p in self.folder.glob("*") if (p / LAST).exists() or p.name in self._living]
        newest = sorted(paths, key=lambda p: -p.stat().st_mtime)
        states = [self.state(p.name, False) for p in newest]
        return {
            "runs": [{k: v for k, v in one.items() if k not in ("rows", "log")} for one in states],
            "living": len(self.living()),
            "most": MOST_LIVING,
            "data": self.holdings.data(),
            "folders": list(self.holdings.folders()),
            "models": models.names(),
        }

    def living(self) -> list[str]:
        """Those that are training now."""
        return [name for name, living in [*self._living.items()] if not living.gone]  # others begin meanwhile

    def close(self) -> None:
        """Stop all that train, with a checkpoint each; one that needs longer than STOP seconds ends by itself after its step."""
        living = [one for one in [*self._living.values()] if not one.gone and one.process is not None]
        for one in living:
            assert one.process is not None
            one.process.say({"do": "stop"})
        self._closing = self._closing or time.monotonic() + STOP  # once, however often it is closed
        for one in living:
            assert one.process is not None
            one.process.wait(max(0.0, self._closing - time.monotonic()))

    def changes(self, name: str) -> int:
        """How many changes there were of a run."""
        return self._changes.get(name, 0)

    def curve(self, name: str, start: int, most: int, until: int | None = None) -> dict[str, list[Any]]:
        """The numbers of its steps from `start` on, at most so many."""
        noted = NotedSteps(self.folder / name)
        return noted.points(start, len(noted) if until is None else until, most)

    def curves(self, name: str, most: int, until: int | None) -> dict[str, Any]:
        """A run with its curve up to a step, to be laid over others."""
        told = self.state(name, False)
        end = self.noted(name) if until is None else until
        rows = [row for row in told["rows"] if until is None or row.get("step", 0) <= until]
        return {
            "run": name,
            "network": told["network"],
            "state": told["state"],
            "steps": end,
            "curve": self.curve(name, 0, most, end),
            "rows": rows,
        }

    def noted(self, name: str) -> int:
        """How many steps of it were noted."""
        return len(NotedSteps(self.folder / name))

    def snapshot(self, name: str, step: str) -> dict[str, Any]:
        """The snapshot of a step, of the nearest before it, or of the `latest`. Raises `Problem`."""
        from pellucid.plain import parse_json

        self.state(name, False)
        trail = self._trail(name)
        known = trail.snapshots()
        if step != "latest" and not (step.isdecimal() and len(step) < 16):
            raise Problem(400, "No step", f"{step:.40}", "step", "A number, or latest")
        fitting = [k for k in known if step == "latest" or k <= int(step)]
        raw = trail.snapshot(fitting[-1]) if fitting else None
        if raw is None:
            raise Problem(404, "No snapshot", f"{name} has none of step {step}", "step", _kept(known))
        found = parse_json(raw)
        return {"run": name, **found}

    def stages(self, name: str) -> dict[str, Any]:
        """The stages of the last step in slow motion. Raises `Problem`."""
        self.state(name, False)
        found = self._trail(name).get("stages")
        if found is None:
            raise Problem(
                404, "No step in slow motion", name, remedy='Pause the run, then PATCH {"do": "step", "stages": true}'
            )
        return {"run": name, **found}

    def _begin(self, order: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            if len(self.living()) + self._starting >= MOST_LIVING:
                raise Problem(
                    409, "Enough runs", f"{MOST_LIVING} train already", remedy="Stop one, or wait until it ends"
                )
            self._starting += 1
        living = Living()
        try:
            living.pace = float(order["asked"].get("pace", 0.0))
            told = {**order, "runs": self.folder.name}
            living.process = Process(told, self.folder.parent, lambda said: self._heard(living, said))
            with living.changed:
                living.changed.wait_for(lambda: living.began, START)
                if living.name:
                    living.changed.wait_for(lambda: living.ready or living.gone, SETTLE)
        finally:
            with self._lock:
                self._starting -= 1
        if not living.ready and living.gone:
            return self._refuse(living)
        if not living.began:
            living.process.say({"do": "stop"})
            raise Problem(503, "The process does not begin", f"not within {START:g} s", remedy="Try again")
        return self.state(living.name)

    def _heard(self, living: Living, said: dict[str, Any]) -> None:
        if said.get("is") == "begun":
            with self._lock:
                self._living[said["run"]] = living
        living.heed(said)
        if living.name:
            self._note(living.name)

    def _note(self, name: str) -> None:
        with self._lock:
            self._changes[name] = self._changes.get(name, 0) + 1
        self.hub.changed(f"run:{name}")

    def _refuse(self, living: Living) -> dict[str, Any]:
        """Why a run was not begun; a folder that it leaves stays a run."""
        if living.name and (self.folder / living.name / "lab").exists():
            return self.state(living.name)
        self._living.pop(living.name, None)
        told = living.problem or {"title": "It could not be started", "detail": ""}
        last = "" if told.get("where") or living.state == "failed" else "\n".join(living.words[-5:])
        raise Problem(422, told["title"], told["detail"] or last, told.get("where", ""), told.get("remedy", ""))

    def _resume(self, name: str) -> dict[str, Any]:
        asked = self._trail(name).get("asked")
        if asked is None:
            raise Problem(
                409,
                "Not begun here",
                f"{name} was not started by the lab",
                remedy=f"pellucid train --resume --out {self.folder / name}",
            )
        data = self.allowed(AskedRun.of(asked))
        out = str((self.folder / name).resolve())
        return self._begin({"asked": {**asked, "paused": False}, "data": data, "resume": True, "out": out})

    def _again(self, body: dict[str, Any]) -> AskedRun:
        name = body["again"]
        if not isinstance(name, str):
            raise Problem(400, "No such run", f"{name!r:.60}", "again")
        asked = self.state(name).get("asked")
        if asked is None:
            raise Problem(
                409,
                "Not begun here",
                f"{name} was not started by the lab, so it is not known how to begin again",
                "again",
            )
        changes = {key: value for key, value in body.items() if key != "again"}
        if changes.get("seed") == "new":
            changes["seed"] = fresh_seed()
        if isinstance(changes.get("settings"), dict):
            changes["settings"] = {**asked["settings"], **changes["settings"]}
        made = AskedRun.of({**asked, "paused": False, **changes})
        living = self._living.get(name)
        if living is not None and not living.gone and living.process is not None:
            living.process.say({"do": "stop"})
            if not living.process.wait(SETTLE):
                raise Problem(
                    409, "Still stopping", f"{name} is at a long step", "again", "Try again when it has ended"
                )
        return made

    def allowed(self, asked: AskedRun) -> str:
        """What `pl.load` is given for the data; raises `Problem` for data and networks that a page may not name."""
        from pellucid import models

        model = asked.network.model
        if not models.is_known(model):
            raise Problem(404, "No such network", f"{model:.100}{suggest(model, models.names())}", "network")
        if start := asked.settings.get("start_from"):
            self.holdings.source(str(start), "settings.start_from")
        return self.holdings.data_named(asked.data.name)

    def _trail(self, name: str) -> Trail:
        return Trail(self.folder / name)

    def _accumulates(self, name: str) -> bool:
        asked = self._trail(name).get("asked") or {}
        return asked.get("settings", {}).get("accumulate", 1) != 1

    def _asked(self, trail: Trail, whole: bool, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What was asked for, and the seed: of a run that was not begun here that of its `settings`."""
        asked = trail.get("asked")
        return {"seed": (asked or settings or {}).get("seed"), **({"asked": asked} if whole else {})}

    def _left(self, name: str, whole: bool) -> dict[str, Any]:
        """How a run stands that no process of this server trains, as its folder says."""
        from pellucid.train.run_list import summary_of

        path = self.folder / name
        known = [p.name for p in self.folder.glob("[!.]*") if p.is_dir()]
        if name not in known:
            raise Problem(404, "No such run", f"{name:.100}{suggest(name, known)}", "run", "See /api/v1/training")
        summary, trail = summary_of(path, name), self._trail(name)
        end = trail.get("end")
        if summary.state == "finished":
            state = "finished"
        elif summary.state == "training":
            state = "running"
        elif summary.state == "broken":
            state = "failed"
        else:
            state = end["state"] if end is not None else "killed" if trail.path.exists() else "stopped"
        step = max(len(trail.noted), summary.rows[-1].get("step", 0) if summary.rows else 0)
        last = trail.noted.points(max(0, step - 1), step, 1)
        problem = (end or {}).get("problem") or (
            {"title": "Broken", "detail": summary.reason} if summary.reason else None
        )
        told = {
            "run": name,
            "network": str(path),
            "state": state,
            "step": step,
            "epoch": summary.epochs,
            "batch": 0,
            "at": summary.changed,
            **(trail.get("plan") or {}),
            **{column: last[column][-1] if last[column] else None for column in COLUMNS},
            "rows": thinned(summary.rows),
            "seconds": summary.seconds,
            "stages": None if (slow := trail.get("stages")) is None else slow.get("step"),
            "pace": 0,
            "problem": problem,
            "changes": self._changes.get(name, 0),
            "snapshots": trail.snapshots(),
        }
        if state in ("killed", "failed", "diverged"):
            told["log"] = trail.words()
        return {**told, **self._asked(trail, whole, summary.settings)}


class FollowedRun:
    """A run as a stream follows it: each look has the points of the curve since the last."""

    kind = "run"

    def __init__(self, runs: Runs, run: str, since: int = 0) -> None:
        runs.state(run, False)  # raises where there is none
        self._runs, self._run, self.name = runs, run, f"run:{run}"
        self._since, self._seen = since, -1

    def look(self) -> dict[str, Any] | None:
        changes = self._runs.changes(self._run)
        if changes == self._seen:
            return None
        self._seen = changes
        told = self._runs.state(self._run, False)
        noted = self._runs.noted(self._run)
        start = min(self._since, noted)  # a run that was resumed from an earlier step is shorter again
        points = self._runs.curve(self._run, start, MOST_POINTS, noted)
        missed, self._since = noted - start - len(points["step"]), noted
        return {**told, "points": points, "from": start, "missed": missed}

    def place(self) -> str:
        return f"{self._run}:{self._since}"


def thinned(rows: Any) -> list[dict[str, Any]]:
    """At most MOST_ROWS epochs, evenly spread."""
    return [rows[k] for k in spread(len(rows), MOST_ROWS)] if rows else []


def _kept(known: list[int]) -> str:
    return f"There are snapshots of the steps {', '.join(map(str, known[:20]))}" if known else "It has no snapshots"
