"""Text that machines gave, made fit for a terminal. Pure."""

from __future__ import annotations

from typing import Any


def printable(value: Any) -> Any:
    """The same for a terminal, which no name that a machine tells may steer."""
    if isinstance(value, str):
        return "".join(each if each.isprintable() else "�" for each in value)
    if isinstance(value, dict):
        return {printable(name): printable(each) for name, each in value.items()}
    return [printable(each) for each in value] if isinstance(value, list | tuple) else value
