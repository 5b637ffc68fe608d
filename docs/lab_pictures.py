"""Pictures of the lab's rooms as a browser shows them, for the README and the page on the lab; made where there is a browser."""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

from pages import ROOT
from PIL import Image

import pellucid as pl
from pellucid.lab import Library

DECK = "expression=1/(1%2Bexp(-(w0*x0%2Bw1*x1%2Bw2)))&values=w0%3D2&values=x0%3D-1&values=w1%3D-3&values=x1%3D-2&values=w2%3D-3"
SHOTS = {
    "lab-graph.png": (f"graph?{DECK}", "svg.drawn .box", "body", 900),
    "lab-convolution.png": ("convolution?picture=digits%5B143%5D&kernel=sobel-x&at=3,3", ".matrix", "body", 900),
    "lab-network.png": (
        "network?picture=digits%5B143%5D&layer=conv2&map=5&cell=1,1",
        "[data-name=sum]",
        "[aria-label=Layers]",
        1120,
    ),
}
"""For each picture the address of what it shows, what is there once that is drawn and what is at its top (CSS selectors), and its rows of pixels."""
WIDTH, COLORS = 1440, 256
"""Pixels in a row, and colors of a picture: a page of text and few shades takes a tenth of its size with a table of them."""


def browser() -> str | None:
    """The program of a browser, if there is one here."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def write(folder: Path) -> None:
    """Write the pictures into a folder."""
    folder = folder.resolve()
    from playwright.sync_api import sync_playwright

    sys.path.insert(0, str(ROOT / "tests"))
    from lab_server import running

    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        run = Path("runs") / "digits-lenet"
        net = pl.nn.models.build("lenet", image_size=8, in_channels=1)
        with pl.quiet():
            pl.fit(net, pl.load("digits"), epochs=10, out=run, report=False)
        with running(Library(str(run))) as lab, sync_playwright() as made:
            found = made.chromium.launch(executable_path=browser(), args=["--no-sandbox"])
            for name, (address, there, top, rows) in SHOTS.items():
                page = found.new_page(viewport={"width": WIDTH, "height": rows}, color_scheme="light")
                page.goto(lab.address(f"/{address}"))
                page.wait_for_selector(there, state="attached")
                page.wait_for_load_state("networkidle")
                page.locator(top).first.evaluate(
                    "e => scrollTo(0, Math.max(0, e.getBoundingClientRect().top + scrollY - 16))"
                )
                (folder / name).write_bytes(small(page.screenshot()))
                page.close()
            found.close()


def small(raw: bytes) -> bytes:
    """A picture with a table of its colors."""
    file = io.BytesIO()
    Image.open(io.BytesIO(raw)).convert("RGB").quantize(COLORS, kmeans=2).save(file, "PNG", optimize=True)
    return file.getvalue()
