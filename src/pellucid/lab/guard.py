"""Who may ask: requests of this machine's browser that carry the token; and what a page may do (Content-Security-Policy).

A page of another site can send requests to 127.0.0.1, and a name of its own can be made to lead there (DNS rebinding): so Host
and Origin are looked at. Other users of the machine share 127.0.0.1: so there is a token, in the address that is printed
once and in a cookie from then on.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pellucid.lab.place import LOOPBACK
from pellucid.lab.wire import Problem

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors {frames}"
)
PERMISSIONS = "camera=(self), microphone=(), geolocation=(), display-capture=()"
"""What of the machine a page may ask for: the camera, for a picture of one's own."""
COOKIE, QUERY = "pellucid", "token"
SAFE = ("GET", "HEAD")


def limits(frames: str = "'none'") -> dict[str, str]:
    """The headers by which every answer says what a page may do; `frames` are the origins that may show it."""
    return {
        "Content-Security-Policy": POLICY.format(frames=frames),
        "X-Content-Type-Options": "nosniff",
        "Permissions-Policy": PERMISSIONS,
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


class Guard:
    """Refuses what does not come from the lab's own pages, and says on every answer what a page may do.

    `hosts` are names beside this machine's own that the server is known by; `embedders` origins that may show it in a frame.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: Collection[str] = (), embedders: Collection[str] = ()) -> None:
        self.app, self.token = app, token
        self.hosts = {*LOOPBACK, *(host.lower() for host in hosts)}
        self.framed = bool(embedders)
        self.frames = " ".join(embedders) or "'none'"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        root, path = scope.get("root_path", ""), scope["path"]
        if root and f"{path}/".startswith(f"{root}{root}/"):  # of a proxy that leaves its own part in the address
            scope = {**scope, "path": path.removeprefix(root)}

        async def careful(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(raw=message["headers"]).update(limits(self.frames))
            await send(message)

        headers = Headers(scope=scope)
        try:
            self._require_own(scope, headers)
        except Problem as problem:
            await problem.response(headers)(scope, receive, careful)
            return
        given = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        if scope["method"] in SAFE and any(name == QUERY and self._is_token(text) for name, text in given):
            rest = [pair for pair in given if pair[0] != QUERY]
            await self._welcome(scope, rest, self.framed and _is_framed(headers))(scope, receive, careful)
        elif self._is_token(_cookie(headers)):
            await self.app(scope, receive, careful)
        else:
            problem = Problem(
                403,
                "The token is missing",
                remedy="Open the address that `pellucid lab` printed; it ends in ?token=...",
            )
            await problem.response(headers)(scope, receive, careful)

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), self.token.encode())

    def _require_own(self, scope: Scope, headers: Headers) -> None:
        host = _host_of(headers.get("host", ""))
        if host not in self.hosts:
            raise Problem(
                421,
                "Another host",
                f"This server is not {host or 'nameless'!r:.100}",
                remedy="Allow it by --allow-host",
            )
        origin = headers.get("origin")
        if origin is not None and _place_of(origin) != headers.get("host", "").lower():
            raise Problem(403, "Another origin", f"{origin:.100} may not ask here")
        site = headers.get("sec-fetch-site", "same-origin")
        if scope["method"] not in SAFE and site != "same-origin":
            raise Problem(403, "Another site", "Changes are made from the lab's own pages alone")

    def _welcome(self, scope: Scope, rest: Sequence[tuple[str, str]], framed: bool) -> RedirectResponse:
        """The same address without the token, which the browser keeps; in a frame of another site for this site's pages alone."""
        address = scope["path"] + (f"?{urlencode(rest)}" if rest else "")  # with the root path, as ASGI has it
        response = RedirectResponse("/" + address.lstrip("/"), 303)
        if framed:
            kept = f"{COOKIE}={self.token}; HttpOnly; Path=/; SameSite=None; Secure; Partitioned"
            response.headers.append("set-cookie", kept)
        else:
            response.set_cookie(COOKIE, self.token, httponly=True, samesite="strict", path="/")
        return response


def _is_framed(headers: Headers) -> bool:
    """Whether a page of another site shows it in a frame."""
    return headers.get("sec-fetch-dest") in ("iframe", "frame") and headers.get("sec-fetch-site") == "cross-site"


def _host_of(told: str) -> str:
    try:
        return (urlsplit(f"//{told}").hostname or "").lower()
    except ValueError:
        return ""


def _place_of(origin: str) -> str:
    """Host and port of an origin, "" for what is none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _cookie(headers: Headers) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value
