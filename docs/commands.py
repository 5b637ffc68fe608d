"""The reference of the command line as a page of the site: every command with its options and what each means."""

from __future__ import annotations

import html
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import typer
from api import api, first_sentence
from reference import Made, described
from wording import words_html

from pellucid.cli import app
from pellucid.questions import all_questions


@cache
def commands() -> dict[str, Any]:
    """Every command by name, as the command line has them; those of a group by both names: `detect evaluate`."""
    return dict(_within(typer.main.get_command(app)))


def _within(group: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _within(command, f"{above}{name} ")
        else:
            yield f"{above}{name}", command


def command_address(words: str) -> str:
    """Where the reference speaks of a command that begins like `pellucid train`; "" where there is none."""
    program, *parts = words.split() or [""]
    known = (" ".join(parts[:count]) for count in (2, 1) if " ".join(parts[:count]) in commands())
    name = next(known, "") if program == "pellucid" else ""
    return f"commands.html#{_anchor(name)}" if name else ""


def _anchor(name: str) -> str:
    return f"pellucid-{name.replace(' ', '-')}"


def command_reference() -> Made:
    """The page."""
    about = (
        "<p>Every command and every option, as <code>pellucid COMMAND --help</code> lists them. Results go to standard output, "
        "progress and errors to standard error; an error ends with exit code 2.</p>"
    )
    listed = "".join(
        f'<tr><td><a href="#{_anchor(name)}"><code>pellucid {name}</code></a></td><td>{_words(first_sentence(command.help or ""))}</td></tr>'
        for name, command in commands().items()
    )
    table = f'<div class="wide" tabindex="0" role="group" aria-label="Commands"><table class="names"><tbody>{listed}</tbody></table></div>'
    parts = (_command(name, command) for name, command in commands().items())
    return Made("commands.html", "Commands", f"<h1>Commands</h1>\n{about}\n{table}\n" + "\n".join(parts))


def _command(name: str, command: Any) -> str:
    arguments = [p for p in command.params if not p.opts[0].startswith("-")]
    options = [p for p in command.params if p.opts[0].startswith("-") and not p.hidden]
    usage = " ".join(["pellucid", name, *map(_placed, arguments), *(["[OPTIONS]"] if options else [])])
    rows = [_row("", _placed(p), getattr(p, "help", None) or "") for p in arguments]
    for option in options:
        first = f'id="{_anchor(name)}{option.opts[0]}" data-name="{option.opts[0]} of pellucid {name}"'
        rows.append(_row(first, _spelled(option), f"{option.help or ''}{_default(option)}"))
    parts = [
        f'<h2 id="{_anchor(name)}"><code>pellucid {name}</code></h2>',
        f'<pre class="code" tabindex="0"><code>{html.escape(usage)}</code></pre>',
        described(command.help or "", api()),
    ]
    if rows:
        label = f"Options of pellucid {name}"
        parts.append(
            f'<div class="wide" tabindex="0" role="group" aria-label="{label}"><table class="names"><tbody>{"".join(rows)}</tbody></table></div>'
        )
    asked = all_questions().get(name)
    if asked is not None:
        functions = [api().entries[f"pl.{place.partition(':')[2]}"] for place in asked.functions]
        links = ", ".join(f'<a href="{entry.address}"><code>{entry.written}</code></a>' for entry in functions)
        parts.append(f'<p class="used">In Python: {links}. More: <a href="{asked.page}.html">{asked.page}</a>.</p>')
    return "\n".join(parts)


def _row(attributes: str, spelled: str, text: str) -> str:
    return f"<tr {attributes}><td><code>{html.escape(spelled)}</code></td><td>{_words(text)}</td></tr>"


def _words(text: str) -> str:
    return words_html(text, lambda code: f"<code>{html.escape(code)}</code>")


def _placed(argument: Any) -> str:
    name = (argument.metavar or argument.name or "").upper().strip("[]")
    return name if argument.required else f"[{name}]"


def _spelled(option: Any) -> str:
    names = ", ".join([*option.opts, *option.secondary_opts])
    if option.is_flag:
        return names
    kind = option.type_descriptor.annotation
    takes = {int: "NUMBER", float: "NUMBER", Path: "FILE"}.get(kind, "TEXT")
    return f"{names} {option.metavar or takes}"


def _default(option: Any) -> str:
    shown = option.default
    if option.is_flag or option.required or callable(shown) or shown in (None, "", (), []):
        return ""
    return f" Default: {shown}."
