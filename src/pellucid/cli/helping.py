"""How `--help` reads: commands and options in groups, every command told apart in half a line that is never cut."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

GROUPS = ("Train", "Detect", "Look inside", "Compare", "Learn", "Names, files, machine")
"""Of commands, in the order in which they are listed."""
LONGEST = 57
"""Letters of the half line that tells a command apart: with the longest name 78 columns, what `--help` takes of 80."""
FIRST, LAST = "Arguments", "Options"
"""The groups of what has no name, and of options that belong to no other group."""


class Command(TyperCommand):
    """A command whose options are listed under the names of their groups, and whose examples can be copied."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write what it does; an example stays on one line, however long it is."""
        for paragraph in (self.help or "").split("\n\n"):
            formatter.write_paragraph()
            with formatter.indentation():
                if paragraph.startswith("Example: "):
                    formatter.write(f"  {paragraph.strip()}\n")
                else:
                    formatter.write_text(paragraph)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write what it takes, group by group, in the order in which they first come."""
        groups: dict[str, list[tuple[str, str]]] = {FIRST: []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                usual = FIRST if parameter.param_type_name == "argument" else LAST
                groups.setdefault(getattr(parameter, "rich_help_panel", None) or usual, []).append(record)
        for title in [*(group for group in groups if group != LAST), LAST]:
            if records := groups.get(title):
                with formatter.section(title):
                    formatter.write_dl(records)


class Commands(TyperGroup):
    """Commands that are listed under the names of their groups."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a line for each command, group by group."""
        known = [(name, command) for name, command in self.commands.items() if not command.hidden]
        group = {name: getattr(command, "rich_help_panel", None) or "Others" for name, command in known}
        for title in dict.fromkeys((*GROUPS, *group.values())):
            lines = [(name, half_line(command)) for name, command in known if group[name] == title]
            if not lines:
                continue
            with formatter.section(title):
                formatter.write_dl([(name.ljust(max(len(n) for n, _ in known)), line) for name, line in lines])


def half_line(command: Any) -> str:
    """What tells a command apart: the first line of its help."""
    return (command.help or "").strip().partition("\n")[0]
