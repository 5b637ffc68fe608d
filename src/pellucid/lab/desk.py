"""The lab's application asked within this process: no port, no socket; what it answers is what a browser would get."""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote

from pellucid.lab.guard import COOKIE
from pellucid.lab.holdings import Library
from pellucid.lab.wire import PROBLEM, Problem
from pellucid.plain import parse_json, to_json

STREAM = "text/event-stream"
LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Told:
    """What was answered: the status as in HTTP, the kind of the `body` (its media type), and the body; of a fault of the lab the `failure`."""

    status: int
    kind: str
    body: bytes
    failure: BaseException | None = None

    def json(self) -> Any:
        """The answer as plain data; raises `Problem` where it is one."""
        told = parse_json(self.body)
        if self.status >= 400:
            raise Problem(**cast(dict[str, Any], {"title": "", **told}))
        return told

    def whole(self) -> Told:
        """Itself; raises the failure where there is one."""
        if self.failure is not None:
            raise self.failure
        return self


class _Endless(Exception):
    """A stream of events, which has no end to wait for."""


class Desk:
    """Asks the application of a library."""

    def __init__(self, app: Any, loop: asyncio.AbstractEventLoop, token: str) -> None:
        self._app, self._loop, self._token = app, loop, token

    def ask(self, address: str, method: str = "GET", body: bytes = b"") -> Told:
        """What is at an address such as `/api/v1/formula?expression=x`; a fault of the lab's own is told as a server tells it, and logged."""
        return asyncio.run_coroutine_threadsafe(self._asked(address, method, body), self._loop).result()

    async def _asked(self, address: str, method: str, body: bytes) -> Told:
        try:
            address.encode()
        except UnicodeEncodeError as error:
            return _refused(Problem(400, "No address", f"{address[:60]!r} has half a character at {error.start}"))
        path, _, query = address.partition("?")
        headers = {"host": "127.0.0.1", "cookie": f"{COOKIE}={self._token}", "content-length": str(len(body))}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(path),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 0),
        }
        status, kind, parts = 500, "", list[bytes]()
        coming = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            if not coming:
                await asyncio.Event().wait()  # nobody leaves; what streams waits for that beside
            return coming.pop()

        async def send(message: dict[str, Any]) -> None:
            nonlocal status, kind
            if message["type"] == "http.response.start":
                status = message["status"]
                kind = dict(message["headers"]).get(b"content-type", b"").decode().partition(";")[0]
                if kind == STREAM:
                    raise _Endless
            else:
                parts.append(message.get("body", b""))

        work = asyncio.ensure_future(self._app(scope, receive, send))
        await asyncio.wait([work])
        failure = work.exception()
        if isinstance(failure, _Endless):
            remedy = "Start `pellucid lab` to follow it"
            return _refused(Problem(501, "No stream", f"{path} sends events", remedy=remedy))
        if failure is not None:  # which the application raises once more after it has answered
            LOG.error("the lab failed at %s", path, exc_info=failure)
        return Told(status, kind, b"".join(parts), failure)


def _refused(problem: Problem) -> Told:
    return Told(problem.status, PROBLEM, to_json(problem.told()).encode())


@contextmanager
def desk(library: Library) -> Generator[Desk]:
    """A desk, until the end of the `with`; its thread holds no program back from ending."""
    from pellucid.lab.app import create_app

    token = secrets.token_urlsafe(24)
    app = create_app(library, token)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="pellucid lab", daemon=True)
    thread.start()
    life = app.router.lifespan_context(app)
    try:
        asyncio.run_coroutine_threadsafe(life.__aenter__(), loop).result()
        yield Desk(app, loop, token)
    finally:
        asyncio.run_coroutine_threadsafe(life.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
