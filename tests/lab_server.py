"""A lab that answers in a thread of its own, for tests that open its pages."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pellucid.lab.app import create_app
from pellucid.lab.holdings import Library
from pellucid.lab.place import listening
from pellucid.lab.server import server_of

TOKEN = "a-token-of-tests"


@dataclass(frozen=True)
class Lab:
    """Where a lab is."""

    place: str
    app: Any

    def address(self, path: str) -> str:
        """A page's address, with the token."""
        return f"{self.place}{path}{'&' if '?' in path else '?'}token={TOKEN}"


@contextmanager
def running(library: Library | None = None, root_path: str = "", **options: Any) -> Iterator[Lab]:
    """A lab, until the end of the `with`; `options` are those of `create_app`, `root_path` that of its server."""
    with listening("127.0.0.1", 0) as made:
        app = create_app(library or Library(), TOKEN, **options)
        server = server_of(app, root_path)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve([made])))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield Lab(f"http://127.0.0.1:{made.getsockname()[1]}", app)
        finally:
            server.should_exit = True
            thread.join()
