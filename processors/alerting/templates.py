"""Renders component names and alert texts from templates and readings. Pure; no reading makes it fail."""

from __future__ import annotations

import re
import string
from functools import lru_cache
from hashlib import sha256
from typing import Final

from processors.alerting.rule import Reading, truncate

MAX_COMPONENT_LENGTH: Final = 200
MAX_TEXT_LENGTH: Final = 500
MAX_VALUE_LENGTH: Final = 100
"""Longest component, text, and value within a text, in characters."""
HASH_LENGTH: Final = 16
FORMATTER: Final = string.Formatter()
FORMAT_SPEC: Final = re.compile(r"([^{}]?[<>=^])?[-+ ]?z?#?0?[0-9]{0,2}[,_]?(\.[0-9]{1,2})?[deEfFgGn%]?")
"""Formats that a template may use. A width of a billion would fill the memory."""


@lru_cache(maxsize=4096)
def _parse(template: str) -> tuple[tuple[str, str | None, str], ...]:
    """Returns (literal, field, format spec) of each part of a template."""
    return tuple((literal, field, spec or "") for literal, field, spec, _ in FORMATTER.parse(template))


def field_names(template: str) -> set[str]:
    """Returns the fields that a template uses.

    Raises:
        ValueError: It is not a template, or uses more than plain fields.
    """
    names = set()
    for _, name, spec, conversion in FORMATTER.parse(template):
        if name is None:
            continue
        if not name.isidentifier() or conversion:
            raise ValueError(f"{{{name[:MAX_VALUE_LENGTH]}}} is not the name of a field")
        if not FORMAT_SPEC.fullmatch(spec or ""):
            raise ValueError(
                f"{{{name}:{(spec or '')[:MAX_VALUE_LENGTH]}}} is no format of a number with at most 99 places; "
                f"write {{{name}:.1f}}, for example"
            )
        names.add(name)
    return names


def render_component(template: str, reading: Reading) -> str:
    """Returns a reading's component name. Missing fields become dashes; a long name ends in a hash of the whole."""
    name = "".join(
        literal + ("" if field is None else _value_text(reading.get(field))) for literal, field, _ in _parse(template)
    )
    if len(name) <= MAX_COMPONENT_LENGTH:
        return name
    digest = sha256(name.encode(errors="replace")).hexdigest()[:HASH_LENGTH]
    return f"{name[: MAX_COMPONENT_LENGTH - HASH_LENGTH - 1]}…{digest}"


def render_text(template: str, reading: Reading, **extra: object) -> str:
    """Returns an alert's text. `extra`: fields besides the reading's; they take precedence."""
    parts = []
    for literal, field, spec in _parse(template):
        parts.append(literal)
        if field is not None:
            value = extra[field] if field in extra else reading.get(field)
            try:
                text = format(value, spec) if isinstance(value, int | float) else _value_text(value)
                parts.append(truncate(text, MAX_VALUE_LENGTH))
            except (ValueError, OverflowError, MemoryError):
                parts.append(_value_text(value))
    return truncate("".join(parts), MAX_TEXT_LENGTH)


def _value_text(value: object) -> str:
    if value is None or value == "":
        return "-"
    return value if isinstance(value, str) else truncate(value, MAX_VALUE_LENGTH)
