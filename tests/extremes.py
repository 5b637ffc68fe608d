"""Every command of the command line with extreme values for each of its options and arguments, each call in a process of its own.

`python tests/extremes.py SEED COUNT` makes COUNT calls chosen by SEED and prints those that fail.
"""

from __future__ import annotations

import inspect
import os
import random
import resource
import signal
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from typer.models import ArgumentInfo

from pellucid.cli import app

WHOLE = (
    "-1",
    "-9223372036854775808",
    "9223372036854775807",
    "1" + "0" * 400,
    "10000000",
    "²",
    "٣",
    "1e3",
    "0x10",
    "",
    " ",
    "nan",
    "1_0",
)
NUMBERS = ("-1", "-0.0", "0", "nan", "inf", "-inf", "1e308", "1e-320", "1" + "0" * 400, "", "x", "²", "1_0")
TEXTS = (
    "",
    " ",
    "x",
    "²",
    "-",
    "=",
    "a=",
    "=1",
    "a=1e999",
    ",",
    "nan",
    "inf",
    "\x1b[2J",
    "\u202e",
    "[bold]",
    "a" * 5000,
    "../..",
    "/",
    "\udcff",
    "[" * 5000,
    "conv1[" + "9" * 50 + "]",
    "10**400",
    "(" * 3000,
)
PATHS = (
    "",
    ".",
    "/",
    "/dev/null",
    "missing/x.svg",
    "x",
    "x.svg",
    "a" * 300 + ".svg",
    "\x1b[2J.png",
    "\udcff.png",
    "~",
    "-",
)
USUAL = {
    "what": "run",
    "image": "x.png",
    "images": "x.png",
    "run": "run",
    "runs": "run",
    "detector": "parts.mat",
    "a": "run",
    "b": "run",
    "expression": "w*x+b",
    "formula": "sin(x)",
    "names": "relu",
    "network": "Linear 2, Tanh",
    "at": "fc1[0]",
    "out": "written.onnx",
}
"""With which a command has something to do, by the name of the argument."""
QUICK = {
    "train": ("--data", "tiny", "--channels", "1", "--batch", "2", "--epochs", "1", "--model", "mlp"),
    "find-rate": ("--data", "tiny", "--channels", "1", "--batch", "2", "--steps", "10", "--model", "mlp"),
    "why-convolution": ("--data", "tiny", "--epochs", "1"),
    "maximize": ("--steps", "2"),
    "landscape": ("--size", "3", "--limit", "8"),
    "approximate": ("--tolerance", "0.5"),
}
"""Options that make a command short; the one that is tried comes after them and counts."""
ENDLESS = {("--epochs", "10000000"), ("--epochs", "9223372036854775807"), ("--steps", "10000000")}
"""What is asked for in earnest: to go on for days."""
SECONDS, MEMORY = 60, 8 * 2**30


@dataclass(frozen=True)
class Call:
    """One command line."""

    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(ascii(a) if len(a) < 60 else f"{a[:20]!a}...{len(a)}" for a in self.arguments)


@dataclass(frozen=True)
class Taken:
    """What a command takes: `flag` is the option's name, "" for an argument by its place."""

    name: str
    flag: str
    kind: Any
    needed: bool


SERVING = ("lab",)
"""Commands that go on until Ctrl-C."""


def commands() -> dict[str, list[Taken]]:
    """Every command that comes to an end, with what it takes."""
    found: dict[str, list[Taken]] = {}
    for info in app.registered_commands:
        if info.name in SERVING:
            continue
        assert info.callback is not None
        hints = get_type_hints(info.callback, include_extras=True)
        taken: list[Taken] = []
        for name, parameter in inspect.signature(info.callback).parameters.items():
            if get_origin(hints[name]) is not Annotated:  # the context of the call
                continue
            kind, told = get_args(hints[name])[:2]
            argument = isinstance(told, ArgumentInfo)
            flag = (
                ""
                if argument
                else next((d for d in told.param_decls or () if d.startswith("--")), f"--{name.replace('_', '-')}")
            )
            taken.append(Taken(name, flag, kind, argument and parameter.default is inspect.Parameter.empty))
        found[info.name or info.callback.__name__.replace("_", "-")] = taken
    return found


def values(kind: Any) -> tuple[str, ...]:
    """Extreme values by type."""
    kinds = {*get_args(kind), kind}
    if bool in kinds:
        return ()
    by_type = {int: WHOLE, float: NUMBERS, Path: PATHS}
    return next((v for k, v in by_type.items() if k in kinds or list[k] in kinds), TEXTS)


def calls() -> list[Call]:
    """Each option and argument of each command with each extreme value."""
    found: list[Call] = []
    for name, taken in commands().items():
        for tried in taken:
            option = [tried.flag] if tried.flag else []
            places = [p for p in taken if not p.flag and (p.needed or p is tried or p.name == "names")]
            for value in values(tried.kind):
                if (tried.flag, value) in ENDLESS:
                    continue
                given = [value if p is tried else USUAL[p.name] for p in places]
                found.append(Call((name, *QUICK.get(name, ()), *(f"{flag}={value}" for flag in option), "--", *given)))
    return found


def problem(call: Call) -> str:
    """What is wrong with how a call ends; "" where it does its work, or says on stderr why not, with exit code 1 or 2."""
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if child == 0:
            _call(call, said.fileno())
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        said.seek(0)
        text = said.read().decode(errors="replace")
    if code == -signal.SIGALRM:
        return f"takes more than {SECONDS} s"
    if code not in (0, 1, 2) or "Traceback" in text or (code and not text.strip()):
        return f"exit code {code}: {' / '.join(text.strip().splitlines()[-3:])[-400:]}"
    return ""


def _call(call: Call, said: int) -> None:
    """Run the command line in this process, which ends with it."""
    from pellucid.cli import main

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.alarm(SECONDS)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    os.dup2(said, 2)
    sys.argv = ["pellucid", *call.arguments]
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except BaseException:  # noqa: BLE001  a traceback is what is looked for
        traceback.print_exc()
        code = 98
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    import pellucid.explain
    import pellucid.opening
    import pellucid.studies  # noqa: F401  once for all calls

    seed, count = int(sys.argv[1]), int(sys.argv[2])
    failed = 0
    for call in random.Random(seed).sample(calls(), count):
        if wrong := problem(call):
            failed += 1
            print(f"{call}\n    {wrong}", flush=True)
    sys.exit(failed > 0)
