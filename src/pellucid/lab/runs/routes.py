"""The addresses of runs: start, steer, look, and the streams of what happens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pellucid.lab.events import Followed, Hub, places, stream
from pellucid.lab.runs.runs import MOST_LOOKED, FollowedRun, Runs
from pellucid.lab.threads import Threads
from pellucid.lab.wire import Problem, answered, asked_in, taking, whole

MOST_FOLLOWED = 16
"""Things that one stream follows."""


def run_routes(runs: Runs, hub: Hub, threads: Threads, follow_job: Callable[[str], Followed]) -> list[Route]:
    """Routes of runs; `follow_job` gives what a stream follows of a job."""

    def name(request: Request) -> str:
        return request.path_params["run"]

    async def start(request: Request) -> Response:
        """Start a run: data, network, settings and seed, or an earlier run again."""
        body = await asked_in(request)
        return answered(await threads.run(runs.start, body), status=201)

    async def steer(request: Request) -> Response:
        """Pause, resume, step, stop a run, or set its pace."""
        body = await asked_in(request)
        return answered(await threads.run(runs.steer, name(request), body))

    async def state(request: Request) -> Response:
        """How a run stands, and what was asked."""
        return answered(await threads.run(runs.state, name(request)), request)

    async def listing(request: Request) -> Response:
        """All runs, the newest first, and what may be trained on."""
        return answered(await threads.run(runs.listing), request)

    async def snapshot(request: Request) -> Response:
        """A snapshot of a run, of a step or the latest: filters, activations, gradients, what it says of an example."""
        return answered(await threads.run(runs.snapshot, name(request), request.path_params["step"]), request)

    async def stages(request: Request) -> Response:
        """The last step in slow motion: forward, loss, backward, update."""
        return answered(await threads.run(runs.stages, name(request)), request)

    async def curves(request: Request) -> Response:
        """The curves of several runs, to be laid over each other."""
        if not (names := _names(request, "runs")):
            raise Problem(400, "A parameter is missing", "curves wants runs: names of runs with commas between", "runs")
        points, until = _number(request, "points", 400), _number(request, "until", -1)
        if not 1 <= points <= MOST_LOOKED:
            raise Problem(400, "Too many points", f"1 to {MOST_LOOKED} are given, got {points}", "points")

        def all_of_them() -> list[dict[str, Any]]:
            return [runs.curves(one, points, None if until < 0 else until) for one in names]

        return answered({"runs": await threads.run(all_of_them)}, request)

    async def follow(request: Request) -> Response:
        """What happens to runs and jobs, as server-sent events."""
        since = places(request.headers.get("last-event-id", ""))
        given = request.path_params
        one, job = given.get("run"), given.get("job")
        names = [one] if one else [] if job else _names(request, "runs")
        jobs = [job] if job else [] if one else _names(request, "jobs")
        if not 0 < len(names) + len(jobs) <= MOST_FOLLOWED:
            raise Problem(400, "Nothing to follow", f"runs= and jobs= name 1 to {MOST_FOLLOWED} with commas between")

        def followed() -> Sequence[Followed]:
            return [*(FollowedRun(runs, run, since.get(run, 0)) for run in names), *map(follow_job, jobs)]

        return stream(hub, await threads.run(followed))

    return [
        Route("/api/v1/training", taking(listing)),
        Route("/api/v1/runs", taking(start), methods=["POST"]),
        Route("/api/v1/runs/{run}", taking(state)),
        Route("/api/v1/runs/{run}", taking(steer), methods=["PATCH"]),
        Route("/api/v1/runs/{run}/events", taking(follow)),
        Route("/api/v1/runs/{run}/snapshots/{step}", taking(snapshot)),
        Route("/api/v1/runs/{run}/stages", taking(stages)),
        Route("/api/v1/curves", taking(curves, "runs", "points", "until")),
        Route("/api/v1/events", taking(follow, "runs", "jobs")),
        Route("/api/v1/jobs/{job}/events", taking(follow)),
    ]


def _names(request: Request, key: str) -> list[str]:
    return list(dict.fromkeys(filter(None, request.query_params.get(key, "").split(","))))


def _number(request: Request, key: str, usual: int) -> int:
    text = request.query_params.get(key)
    return usual if text is None else whole(key, text)
