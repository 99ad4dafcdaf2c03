"""What a table is, and how a resource becomes records by it. Pure and total: no I/O, and nothing here raises."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from producers.reader import Problems

Json = Mapping[str, Any]
Read = Callable[[Any], Any]
"""A property's value → the field's, None where it cannot be used. Never raises."""

LONG_END: Final = 2**63
BLANK: Final = "\0" + "".join(each for each in map(chr, range(0x10000)) if each.isspace())
NO_READING: Final = frozenset({"absent", "unavailableoffline"})
"""Status.State in which whatever number is given means nothing: BMCs say 0 °C of an empty slot."""
ZERO_IS_NO_READING: Final = frozenset({"disabled"})
"""Status.State in which 0 means nothing: Intel's disabled sensors read 0, but a disabled PowerControl has watts."""
UNITS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("rpm", "{rev}/min"), "RPM"),  # the second is what Sensor prefers by now
    **dict.fromkeys(("percent", "%"), "Percent"),
    **dict.fromkeys(("cel", "c", "celsius"), "Cel"),
    **dict.fromkeys(("v", "volts"), "V"),
}
"""Spellings of ReadingUnits → how a table says it."""


def text(value: Any) -> str | None:
    """Text without padding; a number as text; None where blank or neither."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value) if abs(value) < LONG_END else ""
    if not isinstance(value, str):
        return None
    # JSON may carry half a surrogate pair, which no UTF-8 can.
    return value.encode("utf-8", "replace").decode().strip(BLANK) or None


def number(value: Any) -> float | None:
    """A finite number, also where the BMC quotes it (`"5500"`); None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and "_" in value:  # legal to float(), no number to anyone else
        return None
    try:
        as_float = float(value)
    except (ValueError, OverflowError):
        return None
    return as_float if math.isfinite(as_float) else None


def whole(value: Any) -> int | None:
    """A whole number that fits Avro's long."""
    as_float = number(value)
    if as_float is None or not as_float.is_integer() or abs(as_float) >= LONG_END:
        return None
    return int(as_float)


def flag(value: Any) -> bool | None:
    """True or false."""
    return value if isinstance(value, bool) else None


def led(value: Any) -> str | None:
    """An LED's state; LocationIndicatorActive, which came in its place, is true or false."""
    return ("Lit" if value else "Off") if isinstance(value, bool) else text(value)


def texts(value: Any) -> list[str] | None:
    """The texts of a list, without those that are none."""
    return [each for each in map(text, value) if each is not None] if isinstance(value, list) else None


def wholes(value: Any) -> list[int] | None:
    """The whole numbers of a list, without those that are none."""
    return [each for each in map(whole, value) if each is not None] if isinstance(value, list) else None


def rating(value: Any) -> float | None:
    """Percent of a PowerSupply's EfficiencyRatings: at half load, where efficiency classes peak, else the first."""
    each = [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
    each.sort(key=lambda entry: number(entry.get("LoadPercent")) != 50)
    return next((known for entry in each if (known := number(entry.get("EfficiencyPercent"))) is not None), None)


def port_count(value: Any) -> int | None:
    """Ports that the Controllers of a NetworkAdapter say to have, or members of a collection of ports."""
    if isinstance(value, dict):
        members = value.get("Members")
        told = [value.get("Members@odata.count"), len(members) if isinstance(members, list) else None]
        return next((count for count in map(whole, told) if count is not None and count >= 0), None)
    each = value if isinstance(value, list) else []
    counts = [whole(at(entry, "ControllerCapabilities/NetworkPortCount")) for entry in each]
    known = [count for count in counts if count is not None and count >= 0]  # Lenovo: -1 of an InfiniBand card
    return whole(sum(known)) if known else None


EXPECTED: Final[Mapping[Read, str]] = {
    text: "not text",
    number: "not a number",
    whole: "not a whole number",
    flag: "not true or false",
    led: "not text",
    texts: "not a list",
    wholes: "not a list",
    rating: "not a list",
}
"""Reader → what is wrong with a value it cannot use."""


@dataclass(frozen=True, slots=True)
class Field:
    """One property."""

    name: str
    """Field of the record."""
    paths: tuple[str, ...]
    """Where the property may be, names parted by slashes; the first usable value is taken."""
    read: Read = text
    unit_is: str = ""
    """Only where ReadingUnits says so."""
    says_unit: str = ""
    """A path whose name says the unit, which is taken first, and without ReadingUnits."""
    unless: str = ""
    """Only where no number is at this path."""


@dataclass(frozen=True, slots=True)
class Table:
    """One array, or one object, of a resource."""

    record: str
    """Array or field of the record above it."""
    each: str
    """Property that holds the array, or path of the object; empty: the resource itself."""
    schema: str
    """DMTF schema followed."""
    fields: tuple[Field, ...]
    identity: str = "sensor_id"
    """Field that the position in the array stands in for, where the BMC gives no id."""
    reading: tuple[str, ...] = ()
    """Fields of which one should be set; an entry that is there without any is a problem."""
    parts: tuple[Table, ...] = ()
    """Objects inside it that become records of their own."""
    linked: tuple[tuple[str, str], ...] = ()
    """Start of a path that goes on through a link → DMTF schema of what is linked."""


def rows(table: Table, resource: Json, problems: Problems) -> Iterator[dict[str, Any]]:
    """The records of one array of a resource, in its order; entries that are no objects are counted."""
    entries = resource.get(table.each)
    if entries is None:
        return
    if not isinstance(entries, list):
        problems.add(table.record, "not an array")
        return
    for position, entry in enumerate(entries):
        if isinstance(entry, dict):
            yield row(table, entry, problems, instead=str(position))
        else:
            problems.add(table.record, "entry is not an object")


def row(table: Table, entry: Json, problems: Problems, *, instead: str = "", around: str = "") -> dict[str, Any]:
    """The record of one object.

    Args:
        table: what it is.
        entry: the object.
        problems: counts what is unusable.
        instead: its id, where it has none of its own.
        around: state of the object it is part of, where it has none of its own.
    """
    status = entry.get("Status")
    if status is not None and not isinstance(status, dict):
        problems.add(f"{table.record}.status", "not an object")
    state = (text(at(entry, "Status/State")) or around).casefold()
    record: dict[str, Any] = {}
    causes: dict[str, str] = {}
    for field in table.fields:
        value, cause = _value(field, entry)
        if not isinstance(value, str) and (state in NO_READING or (state in ZERO_IS_NO_READING and value == 0)):
            value = None
        elif cause and field.name in table.reading:
            causes[field.name] = cause
        elif cause and cause != "null":  # an optional property may well be null; only a reading is missed
            problems.add(f"{table.record}.{field.name}", cause)
        record[field.name] = value
    if table.reading and state not in NO_READING | ZERO_IS_NO_READING:
        _miss(table, record, causes, problems)
    if table.identity in record and record[table.identity] is None:
        record[table.identity] = instead
    for part in table.parts:
        inner = at(entry, part.each)
        record[part.record] = row(part, inner if isinstance(inner, dict) else {}, problems, around=state)
    return record


def _miss(table: Table, record: Json, causes: Json, problems: Problems) -> None:
    """Counts an entry that is there and gives no reading, once and by its most telling cause."""
    if all(record[name] is None for name in table.reading):
        name, cause = next(iter(causes.items()), (table.reading[0], "missing"))
        problems.add(f"{table.record}.{name}", cause)


def _value(field: Field, entry: Json) -> tuple[Any, str]:
    """A field's value, or None and why; no cause where the property is not there."""
    if field.unless and number(at(entry, field.unless)) is not None:
        return None, ""
    if field.says_unit and (value := field.read(at(entry, field.says_unit))) is not None:
        return value, ""
    if field.unit_is:
        unit = text(entry.get("ReadingUnits", entry.get("Units"))) or "none"  # Units: iLO 4
        known = UNITS.get(unit.casefold())
        if known is None:
            return None, f"unit {unit[:20]} is unknown"
        if known != field.unit_is:
            return None, ""
    cause = ""
    for path in field.paths:
        found = at(entry, path)
        value = field.read(found)
        if value is not None:
            return value, ""
        if found is None:
            cause = cause or ("null" if _given(entry, path) else "")
        elif not (field.read is text and isinstance(found, str)):  # blank text is no text, and no fault
            cause = EXPECTED.get(field.read, "")
    return None, cause


def at(entry: Json, path: str) -> Any:
    """What is at a path of property names, None where anything on the way is missing or no object."""
    value: Any = entry
    for name in path.split("/"):
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def _given(entry: Json, path: str) -> bool:
    before, _, name = path.rpartition("/")
    holder = at(entry, before) if before else entry
    return isinstance(holder, dict) and name in holder
