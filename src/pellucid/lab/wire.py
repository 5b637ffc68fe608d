"""How answers and problems travel: JSON that every reader takes, with a tag by which a browser knows what it has already."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from tempfile import gettempdir
from typing import Any

from anyio import fail_after
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from pellucid.errors import suggest
from pellucid.plain import PlainError, parse_json, to_json
from pellucid.screen import markup

MOST_ASKED = 2**20
"""Bytes of JSON that a request brings."""
LATER = 10
"""Seconds after which what is too much now may be asked again."""
MOST_TEXT = 4000
"""Characters of a parameter."""
JSON, PROBLEM = "application/json", "application/problem+json"
Endpoint = Callable[[Request], Awaitable[Response]]
"""What answers an address."""

MOST_SECONDS = 60.0
"""That a request may take to be here."""


SENT_TO = "pellucid-lab-"
"""How the folder is called, among temporary ones, where things lie that were sent."""


class Problem(Exception):
    """Why there is no answer (RFC 9457): a `title`, the `detail`, `where` in what was asked, and a `remedy`."""

    def __init__(self, status: int, title: str, detail: str = "", where: str = "", remedy: str = "") -> None:
        super().__init__(title, detail)
        self.status, self.title, self.detail, self.where, self.remedy = status, title, by_names(detail), where, remedy

    def told(self) -> dict[str, Any]:
        """Plain data, without what is not said."""
        return {name: value for name, value in vars(self).items() if value != ""}

    def response(self, request: Headers | None = None) -> Response:
        """As it is sent: as a page of its own to a browser that opens the address, else as JSON; says when to ask again what is too much now."""
        later = {"Retry-After": str(LATER)} if self.status == 503 else None
        if request is not None and request.get("sec-fetch-dest") in ("document", "iframe"):
            return Response(self.page(), self.status, later, "text/html")
        return Response(to_json(self.told()), self.status, later, PROBLEM)

    def page(self, back: str = '<p><a href="./">To the lab</a></p>') -> str:
        """As a page that says what is the matter, and leads back."""
        words = "".join(f"<p>{markup(text)}</p>" for text in (self.detail, self.remedy) if text)
        start = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark">'
        return f"{start}<title>{markup(self.title)} - Pellucid lab</title><h1>{markup(self.title)}</h1>{words}{back}"


def by_names(text: str) -> str:
    """A text that calls what was sent by its name, the hash of its bytes, and not by the file that it is in."""
    folder = re.escape(f"{gettempdir()}/{SENT_TO}")
    return re.sub(rf"{folder}[^/\s]+/([0-9a-f]{{20}})(/\w+)?\.\w+", r"\1", text)


def answered(value: Any, request: Request | None = None, status: int = 200) -> Response:
    """A value as JSON; nothing but 304 where the browser has it already."""
    return tagged(to_json(value).encode(), JSON, request, status)


def tagged(
    body: bytes, kind: str, request: Request | None = None, status: int = 200, more: Mapping[str, str] | None = None
) -> Response:
    """What is sent, with the tag of its bytes and `more` headers; nothing but 304 where the browser has these already."""
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache", **(more or {})}
    if request is not None and _has(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    return Response(body, status, headers, kind)


def _has(known: str, tag: str) -> bool:
    """Whether a list of tags (If-None-Match) has one: a proxy that packs an answer marks its tag as weak."""
    return known.strip() == "*" or tag in (one.strip().removeprefix("W/") for one in known.split(","))


async def body_of(request: Request, limit: int) -> bytes:
    """What a request brings, up to `limit` bytes. Raises `Problem` for more, and for what does not come."""
    parts: list[bytes] = []
    count = 0
    try:
        with fail_after(MOST_SECONDS):
            async for part in request.stream():
                count += len(part)
                if count > limit:
                    raise Problem(413, "Too large", f"At most {limit >> 20} MB are read")
                parts.append(part)
    except TimeoutError:
        raise Problem(408, "Too slow", f"What is sent has to be here in {MOST_SECONDS:.0f} seconds") from None
    return b"".join(parts)


def once(query: Iterable[tuple[str, str]], takes: Sequence[str], most: int = MOST_TEXT) -> dict[str, str]:
    """The parameters of an address, each given once, in at most so many characters, and no other than it `takes`. Raises `Problem`."""
    given: dict[str, str] = {}
    for key, text in query:
        require_known([key], takes)
        if len(text) > most:
            raise Problem(400, "Too long", f"{key} has {len(text):,} characters, at most {most:,} are read", key)
        if key in given:
            raise Problem(400, "Twice", f"{key} is given more than once", key, "Give it once")
        given[key] = text
    return given


def require_known(names: Iterable[str], takes: Sequence[str]) -> None:
    """Raise `Problem` for a name that is none of those that something `takes`."""
    for name in names:
        if name not in takes:
            remedy = f"It takes {', '.join(takes)}" if takes else "It takes none"
            raise Problem(400, "No such parameter", f"{name:.60}{suggest(name, takes)}", name[:60], remedy)


def taking(endpoint: Endpoint, *takes: str) -> Endpoint:
    """What answers an address, asked with no parameters but these, each once."""

    @functools.wraps(endpoint)
    async def checked(request: Request) -> Response:
        once(request.query_params.multi_items(), takes)
        return await endpoint(request)

    return checked


def whole(key: str, text: str, most: int = 10**15) -> int:
    """A whole number from 0 to `most`, as an address has it. Raises `Problem`."""
    if not (text.isascii() and text.isdecimal() and len(text) < 17 and int(text) <= most):
        raise Problem(400, "No number", f"{key} wants a whole number from 0 to {most:,}, got {text!r:.60}", key)
    return int(text)


async def asked_in(request: Request) -> Any:
    """The JSON that a request brings. Raises `Problem` for what is none."""
    raw = await body_of(request, MOST_ASKED)
    try:
        return parse_json(raw)
    except PlainError as error:
        raise Problem(400, "No JSON", str(error)[:200]) from error
