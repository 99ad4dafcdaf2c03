"""The one place that prints to a terminal. Everything it prints is cleaned of control characters.

Names, reasons and texts come from devices, guests and topics. `tests/unit/repository/test_terminal_output.py` forbids
other ways to print.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

import click

from runtime.sanitize import clean_text, printable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RenderResult

__all__ = ["DataOutput", "echo", "echo_coloured", "json_text", "printable", "terminal_console"]
COLOUR: Final = re.compile(r"(\x1b\[[0-9;]*m)")
"""Escape sequences that only set colours."""


def echo(text: object = "", *, err: bool = False, nl: bool = True) -> None:
    """Prints text, cleaned, to standard output or error. Line feeds and tabs stay."""
    click.echo(clean_text(str(text)), err=err, nl=nl)


def echo_coloured(text: str) -> None:
    """Prints a drawing of ours: its colours stay, other escape sequences do not. Colours are left out of files."""
    parts = COLOUR.split(text)
    click.echo("".join(part if index % 2 else clean_text(part) for index, part in enumerate(parts)))


def json_text(
    value: object,
    *,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    default: Callable[[object], object] | None = None,
) -> str:
    r"""Returns JSON in which characters that could control a terminal are escaped (`\u009b`), so none is lost."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators, default=default)
    # Outside strings JSON has only printable characters, and line feeds if it is indented.
    return "".join(char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in text)


class DataOutput:
    """Standard output for files of data such as CSV: unchanged in a pipe or file, cleaned on a terminal."""

    def write(self, text: str) -> None:
        """Writes text."""
        sys.stdout.write(clean_text(text) if sys.stdout.isatty() else text)


class _Cleaned:
    """A Rich renderable whose text is cleaned after rendering; styles stay."""

    def __init__(self, renderable: ConsoleRenderable) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.segment import Segment

        for segment in console.render(self._renderable, options):
            yield segment if segment.control else Segment(clean_text(segment.text), segment.style)


class _CleaningHook:
    """Render hook of a console: cleans everything that is printed on it."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Wraps what is about to be printed."""
        return [_Cleaned(renderable) for renderable in renderables]


def terminal_console(*, stderr: bool = False, width: int | None = None, highlight: bool = True) -> Console:
    """Returns a Rich console whose output is cleaned."""
    from rich.console import Console

    cleaned = Console(stderr=stderr, width=width, highlight=highlight)
    cleaned.push_render_hook(cast("RenderHook", _CleaningHook()))  # its base class would import Rich
    return cleaned
