"""The lab in a notebook: a message gets the answer that the API gives, and the rooms in a cell's frame show the numbers of a trace."""
# ruff: noqa: F811 (fixtures are arguments)

from __future__ import annotations

import base64
import http.server
import json
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pellucid as pl
from pellucid.examples import example_of
from pellucid.lab import LabError
from pellucid.lab.notebook import Kernel
from test_lab import DECK
from test_lab_pages import CHROMIUM, browser, small_run, until  # noqa: F401

drawn = pytest.mark.skipif(CHROMIUM is None, reason="NO BROWSER: install Debian's chromium to test the lab's pages")


@pytest.fixture(scope="module")
def traced(small_run: str) -> pl.Trace:
    opened = pl.open_model(small_run)
    return pl.trace(opened.net, example_of(opened, "digits[143]").values, 3)


@pytest.fixture(scope="module")
def kernel(traced: pl.Trace) -> Iterator[Kernel]:
    made = Kernel(traced)
    yield made
    made.close()


def asked(kernel: Kernel, address: str, **more: Any) -> Any:
    content, (raw,) = kernel.answer({"id": 7, "address": address, **more})
    assert content["id"] == 7
    return content["status"], json.loads(raw)


def test_a_message_gets_what_the_api_answers(kernel: Kernel, traced: pl.Trace) -> None:
    status, found = asked(kernel, f"api/v1/formula?{DECK}")
    assert (status, round(found["answer"]["value"], 4)) == (200, 0.7311)
    assert asked(kernel, "api/v1/formula?expression=1/(x")[0] == 422
    assert asked(kernel, "api/v1/pictures", method="POST")[0] == 415
    assert asked(kernel, "api/v1/runs", method="DELETE")[0] in (404, 405)
    look = kernel.first.partition("?")[2]
    overview = asked(kernel, f"api/v1/network/overview?{look}")[1]
    assert (overview["score"], overview["class"]) == (traced.score, "3")
    assert [row["layer"] for row in overview["layers"]] == list(traced)
    at = asked(kernel, f"api/v1/network/at?{look}&layer=conv2&map=5&cell=1,1")[1]
    assert at["answer"]["value"] == traced["conv2"][5, 1, 1].value
    with pytest.raises(LabError, match="names with values"):
        kernel.answer([1])


def test_what_goes_wrong_is_answered(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    status, problem = asked(kernel, "api/v1/formula?expression=\ud800")
    assert (status, problem["title"]) == (400, "No address")
    for page, words in (("nosuch", "/nosuch"), ("static/lab.js", "is no room"), ("graph?x=\ud800", "half a character")):
        content, (raw,) = kernel.answer({"page": page})
        assert content == {"page": page}
        assert words in raw.decode()
    assert 'data-room="network"' in kernel.answer({"page": "/"})[1][0].decode()

    def fails(*_: Any) -> Any:
        raise RuntimeError("no such luck")

    monkeypatch.setattr("pellucid.lab.app.answer", fails)
    status, problem = asked(kernel, "api/v1/formula?expression=x")
    assert (status, problem["title"]) == (500, "The lab failed")
    assert "no such luck" in problem["detail"]
    assert "no such luck" in kernel.answer({"page": "graph?expression=x&values=x%3D1"})[1][0].decode()


def test_a_picture_is_sent_as_bytes(kernel: Kernel) -> None:
    raw = Path(str(files("pellucid.lab") / "static" / "icon.svg")).read_bytes()
    content, (told,) = kernel.answer({"id": 1, "address": "api/v1/pictures", "method": "POST"}, [memoryview(raw)])
    assert content["status"] == 415
    assert b"No picture" in told


BEGIN = {
    "the neuron": (lambda run: "", "graph"),
    "a formula": (lambda run: "x*y + 2", "graph?expression=x%2Ay+%2B+2&values=x%3D1&values=y%3D1"),
    "an expression": (lambda run: pl.expression("x*y", x=0.1, y=3), "graph?expression=x%2Ay&values=x%3D0.10000000000000001&values=y%3D3"),
    "a formula's trace": (lambda run: pl.trace_expression(pl.expression("x*y", x=2, y=3)), "graph?expression=x%2Ay&values=x%3D2&values=y%3D3"),
    "a folder": (lambda run: Path(run), "network"),
    "a run": (lambda run: pl.load_run(run), "network"),
    "a name too long for a file": (lambda run: "x" * 5000, "network"),
    "what was opened": (lambda run: pl.open_model(run), "network"),
}  # fmt: skip


@pytest.mark.parametrize("name", BEGIN)
def test_what_is_shown_first(name: str, small_run: str) -> None:
    make, address = BEGIN[name]
    kernel = Kernel(make(small_run))
    assert kernel.first.lstrip("/") == address
    page = kernel.page()
    assert "connect-src 'none'" in page
    assert 'data-room="network"' in kernel.page("network")
    if name == "a name too long for a file":
        assert asked(kernel, "api/v1/network/begin")[0] in (404, 422)
    elif address == "network":
        assert asked(kernel, "api/v1/network/begin")[1]["classes"] == [str(k) for k in range(10)]
    kernel.close()


def test_what_cannot_be_shown(traced: pl.Trace) -> None:
    with pytest.raises(LabError, match=r"takes a trace, a run, .* got int"):
        Kernel(3)
    with pytest.raises(LabError, match="trace without loss="):
        Kernel(pl.trace(traced.net, np.zeros((1, 8, 8), np.float32), 3, loss="cross_entropy"))


def test_several_inputs_are_kept() -> None:
    class Sum(pl.nn.Module):
        def forward(self, a: pl.Tensor, b: pl.Tensor) -> pl.Tensor:
            return pl.relu(a + b)

    given = {"a": np.full((1, 3), 2.0, np.float32), "b": np.ones((1, 3), np.float32)}
    traced = pl.trace(Sum(), given)
    kernel = Kernel(traced)
    overview = asked(kernel, f"api/v1/network/overview?{kernel.first.partition('?')[2]}")[1]
    assert overview["score"] == traced.score
    kernel.close()


def test_a_widget_sends_what_the_kernel_answers(small_run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        made = pl.lab.widget(small_run, height=500)
    sent: list[Any] = []
    monkeypatch.setattr(type(made), "send", lambda self, *message: sent.append(message))
    made._handle_custom_msg({"id": 1, "address": "api/v1/networks"}, [])
    ((content, (raw,)),) = sent
    assert (content["id"], content["status"], json.loads(raw)["subject"]) == (1, 200, small_run)
    assert made.height == 500
    assert "frame.srcdoc" in made._esm


def test_a_run_is_started_stepped_and_paused_by_messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kernel = Kernel()

    def told(address: str, method: str = "GET", body: Any = None) -> Any:
        raw = [] if body is None else [json.dumps(body).encode()]
        content, (found,) = kernel.answer({"id": 1, "address": f"api/v1/{address}", "method": method}, raw)
        return content["status"], json.loads(found)

    def when(wanted: Any) -> Any:
        end = time.monotonic() + 60
        while not wanted(state := told(f"runs/{run}")[1]):
            assert time.monotonic() < end, state
            time.sleep(0.05)
        return state

    toy = {
        "data": {"name": "circles"},
        "network": {"model": "Linear 4, Tanh"},
        "settings": {"epochs": 200, "batch_size": 10},
    }
    status, begun = told("runs", "POST", {**toy, "paused": True, "pace": 50})
    assert status == 201
    run = begun["run"]
    when(lambda state: state["state"] == "paused")
    told(f"runs/{run}", "PATCH", {"do": "step"})
    when(lambda state: state["step"] == 1 and state["snapshots"][-1] == 1)
    told(f"runs/{run}", "PATCH", {"do": "resume"})
    when(lambda state: state["step"] > 10)
    told(f"runs/{run}", "PATCH", {"do": "pause"})
    paused = when(lambda state: state["state"] == "paused")
    (curve,) = told(f"curves?runs={run}")[1]["runs"]
    assert curve["curve"]["loss"][-1] == paused["loss"]
    assert told(f"events?runs={run}")[0] == 501
    told(f"runs/{run}", "PATCH", {"do": "stop"})
    when(lambda state: state["state"] == "stopped")
    kernel.close()


def test_it_is_light_and_says_what_is_missing() -> None:
    words = (
        "import sys; sys.modules['anywidget'] = None; import pellucid as pl\n"
        "assert not {'pellucid.lab', 'traitlets', 'starlette'} & {*sys.modules}\n"
        "try: pl.lab.widget()\n"
        "except pl.PellucidError as error: print(error)"
    )
    found = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, timeout=60, check=True)
    assert "pip install 'pellucid[jupyter]'" in found.stdout


MODEL = """
<!doctype html><meta charset="utf-8"><title>cell</title><div id="cell"></div>
"""
CELL = """
async ([script, page]) => {
  const { default: widget } = await import(`data:text/javascript;base64,${script}`);
  const heard = [];
  const bytes = (text) => new DataView(Uint8Array.from(atob(text), (one) => one.charCodeAt(0)).buffer);
  const model = {
    get: (name) => ({ page, height: 600 })[name], on: (_, heed) => heard.push(heed), off: () => {},
    send: async (content, _, buffers = []) => {
      const body = await Promise.all(buffers.map(async (one) => btoa(String.fromCharCode(...new Uint8Array(one)))));
      const [told, raw] = await window.kernel(content, body[0] ?? "");
      heard.forEach((heed) => heed(told, [bytes(raw)]));
    },
  };
  window.another = () => widget.render({ model, el: document.getElementById("cell") });
  window.another();
}
"""
ANOTHER = "() => window.another()"
"""The same widget once more, as where a second cell shows it."""


class Blank(http.server.BaseHTTPRequestHandler):
    """An empty page, which the cell of a notebook stands in."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(MODEL.encode())

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def cell(browser: Any, kernel: Kernel, room: str = "") -> Iterator[tuple[Any, Any]]:
    """A cell that shows a room: its page and the frame in it, which may ask nothing but the kernel and say nothing on the console."""

    def answer(content: Any, body: str = "") -> Any:
        told, (raw,) = kernel.answer(content, [base64.b64decode(body)])
        return told, base64.b64encode(raw).decode()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Blank) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        context = browser.new_context(viewport={"width": 1100, "height": 800})
        page = context.new_page()
        said: list[str] = []
        asked_for: list[str] = []
        page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked_for.append(request.url))
        page.expose_function("kernel", answer)
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        script = base64.b64encode((files("pellucid.lab") / "static" / "notebook.js").read_bytes()).decode()
        page.evaluate(CELL, [script, kernel.page(room)])
        yield page, page.frame_locator("iframe >> nth=0")
        context.close()
        server.shutdown()
        thread.join()
    assert said == []
    assert [url for url in asked_for if not url.startswith(("data:", f"http://127.0.0.1:{server.server_port}/"))] == []


@drawn
def test_rooms_in_a_cell(browser: Any, kernel: Kernel, traced: pl.Trace) -> None:
    with cell(browser, kernel) as (page, frame):
        score = frame.locator("[data-name=score]").first
        until(page, lambda: score.count() == 1)
        assert float(score.get_attribute("data-value")) == traced.score
        frame.locator(".column[data-layer=conv2]").click()
        frame.locator(".tiles [data-map='5']").click()
        until(page, lambda: frame.locator(".large .caption").first.inner_text() != "")
        frame.locator(".large canvas").click(position={"x": 5, "y": 5})
        until(page, lambda: frame.locator("[data-name=sum]").count() == 1)
        found = frame.locator("[data-name=sum]").get_attribute("data-value")
        assert float(found) == traced["conv2"][5, 0, 0].total
        page.evaluate(ANOTHER)
        twin = page.frame_locator("iframe >> nth=1").locator("[data-name=score]")
        until(page, lambda: twin.count() > 0)
        frame.locator("#rail a[href^=graph]").click()
        until(page, lambda: frame.locator("svg.drawn .box").count() > 5)
        frame.get_by_label("w0", exact=True).fill("1.5")
        wanted = pl.trace_expression(pl.expression("1/(1+exp(-(w0*x0+w1*x1+w2)))", w0=1.5, x0=-1, w1=-3, x1=-2, w2=-3))
        slope = frame.locator("[data-name=x0][data-value]")
        until(page, lambda: float(slope.get_attribute("data-value")) == wanted.variable_gradients["x0"])
        assert twin.count() > 0


@drawn
def test_a_run_is_trained_in_a_cell(browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    kernel = Kernel()
    with cell(browser, kernel, "training") as (page, frame):
        step = frame.locator("[data-name=step-now]")
        count = lambda: int(step.get_attribute("data-value")) if step.count() else -1  # noqa: E731
        until(page, lambda: frame.locator("[data-name=step]").count() == 1)
        frame.locator("[data-name=step]").click()
        until(page, lambda: count() == 1)
        frame.locator("[data-name=start]").click()
        until(page, lambda: count() > 20)
        frame.locator("[data-name=start]").click()
        until(page, lambda: "Go on" in frame.locator("[data-name=start]").inner_text())
        value = lambda name: frame.locator(f"[data-name={name}]").get_attribute("data-value")  # noqa: E731
        until(page, lambda: value("loss") == value("loss-now"))
        frame.locator("[data-name=stop]").click()
        until(page, lambda: "Resume" in frame.locator("[data-name=start]").inner_text())
    kernel.close()
