"""`pellucid lab`: the rooms in a browser."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.options import PreprocessingName, Set


def lab(
    what: Annotated[
        str,
        typer.Argument(help="A run's folder, an ONNX file, a model, or a formula; the lecture's neuron unless given."),
    ] = "",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen; 0 takes a free port.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
    host: Annotated[
        str, typer.Option(help="The address of this machine to listen at; others only on purpose.")
    ] = "127.0.0.1",
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Another name that the server is reached by; may be repeated.")
    ] = None,
    allow_embed: Annotated[
        list[str] | None, typer.Option(help="An origin that may show the lab in a frame; may be repeated.")
    ] = None,
    root_path: Annotated[str, typer.Option(help="Where a proxy puts the lab: /lab.")] = "",
    preprocessing: PreprocessingName = "",
    set: Set = None,
    export: Annotated[
        Path | None,
        typer.Option(help="Serve nothing; write a copy of the rooms into this folder, for any web server."),
    ] = None,
    single_file: Annotated[
        bool, typer.Option("--single-file", help="The copy as one HTML, which opens from the disk: --export lab.html.")
    ] = False,
    room: Annotated[list[str] | None, typer.Option(help="A room to copy, all unless named; may be repeated.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write over a copy that is there already.")] = False,
) -> None:
    """Open the lab: look inside with a browser.

    Example: pellucid lab

    Example: pellucid lab "(x + y) * z"

    Example: pellucid lab runs/digits-lenet

    Example: pellucid lab net.onnx --preprocessing unit

    Example: pellucid lab words.onnx --set length=12

    Example: pellucid lab runs/digits-lenet --export course/lab

    Example: pellucid lab runs/digits-lenet --export lab.html --single-file
    """
    if export is not None:
        from pellucid.lab.export import export as write_copy

        with _ending_at_once():
            copied = write_copy(
                what,
                export,
                rooms=room or (),
                single_file=single_file,
                overwrite=overwrite,
                preprocessing=preprocessing,
                set=set or (),
            )
        print(copied)
        return
    if single_file or overwrite or room:
        raise typer.BadParameter(
            "says how a copy is written; name where: --export PLACE", param_hint="--single-file, --room, --overwrite"
        )
    from pellucid.lab import serve

    def started(address: str) -> None:
        print(f"the lab is at {address}\nCtrl-C ends it", flush=True)

    with _ending_at_once():
        serve(
            what,
            host=host,
            port=port,
            browser=browser,
            hosts=allow_host or (),
            embedders=allow_embed or (),
            root_path=root_path,
            preprocessing=preprocessing,
            set=set or (),
            started=started,
        )


@contextmanager
def _ending_at_once() -> Generator[None]:
    """Ctrl-C ends the process, also where a thread is in the middle of a long question, which Python would wait for."""
    try:
        yield
    except KeyboardInterrupt:
        if threading.active_count() == 1:
            raise
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(130)
