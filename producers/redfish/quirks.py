"""Finds deviations of a BMC's resources from their schemas. Pure.

For people who examine one BMC: the reader handles all of these and reports only what it could not read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from producers.redfish.documents import (
    STATES_WITHOUT_READING,
    Json,
    JsonObject,
    number,
    state_of,
    text,
    uri_key,
    uri_of,
)

SENSOR_ARRAYS: Final = frozenset({"Temperatures", "Fans", "Voltages", "PowerSupplies", "PowerControl"})
"""Arrays of the schemas Thermal and Power."""
READING_PROPERTY: Final = re.compile(r"Reading(Celsius|Volts|RPM)?|PowerConsumedWatts")
NUMBER_PROPERTY: Final = re.compile(
    r"Reading(Celsius|Volts|RPM)?|\w+(Watts|Volts|MiB|Bytes|MHz|Mbps)|(Total|Max)\w+|Count"
)
MAX_DEPTH: Final = 12
"""Levels of a document that are examined."""
MAX_PADDED_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class Quirk:
    """A kind of deviation found in the resources of a BMC."""

    what: str
    count: int
    example: str
    """Location of the first occurrence."""


QuirkCheck = Callable[[str, JsonObject], bool]
"""(Property or array that holds an object, the object) → True if it has the quirk."""


def _is_absent_with_zero(_: str, entry: JsonObject) -> bool:
    return state_of(entry) in STATES_WITHOUT_READING and any(number(value) == 0 for value in _readings(entry))


def _is_enabled_without_reading(_: str, entry: JsonObject) -> bool:
    return state_of(entry) == "enabled" and any(value is None for value in _readings(entry))


def _has_number_as_text(_: str, entry: JsonObject) -> bool:
    return any(
        isinstance(value, str) and NUMBER_PROPERTY.fullmatch(name) and number(value) is not None
        for name, value in entry.items()
    )


def _is_fan_in_percent(holder: str, entry: JsonObject) -> bool:
    return holder == "Fans" and (text(entry.get("ReadingUnits")) or "").casefold() in {"percent", "%"}


def _lacks_member_id(holder: str, entry: JsonObject) -> bool:
    return holder in SENSOR_ARRAYS and "MemberId" not in entry and "@odata.type" not in entry and len(entry) > 1


def _lacks_status(holder: str, entry: JsonObject) -> bool:
    return holder in SENSOR_ARRAYS and "Status" not in entry and len(entry) > 1


def _has_malformed_status(_: str, entry: JsonObject) -> bool:
    return "Status" in entry and not isinstance(entry["Status"], dict | None)


def _has_padded_text(_: str, entry: JsonObject) -> bool:
    return any(
        isinstance(value, str) and value != value.strip() and len(value) < MAX_PADDED_CHARACTERS
        for value in entry.values()
    )


def _lacks_unit(_: str, entry: JsonObject) -> bool:
    is_sensor = (text(entry.get("@odata.type")) or "").startswith("#Sensor.")
    return is_sensor and "Reading" in entry and not text(entry.get("ReadingUnits"))


def _has_malformed_members(_: str, entry: JsonObject) -> bool:
    return "Members" in entry and not isinstance(entry["Members"], list)


def _is_empty_link(_: str, entry: JsonObject) -> bool:
    return entry.get("@odata.id") == ""


def _has_fragment_without_slash(_: str, entry: JsonObject) -> bool:
    return bool(re.search(r"#[^/]", uri_of(entry) or ""))


def _links_other_host(_: str, entry: JsonObject) -> bool:
    return "//" in (uri_of(entry) or "")


QUIRK_CHECKS: Final[Mapping[str, QuirkCheck]] = {
    "absent parts that read 0": _is_absent_with_zero,
    "enabled sensors without a reading": _is_enabled_without_reading,
    "numbers as text": _has_number_as_text,
    "fans in percent": _is_fan_in_percent,
    "entries without MemberId": _lacks_member_id,
    "entries without Status": _lacks_status,
    "Status that is not an object": _has_malformed_status,
    "padded text": _has_padded_text,
    "sensors without a unit": _lacks_unit,
    "collections without Members": _has_malformed_members,
    "empty links": _is_empty_link,
    "fragments without a slash": _has_fragment_without_slash,
    "links to other hosts": _links_other_host,
}
"""Name of a quirk → its check."""


def find_quirks(documents: Mapping[str, JsonObject]) -> list[Quirk]:
    """Returns the quirks in the resources of one BMC, most frequent first.

    Args:
        documents: Link that was requested → resource.
    """
    occurrences: dict[str, list[str]] = {}
    for link, document in documents.items():
        own_uri = uri_of(document)
        if own_uri and "?" not in link and uri_key(own_uri).casefold() != uri_key(link).casefold():
            occurrences.setdefault("resources that name another URI", []).append(link)
        for holder, entry in _objects("", document, MAX_DEPTH):
            for name, check in QUIRK_CHECKS.items():
                if check(holder, entry):
                    occurrences.setdefault(name, []).append(_location(entry) or link)
    quirks = [Quirk(name, len(places), places[0]) for name, places in occurrences.items()]
    return sorted(quirks, key=lambda quirk: -quirk.count)


def _objects(holder: str, value: Json, levels: int) -> Iterator[tuple[str, JsonObject]]:
    """Yields each object in a document with the property that holds it, except OEM objects, which follow no schema."""
    if levels and isinstance(value, dict):
        yield holder, value
        for name, inner in value.items():
            if name != "Oem":
                yield from _objects(name, inner, levels - 1)
    elif levels and isinstance(value, list):
        for item in value:
            yield from _objects(holder, item, levels - 1)


def _readings(entry: JsonObject) -> Iterator[Json]:
    return (value for name, value in entry.items() if READING_PROPERTY.fullmatch(name))


def _location(entry: JsonObject) -> str:
    return uri_of(entry) or text(entry.get("Name")) or ""
