"""The command line: parses, calls, prints. Results go to stdout, progress and errors to stderr."""
# pyright: reportUntypedFunctionDecorator=false

from __future__ import annotations

import sys
import warnings
from io import TextIOWrapper
from typing import Annotated, TextIO, cast

import typer

from pellucid import __version__
from pellucid.cli import (
    attributing,
    comparing,
    explaining,
    exporting,
    functions,
    insight,
    networks,
    seeing,
    studying,
    training,
)
from pellucid.cli.options import Json, print_json
from pellucid.errors import PellucidError
from pellucid.screen import Screen, visible

app = typer.Typer(
    name="pellucid",
    help="Build, train and run convolutional networks, and ask any number where it came from.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"pellucid {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Build, train and run convolutional networks, and ask any number where it came from."""


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what this machine offers: versions, executors, CPU features.

    Example: pellucid doctor --json
    """
    from pellucid.doctor import examine

    found = examine()
    if as_json:
        print_json(found)
        return
    for part, facts in found.items():
        print(part)
        for name, value in facts.items():
            print(f"  {name:<14} {value}")


for command in (
    training.train,
    training.predict,
    training.evaluate,
    insight.history,
    insight.find_rate,
    insight.landscape,
    networks.inspect,
    comparing.compare,
    exporting.export,
    explaining.explain,
    functions.activation,
    attributing.attribute,
    studying.approximate,
    studying.shift_robustness,
    studying.why_convolution,
    explaining.receptive_field,
    explaining.walk_back,
    seeing.activations,
    seeing.filters,
    seeing.units,
    seeing.maximise,
    seeing.embed,
):
    app.command()(command)
app.command(context_settings={"ignore_unknown_options": True})(explaining.trace)
app.command("models")(networks.list_models)


def _show_warning(message: Warning | str, *details: object) -> None:
    print(visible(f"pellucid: warning: {message}"), file=sys.stderr)


def main() -> None:
    """Entry point: expected errors become one line and exit code 2; nothing that is printed steers the terminal."""
    warnings.showwarning = _show_warning
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = cast(tuple[TextIO, TextIO], (Screen(sys.stdout), Screen(sys.stderr)))
    try:
        app()
    except (PellucidError, OSError) as error:
        print(f"pellucid: error: {error}", file=sys.stderr)
        sys.exit(2)
    except MemoryError as error:
        print(
            f"pellucid: error: it does not fit this machine's memory ({error}); choose smaller sizes", file=sys.stderr
        )
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
