"""How long the lab's network room waits: a cold overview, an edit, clicks on cells, as the server answers them, JSON and all.

Run by itself it prints a table; `measured` gives the numbers to a benchmark in a browser. Networks have random weights.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pellucid.lab.holdings import Library
from pellucid.lab.views import Views
from pellucid.plain import to_json

NETS = ("resnet50", "vgg16", "efficientnet_lite0")
PICTURE = "sample:china"
WANTED = {"overview, cold": 1000.0, "a cell, value": 100.0, "a cell, gradient": 100.0}
"""Milliseconds that a measure has at most on an idle machine."""
CELLS = 12


def opened(name: str, file: Path) -> Library:
    """A lab of a network, written as an ONNX file."""
    import pellucid as pl

    if not file.exists():
        net = pl.models.build(name)
        net.initialize(0)
        pl.save_onnx(net, file, shape=(3, 224, 224))
    return Library(str(file), preprocessing="imagenet")


def measured(name: str, folder: Path) -> dict[str, float]:
    """Milliseconds by what is waited for; a row of a new process, for the first overview compiles and imports."""
    library = opened(name, folder / f"{name}.onnx")
    views = Views(library)
    look = [("model", library.subject), ("picture", PICTURE)]

    def waited(view: str, *more: tuple[str, str]) -> tuple[float, dict[str, Any]]:
        began = time.perf_counter()
        found = views.answer(view, [*look, *more])
        to_json(found)
        return 1000 * (time.perf_counter() - began), found

    began = time.perf_counter()
    library.network(library.subject)
    opening = 1000 * (time.perf_counter() - began)
    columns = waited("layers")[0]
    apart = ("classes", "apart")  # as the page asks, which asks the classes when its columns are there
    cold, found = waited("overview", apart)
    times = {
        "opening the file": opening,
        "its columns, cold": columns,
        "overview, cold": cold,
        "overview, again": waited("overview", apart)[0],
        "the classes, cold": waited("classes")[0],
    }
    rows = [row for row in found["layers"][1:] if row["maps"]]
    some = rows[:: max(1, len(rows) // CELLS)]
    waited("numbers", ("layer", some[0]["layer"]))  # as the page does when a map is opened, before a cell is clicked
    for what in ("value", "gradient"):
        waited("at", ("layer", some[-1]["layer"]), ("what", what))
        each = [waited("at", ("layer", row["layer"]), ("cell", _middle(row)), ("what", what))[0] for row in some]
        times[f"a cell, {what}"] = max(each)
        times[f"a cell, {what}, median"] = statistics.median(each)
    column = ("side", "40"), ("order", "strongest"), ("count", "5")
    for what, view, more in (
        ("a column", "maps", column),
        ("maps", "maps", (("side", "64"), ("count", "64"))),
        ("map", "map", ()),
    ):
        times[what] = max(waited(view, ("layer", row["layer"]), *more)[0] for row in some)
    first = waited("numbers", ("layer", next(row["layer"] for row in rows)))[1]["parts"][0]["at"]
    times["an edit"] = waited("overview", apart, ("edit", f"{first}=0"))[0]
    return times


def _middle(row: dict[str, Any]) -> str:
    return ",".join(str(size // 2) for size in row["size"])


def main(run: Callable[..., Any] = subprocess.run) -> None:
    """A table for each network, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("nets", nargs="*", default=NETS)
    parser.add_argument("--folder", type=Path, default=Path("build"))
    parser.add_argument("--here", action="store_true", help="in this process")
    asked = parser.parse_args()
    asked.folder.mkdir(exist_ok=True)
    for name in asked.nets:
        if not asked.here:
            opened(name, asked.folder / f"{name}.onnx").close()
            run([sys.executable, __file__, name, "--folder", str(asked.folder), "--here"], check=True)
            continue
        print(name)
        for what, wait in measured(name, asked.folder).items():
            limit = f"  (at most {WANTED[what]:.0f} on an idle machine)" if what in WANTED else ""
            print(f"  {what:<26}{wait:9.1f} ms{limit}", flush=True)


if __name__ == "__main__":
    main()
