"""Reads values from the JSON documents of BMCs, whose types cannot be relied on. Pure and total: nothing raises."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

Json = Any
"""Any value of a decoded JSON document. Checked with the functions of this module before use."""
JsonObject = Mapping[str, Json]
"""A JSON object, such as a Redfish resource."""

INT64_LIMIT: Final = 2**63
WHITESPACE: Final = "\0" + "".join(character for character in map(chr, range(0x10000)) if character.isspace())
STATES_WITHOUT_READING: Final = frozenset({"absent", "unavailableoffline"})
"""Values of Status.State for which any number is meaningless: BMCs report 0 °C for an empty slot."""


def text(value: Json) -> str | None:
    """Returns text without padding; a number as text; None if blank or of another type."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value) if abs(value) < INT64_LIMIT else ""
    if not isinstance(value, str):
        return None
    # JSON may carry half a surrogate pair, which UTF-8 cannot encode.
    return value.encode("utf-8", "replace").decode().strip(WHITESPACE) or None


def number(value: Json) -> float | None:
    """Returns a finite number, also if the BMC quotes it (`"5500"`); None otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and "_" in value:  # accepted by float(), but not a number elsewhere
        return None
    try:
        as_float = float(value)
    except (ValueError, OverflowError):
        return None
    return as_float if math.isfinite(as_float) else None


def integer(value: Json) -> int | None:
    """Returns a whole number that fits Avro's long."""
    as_float = number(value)
    if as_float is None or not as_float.is_integer() or abs(as_float) >= INT64_LIMIT:
        return None
    return int(as_float)


def boolean(value: Json) -> bool | None:
    """Returns true or false; None for any other type."""
    return value if isinstance(value, bool) else None


def value_at(document: JsonObject | None, path: str) -> Json:
    """Returns the value at a path of property names separated by slashes; None if a part of the path is missing."""
    value: Json = document
    for name in path.split("/"):
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def link_at(document: JsonObject | None, path: str) -> str | None:
    """Returns the URI that the property at a path links."""
    return text(value_at(document, f"{path}/@odata.id"))


def uri_of(resource: JsonObject) -> str | None:
    """Returns the `@odata.id` of a resource or link."""
    return text(resource.get("@odata.id"))


def state_of(resource: JsonObject) -> str:
    """Returns Status.State in lower case; empty if missing."""
    return (text(value_at(resource, "Status/State")) or "").casefold()


def is_absent(resource: JsonObject) -> bool:
    """True for an empty slot or another part that has no readings."""
    return state_of(resource) in STATES_WITHOUT_READING


def objects(value: Json) -> Iterator[JsonObject]:
    """Yields the objects of an array; nothing for any other type."""
    yield from (item for item in (value if isinstance(value, list) else []) if isinstance(item, dict))


def uri_key(uri: str) -> str:
    """Normalizes a URI for comparison: trailing slashes, and HPE's `Thermal#Fans/0` for `Thermal#/Fans/0`."""
    path, mark, fragment = uri.partition("#")
    return path.rstrip("/") + mark + fragment.strip("/")


def key_of(resource: JsonObject) -> str:
    """Returns the `uri_key` of a resource or link; empty if it has no `@odata.id`."""
    return uri_key(uri_of(resource) or "")


def last_segment(uri: str) -> str:
    """Returns the last part of a URI, which is the id of a resource that has no Id."""
    return uri.rstrip("/").rpartition("/")[2]
