"""Names of components and texts of alerts, from templates and readings. Pure; nothing a reading holds makes it fail."""

from __future__ import annotations

import string
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

from processors.alerting.rule import bounded

NAME: Final = 200
TEXT: Final = 500
PART: Final = 100
"""Longest component, text and part of a text, in characters."""
_FORMATTER: Final = string.Formatter()


@lru_cache(maxsize=4096)
def _parts(template: str) -> tuple[tuple[str, str | None, str], ...]:
    return tuple((literal, field, spec or "") for literal, field, spec, _ in _FORMATTER.parse(template))


def fields(template: str) -> set[str]:
    """The fields a template names.

    Raises:
        ValueError: it is no template, or asks for more than plain fields.
    """
    found = set()
    for _, name, _, conversion in _FORMATTER.parse(template):
        if name is None:
            continue
        if not name.isidentifier() or conversion:
            raise ValueError(f"{{{name}}} is not the name of a field")
        found.add(name)
    return found


def component(template: str, reading: Mapping[str, Any]) -> str:
    """Which one a reading is of; a dash for each field it lacks. A long name ends in a hash of the whole."""
    name = "".join(
        literal + ("" if field is None else _word(reading.get(field))) for literal, field, _ in _parts(template)
    )
    if len(name) <= NAME:
        return name
    return f"{name[: NAME - 17]}…{sha256(name.encode(errors='replace')).hexdigest()[:16]}"


def text(template: str, reading: Mapping[str, Any], **more: Any) -> str:
    """What to tell a person."""
    said = []
    for literal, field, spec in _parts(template):
        said.append(literal)
        if field is not None:
            value = more[field] if field in more else reading.get(field)
            try:
                said.append(bounded(format(value, spec) if isinstance(value, int | float) else _word(value), PART))
            except ValueError:
                said.append(_word(value))
    return bounded("".join(said), TEXT)


def _word(value: object) -> str:
    return "-" if value is None or value == "" else value if isinstance(value, str) else bounded(value, PART)
