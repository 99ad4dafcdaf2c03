"""In what a BMC's answers differ from what their schemas say. Pure: documents in, findings out.

For people who look at one BMC: the reader copes with all of these, and tells only what it could not read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from producers.redfish.http.negative_cache import key_of
from producers.redfish.mapping.table import NO_READING, Json, at, number, text

ENTRIES: Final = frozenset({"Temperatures", "Fans", "Voltages", "PowerSupplies", "PowerControl"})
"""Arrays of the schemas Thermal and Power."""
MEASURED: Final = re.compile(r"Reading(Celsius|Volts|RPM)?|PowerConsumedWatts")
NUMBERS: Final = re.compile(r"Reading(Celsius|Volts|RPM)?|\w+(Watts|Volts|MiB|Bytes|MHz|Mbps)|(Total|Max)\w+|Count")
DEEPEST: Final = 12
"""Levels of a document that are looked at."""


@dataclass(frozen=True, slots=True)
class Quirk:
    """A difference, and how often it was met."""

    what: str
    count: int
    example: str
    """Where it was met first."""


Rule = Callable[[str, Json], bool]
"""Name of the property or array that holds an object, and the object → whether it is odd in this way."""


def _absent_zero(_: str, entry: Json) -> bool:
    return _state(entry) in NO_READING and any(number(value) == 0 for value in _measured(entry))


def _no_reading(_: str, entry: Json) -> bool:
    return _state(entry) == "enabled" and any(value is None for value in _measured(entry))


def _text_for_number(_: str, entry: Json) -> bool:
    return any(
        isinstance(value, str) and NUMBERS.fullmatch(name) and number(value) is not None
        for name, value in entry.items()
    )


def _percent(holder: str, entry: Json) -> bool:
    return holder == "Fans" and (text(entry.get("ReadingUnits")) or "").casefold() in {"percent", "%"}


def _no_member_id(holder: str, entry: Json) -> bool:
    return holder in ENTRIES and "MemberId" not in entry and "@odata.type" not in entry and len(entry) > 1


def _no_status(holder: str, entry: Json) -> bool:
    return holder in ENTRIES and "Status" not in entry and len(entry) > 1


def _status_no_object(_: str, entry: Json) -> bool:
    return "Status" in entry and not isinstance(entry["Status"], dict | None)


def _padded(_: str, entry: Json) -> bool:
    return any(isinstance(value, str) and value != value.strip() and len(value) < 200 for value in entry.values())


def _no_unit(_: str, entry: Json) -> bool:
    is_sensor = (text(entry.get("@odata.type")) or "").startswith("#Sensor.")
    return is_sensor and "Reading" in entry and not text(entry.get("ReadingUnits"))


def _members_null(_: str, entry: Json) -> bool:
    return "Members" in entry and not isinstance(entry["Members"], list)


def _empty_link(_: str, entry: Json) -> bool:
    return entry.get("@odata.id") == ""


def _fragment(_: str, entry: Json) -> bool:
    return bool(re.search(r"#[^/]", text(entry.get("@odata.id")) or ""))


def _elsewhere(_: str, entry: Json) -> bool:
    return "//" in (text(entry.get("@odata.id")) or "")


RULES: Final[Mapping[str, Rule]] = {
    "absent parts that read 0": _absent_zero,
    "enabled sensors without a reading": _no_reading,
    "numbers given as text": _text_for_number,
    "fans in percent": _percent,
    "entries without MemberId": _no_member_id,
    "entries without Status": _no_status,
    "Status that is no object": _status_no_object,
    "padded text": _padded,
    "sensors without a unit": _no_unit,
    "collections without Members": _members_null,
    "empty links": _empty_link,
    "fragments without a slash": _fragment,
    "links to other hosts": _elsewhere,
}
"""What is said of it → how it is known."""


def quirks(documents: Mapping[str, Json]) -> list[Quirk]:
    """What is odd in the documents of one BMC, by the links they were asked for; most frequent first."""
    found: dict[str, list[str]] = {}
    for link, document in documents.items():
        own = text(document.get("@odata.id"))
        if own and "?" not in link and key_of(own).casefold() != key_of(link).casefold():
            found.setdefault("answers that name another resource", []).append(link)
        for holder, entry in _objects("", document, DEEPEST):
            for what, applies in RULES.items():
                if applies(holder, entry):
                    found.setdefault(what, []).append(_name(entry) or link)
    told = [Quirk(what, len(places), places[0]) for what, places in found.items()]
    return sorted(told, key=lambda each: -each.count)


def _objects(holder: str, value: Any, left: int) -> Iterator[tuple[str, Json]]:
    """Each object in a document, and what holds it; not those of OEMs, which follow no schema that we know."""
    if left and isinstance(value, dict):
        yield holder, value
        for name, inner in value.items():
            if name != "Oem":
                yield from _objects(name, inner, left - 1)
    elif left and isinstance(value, list):
        for each in value:
            yield from _objects(holder, each, left - 1)


def _measured(entry: Json) -> Iterator[Any]:
    return (value for name, value in entry.items() if MEASURED.fullmatch(name))


def _state(entry: Json) -> str:
    return (text(at(entry, "Status/State")) or "").casefold()


def _name(entry: Json) -> str:
    return text(entry.get("@odata.id")) or text(entry.get("Name")) or ""
