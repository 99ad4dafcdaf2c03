"""Help of the command groups: commands in sections, and hidden aliases of renamed commands."""

from __future__ import annotations

from functools import cached_property

import click

from rackstream.text.sanitize import echo

MAX_HELP = 55
"""Longest short help of a command, so that a line of the overview fits into 80 columns."""


class SectionedGroup(click.Group):
    """Group whose help lists its commands by section."""

    @cached_property
    def sections(self) -> dict[str, tuple[str, ...]]:
        """Command names by section title."""
        return {}

    def add_section(self, title: str, *commands: click.Command) -> None:
        """Adds commands, listed under a title."""
        for command in commands:
            self.add_command(command)
        self.sections[title] = tuple(str(command.name) for command in commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  click's signature
        """Writes a list per section, with aligned columns."""
        width = max(len(name) for names in self.sections.values() for name in names)
        for title, names in self.sections.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(name.ljust(width), self.commands[name].get_short_help_str(MAX_HELP)) for name in names]
                )


def renamed(command: click.Command, old_name: str, new_name: str) -> click.Command:
    """Returns a hidden alias of a command under its old name.

    It prints the new name on stderr and runs the command.
    """

    @click.command(old_name, hidden=True, params=command.params, help=f"Renamed to `rackstream {new_name}`.")
    @click.pass_context
    def alias(context: click.Context, /, **_: object) -> None:
        echo(f"`rackstream {old_name}` is now `rackstream {new_name}`", err=True)
        context.forward(command)

    return alias
