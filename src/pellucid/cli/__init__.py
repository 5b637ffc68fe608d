"""The command line: parses, calls, prints. Results go to stdout, progress and errors to stderr."""
# pyright: reportUntypedFunctionDecorator=false

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from typing import Annotated, Any, NoReturn, TextIO, cast

import typer

from pellucid import __version__
from pellucid.cli import detection, exporting, lab, networks, predicting, rates, training
from pellucid.cli.asking import command_of
from pellucid.cli.helping import Command, Commands
from pellucid.cli.options import drawing
from pellucid.errors import PellucidError
from pellucid.files import told
from pellucid.questions import all_questions
from pellucid.renamed import COMMANDS, OPTIONS, warn
from pellucid.screen import Screen, visible

app = typer.Typer(
    name="pellucid",
    cls=Commands,
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


COMMANDS_BY_GROUP: dict[str, dict[str, Callable[..., None]]] = {
    "Train": {
        "train": training.train,
        "find-rate": rates.find_rate,
        "predict": predicting.predict,
        "evaluate": training.evaluate,
    },
    "Look inside": {"lab": lab.lab, "inspect": networks.inspect},
    "Names, files, machine": {
        "models": networks.list_models,
        "samples": networks.samples,
        "export": exporting.export,
        "doctor": networks.doctor,
    },
}
"""The commands that are no questions."""
for title, commands in COMMANDS_BY_GROUP.items():
    for name, command in commands.items():
        app.command(name, cls=Command, rich_help_panel=title)(drawing(command))
app.add_typer(detection.app, name="detect", rich_help_panel="Detect")
for asked in all_questions().values():
    negative = {"ignore_unknown_options": True} if asked.name == "formula" else None  # w=-2 is a value, -x a formula
    place: Any = {"cls": Command, "rich_help_panel": asked.group.capitalize()}
    app.command(asked.name, context_settings=negative, **place)(drawing(command_of(asked)))


def renamed(words: Sequence[str]) -> list[str]:
    """What was typed, with commands under the names that they have now: `trace` of a formula is `formula`."""
    if len(words) > 1 and words[0] == "trace":
        from pellucid.data.listing import is_there

        named = [word for word in words[1:] if not word.startswith("--")]
        rest = named[1:]
        if named and not is_there(named[0]) and (not rest or any("=" in word for word in rest)):
            warnings.warn("`pellucid trace` of a formula is `pellucid formula` now", DeprecationWarning, stacklevel=2)
            return ["formula", *("--out" if word == "--svg" else word for word in words[1:])]
    told = [COMMANDS.get(words[0], words[0]), *(OPTIONS.get(word, word) for word in words[1:])] if words else []
    for old, new in zip(words, told, strict=True):
        if old != new:
            warn(f"`{old}`", f"`{new}`")
    return told


def _show_warning(message: Warning | str, *details: object) -> None:
    print(visible(f"pellucid: warning: {message}"), file=sys.stderr)


def _fail(words: str) -> NoReturn:
    for word in sys.argv[1:]:
        if re.match(r"[a-z]+://", word):
            words += f". {word} is an address, from which nothing is fetched: download it and name the file"
            break
    print(f"pellucid: error: {words}", file=sys.stderr)
    sys.exit(2)


def main() -> None:
    """Entry point: expected errors become one line and exit code 2; nothing that is printed steers the terminal."""
    warnings.showwarning = _show_warning
    warnings.filterwarnings("default", category=DeprecationWarning, module=r"pellucid\.cli")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = cast(tuple[TextIO, TextIO], (Screen(sys.stdout), Screen(sys.stderr)))
    try:
        app(renamed(sys.argv[1:]))
    except PellucidError as error:
        _fail(str(error))
    except OSError as error:
        _fail(told(error))
    except MemoryError as error:
        _fail(f"it does not fit this machine's memory ({error}); choose smaller sizes")
    except KeyboardInterrupt:
        sys.exit(130)
