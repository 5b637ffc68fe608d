"""Starting the lab: a socket that answers at once, an address with a token, a browser that opens it."""

from __future__ import annotations

import gc
import secrets
import socket
import sys
import threading
from collections.abc import Callable, Collection, Generator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlencode

from pellucid.lab.place import LOOPBACK, kept, listening, require_free

if TYPE_CHECKING:
    import asyncio

    import uvicorn
    from starlette.applications import Starlette


PATIENCE = 20.0
"""Seconds in which a connection has to ask something whole."""


OPEN = (
    "pellucid: this lab listens at {host}, not to this machine alone: whoever reaches it and has the address with its token may use all of it, "
    "train included, and what is sent is not encrypted; a name by which others reach it is allowed by --allow-host NAME"
)
"""What listening to other machines means."""


def first_address(subject: str) -> tuple[str, str]:
    """What `pellucid lab WHAT` is about: a network or a detector for the library ("" for none), and the page to begin with.

    What has a sign of a formula in it, and is no file, is a formula.
    """
    from pellucid.data.listing import is_there
    from pellucid.detect.recognizing import is_detector
    from pellucid.formulas.expression import names_in

    if subject and is_detector(subject):
        return subject, "/detection?" + urlencode({"detector_": subject})
    if not subject or not any(sign in subject for sign in "+*/()^= ") or is_there(subject):
        return subject, "/network" if subject else "/graph"
    names = names_in(subject)
    return "", "/graph?" + urlencode([("expression", subject), *(("values", f"{name}=1") for name in names)])


def server_of(app: Starlette, root_path: str = "") -> uvicorn.Server:
    """A server of the lab that ends within two seconds: streams and answers end at once, and runs have a checkpoint."""
    import asyncio
    import logging

    import uvicorn
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Ending(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # that slow readers are cut off is no fault
            await asyncio.gather(asyncio.to_thread(app.state.end), super().shutdown(sockets))

    class Patient(H11Protocol):
        """A connection on which nothing whole is asked, nor answered, for a while is closed: else a few slow clients keep all others out."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._look_again(None)

        def _look_again(self, before: object) -> None:
            self.loop.call_later(PATIENCE, self._look, before)

        def _look(self, before: object) -> None:
            if self.transport.is_closing():
                return
            now = cast(Any, self.cycle)  # None before the first
            if now is before and (now is None or now.response_complete):
                self.transport.close()
            else:
                self._look_again(now)

    config = uvicorn.Config(
        app, http=Patient, log_level="warning", root_path=root_path, lifespan="on", timeout_graceful_shutdown=1
    )
    return Ending(config)


def serve(
    subject: str = "",
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    browser: bool = True,
    hosts: Collection[str] = (),
    embedders: Collection[str] = (),
    root_path: str = "",
    preprocessing: str = "",
    set: Sequence[str] = (),
    started: Callable[[str], None] | None = None,
) -> None:
    """Serve the lab until Ctrl-C: `subject` is a network to look into, or a formula; `preprocessing` as `open_model` takes it, `set` as `NAME=VALUE`.

    `started` is called with the address, token and all, once it listens. Raises `LabError`, also where the folder has a lab.
    """
    network, first = first_address(subject)
    token = secrets.token_urlsafe(24)
    folder = Path()
    require_free(folder)
    with listening(host, port) as made:
        name = f"[{host}]" if ":" in host else host
        place = f"http://{name}:{made.getsockname()[1]}{root_path}"
        address = f"{place}{first}{'&' if '?' in first else '?'}token={quote(token)}"
        if host not in LOOPBACK:
            print(OPEN.format(host=host), file=sys.stderr)
        with kept(folder, f"{place}/?token={quote(token)}"):
            if started is not None:
                started(address)
            if browser:
                threading.Timer(0.1, _open, [address]).start()
            with _uncollected():
                import asyncio  # only now: who asks already is answered when the application is there

                from pellucid.lab.app import create_app
                from pellucid.lab.holdings import Library

            library = Library(network, preprocessing=preprocessing, set=set)
            with closing(library), _left_out():
                if library.subject:
                    threading.Thread(target=library.begin, daemon=True).start()
                app = create_app(library, token, hosts=[*hosts, host], embedders=embedders, first=root_path + first)
                if network:
                    threading.Thread(target=app.state.prepare, daemon=True).start()
                asyncio.run(server_of(app, root_path).serve([made]))


@contextmanager
def _uncollected() -> Generator[None]:
    """Garbage is collected later: what is imported is none."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@contextmanager
def _left_out() -> Generator[None]:
    """What is there by now is left out of collections, which walk over all modules else."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _open(address: str) -> None:
    import webbrowser

    webbrowser.open(address)
