"""How quickly the lab answers in a real browser: its start, its pages, its handles, large networks, and many clients for a long time.

`--soak MINUTES` asks with 50 clients, a tab and a training run for so long, half a minute unless given; names of parts do these alone.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pellucid as pl

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CLIENTS = 50
TIMES = 5
"""That a network is opened, of which the median is told."""
PAINTS = """
window.painted = []; window.answered = []; window.largest = [];
window.painting = (then) => requestAnimationFrame(() => {
  const after = new MessageChannel();
  after.port1.onmessage = then;
  after.port2.postMessage(0);
});
new PerformanceObserver((list) => { for (const one of list.getEntries()) largest.push(one.startTime); })
  .observe({ type: "largest-contentful-paint", buffered: true });
for (const kind of ["input", "pointermove"]) addEventListener(kind, (event) => {
  if (kind === "pointermove" && !event.target.closest?.("#room canvas, #room svg")) return;
  const began = event.timeStamp;
  painting(() => painted.push(performance.now() - began));
  if (window.watching) return;
  window.watching = new MutationObserver(() => {
    watching.disconnect();
    window.watching = null;
    painting(() => answered.push(performance.now() - began));
  });
  watching.observe(document.getElementById("room"), { subtree: true, childList: true, attributeFilter: ["data-value", "d", "width"] });
}, { capture: true, passive: true });
"""
"""Notes milliseconds from each event of a drag to the paint that follows, and to the first one with other numbers."""


@dataclass(frozen=True)
class Running:
    """A lab in a process of its own."""

    process: subprocess.Popen[str]
    place: str
    token: str

    def address(self, path: str) -> str:
        """A page's address, with the token."""
        return f"{self.place}{path}{'&' if '?' in path else '?'}token={self.token}"

    def ask(self, path: str, body: Any = None, method: str | None = None) -> Any:
        """What an address answers."""
        raw = None if body is None else json.dumps(body).encode()
        headers = {"Cookie": f"pellucid={self.token}"}
        request = urllib.request.Request(f"{self.place}{path}", raw, headers, method=method)
        with urllib.request.urlopen(request, timeout=120) as found:
            told = found.read()
        return json.loads(told) if told.startswith((b"{", b"[")) else told

    def memory(self) -> float:
        """Megabytes that it holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]

    def seconds(self) -> float:
        """Seconds of processor that it has used."""
        parts = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def lab(folder: Path, *words: str) -> Iterator[Running]:
    """`pellucid lab` in a folder, until the end of the `with`."""
    command = [sys.executable, "-m", "pellucid", "lab", "--no-browser", *words]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1]
        try:
            yield Running(process, re.match(r"http://[^/]+", address)[0], address.rpartition("token=")[2])  # type: ignore[index]
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def row(what: str, value: float, unit: str, wanted: float | None, more: str = "", at_least: bool = False) -> None:
    """A line of the table: what is measured, and what is wanted of it, if anything is."""
    met = wanted is None or (value >= wanted if at_least else value <= wanted)
    bound = "" if wanted is None else f"wanted {'at least' if at_least else 'at most'} {wanted:g}"
    print(f"{what:<58} {value:9.1f} {unit:<9} {bound:<21} {'' if met else 'MISSED'} {more}".rstrip(), flush=True)


def start(folder: Path) -> None:
    """From the start of the process to an answer, without a network opened."""
    found: list[float] = []
    for _ in range(3):
        began = time.perf_counter()
        with lab(folder) as one:
            found.append(time.perf_counter() - began)
            one.ask("/api/v1")
    row("process start to listening", statistics.median(found) * 1000, "ms", 1000)


def pages(browser: Any, one: Running) -> None:
    """Navigation to the largest paint, each room in a browser that knows nothing yet; bytes of the first room's script and style."""
    for number, room in enumerate(one.ask("/api/v1")["rooms"]):
        found: list[float] = []
        for _ in range(3):
            with tab(browser) as page:
                sizes: list[int] = []
                page.on(
                    "response",
                    lambda r, sizes=sizes: sizes.append(len(r.body())) if "/static/" in r.url and r.ok else None,
                )
                page.goto(one.address(f"/{room['name']}"), wait_until="load")
                page.wait_for_timeout(1500)
                found.append(page.evaluate("largest[largest.length - 1]"))
        row(f"{room['title']}: navigation to largest contentful paint", statistics.median(found), "ms", 1000)
        if number == 0:
            row("script and style of the first room", sum(sizes) / 1000, "KB", 100)


def started(kind: Any) -> Any:
    """A browser."""
    return kind.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


@contextlib.contextmanager
def tab(browser: Any) -> Iterator[Any]:
    """A page of its own."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.add_init_script(PAINTS)
    yield context.new_page()
    context.close()


def sweep(page: Any, place: str, seconds: float) -> None:
    """Drags the pointer to and fro over an element, at moments that keep no step with the screen's frames."""
    chance = random.Random(0)
    handle = page.locator(place).first
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    began = time.perf_counter()
    while (now := time.perf_counter() - began) < seconds:
        part = abs(now / 1.3 % 2 - 1)
        page.mouse.move(box["x"] + (0.05 + 0.9 * part) * box["width"], middle)
        time.sleep(chance.uniform(0.004, 0.020))
    page.mouse.up()


def drags(browser: Any, one: Running, beside: str) -> None:
    """From an event of a drag of 5 seconds to the paint after it, and to the paint with its numbers.

    An event that stays within a cell of the convolution's output changes no number.
    """
    for room, place, name in (
        ("graph", "[aria-label='w0, slider']", "graph"),
        ("activations", "[aria-label='low, slider']", "activations"),
        ("convolution", "[aria-label='bias, slider']", "convolution"),
        ("convolution", "canvas[aria-label^=Output]", "convolution, over cells"),
    ):
        with tab(browser) as page:
            page.goto(one.address(f"/{room}"))
            page.wait_for_selector(place)
            page.wait_for_timeout(800)
            page.evaluate("painted.length = answered.length = 0")
            sweep(page, place, 5)
            painted, answered = sorted(page.evaluate("painted")), sorted(page.evaluate("answered"))
        late = f"; to other numbers {middle(answered):.0f} ms, 95 of 100 {high(answered):.0f} ms, {len(answered)} times"
        late = f"({len(painted)} events{'' if 'cells' in name else late})"
        row(f"{name}{beside}: event to next paint, median", middle(painted), "ms", 16, late)
        row(f"{name}{beside}: event to next paint, 95 of 100", high(painted), "ms", 50)


def middle(ordered: list[float]) -> float:
    """The median, NaN of nothing."""
    return statistics.median(ordered) if ordered else float("nan")


def high(ordered: list[float]) -> float:
    """What 95 of 100 are at most."""
    return ordered[int(0.95 * (len(ordered) - 1))] if ordered else float("nan")


@contextlib.contextmanager
def training(one: Running) -> Iterator[str]:
    """A run of the lab's own that lasts until the end of the `with`; gives its name."""
    started = one.ask("/api/v1/runs", {"settings": {"epochs": 100_000}})
    name = started.get("run") or started.get("name")
    while one.ask(f"/api/v1/runs/{name}").get("step", 0) < 1:
        time.sleep(0.2)
    yield name
    one.ask(f"/api/v1/runs/{name}", {"do": "stop"}, "PATCH")


def busy(session: Any) -> float:
    """Seconds that a tab has worked."""
    found = session.send("Performance.getMetrics")["metrics"]
    return next(one["value"] for one in found if one["name"] == "TaskDuration")


def idle(browser: Any, one: Running) -> None:
    """Processor that a page uses at which nothing happens, in the tab and in the server."""
    for room in one.ask("/api/v1")["rooms"]:
        with tab(browser) as page:
            page.goto(one.address(f"/{room['name']}"))
            page.wait_for_timeout(2500)
            session = page.context.new_cdp_session(page)
            session.send("Performance.enable")
            before, server, asked = busy(session), one.seconds(), []
            page.on("request", lambda r, asked=asked: asked.append(r.url))
            page.wait_for_timeout(4000)
            share = 100 * (busy(session) - before) / 4
            row(
                f"{room['title']}: a page at rest",
                share,
                "% of tab",
                0.5,
                f"(server {100 * (one.seconds() - server) / 4:.1f} %, {len(asked)} requests)",
            )


def written(folder: Path, model: str) -> str:
    """The name of an ONNX file with a model of random weights."""
    pl.save_onnx(pl.nn.models.build(model), folder / f"{model}.onnx")
    return f"{model}.onnx"


@contextlib.contextmanager
def watched(browser: Any) -> Iterator[Any]:
    """A page of its own that notes when a network's layers are shown, and their maps."""
    with tab(browser) as page:
        page.set_default_timeout(180_000)
        page.add_init_script(SHOWN.replace("STRIP", STRIP))
        yield page


def overview(page: Any, one: Running) -> dict[str, float]:
    """Milliseconds from the navigation to the layers, and to their maps, and the server's processor meanwhile."""
    before = one.seconds()
    page.goto(one.address("/network"))
    page.wait_for_selector(f"{STRIP} .column canvas[width]:not([width='0'])")
    used = 1000 * (one.seconds() - before)
    page.wait_for_timeout(2000)
    return {"layers": page.evaluate("shown.columns"), "their maps": page.evaluate("shown.maps"), "processor": used}


def overviews(what: str, found: list[dict[str, float]]) -> None:
    """Rows of the medians."""
    used = statistics.median(one["processor"] for one in found)
    for part in ("layers", "their maps"):
        times = sorted(one[part] for one in found)
        spread = f"({times[0]:.0f} to {times[-1]:.0f} in {len(times)}; {used:.0f} ms of the server's processor)"
        row(f"ResNet-50: {part}, {what}", statistics.median(times), "ms", 1000, spread)


def layers(browser: Any, folder: Path) -> None:
    """A network of 50 layers: its overview, and how it scrolls.

    The lab opens what it was started with as soon as it listens: a browser that is there asks at once, one that starts then asks later.
    """
    words = written(folder, "resnet50"), "--preprocessing", "imagenet"
    found: list[dict[str, float]] = []
    for _ in range(TIMES):
        with lab(folder, *words) as one, started(browser.browser_type) as new, watched(new) as page:
            found.append(overview(page, one))
    overviews("in a browser that starts with the lab", found)
    found.clear()
    for _ in range(TIMES):
        with lab(folder, *words) as one, watched(browser) as page:
            found.append(overview(page, one))
    overviews("with opening the file", found)
    with lab(folder, *words) as one, watched(browser) as page:
        overview(page, one)
        overviews("its trace kept", [overview(page, one) for _ in range(TIMES)])
        for fold in range(40):
            folded = page.locator(f"{STRIP} .column.folded")
            if not folded.count() or fold == 39:
                break
            folded.first.click()
            page.wait_for_timeout(50)
        page.wait_for_timeout(1500)
        count = page.locator(f"{STRIP} .column").count()
        page.evaluate("window.frames = 0; (function count() { frames++; requestAnimationFrame(count); })()")
        box = page.locator(STRIP).bounding_box()
        page.mouse.move(box["x"] + 200, box["y"] + 100)
        before, began = page.evaluate("frames"), time.perf_counter()
        while time.perf_counter() - began < 3:
            page.mouse.wheel(120 if time.perf_counter() - began < 1.5 else -120, 0)
            time.sleep(0.016)
        row(
            "ResNet-50: frames a second while its layers scroll",
            (page.evaluate("frames") - before) / (time.perf_counter() - began),
            "frames/s",
            50,
            f"({count} columns)",
            True,
        )


def cells(browser: Any, folder: Path) -> None:
    """VGG-16: from a click on a cell to what it is the sum of."""
    with lab(folder, written(folder, "vgg16"), "--preprocessing", "imagenet") as one, tab(browser) as page:
        page.set_default_timeout(180_000)
        page.goto(one.address("/network"))
        page.wait_for_selector(f"{STRIP} .column")
        rows = one.ask("/api/v1/network/overview?model=vgg16.onnx&picture=sample:china")["layers"]
        layer = next(row["layer"] for row in rows if "conv" in row["operation"].lower())
        page.goto(one.address(f"/network?layer={layer}&map=3"))
        page.wait_for_selector(".large canvas")
        page.wait_for_timeout(3000)
        found: list[float] = []
        for k in range(7):
            canvas = page.locator(".large canvas")
            canvas.scroll_into_view_if_needed()
            page.evaluate(CLICKED)
            canvas.click(position={"x": 20 + 31 * k, "y": 30 + 17 * k})
            page.wait_for_selector("body[data-clicked]", state="attached")
            found.append(float(page.get_attribute("body", "data-clicked") or "nan"))
        row(
            "VGG-16: click on a cell to its terms",
            statistics.median(found[1:]),
            "ms",
            100,
            f"(the first {found[0]:.0f} ms)",
        )


SHOWN = """
window.shown = {};
new MutationObserver(() => {
  for (const [name, place] of [["columns", ""], ["maps", " canvas[width]:not([width='0'])"]])
    if (!(name in shown) && document.querySelector("STRIP .column" + place)) painting(() => { shown[name] ??= performance.now(); });
}).observe(document, { subtree: true, childList: true, attributes: true });
"""
"""Notes milliseconds from the navigation to the paint with layers, and to the one with maps of the first."""
STRIP = ".strip[aria-label^='Layers, from']"
CLICKED = """() => {
  delete document.body.dataset.clicked;
  addEventListener("pointerdown", (event) => {
    const began = event.timeStamp;
    const watching = new MutationObserver(() => {
      if (!document.querySelector("[aria-label=Terms] td.number, [data-name=sum]")) return;
      watching.disconnect();
      requestAnimationFrame(() => setTimeout(() => { document.body.dataset.clicked = performance.now() - began; }));
    });
    watching.observe(document.querySelector("[aria-label='One number']"), { subtree: true, childList: true });
  }, { once: true, capture: true });
}"""


def soak(browser: Any, one: Running, minutes: float) -> None:
    """Fifty clients, a tab and a training run: no error, memory that does not grow, and the run goes on."""
    end, errors, count = time.monotonic() + 60 * minutes, [], [0]
    paths = (
        "/api/v1/formula?expression=x*y%2Bmax(x,z)&values=x%3D{0}&values=y%3D2&values=z%3D{1}",
        "/api/v1/activation?names=relu&names=tanh&low={0}",
        "/api/v1/convolve?picture=digits[{2}]&kernel=sobel-x&at={3},{3}",
        "/api/v1/activation.png?names=elu",
        *("/graph", "/api/v1", "/static/lab.js", "/api/v1/training"),
    )

    def client(seed: int) -> None:
        chance = random.Random(seed)
        while time.monotonic() < end:
            path = chance.choice(paths).format(
                -chance.random() - 0.5, chance.random(), chance.randrange(200), chance.randrange(6)
            )
            try:
                one.ask(path)
                count[0] += 1
            except Exception as error:  # noqa: BLE001 whatever it is, it is counted and printed
                errors.append(f"{path}: {error}")
            time.sleep(chance.random() / 4)

    with training(one) as run, tab(browser) as page:
        session = page.context.new_cdp_session(page)
        session.send("HeapProfiler.enable")
        page.goto(one.address("/graph"))
        clients = [threading.Thread(target=client, args=(seed,), daemon=True) for seed in range(CLIENTS)]
        for thread in clients:
            thread.start()
        memory: list[tuple[float, float]] = []
        while time.monotonic() < end:
            sweep(page, "[aria-label='w0, slider']", min(5.0, 20 * minutes))
            session.send("HeapProfiler.collectGarbage")
            heap = session.send("Runtime.getHeapUsage")["usedSize"] / 2**20
            memory.append((one.memory(), heap))
        for thread in clients:
            thread.join(60)
        state = one.ask(f"/api/v1/runs/{run}")
        first, last = memory[len(memory) // 4], memory[-1]
        row(
            f"soak of {minutes:g} minutes: errors in {count[0]:,} answers",
            len(errors),
            "errors",
            0,
            "; ".join(errors[:2])[:200],
        )
        row(
            "soak: growth of the server after the first quarter",
            100 * (last[0] / first[0] - 1),
            "%",
            10,
            f"({first[0]:.0f} to {last[0]:.0f} MB)",
        )
        row(
            "soak: growth of the tab after the first quarter",
            100 * (last[1] / first[1] - 1),
            "%",
            10,
            f"({first[1]:.1f} to {last[1]:.1f} MB)",
        )
        print(f"soak: the run is {state.get('state')} at step {state.get('step')}", flush=True)


def main() -> None:
    """Print each measure with what is wanted of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "parts", nargs="*", help="start, pages, drags, beside, idle, layers, cells, soak; all unless given"
    )
    parser.add_argument("--soak", type=float, default=0.5, help="minutes")
    given = parser.parse_args()
    if CHROMIUM is None:
        sys.exit("benchmarks/lab.py: NO BROWSER: install Debian's chromium")
    from playwright.sync_api import sync_playwright

    warnings.simplefilter("ignore", DeprecationWarning)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as made:
        folder = Path(name)
        with pl.quiet():
            pl.fit(
                pl.nn.models.build("lenet", image_size=8, in_channels=1),
                pl.load("digits"),
                epochs=1,
                out=folder / "runs" / "digits",
                report=False,
            )
        browser = started(made.chromium)
        if not given.parts or "start" in given.parts:
            start(folder)
        with lab(folder, "runs/digits") as one:
            parts: dict[str, Callable[[], None]] = {
                "pages": lambda: pages(browser, one),
                "drags": lambda: drags(browser, one, ""),
                "idle": lambda: idle(browser, one),
                "beside": lambda: beside(browser, one),
                "soak": lambda: soak(browser, one, given.soak),
            }
            for part, measure in parts.items():
                if not given.parts or part in given.parts:
                    measure()
        for part, of_files in (("layers", layers), ("cells", cells)):
            if not given.parts or part in given.parts:
                of_files(browser, folder)
        browser.close()


def beside(browser: Any, one: Running) -> None:
    """The drags again while a network is trained."""
    with training(one):
        drags(browser, one, " beside training")


if __name__ == "__main__":
    main()
