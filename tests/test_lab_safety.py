"""The lab lets nobody in who has no token, opens nothing that it was not given, and stays healthy whatever is sent to it."""

from __future__ import annotations

import errno
import http.client
import io
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

import pellucid as pl
from lab_server import TOKEN, Lab, running
from pellucid.lab import Library, serve
from pellucid.lab.app import create_app
from pellucid.lab.guard import POLICY
from pellucid.lab.rooms import ROOMS
from pellucid.lab.views import VIEWS
from pellucid.questions import all_questions

CANARY = "canary-7f3a"
"""In the name of everything that no question may open."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with runs, one of them a link to what lies outside, and beside it what may not be read."""
    here = tmp_path_factory.mktemp("lab") / "here"
    net = pl.nn.models.build("lenet", image_size=8, in_channels=1)
    pl.fit(net, pl.load("digits"), epochs=1, out=here / "runs" / "one", report=False)
    outside = here.parent / CANARY
    (here / "runs" / "one").rename(outside)
    pl.fit(net, pl.load("digits"), epochs=1, out=here / "runs" / "one", report=False)
    (here / "runs" / "linked").symlink_to(outside, target_is_directory=True)
    Image.new("RGB", (8, 8)).save(outside / "picture.png")
    before = Path.cwd()
    os.chdir(here)
    yield here
    os.chdir(before)


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    with TestClient(
        create_app(Library("runs/one"), TOKEN, hosts=["lab.example"]), base_url="http://127.0.0.1:8000"
    ) as made:
        made.cookies.set("pellucid", TOKEN)
        yield made


POLICY_WANTED = (
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors "
)


@pytest.mark.parametrize(
    ("embedders", "frames"), [((), "'none'"), (("https://a.example", "https://b.example"), "https://a.example https://b.example")]
)  # fmt: skip
def test_the_policy_is_the_strict_one(folder: Path, embedders: tuple[str, ...], frames: str) -> None:
    assert POLICY.format(frames="") == POLICY_WANTED
    with TestClient(create_app(Library(), TOKEN, embedders=embedders), base_url="http://127.0.0.1:8000") as client:
        addresses = ["/", "/nowhere", "/static/lab.js", "/api/v1", "/api/v1/none", *(f"/{room.name}" for room in ROOMS)]
        for cookie in ("", f"pellucid={TOKEN}"):
            for address in addresses if cookie else addresses[:3]:
                found = client.get(address, headers={"cookie": cookie}, follow_redirects=False)
                assert found.headers["content-security-policy"] == POLICY_WANTED + frames, address
                assert found.headers["x-content-type-options"] == "nosniff"
                assert found.headers["referrer-policy"] == "no-referrer"
                assert found.headers["cross-origin-resource-policy"] == "same-origin"
                assert "access-control-allow-origin" not in found.headers


FRAMES = {
    "a page": ({}, ("https://a.example",), "samesite=strict"),
    "a frame of another site": ({"sec-fetch-dest": "iframe", "sec-fetch-site": "cross-site"}, ("https://a.example",), "partitioned"),
    "a frame of this site": ({"sec-fetch-dest": "iframe", "sec-fetch-site": "same-origin"}, ("https://a.example",), "samesite=strict"),
    "a link of another site": ({"sec-fetch-dest": "document", "sec-fetch-site": "cross-site"}, ("https://a.example",), "samesite=strict"),
    "a frame where none is allowed": ({"sec-fetch-dest": "iframe", "sec-fetch-site": "cross-site"}, (), "samesite=strict"),
}  # fmt: skip


@pytest.mark.parametrize("frame", FRAMES)
def test_the_token_is_kept_for_other_sites_frames_where_they_are_allowed(folder: Path, frame: str) -> None:
    headers, embedders, wanted = FRAMES[frame]
    with TestClient(create_app(Library(), TOKEN, embedders=embedders), base_url="http://127.0.0.1:8000") as client:
        (kept,) = client.get(f"/graph?token={TOKEN}", headers=headers, follow_redirects=False).headers.get_list(
            "set-cookie"
        )
        assert wanted in kept.lower()
        assert "httponly" in kept.lower()
        assert ("Secure; Partitioned" in kept) == ("SameSite=None" in kept) == (wanted == "partitioned")


WHO = {
    "the lab's page": ({"host": "127.0.0.1:8000", "origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-origin"}, 415),
    "through a tunnel": ({"host": "localhost:9999", "origin": "http://localhost:9999", "sec-fetch-site": "same-origin"}, 415),
    "over IPv6": ({"host": "[::1]:8000", "origin": "http://[::1]:8000"}, 415),
    "a program without a browser": ({"host": "127.0.0.1:8000"}, 415),
    "an allowed name": ({"host": "lab.example", "origin": "https://lab.example", "sec-fetch-site": "same-origin"}, 415),
    "a rebound name": ({"host": "evil.example:8000", "origin": "http://evil.example:8000", "sec-fetch-site": "same-origin"}, 421),
    "a name that begins alike": ({"host": "127.0.0.1.evil.example"}, 421),
    "a name with a user": ({"host": "127.0.0.1@evil.example"}, 421),
    "no name": ({"host": ""}, 421),
    "another number of the same machine": ({"host": "2130706433"}, 421),
    "every address": ({"host": "0.0.0.0:8000"}, 421),
    "no origin": ({"host": "127.0.0.1:8000", "origin": "http://["}, 403),
    "another port's page": ({"host": "127.0.0.1:8000", "origin": "http://127.0.0.1:9000"}, 403),
    "another site's form": ({"host": "127.0.0.1:8000", "origin": "https://evil.example", "sec-fetch-site": "cross-site"}, 403),
    "a page without an origin": ({"host": "127.0.0.1:8000", "origin": "null"}, 403),
    "a site beside it": ({"host": "127.0.0.1:8000", "sec-fetch-site": "same-site"}, 403),
    "a link": ({"host": "127.0.0.1:8000", "sec-fetch-site": "none"}, 403),
}  # fmt: skip


@pytest.mark.parametrize("who", WHO)
def test_only_its_own_pages_change_anything(client: TestClient, who: str) -> None:
    """What is sent is no picture, so that 415 says that it was let in."""
    headers, status = WHO[who]
    for token in (TOKEN, "guess", ""):
        found = client.post("/api/v1/pictures", content=b"text", headers={**headers, "cookie": f"pellucid={token}"})
        assert found.status_code == (403 if status == 415 and token != TOKEN else status), token
        assert found.headers["content-type"] == "application/problem+json"


def test_a_figure_is_numbered_in_any_digits(client: TestClient) -> None:
    asked = {"a": "runs/one", "b": "runs/one", "picture": "digits[3]", "figure": "\u0660"}
    found = client.get("/api/v1/compare.svg", params=asked)
    assert (found.status_code, found.headers["content-disposition"]) == (200, 'attachment; filename="compare.svg"')


def evil(folder: Path) -> list[str]:
    """Names of what lies outside, as somebody might spell them."""
    up, whole = f"../{CANARY}", str(folder.parent / CANARY)
    return [
        f"runs/../{up}", up, whole, "runs/linked", f"file://{whole}/picture.png", f"{whole}/picture.png", f"runs/one/../../../{CANARY}/picture.png",
        f"digits[{whole}/picture.png]", f"digits[0]/../../{CANARY}/picture.png", f"test[{whole}/picture.png]", f"test[0]/{CANARY}/picture.png",
        f"sample:../{CANARY}/picture.png", f"{CANARY}/../../{CANARY}", f"..%2f{CANARY}%2fpicture.png", f"..\\{CANARY}\\picture.png",
        f"\\\\localhost\\c$\\{CANARY}", f"runs/one\0{CANARY}",
        f"~/{CANARY}", f"@{whole}/picture.png", f"x={whole}/picture.png", f"{whole}/config.toml", f"/proc/self/root{whole}/picture.png",
    ]  # fmt: skip


OPENED: list[str] = []
WATCHING = [False]


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if WATCHING[0] and event in (
        "open",
        "os.listdir",
        "os.scandir",
        "socket.connect",
        "urllib.Request",
        "subprocess.Popen",
        "shutil.copyfile",
    ):
        OPENED.append(f"{event} {arguments[0] if event != 'socket.connect' else arguments[1]}")


@pytest.fixture(scope="module")
def watched() -> Iterator[list[str]]:
    """What is opened from now on: an audit hook sees every file, folder and connection."""
    sys.addaudithook(_note)
    WATCHING[0] = True
    yield OPENED
    WATCHING[0] = False


PLAIN = {
    "model": "runs/one",
    "picture": "digits[0]",
    "run": "runs/one",
    "layer": "conv1",
    "at": "conv1[0,0,0]",
    "of": "conv1[0,0,0]",
}
"""Values of parameters that a question or view wants besides."""


KINDS = ("network", "image", "file", "source", "data")
"""Of parameters that name what is opened."""


def asked() -> Iterator[tuple[str, str, dict[str, str]]]:
    """Every address with each of its texts that names something to open, and what it wants besides."""
    for question in all_questions().values():
        names = {"network": "model", "image": "picture", "file": "picture"}
        named = {names.get(p.option.kind, p.name): p for p in question.parameters if p.option.kind in KINDS}
        wanted = {key: PLAIN.get(key, "runs/one") for key, p in named.items() if p.required}
        yield from ((question.name, key, wanted) for key in named)
    for name, view in VIEWS.items():
        wanted = {key: PLAIN.get(key, "") for key, p in view.takes.items() if p.required}
        yield from (
            (f"network/{name}", key, wanted)
            for key, p in view.takes.items()
            if not p.choices and isinstance(p.default, str)
        )


@pytest.mark.parametrize(("address", "key"), sorted({(address, key) for address, key, _ in asked()}))
def test_no_name_leads_out(client: TestClient, folder: Path, watched: list[str], address: str, key: str) -> None:
    """Whatever is named, nothing outside of the lab's folder is as much as looked into."""
    wanted = next(more for one, name, more in asked() if (one, name) == (address, key))
    for name in evil(folder):
        watched.clear()
        found = client.get(f"/api/v1/{address}", params={**wanted, key: name})
        assert 400 <= found.status_code < 500, (name, found.text[:300])
        assert found.headers["content-type"] == "application/problem+json"
        assert [one for one in watched if CANARY in one or "connect" in one or "Popen" in one] == [], name


FORMS = {"PNG": 201, "JPEG": 201, "WEBP": 201, "GIF": 201, "BMP": 201, "TIFF": 415, "ICO": 415, "PDF": 415}


def test_pictures_have_limits(client: TestClient) -> None:
    def send(raw: bytes | Iterator[bytes]) -> int:
        return client.post("/api/v1/pictures", content=raw).status_code

    for form, status in FORMS.items():
        raw = io.BytesIO()
        Image.new("RGB", (16, 16), (1, 2, 3)).save(raw, form)
        assert send(raw.getvalue()) == status, form
    part = lambda name, body: struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))  # noqa: E731
    head = lambda wide, high: b"\x89PNG\r\n\x1a\n" + part(b"IHDR", struct.pack(">IIBBBBB", wide, high, 8, 2, 0, 0, 0))  # noqa: E731
    for wide, high in ((40_001, 1000), (100_000, 100_000), (2**31 - 1, 1)):
        assert send(head(wide, high) + part(b"IDAT", zlib.compress(b"0" * 1000)) + part(b"IEND", b"")) in (413, 415)
    assert (
        send(head(4000, 4000) + part(b"IDAT", zlib.compress(b"0" * 50)) + part(b"IEND", b"")) == 422
    )  # claims more than it has
    for text in (
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>",
        b"<!doctype html>",
        b"\x00" * 100,
    ):
        assert send(text) == 415
    assert send(b"0" * 1024 for _ in range(21 * 1024)) == 413


def test_a_fault_of_ours_is_said(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """To a program as a problem, to a browser that opens the address as a page; what a page may do is said there too."""

    def fails(*_: Any) -> None:
        raise RuntimeError("a <b>fault</b>")

    monkeypatch.setattr("pellucid.lab.app.answer", fails)
    with TestClient(
        create_app(Library(), TOKEN), base_url="http://127.0.0.1:8000", raise_server_exceptions=False
    ) as client:
        client.cookies.set("pellucid", TOKEN)
        told = client.get("/api/v1/formula?expression=1")
        assert (told.status_code, told.json()["title"]) == (500, "The lab failed")
        assert "a <b>fault</b>" in told.json()["detail"]
        for address, status, words in (("/graph", 500, "a &lt;b&gt;fault&lt;/b&gt;"), ("/nowhere", 404, "Not here")):
            shown = client.get(address, headers={"sec-fetch-dest": "document"})
            assert shown.status_code == status
            assert shown.headers["content-type"].startswith("text/html")
            assert words in shown.text
            assert shown.headers["content-security-policy"] == POLICY_WANTED + "'none'"
        client.cookies.clear()
        shown = client.get("/graph", headers={"sec-fetch-dest": "document"})
        assert "it ends in ?token=" in shown.text


def test_every_method_that_is_not_there_is_a_problem(client: TestClient) -> None:
    asked = (
        "DELETE /graph, PUT /api/v1/formula, POST /static/lab.js, PATCH /api/v1, GET /api/v1/pictures/x, POST /nowhere"
    )
    for method, address in (one.split() for one in asked.split(", ")):
        found = client.request(method, address)
        assert 400 <= found.status_code < 500, (method, address)
        assert found.headers["content-type"] == "application/problem+json"


def sent(lab: Lab, raw: bytes) -> socket.socket:
    made = socket.create_connection(("127.0.0.1", int(lab.place.rpartition(":")[2])), timeout=60)
    made.sendall(raw)
    return made


def get(place: str, path: str, token: str = TOKEN) -> bytes:
    request = urllib.request.Request(f"{place}{path}", headers={"Cookie": f"pellucid={token}"})
    with urllib.request.urlopen(request, timeout=60) as found:
        return found.read()


def test_whatever_is_sent_it_stays_healthy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half requests, huge ones, no HTTP, those who leave in the middle, and many at once."""
    monkeypatch.setattr("pellucid.lab.server.PATIENCE", 0.2)
    cookie = f"Host: 127.0.0.1\r\nCookie: pellucid={TOKEN}\r\n".encode()
    odd = [
        b"", b"GET", b"GET / HTTP/1.1\r\n", b"\x00\xff" * 100, b"\x16\x03\x01\x02\x00", b"GET / HTTP/9.9\r\n\r\n",
        b"GET /graph HTTP/1.1\r\n" + cookie + b"X: " + b"x" * 200_000 + b"\r\n\r\n",
        b"GET /api/v1/formula?expression=" + b"x" * 200_000 + b" HTTP/1.1\r\n" + cookie + b"\r\n",
        b"GET /api/v1/formula?" + b"values=x&" * 5000 + b" HTTP/1.1\r\n" + cookie + b"\r\n",
        b"POST /api/v1/pictures HTTP/1.1\r\n" + cookie + b"Content-Length: 100000000000\r\n\r\nx",
        b"POST /api/v1/pictures HTTP/1.1\r\n" + cookie + b"Content-Length: -1\r\n\r\n",
        b"POST /api/v1/pictures HTTP/1.1\r\n" + cookie + b"Transfer-Encoding: chunked\r\n\r\nffffffffff\r\nx",
        b"GET /api/v1/approximate?formula=sin(3*x)&tolerance=0.01 HTTP/1.1\r\n" + cookie + b"\r\n",
    ]  # fmt: skip
    with running(Library()) as lab:
        before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
        held = [sent(lab, raw) for raw in odd for _ in range(8)]
        assert b"0.7310585786300049" in get(lab.place, "/graph")  # its turn comes behind eight who have left
        for one in held[::2]:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # gone without a word
            one.close()
        slow = held[1]  # of those that have asked nothing: closed by the server before long
        slow.settimeout(60)
        assert slow.recv(1) == b""
        for one in held[1::2]:
            one.close()
        for _ in range(3):
            get(lab.place, "/api/v1/formula?expression=x%2Bx&values=x%3D1")
        if before:
            end = time.monotonic() + 60
            while len(os.listdir("/proc/self/fd")) > before + 8 and time.monotonic() < end:
                time.sleep(0.05)
            assert len(os.listdir("/proc/self/fd")) <= before + 8


def test_it_listens_to_this_machine_and_ends_at_once(folder: Path) -> None:
    """The command itself: its address, who can reach it, its port that another one may not take, and Ctrl-C while it is asked."""
    command = [sys.executable, "-c", "from pellucid.cli import main; main()", "lab", "--no-browser"]
    with subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as lab:
        assert lab.stdout is not None
        address = lab.stdout.readline().split()[-1]
        place, _, token = address.partition("/graph?token=")
        port = int(place.rpartition(":")[2])
        assert place.startswith("http://127.0.0.1:")
        assert len(token) >= 24
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(f"{place}/graph", timeout=10)
        if outer := own_address():
            with socket.socket() as other:
                other.settimeout(2)
                assert other.connect_ex((outer, port)) in (errno.ECONNREFUSED, errno.ETIMEDOUT, errno.EHOSTUNREACH)
        taken = subprocess.run([*command, "--port", str(port)], cwd="runs", capture_output=True, text=True, timeout=60)
        assert taken.returncode != 0
        assert f"port {port} of 127.0.0.1 is taken by process {lab.pid} (" in taken.stderr
        assert "--port 0" in taken.stderr
        waiting = socket.create_connection(("127.0.0.1", port))
        waiting.sendall(f"GET /graph HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: pellucid={token}\r\n\r\n".encode())
        assert waiting.recv(12) == b"HTTP/1.1 200"
        began = time.monotonic()
        lab.send_signal(signal.SIGINT)
        lab.wait(20)
        assert time.monotonic() - began < 4  # two seconds on a machine that does nothing else
        waiting.close()


LONG = {
    "a question": ("GET", "/api/v1/approximate?formula=sin(30*x)&tolerance=0.000001&method=train", ""),
    "a room that cannot be stopped": ("GET", "/graph", ""),
    "a job": ("POST", "/api/v1/jobs", '{"question": "approximate", "query": [["formula", "sin(30*x)"], ["tolerance", "1e-7"], ["method", "train"]]}'),
    "what cannot be stopped": ("GET", "/api/v1/formula?expression=1", ""),
    "a start of a run": ("POST", "/api/v1/runs", "{}"),
}  # fmt: skip
DEAF = "import threading; import pellucid.lab.app as app; app.answer = lambda *_: threading.Event().wait(60); "


@pytest.mark.parametrize("what", LONG)
def test_ctrl_c_waits_for_no_answer(folder: Path, what: str) -> None:
    method, address, body = LONG[what]
    start = (DEAF if "cannot be stopped" in what else "") + "from pellucid.cli import main; main()"
    words = [sys.executable, "-c", start, "lab", "--no-browser"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as lab:
        assert lab.stdout is not None
        assert lab.stderr is not None
        place, _, token = lab.stdout.readline().split()[-1].partition("/graph?token=")
        host = place.removeprefix("http://")
        head = f"Host: {host}\r\nCookie: pellucid={token}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection(tuple(host.split(":")), timeout=60) as asking:  # type: ignore[arg-type]
            asking.sendall(f"{method} {address} HTTP/1.1\r\n{head}{body}".encode())
            get(place, "/api/v1/networks", token)  # so that it was heard
            time.sleep(0.5)
            began = time.monotonic()
            lab.send_signal(signal.SIGINT)
            assert lab.wait(30) == 130
            assert time.monotonic() - began < 4  # two seconds on a machine that does nothing else
            told = asking.makefile("rb").read().decode()
        assert lab.stderr.read() == ""
        if what != "a start of a run":  # which may be there by then
            assert ("The lab is ending" in told) == (what != "a job"), told[:200]
    assert not Path(".pellucid-lab").exists()


BELOW = {
    "/graph?token={token}": (303, "/lab/graph"),
    "/lab/graph?token={token}": (303, "/lab/graph"),
    "/": (303, "/lab/graph"),
    "/lab/": (303, "/lab/graph"),
    "/graph": (200, None),
    "/lab/graph": (200, None),
    "/lab/static/lab.css": (200, None),
    "/lab/api/v1": (200, None),
    "/lab/lab/graph": (404, None),
}


def test_a_proxy_puts_it_below_its_own_path() -> None:
    """With --root-path, whether the proxy leaves its own part in the address or takes it away."""
    with running(Library(), first="/lab/graph", root_path="/lab") as lab:
        for address, wanted in BELOW.items():
            asked = http.client.HTTPConnection(lab.place.partition("//")[2], timeout=60)
            cookie = {} if "token" in address else {"Cookie": f"pellucid={TOKEN}"}
            asked.request("GET", address.format(token=TOKEN), headers=cookie)
            found = asked.getresponse()
            assert (found.status, found.getheader("location")) == wanted, address
            asked.close()


def own_address() -> str:
    """An address of this machine that others reach it by, "" where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        found: str = one.getsockname()[0]
    return "" if found.startswith("127.") else found


def test_listening_to_others_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    told: list[str] = []
    library = Library()
    monkeypatch.setattr("pellucid.lab.holdings.Library", lambda *_, **__: library)
    monkeypatch.setattr("asyncio.run", lambda served: served.close())
    for host, others in (("127.0.0.1", False), ("0.0.0.0", True)):
        serve(host=host, browser=False, started=told.append)
        words = capsys.readouterr().err
        assert ("whoever reaches it" in words and "--allow-host" in words and "not encrypted" in words) == others
    assert all("token=" in address for address in told)
    library.close()
