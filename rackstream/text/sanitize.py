"""Makes text from devices safe to print on a terminal. Pure."""

from __future__ import annotations

from typing import overload


@overload
def printable(value: str) -> str: ...
@overload
def printable(value: object) -> object: ...
def printable(value: object) -> object:
    """Replaces control characters in all strings of a value, so that no name can control the terminal."""
    if isinstance(value, str):
        return "".join(char if char.isprintable() else "�" for char in value)
    if isinstance(value, dict):
        return {printable(name): printable(item) for name, item in value.items()}
    return [printable(item) for item in value] if isinstance(value, list | tuple) else value
