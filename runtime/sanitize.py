"""Replaces control characters in text that others wrote, before a terminal or a log shows it. Pure."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING, TextIO, overload

if TYPE_CHECKING:
    from structlog.typing import EventDict, ExcInfo

REPLACEMENT = "�"
"""Shown in place of a character that could control the terminal."""


@overload
def printable(value: str) -> str: ...
@overload
def printable(value: object) -> object: ...
def printable(value: object) -> object:
    """Replaces control characters in all strings of a value, so that no name can control the terminal."""
    if isinstance(value, str):
        return "".join(char if char.isprintable() else REPLACEMENT for char in value)
    if isinstance(value, dict):
        return {printable(name): printable(item) for name, item in value.items()}
    return [printable(item) for item in value] if isinstance(value, list | tuple) else value


def clean_text(text: str) -> str:
    """Replaces control characters in a text of several lines: line feeds and tabs stay."""
    return "".join(char if char.isprintable() or char in "\n\t" else REPLACEMENT for char in text)


def clean_event(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Processor of structlog: cleans names and values of an event, before a renderer adds colours."""
    return {clean_text(name): value if name == "exc_info" else _clean_value(value) for name, value in event.items()}


def _clean_value(value: object) -> object:
    if isinstance(value, str):
        return clean_text(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    text = repr(value)  # what the renderer would print
    return value if text.isprintable() else clean_text(text)


def write_traceback(stream: TextIO, exc_info: ExcInfo) -> None:
    """Exception formatter of structlog: writes a traceback whose message cannot control the terminal."""
    stream.write("\n" + clean_text("".join(traceback.format_exception(*exc_info)).rstrip()))


class CleanFormatter(logging.Formatter):
    """Formatter for the log messages of libraries, such as the path of a page that does not exist."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the line, cleaned."""
        return clean_text(super().format(record))
