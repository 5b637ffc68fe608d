"""The lab's application: pages of rooms, the files that they are made of, and the questions at /api/v1."""

from __future__ import annotations

import functools
import mimetypes
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable
from contextlib import asynccontextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pellucid import __version__
from pellucid.data.points import MOST_BYTES as MOST_TABLE
from pellucid.data.samples import DATA, PHOTOS
from pellucid.errors import PellucidError
from pellucid.lab.answers import FIGURE, NETWORK, PICTURE, Query, addresses, answer, drawn, problem_of
from pellucid.lab.choices import look
from pellucid.lab.document import imported_by
from pellucid.lab.events import Hub
from pellucid.lab.guard import Guard, limits
from pellucid.lab.heard import unheard
from pellucid.lab.holdings import MOST_BYTES, Library
from pellucid.lab.jobs import FollowedJob, Jobs, job_routes
from pellucid.lab.rooms import BY_NAME, OF_THE_PAGE, ROOMS, Room
from pellucid.lab.runs.routes import run_routes
from pellucid.lab.runs.runs import Runs
from pellucid.lab.threads import Threads
from pellucid.lab.tours import AT, guide_of, rail_of, start, strip_of
from pellucid.lab.views import Views, view_addresses
from pellucid.lab.wire import Problem, answered, body_of, tagged, taking
from pellucid.lab.work import Worker
from pellucid.plain import to_json
from pellucid.screen import markup

MOST_LINK = 4096
"""Bytes of a page's link that are read."""
_BLANK = re.compile(r"\{\{([A-Z_]+)\}\}")
AT_ONCE = 2
"""Questions that are worked on at the same time; others wait."""
mimetypes.add_type("text/javascript", ".js")


def create_app(
    library: Library, token: str, *, hosts: Collection[str] = (), embedders: Collection[str] = (), first: str = "/graph"
) -> Starlette:
    """The application; `first` is the address that / leads to."""
    threads = Threads(AT_ONCE)
    worked = threads.asked
    views = Views(library)
    hub = Hub()
    runs = Runs(library, hub)
    jobs = Jobs(Worker(library, runs).asked, hub)

    async def question(request: Request) -> Response:
        """What a question answers: its plain data, its picture, and the command and the Python that give the same."""
        query = request.query_params.multi_items()
        return answered(await worked(answer, request.path_params["name"], query, library), request)

    async def file(request: Request) -> Response:
        """The picture of an answer as a file: svg, png, pdf, csv, json or html."""
        name, ending = request.path_params["name"], request.path_params["ending"]
        raw, kind = await worked(drawn, name, ending, request.query_params.multi_items(), library)
        number = "".join(
            f"-{text}" for text in request.query_params.getlist(FIGURE) if text.isascii() and text.isdecimal()
        )
        headers = {"Content-Disposition": f'attachment; filename="{name}{number[:8]}.{ending}"'}
        return tagged(raw, kind, request, more=headers)

    async def view(request: Request) -> Response:
        """A look into a network on a picture, whose trace is kept."""
        query = request.query_params.multi_items()
        return answered(await worked(views.answer, request.path_params["name"], query), request)

    async def listing(request: Request) -> Response:
        """All that can be asked: rooms, questions and views with their parameters, and the other addresses."""
        rooms = [{"name": r.name, "title": r.title, "says": r.says} for r in ROOMS]
        told = {"version": __version__, "rooms": rooms, "questions": addresses(), "views": view_addresses()}
        return answered({**told, "addresses": _addresses(request.app.routes)}, request)

    async def networks(request: Request) -> Response:
        """The networks and pictures that may be named."""
        return answered(await threads.run(library.told), request)

    async def keep(request: Request) -> Response:
        """Keep a picture or an array (.npy) that is sent, at most 20 MB; gives its name; with passing=true not for long."""
        raw = await body_of(request, MOST_BYTES)
        if (passing := request.query_params.get("passing", "false")) not in ("true", "false"):
            raise Problem(400, "No such choice", f"passing is true or false, not {passing!r:.40}", "passing")
        return answered({"picture": await worked(library.keep, raw, passing == "true")}, status=201)

    async def keep_points(request: Request) -> Response:
        """Keep a table of points (x,y,class) that is sent, at most 4 MB; gives what the data is called."""
        raw = await body_of(request, MOST_TABLE)
        return answered({"data": await worked(library.keep_points, raw)}, status=201)

    async def choices(request: Request) -> Response:
        """Data for training and a network for it: shape, classes, some pictures, layers and their parameters."""
        return answered(await worked(look, library, request.query_params.multi_items()), request)

    async def page(request: Request) -> Response:
        room = BY_NAME.get(request.path_params["room"])
        if room is None:
            raise HTTPException(404)
        given, size = request.query_params.multi_items(), len(request.url.query)
        notice = ""
        if size > MOST_LINK:
            given = [(key, value) for key, value in given if key in OF_THE_PAGE]
            notice = (
                f"This link has {size:,} bytes, and a link has at most {MOST_LINK:,}: the room is shown as it begins."
            )
        query = room.query(given)
        notice = notice or "\n".join(unheard(room, given))

        async def begun(question: str, asked: Query) -> dict[str, Any]:
            try:
                return {"begun": asked, "first": await worked(answer, question, asked, library) if question else {}}
            except Problem as problem:
                return {"begun": asked, "first": {"problem": problem.told()}}
            except PellucidError as error:
                return {"begun": asked, "first": {"problem": problem_of(error).told()}}

        first = await begun(room.question, query)
        first["first"]["more"] = {name: await begun(name, asked) for name, asked in room.queries(given).items()}
        page = _document(room, first, dict(given), library.subject, notice)
        return Response(page, media_type="text/html", headers={"Cache-Control": "no-store"})

    async def home(request: Request) -> Response:
        return RedirectResponse(first, 303)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        yield
        end()
        library.close()

    def end() -> None:
        """Streams and answers end, and runs stop with a checkpoint: what comes first when the server is to end."""
        threads.end()
        hub.close()
        jobs.close()
        runs.close()

    made = Starlette(
        routes=[
            Route("/", home),
            Route("/api/v1", taking(listing)),
            Route("/api/v1/networks", taking(networks)),
            Route("/api/v1/pictures", taking(keep, "passing"), methods=["POST"]),
            Route("/api/v1/points", taking(keep_points), methods=["POST"]),
            Route("/api/v1/training/look", choices),
            *run_routes(runs, hub, threads, lambda job: FollowedJob(jobs, job)),
            *job_routes(jobs, threads),
            Route("/api/v1/network/{name}", view),
            Route("/api/v1/{name}.{ending}", file),
            Route("/api/v1/{name}", question),
            Route("/static/{path:path}", static),
            Route("/{room}", page),
        ],
        middleware=[Middleware(Guard, token=token, hosts=hosts, embedders=embedders)],
        exception_handlers={
            Problem: _told,
            PellucidError: _refused,
            HTTPException: _not_there,
            ClientDisconnect: _gone,
            Exception: _failed,
        },
        lifespan=lifespan,
    )
    made.state.end, made.state.hub, made.state.prepare = end, hub, views.prepare
    return made


async def static(request: Request) -> Response:
    """A file of the pages."""
    found = static_files().get(request.path_params["path"])
    if found is None:
        raise HTTPException(404)
    raw, kind = found
    return tagged(raw, kind, request)


@functools.cache
def static_files() -> dict[str, tuple[bytes, str]]:
    """All files by their path; what is not among them cannot be asked for."""
    found: dict[str, tuple[bytes, str]] = {}

    def walk(folder: Any, above: str) -> None:
        for entry in folder.iterdir():
            if entry.is_dir():
                walk(entry, f"{above}{entry.name}/")
            else:
                kind = mimetypes.guess_type(entry.name)[0] or "application/octet-stream"
                found[f"{above}{entry.name}"] = (entry.read_bytes(), kind)

    walk(files("pellucid.lab") / "static", "")
    return found


def _document(room: Room, begun: dict[str, Any], given: dict[str, str], subject: str, notice: str) -> str:
    """The page of a room, with the answers to its first questions in it; `given` is what its link says, `subject` the lab's network."""
    page = static_files()["index.html"][0].decode()
    script = room.page or room.name
    data = to_json({"room": script, **begun, "facts": room.facts()})
    style = f"rooms/{script}.css"
    scripts = imported_by("lab.js", f"rooms/{script}.js")
    strip, at = strip_of(room, given.get(AT)), given.get(AT, "")
    model, picture = given.get(NETWORK, subject), given.get(PICTURE, "")
    words = {
        "TITLE": room.title,
        "SAYS": room.says,
        "SHORT": room.short or room.title,
        "MODEL": model,
        "MODEL_NAME": Path(model).name,
        "PICTURE": picture,
        "PICTURE_NAME": picture,
        "PICTURES": " ".join((*PHOTOS, *DATA)),
        "START": start(),
        "NOTICE": notice,
    }
    shown = {"MODEL": model, "PICTURE": picture, "NOTICE": notice, "TOUR": f'data-step="{at}"' in strip}
    parts = {
        "RAIL": rail_of(room),
        "GUIDE": guide_of(room),
        "STYLE": f'<link rel="stylesheet" href="static/{style}">' if style in static_files() else "",
        "SCRIPTS": "".join(f'<link rel="modulepreload" href="static/{path}">' for path in scripts),
        "TOUR": strip,
        **{f"NO_{name}": "" if there else "hidden" for name, there in shown.items()},
        **{name: markup(text) for name, text in words.items()},
        "DATA": data.replace("<", "\\u003c"),
    }
    return _BLANK.sub(lambda found: parts[found[1]], page)


def _addresses(routes: Iterable[Any]) -> list[dict[str, Any]]:
    """What each address below /api/v1 answers, as the function that does says it."""
    own = [route for route in routes if isinstance(route, Route) and route.path.startswith("/api/v1")]
    return [
        {
            "address": route.path.replace(":path", ""),
            "methods": sorted(route.methods or ()),
            "says": (route.endpoint.__doc__ or "").partition("\n")[0],
        }
        for route in own
    ]


Handler = Callable[[Request, Exception], Awaitable[Response]]


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response(request.headers)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, PellucidError)
    return problem_of(error).response(request.headers)


async def _not_there(request: Request, error: Exception) -> Response:
    status, more = (error.status_code, error.headers) if isinstance(error, HTTPException) else (404, None)
    response = Problem(status, "Not here", request.url.path[:200], remedy="See /api/v1").response(request.headers)
    response.headers.update(more or {})
    return response


async def _failed(request: Request, error: Exception) -> Response:
    """A fault of ours: said as one, while the server's log has it whole."""
    words = f"{type(error).__name__}: {error}"[:300]
    problem = Problem(500, "The lab failed", words, remedy="What else happened is where `pellucid lab` runs")
    response = problem.response(request.headers)
    response.headers.update(limits())  # it is answered outside of the guard
    return response


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=499)
