"""Work that takes long: done one after the other, with a place in the queue, progress, and an end that can be asked for."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pellucid.errors import PellucidError
from pellucid.lab.answers import FIGURE, problem_of, written
from pellucid.lab.events import Hub
from pellucid.lab.threads import Threads
from pellucid.lab.wire import JSON, Problem, answered, asked_in, tagged, taking
from pellucid.pictures import Picture, from_dict
from pellucid.pictures.answer import Figure, figure_of
from pellucid.pictures.picture import PictureError
from pellucid.plain import parse_json, to_json
from pellucid.progress import Cancelled, followed

MOST_WAITING, MOST_KEPT, MOST_BYTES = 32, 64, 64 * 2**20
"""Jobs that wait, jobs that are remembered, and bytes of their results."""
DRAWN = ("svg", "png", "pdf", "csv", "html")
"""Files that the picture of a result can be had as."""
GAP = 0.05
"""Seconds between two words about how far a job is, at least."""

Work = Callable[[], bytes]
"""Gives a result as JSON."""


@dataclass
class Job:
    """One piece of work, and how far it is."""

    number: int
    question: str
    work: Work
    state: str = "queued"
    title: str = ""
    done: int = 0
    total: int = 0
    began: float = 0.0
    seconds: float = 0.0
    problem: Problem | None = None
    result: bytes | None = None
    cancelling: bool = False
    changes: int = 0
    told: float = field(default=0.0, repr=False)

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.state in ("done", "failed", "cancelled")


class Jobs:
    """The jobs of a server: `asked` makes work of the body that asks for it, or raises."""

    def __init__(self, asked: Callable[[Any], tuple[str, Work]], hub: Hub) -> None:
        self._asked, self._hub = asked, hub
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._ended, self._number = False, 0

    def add(self, body: Any) -> dict[str, Any]:
        """Put work into the queue. Raises `Problem` and `PellucidError` for what makes no sense, or where too much waits."""
        question, work = self._asked(body)
        with self._changed:
            if sum(not job.over for job in self._jobs.values()) >= MOST_WAITING:
                raise Problem(
                    503, "Enough to do", f"{MOST_WAITING} jobs wait already", remedy="Ask again when some are done"
                )
            self._number += 1
            name = str(self._number)
            self._jobs[name] = Job(self._number, question, work)
            self._forget()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return self.told(name)

    def told(self, name: str) -> dict[str, Any]:
        """How a job stands. Raises `Problem` where there is none."""
        job = self._of(name)
        with self._changed:
            ahead = [one for one in self._jobs.values() if not one.over and one.number < job.number]
            return {
                "job": name,
                "question": job.question,
                "state": job.state,
                "place": len(ahead) if job.state == "queued" else 0,
                "title": job.title,
                "done": job.done,
                "total": job.total,
                "seconds": time.monotonic() - job.began if job.state == "working" else job.seconds,
                "cancelling": job.cancelling and not job.over,
                "problem": None if job.problem is None else job.problem.told(),
            }

    def listing(self) -> dict[str, Any]:
        """All that are remembered."""
        return {"jobs": [self.told(name) for name in [*self._jobs]]}

    def result(self, name: str) -> bytes:
        """What a job gave, as JSON. Raises its `Problem`, or one that says how far it is."""
        job = self._of(name)
        if job.problem is not None:
            raise job.problem
        if job.result is None:
            raise Problem(409, "No result", f"the job is {job.state}", remedy="Follow /api/v1/jobs/JOB/events")
        return job.result

    def file(self, name: str, ending: str, figure: str = "") -> tuple[bytes, str]:
        """What a job gave as a file: its picture, or with .json all of it; and the file's media type. Raises `Problem`.

        With the number of a `figure` this one alone.
        """
        told = parse_json(self.result(name))
        if figure:
            one = _figure(from_dict(told["picture"]), figure)
            return (to_json(one.to_dict(), 1).encode(), JSON) if ending == "json" else _drawn(one.picture(), ending)
        if ending == "json":
            return to_json({key: value for key, value in told.items() if key != "part"}, 1).encode(), JSON
        return _drawn(from_dict(told["picture"]), ending)

    def cancel(self, name: str) -> dict[str, Any]:
        """End a job: at once where it waits, at its next step where it is at work."""
        job = self._of(name)
        with self._changed:
            if job.state == "queued":
                job.state = "cancelled"
            job.cancelling = True
            self._note(job)
        return self.told(name)

    def changes(self, name: str) -> int:
        """How many changes there were of a job."""
        return self._of(name).changes

    def close(self) -> None:
        """End all, and begin nothing more."""
        with self._changed:
            self._ended = True
            for job in self._jobs.values():
                job.cancelling = True
            self._changed.notify_all()

    def _of(self, name: str) -> Job:
        job = self._jobs.get(name)
        if job is None:
            raise Problem(404, "No such job", f"{name:.40}", remedy="The oldest are forgotten; ask again")
        return job

    def _note(self, job: Job) -> None:
        """Say that a job changed, and with one that is over the places of those that wait."""
        job.told = time.monotonic()
        for name, one in self._jobs.items():
            if one is job or (job.over and one.state == "queued"):
                one.changes += 1
                self._hub.changed(f"job:{name}")

    def _forget(self) -> None:
        """Results that are too many or too large together go, the oldest first."""
        for name in [name for name, job in self._jobs.items() if job.over]:
            size = sum(len(job.result or b"") for job in self._jobs.values())
            if len(self._jobs) <= MOST_KEPT and size <= MOST_BYTES:
                break
            del self._jobs[name]

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or self._next() is not None)
                job = self._next()
                if self._ended or job is None:
                    return
                job.state, job.began = "working", time.monotonic()
                self._note(job)
            worker = threading.Thread(target=self._work, args=(job,), daemon=True)  # a fault of ours ends this alone
            worker.start()
            worker.join()
            self._end(job)

    def _next(self) -> Job | None:
        return next((job for job in self._jobs.values() if job.state == "queued"), None)

    def _work(self, job: Job) -> None:
        def told(title: str, done: int, total: int) -> None:
            with self._changed:
                job.title, job.done, job.total = title, done, total
                if time.monotonic() - job.told > GAP:
                    self._note(job)

        try:
            with followed(told, cancelled=lambda: job.cancelling):
                job.result = job.work()
        except Problem as problem:
            job.problem = problem
        except Cancelled:
            job.cancelling = True
        except PellucidError as error:
            job.problem = problem_of(error)

    def _end(self, job: Job) -> None:
        with self._changed:
            job.seconds = time.monotonic() - job.began
            if job.cancelling:
                job.state, job.problem, job.result = "cancelled", None, None
            elif job.result is None:
                job.state = "failed"
                job.problem = job.problem or Problem(
                    500, "The lab failed", remedy="What happened is where `pellucid lab` runs"
                )
            else:
                job.state = "done"
            self._note(job)


class FollowedJob:
    """A job as a stream follows it."""

    kind = "job"

    def __init__(self, jobs: Jobs, job: str) -> None:
        jobs.told(job)  # raises where there is none
        self._jobs, self._job, self.name = jobs, job, f"job:{job}"
        self._seen = -1

    def look(self) -> dict[str, Any] | None:
        changes = self._jobs.changes(self._job)
        if changes == self._seen:
            return None
        self._seen = changes
        return self._jobs.told(self._job)

    def place(self) -> str:
        return ""


def _drawn(picture: Picture, ending: str) -> tuple[bytes, str]:
    if ending not in DRAWN:
        raise Problem(404, "No such kind of file", ending[:20], remedy=f"There are {', '.join(DRAWN)}, json")
    return written(picture, ending)


def _figure(picture: Picture, number: str) -> Figure:
    """One figure of a picture. Raises `Problem` where there is none of this number."""
    try:
        return figure_of(picture, int(number) if number.isascii() and number.isdecimal() and len(number) < 17 else -1)
    except PictureError as error:
        raise Problem(404, "No such figure", str(error), FIGURE) from error


def job_routes(jobs: Jobs, threads: Threads) -> list[Route]:
    """Routes of jobs."""

    def name(request: Request) -> str:
        return request.path_params["job"]

    async def add(request: Request) -> Response:
        """Have something worked on that takes long; the answer says how far it is."""
        return answered(await threads.run(jobs.add, await asked_in(request)), status=202)

    async def listing(request: Request) -> Response:
        """The jobs that are remembered, and how far they are."""
        return answered(jobs.listing(), request)

    async def look(request: Request) -> Response:
        """How far a job is."""
        return answered(jobs.told(name(request)), request)

    async def cancel(request: Request) -> Response:
        """End a job."""
        return answered(jobs.cancel(name(request)))

    async def result(request: Request) -> Response:
        """What a job gave."""
        return tagged(jobs.result(name(request)), JSON, request)

    async def file(request: Request) -> Response:
        """What a job gave as a file: its picture as svg, png, pdf, csv or html, or all of it as json; of a figure by its number."""
        figure = request.query_params.get(FIGURE, "")
        raw, kind = await threads.asked(jobs.file, name(request), request.path_params["ending"], figure)
        return tagged(raw, kind, request)

    return [
        Route("/api/v1/jobs", taking(listing)),
        Route("/api/v1/jobs", taking(add), methods=["POST"]),
        Route("/api/v1/jobs/{job}", taking(look)),
        Route("/api/v1/jobs/{job}", taking(cancel), methods=["DELETE"]),
        Route("/api/v1/jobs/{job}/result", taking(result)),
        Route("/api/v1/jobs/{job}/result.{ending}", taking(file, FIGURE)),
    ]
